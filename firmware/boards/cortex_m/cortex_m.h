/* What the Cortex-M boards share: vectors and interrupts. Architecture facts are from the Armv6-M and
 * Armv7-M Architecture Reference Manuals (DDI 0419, DDI 0403); a section's number is the same in both unless told. */
#ifndef CORTEX_M_H_
#define CORTEX_M_H_

#include "../bare/bare.h"

typedef void (*cortex_m_vector)(void);

/* A board's interrupt vectors, placed behind the 16 of the core; an unused entry is cortex_m_unexpected. */
#define CORTEX_M_INTERRUPTS __attribute__((section(".vectors.interrupts"), used)) const cortex_m_vector

/* An exception nobody expects: restart. A node that watches a machine must not stay silent. */
void cortex_m_unexpected(void);

/* Let interrupt `number` through, or hold it back. NVIC_ISER and NVIC_ICER, B3.4, "Nested Vectored Interrupt
 * Controller, NVIC"; writing 0 changes nothing, so neither disturbs another interrupt. */
static inline void cortex_m_enable(unsigned number)
{
    REGISTER(0xE000E100u + 4u * (number / 32u)) = (uint32_t)1 << (number % 32u);
}

static inline void cortex_m_disable(unsigned number)
{
    REGISTER(0xE000E180u + 4u * (number / 32u)) = (uint32_t)1 << (number % 32u);
}

/* Block interrupts; gives what cortex_m_unlock() restores. PRIMASK, chapter "Special-purpose registers". */
static inline uint32_t cortex_m_lock(void)
{
    uint32_t before;
    __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(before) : : "memory");
    return before;
}

static inline void cortex_m_unlock(uint32_t before)
{
    __asm volatile("msr primask, %0" : : "r"(before) : "memory");
}

/* 64 bits as 16 hexadecimal digits and a NUL. */
void cortex_m_hex(uint32_t high, uint32_t low, char text[17]);

#endif
