/*
 * The door to a debugger or emulator: Arm's "Semihosting for AArch32 and AArch64". The instruction is BKPT 0xAB,
 * operation in r0, argument block in r1, result in r0.
 *
 * Without a debugger a BKPT is a HardFault. The handler below knows this one instruction: it steps over it and answers
 * -1, which is what every operation gives on failure.
 */
#include "cortex_m.h"

void HardFault_Handler(void);

int32_t semihosting(int32_t operation, const uintptr_t *block)
{
    register int32_t r0 __asm("r0") = operation;
    register const uintptr_t *r1 __asm("r1") = block;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

/*
 * Chapter "Exception entry behavior": the frame lies on the stack, r0 at +0, the address of the faulting instruction at
 * +24; bit 3 of the EXC_RETURN in lr tells that thread mode was interrupted, which always uses this stack here.
 * HFSR (Armv7-M, B3.2.16) bit 31, DEBUGEVT, is cleared by writing 1; Armv6-M has no HFSR. Only thread mode calls
 * semihosting; any other fault restarts.
 */
__attribute__((naked)) void HardFault_Handler(void)
{
    __asm volatile("mov r0, lr\n\t"
                   "lsls r0, r0, #28\n\t" /* bit 3 to the sign */
                   "bpl 1f\n\t"
                   "ldr r0, [sp, #24]\n\t"
                   "ldrh r1, [r0]\n\t"
                   "ldr r2, =0xBEAB\n\t"
                   "cmp r1, r2\n\t"
                   "bne 1f\n\t"
                   "adds r0, #2\n\t"
                   "str r0, [sp, #24]\n\t"
                   "movs r0, #0\n\t"
                   "mvns r0, r0\n\t"
                   "str r0, [sp, #0]\n\t"
#if __ARM_ARCH >= 7
                   "ldr r0, =0xE000ED2C\n\t"
                   "movs r1, #1\n\t"
                   "lsls r1, r1, #31\n\t"
                   "str r1, [r0]\n\t"
#endif
                   "bx lr\n\t"
                   "1: bl cortex_m_unexpected");
}
