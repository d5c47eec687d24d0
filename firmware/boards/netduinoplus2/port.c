/*
 * STM32F405: clocks and pins. Registers are cited by section of the reference manual RM0090 (those for the STM32F405/407);
 * the bits of a write are described in its register's. QEMU's model runs at 168 MHz by itself.
 */
#include "../../app/port.h"
#include "../cortex_m/cortex_m.h"
#include "../stm32/stm32.h"
#include "../systick/systick.h"

/* RM0090, chapter 7, "Reset and clock control (RCC)" */
#define RCC_CR REGISTER(0x40023800u)      /* 7.3.1 */
#define RCC_PLLCFGR REGISTER(0x40023804u) /* 7.3.2 */
#define RCC_CFGR REGISTER(0x40023808u)    /* 7.3.3 */
#define RCC_AHB1ENR REGISTER(0x40023830u) /* 7.3.10 */
#define RCC_APB1ENR REGISTER(0x40023840u) /* 7.3.13 */
#define RCC_APB2ENR REGISTER(0x40023844u) /* 7.3.14 */
/* chapter 5, "Power controller (PWR)" */
#define PWR_CR REGISTER(0x40007000u) /* 5.4.1 */
/* chapter 3, "Embedded Flash memory interface" */
#define FLASH_ACR REGISTER(0x40023C00u) /* 3.9.1 */
/* chapter 8, "General-purpose I/Os (GPIO)" */
#define GPIOA_MODER REGISTER(0x40020000u) /* 8.4.1 */
#define GPIOA_PUPDR REGISTER(0x4002000Cu) /* 8.4.4 */
#define GPIOA_AFRH REGISTER(0x40020024u)  /* 8.4.10 */

enum { CLOCK_HZ = 168000000, APB2_HZ = CLOCK_HZ / 2 };

const char port_board[] = "netduinoplus2";
const uint32_t port_tick_hz = CLOCK_HZ;
/* 30.6, USART registers; 39.1, "Unique device ID register (96 bits)" */
const struct stm32 stm32 = {.rcc = 0x40023800u, .usart1 = 0x40011000u, .unique = 0x1FFF7A10u};

/*
 * 16 MHz HSI / 8 x 168 / 2 = 168 MHz. RCC: APB1ENR (PWR, bit 28), CR (PLL on, bit 24; PLL ready, 25), PLLCFGR (M in
 * bits 0-5, N 6-14, P 16-17: 0 is 2, source 22: 0 is HSI, Q 24-27), CFGR (SW in bits 0-1, SWS 2-3, APB1 / 4 in 10-12,
 * APB2 / 2 in 13-15). PWR CR: VOS (bit 14) is needed above 144 MHz. FLASH ACR: 5 wait states at 168 MHz and 2.7 to
 * 3.6 V (3.5.1), prefetch and caches in bits 8-10; read back before the clock rises. The HSI keeps 115200 baud within
 * 1 % at room temperature; the data sheet allows it several per cent at the ends of the range.
 */
static void start_clocks(void)
{
    if (!stm32_is_whole())
        return;
    RCC_APB1ENR |= 1u << 28;
    PWR_CR |= 1u << 14;
    FLASH_ACR = 7u << 8 | 5u;
    stm32_wait(&FLASH_ACR, 15u, 5u);
    RCC_PLLCFGR = 8u | 168u << 6 | 7u << 24;
    RCC_CFGR = 5u << 10 | 4u << 13;
    RCC_CR |= 1u << 24;
    stm32_wait(&RCC_CR, 1u << 25, 1u << 25);
    RCC_CFGR |= 2u;
    stm32_wait(&RCC_CFGR, 3u << 2, 2u << 2);
}

/*
 * USART1 on PA9 (TX) and PA10 (RX, pulled up), alternate function 7 (data sheet, "Alternate function mapping"): four
 * bits a pin in AFRH, two in PUPDR (1 = pull-up) and MODER (2 = alternate function).
 */
static void start_pins(void)
{
    RCC_AHB1ENR |= 1u << 0; /* GPIOA */
    RCC_APB2ENR |= 1u << 4; /* USART1 */
    (void)RCC_APB2ENR;      /* errata sheet ES0182, "Delay after an RCC peripheral clock enabling" */
    GPIOA_AFRH = (GPIOA_AFRH & ~0xFF0u) | 0x770u;
    GPIOA_PUPDR = (GPIOA_PUPDR & ~(3u << 20)) | 1u << 20;
    GPIOA_MODER = (GPIOA_MODER & ~(15u << 18)) | 10u << 18;
}

void port_init(void)
{
    start_clocks();
    systick_start();
    start_pins();
    stm32_start_serial(APB2_HZ); /* 729: 0.02 % fast */
}
