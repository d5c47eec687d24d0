/*
 * The machine `virt` of QEMU, 32 bits: UART, interrupts, tick. It is no silicon: addresses and numbers are those that
 * QEMU tells the guest in its device tree (-M virt,dumpdtb=FILE). PLIC: "RISC-V Platform-Level Interrupt Controller
 * Specification" 1.0.0; UART: data sheet of TI's PC16550D; timer: "RISC-V Advanced Core Local Interruptor
 * Specification" 1.0-rc4, MTIMER.
 */
#include "../../app/port.h"
#include "../riscv/riscv.h"

#define BYTE(address) (*(volatile uint8_t *)(uintptr_t)(address))

/* PC16550D, 8.0, "Registers" */
#define UART_RBR BYTE(0x10000000u) /* read: receiver buffer */
#define UART_THR BYTE(0x10000000u) /* write: transmitter holding */
#define UART_IER BYTE(0x10000001u) /* 8.7: bit 0 lets the receive interrupt through */
#define UART_FCR BYTE(0x10000002u) /* 8.5 */
#define UART_LCR BYTE(0x10000003u) /* 8.1 */
#define UART_LSR BYTE(0x10000005u) /* 8.4 */
/* PLIC, "Memory Map": context 0 is machine mode of the first core */
#define PLIC_PRIORITY(source) REGISTER(0x0C000000u + 4u * (source))
#define PLIC_ENABLE REGISTER(0x0C002000u) /* sources 0 to 31 */
#define PLIC_THRESHOLD REGISTER(0x0C200000u)
#define PLIC_CLAIM REGISTER(0x0C200004u) /* read: claim; write: complete */
/* MTIMER: the timer runs at 10 MHz (device tree, timebase-frequency) */
#define TIMER_COMPARE_LOW REGISTER(0x02004000u)
#define TIMER_COMPARE_HIGH REGISTER(0x02004004u)
#define TIMER_LOW REGISTER(0x0200BFF8u)
#define TIMER_HIGH REGISTER(0x0200BFFCu)
/* "sifive,test1": 0x7777 resets the machine */
#define TEST_FINISHER REGISTER(0x00100000u)

enum {
    UART_INTERRUPT = 10,
    TIMER_HZ = 10000000,
    PERIOD = TIMER_HZ / 1000,
    TICK_HZ = 1000000000
};
enum { LSR_READY = 1 << 0, LSR_OVERRUN = 1 << 1, LSR_EMPTY = 1 << 5 };

#ifdef __riscv_flen
const char port_board[] = "virt-rv32imafc";
#else
const char port_board[] = "virt-rv32imac";
#endif
const uint32_t port_tick_hz = TICK_HZ;
const uint32_t port_baud = 0;

static uint8_t counting; /* minstret counts instructions, one each ns */

void riscv_restart(void)
{
    for (;;)
        TEST_FINISHER = 0x7777;
}

/* Up to a high half that stands still. */
static uint64_t timer(void)
{
    uint32_t high, low;
    do {
        high = TIMER_HIGH;
        low = TIMER_LOW;
    } while (high != TIMER_HIGH);
    return (uint64_t)high << 32 | low;
}

/* A millisecond from now. The high half is largest meanwhile, so that no half-written value matches. */
static void set_tick(void)
{
    uint64_t next = timer() + PERIOD;
    TIMER_COMPARE_HIGH = UINT32_MAX;
    TIMER_COMPARE_LOW = (uint32_t)next;
    TIMER_COMPARE_HIGH = (uint32_t)(next >> 32);
}

/*
 * With -icount shift=0 QEMU's minstret counts instructions, each 1 ns of its clock. Without -icount QEMU 7.2 gives the
 * host's own clock instead, whose rate it does not tell. Nine instructions that are nine each time tell which it is.
 */
static uint8_t counts_instructions(void)
{
    for (int round = 0; round < 16; round++) {
        uint32_t before, after;
        __asm volatile("csrr %0, minstret\n\t"
                       "nop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\t"
                       "csrr %1, minstret"
                       : "=&r"(before), "=r"(after)
                       :
                       : "memory");
        if (after - before != 9)
            return 0;
    }
    return 1;
}

/* FCR: FIFOs on, interrupt at the first byte; LCR: 8 data bits, 1 stop bit. There is no baud rate. */
static void start_serial(void)
{
    UART_FCR = 1;
    UART_LCR = 3;
    PLIC_PRIORITY(UART_INTERRUPT) = 1;
    PLIC_ENABLE = 1u << UART_INTERRUPT;
    PLIC_THRESHOLD = 0;
    serial_resume();
}

void port_init(void)
{
    counting = counts_instructions();
    set_tick();
    start_serial();
    CSR_SET("mie", 1u << RISCV_TIMER | 1u << RISCV_EXTERNAL);
    riscv_let_interrupts();
}

/* Reading LSR clears its overrun bit: whoever reads it counts. */
static void receive(void)
{
    for (;;) {
        uint8_t status = UART_LSR;
        if (status & LSR_OVERRUN)
            receive_lost();
        if (!(status & LSR_READY))
            return;
        if (receive_full()) {
            UART_IER = 0;
            return;
        }
        receive_put(UART_RBR);
    }
}

void riscv_interrupt(uint32_t number)
{
    if (number == RISCV_TIMER) {
        set_tick();
        app_tick();
    } else if (number == RISCV_EXTERNAL) {
        uint32_t source = PLIC_CLAIM;
        if (source == UART_INTERRUPT)
            receive();
        PLIC_CLAIM = source;
    } else {
        riscv_restart();
    }
}

void serial_resume(void)
{
    UART_IER = 1;
}

void port_write(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t status;
        do {
            status = UART_LSR;
            if (status & LSR_OVERRUN)
                receive_lost_seen();
        } while (!(status & LSR_EMPTY));
        UART_THR = bytes[i];
    }
}

/* Nanoseconds: by instructions, or by the timer in steps of 100. */
uint32_t port_ticks(void)
{
    uint32_t count;
    CSR_READ("minstret", count);
    return counting ? count : (uint32_t)timer() * (TICK_HZ / TIMER_HZ);
}

/* QEMU gives the machine no number of its own. */
void port_serial(char text[17])
{
    for (int i = 0; i < 16; i++)
        text[i] = '0';
    text[16] = '\0';
}
