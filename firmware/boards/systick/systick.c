/*
 * The tick of a Cortex-M that has a SysTick: Armv7-M Architecture Reference Manual (DDI 0403), B3.3; Armv8-M (DDI 0553),
 * chapter "The System Timer, SysTick". There each security state has its own; this is the one of the state we run in.
 */
#include "systick.h"

#include "../../app/port.h"
#include "../cortex_m/cortex_m.h"

#define SYST_CSR REGISTER(0xE000E010u) /* B3.3.3 */
#define SYST_RVR REGISTER(0xE000E014u) /* B3.3.4 */
#define SYST_CVR REGISTER(0xE000E018u) /* B3.3.5 */
#define ICSR REGISTER(0xE000ED04u)     /* B3.2.4 */

static volatile uint32_t milliseconds;

void SysTick_Handler(void);

static uint32_t period(void)
{
    return port_tick_hz / 1000u;
}

/* CSR: processor clock, interrupt, on. */
void systick_start(void)
{
    SYST_RVR = period() - 1u;
    SYST_CVR = 0;
    SYST_CSR = 7;
}

void SysTick_Handler(void)
{
    milliseconds++;
    app_tick();
}

/* CVR counts down to 0, which sets the interrupt pending, and reloads: 0 is the first cycle of a new millisecond.
 * It is waited out (one cycle), because an emulator may show it before it sets the interrupt pending. */
static uint32_t cycles_into_millisecond(void)
{
    uint32_t left;
    do
        left = SYST_CVR;
    while (left == 0);
    return period() - left;
}

/* With interrupts blocked the count of milliseconds stands still; ICSR bit 26 (PENDSTSET) tells if it should not. */
uint32_t port_ticks(void)
{
    uint32_t before = cortex_m_lock();
    uint32_t cycles = cycles_into_millisecond();
    uint32_t count = milliseconds;
    if (ICSR & 1u << 26) {
        cycles = cycles_into_millisecond();
        count++;
    }
    cortex_m_unlock(before);
    return count * period() + cycles;
}
