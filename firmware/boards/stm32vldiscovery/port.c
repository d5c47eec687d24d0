/*
 * STM32F100RB of the STM32VLDISCOVERY: clocks and pins. Registers are cited by chapter of the reference manual RM0041,
 * where they stand under their names. QEMU's model runs at 24 MHz by itself.
 */
#include "../../app/port.h"
#include "../cortex_m/cortex_m.h"
#include "../stm32/stm32.h"
#include "../systick/systick.h"

/* chapter "Reset and clock control (RCC)" */
#define RCC_CR REGISTER(0x40021000u)
#define RCC_CFGR REGISTER(0x40021004u)
#define RCC_APB2ENR REGISTER(0x40021018u)
/* chapter "General-purpose and alternate-function I/Os (GPIOs and AFIOs)" */
#define GPIOA_CRH REGISTER(0x40010804u)
#define GPIOA_BSRR REGISTER(0x40010810u)

enum { CLOCK_HZ = 24000000 };

const char port_board[] = "stm32vldiscovery";
const uint32_t port_tick_hz = CLOCK_HZ;
const struct stm32 stm32 = {.rcc = 0x40021000u, .usart1 = 0x40013800u, .unique = 0x1FFFF7E8u};

/*
 * 8 MHz HSI / 2 x 6 = 24 MHz, the most that this line of chips runs at, and then still without a wait state of the
 * flash (PM0063). CFGR: SW in bits 0-1 (2 = PLL), SWS 2-3, PLLSRC 16 (0 = HSI / 2), PLLMUL 18-21 (4 is 6); all buses
 * undivided. CR: PLL on, bit 24; PLL ready, 25. The HSI keeps 115200 baud within 2 % at room temperature.
 */
static void start_clocks(void)
{
    if (!stm32_is_whole())
        return;
    RCC_CFGR = 4u << 18;
    RCC_CR |= 1u << 24;
    stm32_wait(&RCC_CR, 1u << 25, 1u << 25);
    RCC_CFGR |= 2u;
    stm32_wait(&RCC_CFGR, 3u << 2, 2u << 2);
}

/* USART1 on PA9 (TX) and PA10 (RX): four bits a pin in CRH, 10 = alternate function, push-pull, 2 MHz; 8 = input with
 * the pull that the output register's bit chooses, set by BSRR: up. */
static void start_pins(void)
{
    RCC_APB2ENR |= 1u << 2 | 1u << 14; /* GPIOA, USART1 */
    (void)RCC_APB2ENR;                 /* the write has arrived before the first use */
    GPIOA_BSRR = 1u << 10;
    GPIOA_CRH = (GPIOA_CRH & ~0xFF0u) | 0x8A0u;
}

void port_init(void)
{
    start_clocks();
    systick_start();
    start_pins();
    stm32_start_serial(CLOCK_HZ); /* 208: 0.16 % fast */
}
