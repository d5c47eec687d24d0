/*
 * The products that decide what a window costs. On Cortex-M0 and M23, whose multiplier gives the low 32 bits only, they
 * are put together from halves; everywhere they give the same bits. So does the count of leading zeros, here too.
 */
#ifndef HANS_MULTIPLY_H_
#define HANS_MULTIPLY_H_

#include <stdint.h>

#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__) || defined(HANS_SMALL_MULTIPLIER)
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

#if HANS_HALVES
/* (a^2 + b^2) >> down for |a|, |b| <= 2^30 and an even down <= 14. */
static inline uint64_t hans_squares(int32_t a, int32_t b, uint8_t down)
{
    int32_t p = a >> 15, q = a & 0x7FFF, r = b >> 15, s = b & 0x7FFF;
    uint32_t high = (uint32_t)(p * p) + (uint32_t)(r * r), low = (uint32_t)(q * q + s * s);
    return ((uint64_t)high << (30 - down)) + (uint64_t)((int64_t)(p * q + r * s) * (65536 >> down)) + (low >> down);
}
#endif

/* (re^2 + im^2) >> 6 for |re|, |im| <= 2^30. */
static inline uint64_t hans_power(int32_t re, int32_t im)
{
#if HANS_HALVES
    return hans_squares(re, im, 6);
#else
    return (uint64_t)((int64_t)re * re + (int64_t)im * im) >> 6;
#endif
}

/* sum + a^2 + b^2 for |a|, |b| <= 2^30. */
static inline uint64_t hans_add_squares(uint64_t sum, int32_t a, int32_t b)
{
#if HANS_HALVES
    return sum + hans_squares(a, b, 0);
#else
    return sum + (uint64_t)((int64_t)a * a) + (uint64_t)((int64_t)b * b);
#endif
}

/* sum + a * u + b * v for 0 <= a, b <= 2^30 and |u|, |v| <= 2^15. */
static inline int64_t hans_add_products(int64_t sum, int32_t a, int32_t u, int32_t b, int32_t v)
{
#if HANS_HALVES
    return sum + (int64_t)((a >> 15) * u + (b >> 15) * v) * 32768 + ((a & 0x7FFF) * u + (b & 0x7FFF) * v);
#else
    return sum + (int64_t)a * u + (int64_t)b * v;
#endif
}

/* How many zero bits stand above the highest set bit of v, v > 0. */
static inline int16_t hans_leading_zeros(uint32_t v)
{
#if defined(__GNUC__) && !HANS_HALVES
    return (int16_t)(__builtin_clzl((unsigned long)v) - 8 * ((int)sizeof(long) - 4));
#else
    int16_t n = 0;
    for (uint8_t width = 16; width; width /= 2) {
        if (!(v >> (32 - width))) {
            n = (int16_t)(n + width);
            v <<= width;
        }
    }
    return n;
#endif
}

#endif
