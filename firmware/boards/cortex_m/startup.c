/* From reset to main(): the core's vectors, the floating-point unit, variables; and sleep. */
#include "../../app/port.h"
#include "../paint.h"
#include "cortex_m.h"

/* From sections.ld: addresses, and two numbers that stand as the addresses of their symbols. */
extern uint32_t __stack_top[], __data_start[], __bss_start[];
extern const uint32_t __data_load[];
extern const uint8_t __data_words[], __bss_words[];

int main(void);
void Reset_Handler(void);
void HardFault_Handler(void);
void cortex_m_start(void);
__attribute__((weak, alias("cortex_m_unexpected"))) void SysTick_Handler(void);

/* Chapter "The vector table": stack, reset, NMI, HardFault, seven more or reserved, SVCall, two, PendSV, SysTick. */
__attribute__((section(".vectors.core"), used)) static const cortex_m_vector core_vectors[16] = {
    (cortex_m_vector)(uintptr_t)__stack_top,
    Reset_Handler,
    cortex_m_unexpected,
    HardFault_Handler,
    cortex_m_unexpected,
    cortex_m_unexpected,
    cortex_m_unexpected,
    cortex_m_unexpected,
    cortex_m_unexpected,
    cortex_m_unexpected,
    cortex_m_unexpected,
    cortex_m_unexpected,
    cortex_m_unexpected,
    cortex_m_unexpected,
    cortex_m_unexpected,
    SysTick_Handler,
};

/* The compiler may use floating-point registers in any C function, even to copy: so the unit is on before the first.
 * Armv7-M, B3.2.20: bits 20 to 23 of CPACR give full access. Its reset state is
 * IEEE 754: round to nearest, subnormal numbers kept. */
__attribute__((naked, noreturn)) void Reset_Handler(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    __asm volatile("ldr r0, =0xE000ED88\n\t"
                   "ldr r1, [r0]\n\t"
                   "orr r1, r1, #(0xF << 20)\n\t"
                   "str r1, [r0]\n\t"
                   "dsb\n\t"
                   "isb\n\t");
#endif
    __asm volatile("ldr r0, =__stack_start\n\t" /* paint the stack, on which nothing lies yet */
                   "ldr r1, =" TEXT(PAINT) "\n\t"
                   "mov r2, sp\n\t"
                   "1: stmia r0!, {r1}\n\t"
                   "cmp r0, r2\n\t"
                   "blo 1b\n\t"
                   "bl cortex_m_start");
}

/* Armv8.1-M: CCR bit 19, LOB, lets the loops that the compiler writes with LE run without a branch each round. */
__attribute__((used)) void cortex_m_start(void)
{
#ifdef __ARM_FEATURE_MVE
    REGISTER(0xE000ED14u) |= 1u << 19;
#endif
    for (uintptr_t i = 0; i < (uintptr_t)__data_words; i++)
        __data_start[i] = __data_load[i];
    for (uintptr_t i = 0; i < (uintptr_t)__bss_words; i++)
        __bss_start[i] = 0;
    (void)main();
    cortex_m_unexpected();
}

/* AIRCR (B3.2.6) with its key in bits 16-31 and SYSRESETREQ, bit 2. */
void cortex_m_unexpected(void)
{
    __asm volatile("dsb" : : : "memory");
    REGISTER(0xE000ED0Cu) = 0x05FA0004u;
    for (;;)
        __asm volatile("dsb" : : : "memory");
}

/* A byte that comes between the test and WFI is not slept over: a pending interrupt ends WFI even while PRIMASK blocks
 * it (chapter "Wait For Interrupt"). */
void port_sleep(void)
{
    uint32_t before = cortex_m_lock();
    if (receive_empty())
        __asm volatile("dsb\n\twfi" : : : "memory");
    cortex_m_unlock(before);
}

void cortex_m_hex(uint32_t high, uint32_t low, char text[17])
{
    for (int i = 0; i < 16; i++) {
        uint32_t word = i < 8 ? high : low;
        text[i] = "0123456789abcdef"[(word >> (28 - 4 * (i % 8))) & 15u];
    }
    text[16] = '\0';
}
