/*
 * Triangular bands of a power spectrum (SPEC.md section 4): two running sums per segment give its plain and its
 * weighted sum, so no bin costs a multiplication.
 */
#include "core.h"

void hans_bands(const struct hans_frame *frame, const uint64_t *power, int16_t *q)
{
    const uint16_t *edge = frame->edge;
    const uint64_t *p = power + edge[0];
    uint64_t rise = 0;
    for (uint8_t s = 0; s <= frame->bands; s++) {
        const uint64_t *end = power + edge[s + 1];
        uint64_t sum = 0, weighted = 0;
        while (p < end) {
            sum += *p++;
            weighted += sum;
        }
        uint32_t low = (uint32_t)weighted & 0x7FFFFFFF, reciprocal = frame->reciprocal[s];
        uint64_t fall = (weighted >> 31) * reciprocal + (((uint64_t)low * reciprocal) >> 31);
        if (s > 0) {
            q[s - 1] = hans_log8(rise + fall);
        }
        rise = sum - fall;
    }
}
