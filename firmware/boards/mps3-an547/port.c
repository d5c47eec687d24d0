/* MPS3 with the image AN547 (SSE-300 subsystem): Cortex-M55 at 32 MHz, UART at 25 MHz. DAI 0547, memory map and
 * interrupts. The core starts in secure state and stays there: data and UART by their secure addresses, and every
 * interrupt is secure out of reset. */
#include "../../app/port.h"
#include "../cortex_m/cortex_m.h"
#include "../mps/mps.h"

enum { UART0_RECEIVE = 33 };

const char port_board[] = "mps3-an547";
const uint32_t port_tick_hz = 32000000;
const struct mps_uart mps_uart = {.base = 0x59303000u, .clock_hz = 25000000, .interrupt = UART0_RECEIVE};

CORTEX_M_INTERRUPTS mps_interrupts[UART0_RECEIVE + 1] = {[UART0_RECEIVE] = mps_receive};
