/* What the 32-bit RISC-V boards share: start-up, traps. Architecture facts are from "The RISC-V Instruction Set Manual,
 * Volume II: Privileged Architecture", version 20211203; everything runs in machine mode. */
#ifndef RISCV_H_
#define RISCV_H_

#include "../bare/bare.h"

#define CSR_READ(name, value) __asm volatile("csrr %0, " name : "=r"(value))
#define CSR_WRITE(name, value) __asm volatile("csrw " name ", %0" : : "r"(value) : "memory")
#define CSR_SET(name, bits) __asm volatile("csrs " name ", %0" : : "r"(bits) : "memory")

/* Interrupt numbers, 3.1.9, and the bits of mie that let them through. */
enum { RISCV_TIMER = 7, RISCV_EXTERNAL = 11 };

/* The board's part: an interrupt of this number. */
void riscv_interrupt(uint32_t number);

/* The board's part: reset the machine. It needs no stack: it is called when that is spent, too. */
__attribute__((noreturn)) void riscv_restart(void);

/* 3.1.6: mstatus.MIE, bit 3. */
static inline void riscv_let_interrupts(void)
{
    CSR_SET("mstatus", 1u << 3);
}

#endif
