/*
 * Limb by limb, as on paper; speed does not matter, a window needs a dozen of these.
 */
#include "wide.h"

#include "core.h"
#include "multiply.h"

struct hans_wide hans_wide(int32_t high, uint64_t low)
{
    uint32_t sign = high < 0 ? 0xFFFFFFFF : 0;
    return (struct hans_wide){{(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, sign, sign, sign}};
}

void hans_wide_add(struct hans_wide *a, const struct hans_wide *b)
{
    uint64_t carry = 0;
    for (uint8_t i = 0; i < HANS_WIDE_LIMBS; i++) {
        carry += (uint64_t)a->limb[i] + b->limb[i];
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

void hans_wide_subtract(struct hans_wide *a, const struct hans_wide *b)
{
    uint64_t carry = 1; /* a - b = a + not b + 1 */
    for (uint8_t i = 0; i < HANS_WIDE_LIMBS; i++) {
        carry += (uint64_t)a->limb[i] + (uint32_t)~b->limb[i];
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

/* Modulo 2^192, so that signed factors need no care. */
void hans_wide_multiply(struct hans_wide *a, const struct hans_wide *b)
{
    struct hans_wide product = {{0}};
    for (uint8_t i = 0; i < HANS_WIDE_LIMBS; i++) {
        uint64_t carry = 0;
        for (uint8_t j = 0; i + j < HANS_WIDE_LIMBS; j++) {
            carry += (uint64_t)a->limb[i] * b->limb[j] + product.limb[i + j];
            product.limb[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    *a = product;
}

int32_t hans_wide_log16(const struct hans_wide *v)
{
    uint8_t i = HANS_WIDE_LIMBS - 1;
    while (i > 0 && v->limb[i] == 0) {
        i--;
    }
    uint32_t top = v->limb[i];
    if (top == 0) {
        return 0;
    }
    int16_t zeros = hans_leading_zeros(top);
    if (zeros) {
        top = top << zeros | (i > 0 ? v->limb[i - 1] >> (32 - zeros) : 0);
    }
    return hans_log16_of_top((int16_t)(32 * i + 31 - zeros), top);
}
