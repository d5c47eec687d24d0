/* From reset to main(), traps, and sleep. */
#include "../../app/port.h"
#include "../paint.h"
#include "riscv.h"

/* From sections.ld: addresses, and numbers that stand as the addresses of their symbols. */
extern uint32_t __data_start[], __bss_start[];
extern const uint32_t __data_load[];
extern const uint8_t __data_words[], __bss_words[], __flash_start[], __flash_bytes[];

int main(void);
void riscv_first(void);
void Reset_Handler(void);
void riscv_start(void);
void riscv_trap_entry(void);
void riscv_trap(void);

/* The first instruction of the flash. */
__attribute__((naked, section(".vectors.core"), used)) void riscv_first(void)
{
    __asm volatile("j Reset_Handler");
}

__attribute__((section(".vectors.interrupts"), used)) void (*const riscv_vectors[1])(void) = {riscv_trap_entry};

/* The compiler may use floating-point registers in any C function: so the unit is on before the first (3.1.6.6:
 * mstatus.FS, bits 13 and 14, 1 = initial; fcsr 0 rounds to nearest, no flag set). */
__attribute__((naked, noreturn)) void Reset_Handler(void)
{
    __asm volatile("la sp, __stack_top\n\t"
                   "la t0, riscv_vectors\n\t"
                   "lw t0, 0(t0)\n\t"
                   "csrw mtvec, t0\n\t"
#ifdef __riscv_flen
                   "li t0, 1 << 13\n\t"
                   "csrs mstatus, t0\n\t"
                   "csrw fcsr, zero\n\t"
#endif
                   "la t0, __stack_start\n\t" /* paint the stack, on which nothing lies yet */
                   "li t1, " TEXT(PAINT) "\n\t"
                   "1: sw t1, 0(t0)\n\t"
                   "addi t0, t0, 4\n\t"
                   "bltu t0, sp, 1b\n\t"
                   "j riscv_start");
}

/* 3.7.1: entry 0 is a naturally aligned power of two (A = 3), to be read and executed, and holds in machine mode too
 * (L). So where flash is but another part of the RAM, a stack that grows into it faults. */
static void protect_flash(void)
{
    CSR_WRITE("pmpaddr0", ((uintptr_t)__flash_start >> 2) + ((uintptr_t)__flash_bytes >> 3) - 1u);
    CSR_WRITE("pmpcfg0", 1u << 7 | 3u << 3 | 1u << 2 | 1u << 0);
}

__attribute__((used)) void riscv_start(void)
{
    protect_flash();
    for (uintptr_t i = 0; i < (uintptr_t)__data_words; i++)
        __data_start[i] = __data_load[i];
    for (uintptr_t i = 0; i < (uintptr_t)__bss_words; i++)
        __bss_start[i] = 0;
    (void)main();
    riscv_restart();
}

/* Whatever is neither an interrupt nor a breakpoint is unexpected: restart, and touch no stack, for it may be spent. A
 * node that watches a machine must not stay silent. 3.1.15: an interrupt has bit 31 of mcause, a breakpoint is 3. */
__attribute__((naked, aligned(4))) void riscv_trap_entry(void)
{
    __asm volatile("csrw mscratch, t0\n\t"
                   "csrr t0, mcause\n\t"
                   "bltz t0, 1f\n\t"
                   "addi t0, t0, -3\n\t"
                   "beqz t0, 1f\n\t"
                   "j riscv_restart\n\t"
                   "1: csrr t0, mscratch\n\t"
                   "j riscv_trap");
}

/* The one breakpoint that is expected is semihosting() without a debugger: its next instruction but two answers -1. */
__attribute__((interrupt, used)) void riscv_trap(void)
{
    uint32_t cause;
    CSR_READ("mcause", cause);
    if (cause >> 31) {
        riscv_interrupt(cause & 0x7FFFFFFFu);
        return;
    }
    const uint32_t *place;
    CSR_READ("mepc", place);
    if (place[-1] != 0x01F01013u || place[1] != 0x40705013u)
        riscv_restart();
    CSR_WRITE("mepc", place + 3);
}

/* RISC-V Semihosting, version 0.4: an EBREAK between two shifts that do nothing, none of them compressed, all in one
 * page; operation in a0, argument block in a1, result in a0. */
int32_t semihosting(int32_t operation, const uintptr_t *block)
{
    register int32_t a0 __asm("a0") = operation;
    register const uintptr_t *a1 __asm("a1") = block;
    __asm volatile(".option push\n\t"
                   ".option norvc\n\t"
                   ".balign 16\n\t"
                   "slli zero, zero, 0x1f\n\t"
                   "ebreak\n\t"
                   "srai zero, zero, 7\n\t"
                   "j 1f\n\t"
                   "li a0, -1\n\t" /* where riscv_trap() goes on */
                   "1:\n\t"
                   ".option pop"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
    return a0;
}

/* A byte that comes between the test and WFI is not slept over: a pending interrupt ends WFI even while mstatus.MIE
 * blocks it (3.3.3). */
void port_sleep(void)
{
    uint32_t before;
    __asm volatile("csrrci %0, mstatus, 8" : "=r"(before) : : "memory");
    if (receive_empty())
        __asm volatile("wfi" : : : "memory");
    CSR_SET("mstatus", before & 8u);
}
