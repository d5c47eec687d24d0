/* SysTick as the board's tick, on the processor's clock of port_tick_hz: gives port_ticks() and wakes port_sleep(). */
#ifndef SYSTICK_H_
#define SYSTICK_H_

/* Begin to count; the clock runs at its final rate. */
void systick_start(void);

#endif
