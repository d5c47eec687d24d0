/* MPS2+ with the image AN505 (SSE-200 subsystem, IoT kit): Cortex-M33, all at 20 MHz. DAI 0505, memory map and
 * interrupts. The core starts in secure state and stays there: memories and UART by their secure addresses, and every
 * interrupt is secure out of reset. */
#include "../../app/port.h"
#include "../cortex_m/cortex_m.h"
#include "../mps/mps.h"

enum { UART0_RECEIVE = 32 };

const char port_board[] = "mps2-an505";
const uint32_t port_tick_hz = 20000000;
const struct mps_uart mps_uart = {.base = 0x50200000u, .clock_hz = 20000000, .interrupt = UART0_RECEIVE};

CORTEX_M_INTERRUPTS mps_interrupts[UART0_RECEIVE + 1] = {[UART0_RECEIVE] = mps_receive};
