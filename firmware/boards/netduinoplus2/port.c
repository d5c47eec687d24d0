/*
 * STM32F405: clocks, USART1 and tick. Registers are cited by section of the reference manual RM0090 (those for the
 * STM32F405/407) and of the Cortex-M4 programming manual PM0214; the bits of a write are described in its register's.
 *
 * QEMU's model has the USART and the core's peripherals, but no RCC, PWR, FLASH or GPIO: they read as 0. So every wait
 * for a ready bit is bounded, and without an RCC the clocks are left alone: the model runs at 168 MHz by itself.
 */
#include "../../app/port.h"
#include "../cortex_m/cortex_m.h"

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
/* chapter 30, "Universal synchronous asynchronous receiver transmitter (USART)" */
#define USART1_SR REGISTER(0x40011000u)  /* 30.6.1 */
#define USART1_DR REGISTER(0x40011004u)  /* 30.6.2 */
#define USART1_BRR REGISTER(0x40011008u) /* 30.6.3 */
#define USART1_CR1 REGISTER(0x4001100Cu) /* 30.6.4 */
/* 39.1, "Unique device ID register (96 bits)" */
#define UNIQUE_ID(word) REGISTER(0x1FFF7A10u + 4u * (word))
/* PM0214, 4.5, "SysTick timer (STK)", and 4.4, "System control block (SCB)" */
#define STK_CTRL REGISTER(0xE000E010u) /* 4.5.1 */
#define STK_LOAD REGISTER(0xE000E014u) /* 4.5.2 */
#define STK_VAL REGISTER(0xE000E018u)  /* 4.5.3 */
#define SCB_ICSR REGISTER(0xE000ED04u) /* 4.4.3 */

enum {
    USART1_INTERRUPT = 37, /* RM0090, chapter 12, "Interrupts and events", vector table */
    CLOCK_HZ = 168000000,
    APB2_HZ = CLOCK_HZ / 2,
    BAUD = 115200,
    PERIOD = CLOCK_HZ / 1000, /* cycles of a millisecond */
    PATIENCE = 10000          /* rounds of a wait: some ms at 16 MHz; the PLL locks within 0.3 ms (data sheet) */
};

/* RM0090, 30.6.1 and 30.6.4 */
enum { SR_ORE = 1 << 3, SR_RXNE = 1 << 5, SR_TXE = 1 << 7 };
enum { CR1_RE = 1 << 2, CR1_TE = 1 << 3, CR1_RXNEIE = 1 << 5, CR1_UE = 1 << 13 };

const char port_board[] = "netduinoplus2";
const uint32_t port_tick_hz = CLOCK_HZ;

static volatile uint32_t milliseconds;
static uint8_t has_rcc;

void SysTick_Handler(void);
void USART1_IRQHandler(void);

/* Position n holds interrupt n; only what is enabled is filled, so nothing else can be taken. */
CORTEX_M_INTERRUPTS netduinoplus2_interrupts[USART1_INTERRUPT + 1] = {[USART1_INTERRUPT] = USART1_IRQHandler};

static int wait_for(const volatile uint32_t *address, uint32_t mask, uint32_t value)
{
    for (int round = 0; round < PATIENCE; round++)
        if ((*address & mask) == value)
            return 1;
    return 0;
}

/*
 * 16 MHz HSI / 8 x 168 / 2 = 168 MHz. RCC: APB1ENR (PWR, bit 28), CR (HSI ready, bit 1; PLL on, 24; PLL ready, 25),
 * PLLCFGR (M in bits 0-5, N 6-14, P 16-17: 0 is 2, source 22: 0 is HSI, Q 24-27), CFGR (SW in bits 0-1, SWS 2-3,
 * APB1 / 4 in 10-12, APB2 / 2 in 13-15). PWR CR: VOS (bit 14) is needed above 144 MHz. FLASH ACR: 5 wait states at
 * 168 MHz and 2.7 to 3.6 V (3.5.1), prefetch and caches in bits 8-10; read back before the clock rises. The HSI keeps
 * 115200 baud within 1 % at room temperature; the data sheet allows it several per cent at the ends of the range.
 */
static void start_clocks(void)
{
    has_rcc = (uint8_t)wait_for(&RCC_CR, 1u << 1, 1u << 1);
    if (!has_rcc)
        return;
    RCC_APB1ENR |= 1u << 28;
    PWR_CR |= 1u << 14;
    FLASH_ACR = 7u << 8 | 5u;
    (void)wait_for(&FLASH_ACR, 15u, 5u);
    RCC_PLLCFGR = 8u | 168u << 6 | 7u << 24;
    RCC_CFGR = 5u << 10 | 4u << 13;
    RCC_CR |= 1u << 24;
    (void)wait_for(&RCC_CR, 1u << 25, 1u << 25);
    RCC_CFGR |= 2u;
    (void)wait_for(&RCC_CFGR, 3u << 2, 2u << 2);
}

/*
 * USART1 on PA9 (TX) and PA10 (RX, pulled up), alternate function 7 (data sheet, "Alternate function mapping"), 8 N 1:
 * four bits a pin in AFRH, two in PUPDR (1 = pull-up) and MODER (2 = alternate function). With 16-fold oversampling BRR
 * is the APB2 clock over the rate (30.3.4), rounded: 729, 0.02 % fast.
 */
static void start_serial(void)
{
    RCC_AHB1ENR |= 1u << 0; /* GPIOA */
    RCC_APB2ENR |= 1u << 4; /* USART1 */
    (void)RCC_APB2ENR;      /* errata sheet ES0182, "Delay after an RCC peripheral clock enabling" */
    GPIOA_AFRH = (GPIOA_AFRH & ~0xFF0u) | 0x770u;
    GPIOA_PUPDR = (GPIOA_PUPDR & ~(3u << 20)) | 1u << 20;
    GPIOA_MODER = (GPIOA_MODER & ~(15u << 18)) | 10u << 18;
    USART1_BRR = (APB2_HZ + BAUD / 2) / BAUD;
    USART1_CR1 = CR1_UE | CR1_TE | CR1_RE | CR1_RXNEIE;
    serial_resume();
}

/* STK CTRL: processor clock, interrupt, on. */
void port_init(void)
{
    start_clocks();
    STK_LOAD = PERIOD - 1;
    STK_VAL = 0;
    STK_CTRL = 7;
    start_serial();
}

void SysTick_Handler(void)
{
    milliseconds++;
}

/* Reading SR and then DR clears ORE as well; DR then holds the byte before those lost. */
void USART1_IRQHandler(void)
{
    if (receive_full()) {
        cortex_m_disable(USART1_INTERRUPT);
        return;
    }
    uint32_t status = USART1_SR;
    if (status & SR_ORE)
        receive_lost();
    uint8_t byte = (uint8_t)USART1_DR;
    if (status & SR_RXNE)
        receive_put(byte);
}

void serial_resume(void)
{
    cortex_m_enable(USART1_INTERRUPT);
}

void port_write(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        while (!(USART1_SR & SR_TXE))
            ;
        USART1_DR = bytes[i];
    }
}

/* STK VAL counts down to 0, which sets the interrupt pending, and reloads: 0 is the first cycle of a new millisecond.
 * It is waited out (one cycle), because an emulator may show it before it sets the interrupt pending. */
static uint32_t cycles_into_millisecond(void)
{
    uint32_t left;
    do
        left = STK_VAL;
    while (left == 0);
    return PERIOD - left;
}

/* With interrupts blocked the count of milliseconds stands still; ICSR bit 26 (PENDSTSET) tells if it should not. */
uint32_t port_ticks(void)
{
    uint32_t before = cortex_m_lock();
    uint32_t cycles = cycles_into_millisecond();
    uint32_t count = milliseconds;
    if (SCB_ICSR & 1u << 26) {
        cycles = cycles_into_millisecond();
        count++;
    }
    cortex_m_unlock(before);
    return count * (uint32_t)PERIOD + cycles;
}

/* 96 bits into 64 as ST's own USB examples do: the first and the last word added. */
void port_serial(char text[17])
{
    uint32_t high = 0, low = 0;
    if (has_rcc) { /* the emulator has no unique number, and faults where it should be */
        high = UNIQUE_ID(0) + UNIQUE_ID(2);
        low = UNIQUE_ID(1);
    }
    cortex_m_hex(high, low, text);
}
