/*
 * The two products that decide what a spectrum costs. On Cortex-M0, whose multiplier gives the low 32 bits only, they
 * are put together from 16-bit halves; everywhere they give the same bits.
 */
#ifndef HANS_MULTIPLY_H_
#define HANS_MULTIPLY_H_

#include <stdint.h>

#if defined(__ARM_ARCH_6M__) || defined(HANS_SMALL_MULTIPLIER)
#define HANS_HALVES 1 /* a test defines HANS_SMALL_MULTIPLIER to hold these halves against the plain form */
#else
#define HANS_HALVES 0
#endif

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define HANS_DSP 1
#else
#define HANS_DSP 0
#endif

#if (-1 >> 1) != -1
#error "the core needs an arithmetic right shift of negative numbers"
#endif

/* (a * w) >> 16 with w in Q15. */
static inline int32_t hans_mul(int32_t a, int16_t w)
{
#if HANS_HALVES
    return (a >> 16) * w + (((int32_t)(a & 0xFFFF) * w) >> 16);
#else
    return (int32_t)(((int64_t)a * ((int32_t)w * 65536)) >> 32); /* the high word: one instruction on most machines */
#endif
}

/* hans_mul by the low and by the high half of a packed pair; with the DSP extension one instruction each. */
static inline int32_t hans_mul_low(int32_t a, uint32_t pair)
{
#if HANS_DSP
    int32_t product;
    __asm__("smulwb %0, %1, %2" : "=r"(product) : "r"(a), "r"(pair));
    return product;
#else
    return hans_mul(a, (int16_t)(pair & 0xFFFF));
#endif
}

static inline int32_t hans_mul_high(int32_t a, uint32_t pair)
{
#if HANS_DSP
    int32_t product;
    __asm__("smulwt %0, %1, %2" : "=r"(product) : "r"(a), "r"(pair));
    return product;
#else
    return hans_mul(a, (int16_t)(pair >> 16));
#endif
}

/* (re^2 + im^2) >> 6 for |re|, |im| <= 2^30. */
static inline uint64_t hans_power(int32_t re, int32_t im)
{
#if HANS_HALVES
    int32_t a = re >> 15, b = re & 0x7FFF, c = im >> 15, d = im & 0x7FFF;
    uint32_t high = (uint32_t)(a * a) + (uint32_t)(c * c), low = (uint32_t)(b * b + d * d);
    return ((uint64_t)high << 24) + (uint64_t)((int64_t)(a * b + c * d) * 1024) + (low >> 6);
#else
    return (uint64_t)((int64_t)re * re + (int64_t)im * im) >> 6;
#endif
}

#endif
