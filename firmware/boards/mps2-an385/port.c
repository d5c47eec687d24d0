/* MPS2 with the image AN385: Cortex-M3, all at 25 MHz. DAI 0385, memory map and interrupts. */
#include "../../app/port.h"
#include "../cortex_m/cortex_m.h"
#include "../mps/mps.h"

enum { UART0_RECEIVE = 0 };

const char port_board[] = "mps2-an385";
const uint32_t port_tick_hz = 25000000;
const struct mps_uart mps_uart = {.base = 0x40004000u, .clock_hz = 25000000, .interrupt = UART0_RECEIVE};

CORTEX_M_INTERRUPTS mps_interrupts[UART0_RECEIVE + 1] = {[UART0_RECEIVE] = mps_receive};
