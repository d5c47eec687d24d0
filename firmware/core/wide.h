/*
 * Exact integers of 192 bits, two's complement: enough for the fourth central moment of 2^20 values of 17 bits, whose
 * terms stay below 2^150.
 */
#ifndef HANS_WIDE_H_
#define HANS_WIDE_H_

#include <stdint.h>

#define HANS_WIDE_LIMBS 6

struct hans_wide {
    uint32_t limb[HANS_WIDE_LIMBS]; /* lowest first */
};

/* high * 2^64 + low. */
struct hans_wide hans_wide(int32_t high, uint64_t low);

/* a += b, a -= b, a *= b, modulo 2^192. */
void hans_wide_add(struct hans_wide *a, const struct hans_wide *b);
void hans_wide_subtract(struct hans_wide *a, const struct hans_wide *b);
void hans_wide_multiply(struct hans_wide *a, const struct hans_wide *b);

/* L16 of SPEC.md section 1.1, for v >= 0. */
int32_t hans_wide_log16(const struct hans_wide *v);

#endif
