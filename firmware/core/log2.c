/*
 * Binary logarithm by table and straight lines (SPEC.md section 1.1).
 */
#include "core.h"
#include "multiply.h"

/* round(65536 * log2(1 + i / 32)) modulo 65536; only the last entry, 65536, wraps. */
static const uint16_t table[33] = {
    0, 2909, 5732, 8473, 11136, 13727, 16248, 18704, 21098, 23433, 25711,
    27936, 30109, 32234, 34312, 36346, 38336, 40286, 42196, 44068, 45904, 47705,
    49472, 51207, 52911, 54584, 56229, 57845, 59434, 60997, 62534, 64047, 0,
};

int32_t hans_log16_of_top(int16_t n, uint32_t top)
{
    uint16_t i = (top >> 26) & 31, slope = (uint16_t)(table[i + 1] - table[i]);
    uint32_t fraction = (top >> 10) & 0xFFFF;
    return (int32_t)n * 65536 + table[i] + (int32_t)((slope * fraction) >> 16);
}

int32_t hans_log16(uint64_t v)
{
    uint32_t top = (uint32_t)(v >> 32), rest = (uint32_t)v;
    int16_t n = 63;
    if (top == 0) {
        if (rest == 0) {
            return 0;
        }
        top = rest;
        rest = 0;
        n = 31;
    }
    int16_t zeros = hans_leading_zeros(top);
    if (zeros) {
        top = top << zeros | rest >> (32 - zeros);
    }
    return hans_log16_of_top((int16_t)(n - zeros), top);
}

int16_t hans_log8(uint64_t v)
{
    return (int16_t)((hans_log16(v) + 128) >> 8);
}
