/*
 * nRF51822 of the micro:bit (v1): clock, UART, tick. Registers are cited by chapter or section of the nRF51 Series
 * Reference Manual v3.0, where they stand under their names; pins by the micro:bit's schematic. The nRF51 has no
 * SysTick (the emulator's core has): TIMER0 is the tick.
 */
#include "../../app/port.h"
#include "../cortex_m/cortex_m.h"

/* chapter 13, "Clock management (CLOCK)", register overview */
#define CLOCK_HFCLKSTART REGISTER(0x40000000u)
#define CLOCK_HFCLKSTARTED REGISTER(0x40000100u)
/* 29.10, register overview of the "Universal Asynchronous Receiver/Transmitter (UART)" */
#define UART_STARTRX REGISTER(0x40002000u)
#define UART_STARTTX REGISTER(0x40002008u)
#define UART_RXDRDY REGISTER(0x40002108u)
#define UART_TXDRDY REGISTER(0x4000211Cu)
#define UART_ERROR REGISTER(0x40002124u)
#define UART_INTENSET REGISTER(0x40002304u)
#define UART_ERRORSRC REGISTER(0x40002480u)
#define UART_ENABLE REGISTER(0x40002500u)
#define UART_PSELTXD REGISTER(0x4000250Cu)
#define UART_PSELRXD REGISTER(0x40002514u)
#define UART_RXD REGISTER(0x40002518u)
#define UART_TXD REGISTER(0x4000251Cu)
#define UART_BAUDRATE REGISTER(0x40002524u)
/* chapter 18, "Timer/counter (TIMER)", register overview */
#define TIMER0_START REGISTER(0x40008000u)
#define TIMER0_CAPTURE1 REGISTER(0x40008044u)
#define TIMER0_COMPARE0 REGISTER(0x40008140u)
#define TIMER0_INTENSET REGISTER(0x40008304u)
#define TIMER0_MODE REGISTER(0x40008504u)
#define TIMER0_BITMODE REGISTER(0x40008508u)
#define TIMER0_PRESCALER REGISTER(0x40008510u)
#define TIMER0_CC0 REGISTER(0x40008540u)
#define TIMER0_CC1 REGISTER(0x40008544u)
/* 14.2, register overview of "General-Purpose Input/Output (GPIO)" */
#define GPIO_OUTSET REGISTER(0x50000508u)
#define GPIO_DIRSET REGISTER(0x50000518u)
#define GPIO_DIRCLR REGISTER(0x5000051Cu)
/* chapter "Factory Information Configuration Registers (FICR)" */
#define FICR_DEVICEID(word) REGISTER(0x10000060u + 4u * (word))

enum {
    UART_INTERRUPT = 2, /* data sheet and chapter "Instantiation": the interrupt number is the peripheral's ID */
    TIMER0_INTERRUPT = 8,
    TICK_HZ = 16000000,
    PERIOD = TICK_HZ / 1000,
    PIN_TXD = 24,
    PIN_RXD = 25,
    BAUD_115200 = 0x01D7E000, /* 29.10, BAUDRATE */
    PATIENCE = 100000         /* rounds of the wait for the crystal, which starts within some ms */
};

const char port_board[] = "microbit";
const uint32_t port_tick_hz = TICK_HZ;
const uint32_t port_baud = 115200;

void UART0_IRQHandler(void);
void TIMER0_IRQHandler(void);

/* Position n holds interrupt n; only what is enabled is filled, so nothing else can be taken. */
CORTEX_M_INTERRUPTS microbit_interrupts[TIMER0_INTERRUPT + 1] = {
    [UART_INTERRUPT] = UART0_IRQHandler, [TIMER0_INTERRUPT] = TIMER0_IRQHandler};

/* The crystal, for an exact rate; where it does not start the RC oscillator goes on, 1.5 % exact (chapter 13). The
 * emulator's reads as started. */
static void start_clock(void)
{
    CLOCK_HFCLKSTARTED = 0;
    CLOCK_HFCLKSTART = 1;
    for (int round = 0; round < PATIENCE && CLOCK_HFCLKSTARTED == 0; round++)
        ;
}

/* TIMER0: timer mode, 32 bits (BITMODE 3), prescaler 0 = 16 MHz; COMPARE[0] interrupts (INTEN bit 16) every ms. */
static void start_tick(void)
{
    TIMER0_MODE = 0;
    TIMER0_BITMODE = 3;
    TIMER0_PRESCALER = 0;
    TIMER0_CC0 = PERIOD;
    TIMER0_INTENSET = 1u << 16;
    cortex_m_enable(TIMER0_INTERRUPT);
    TIMER0_START = 1;
}

/* Chapter 29, "Pin configuration": TXD an output at 1, RXD an input, before the UART (ENABLE 4) takes them.
 * INTEN bit 2 is RXDRDY, 9 is ERROR. */
static void start_serial(void)
{
    GPIO_OUTSET = 1u << PIN_TXD;
    GPIO_DIRSET = 1u << PIN_TXD;
    GPIO_DIRCLR = 1u << PIN_RXD;
    UART_PSELTXD = PIN_TXD;
    UART_PSELRXD = PIN_RXD;
    UART_BAUDRATE = BAUD_115200;
    UART_ENABLE = 4;
    UART_STARTTX = 1;
    UART_STARTRX = 1;
    UART_INTENSET = 1u << 2 | 1u << 9;
    serial_resume();
}

void port_init(void)
{
    start_clock();
    start_tick();
    start_serial();
}

/* The next millisecond is counted from the last one set, not from now: the tick does not drift. One that has passed
 * while it was being set would only match after 2^32 ticks: then the next is counted from now. Reading the event back
 * lets the write arrive before the handler ends, or it would be entered again (chapter "Peripheral interface"). */
static void set_tick(void)
{
    TIMER0_COMPARE0 = 0;
    (void)TIMER0_COMPARE0;
    uint32_t next = TIMER0_CC0 + PERIOD;
    for (;;) {
        TIMER0_CC0 = next;
        TIMER0_CAPTURE1 = 1;
        uint32_t now = TIMER0_CC1;
        if ((int32_t)(next - now) > 0 || TIMER0_COMPARE0)
            return;
        next = now + PERIOD;
    }
}

void TIMER0_IRQHandler(void)
{
    set_tick();
    app_tick();
}

/* RXDRDY is cleared before RXD is read: reading lets the next byte of the six-byte FIFO raise it again. ERRORSRC bit
 * 0 is OVERRUN, cleared by writing 1. */
void UART0_IRQHandler(void)
{
    if (UART_ERROR) {
        UART_ERROR = 0;
        uint32_t source = UART_ERRORSRC;
        UART_ERRORSRC = source;
        if (source & 1u)
            receive_lost();
    }
    while (UART_RXDRDY) {
        if (receive_full()) {
            cortex_m_disable(UART_INTERRUPT);
            return;
        }
        UART_RXDRDY = 0;
        receive_put((uint8_t)UART_RXD);
    }
}

void serial_resume(void)
{
    cortex_m_enable(UART_INTERRUPT);
}

void port_write(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        UART_TXDRDY = 0;
        UART_TXD = bytes[i];
        while (UART_TXDRDY == 0)
            ;
    }
}

/* The interrupt captures into the same register: between the task and the read it must not come. */
uint32_t port_ticks(void)
{
    uint32_t before = cortex_m_lock();
    TIMER0_CAPTURE1 = 1;
    uint32_t ticks = TIMER0_CC1;
    cortex_m_unlock(before);
    return ticks;
}

void port_serial(char text[17])
{
    cortex_m_hex(FICR_DEVICEID(1), FICR_DEVICEID(0), text);
}
