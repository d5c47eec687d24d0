/*
 * Level, crest and kurtosis from exact power sums (SPEC.md section 5): no mean is subtracted sample by sample, so the
 * sums can be gathered while samples arrive, and the central moments follow once per window in wide integers.
 */
#include "core.h"
#include "multiply.h"
#include "wide.h"

#define BLOCK 14 /* values that are taken at once; even; the sum of so many fourth powers stays below 2^64 */

void hans_moments_clear(struct hans_moments *moments)
{
    *moments = (struct hans_moments){.low = INT32_MAX, .high = INT32_MIN};
}

/* The smallest value and how far above it the largest lies: one comparison is enough for nearly all values. */
struct extremes {
    int32_t low;
    uint32_t range;
};

static inline void widen(struct extremes *extremes, int32_t u)
{
    uint32_t above = (uint32_t)u - (uint32_t)extremes->low;
    if (above > extremes->range) {
        extremes->range = u < extremes->low ? extremes->range - above : above;
        extremes->low = u < extremes->low ? u : extremes->low;
    }
}

/* Power sums of some values. */
struct sums {
    int32_t s1;
    uint64_t s2;
    int64_t s3;
    uint64_t s4;
};

static inline void add_pair(struct sums *sums, int32_t u, int32_t v)
{
    int32_t uu = u * u, vv = v * v;
    sums->s1 += u + v;
    sums->s2 += (uint32_t)uu + (uint32_t)vv;
    sums->s3 = hans_add_products(sums->s3, uu, u, vv, v);
    sums->s4 = hans_add_squares(sums->s4, uu, vv);
}

static inline void add_fourth(struct hans_moments *moments, uint64_t s4)
{
    moments->s4 += s4;
    moments->s4_high += moments->s4 < s4;
}

static inline void add_sums(struct hans_moments *moments, const struct sums *sums)
{
    uint64_t s3 = moments->s3;
    moments->s1 += sums->s1;
    moments->s2 += sums->s2;
    moments->s3 += (uint64_t)sums->s3;
    moments->s3_high += (moments->s3 < s3) - (sums->s3 < 0);
    add_fourth(moments, sums->s4);
}

/* At most BLOCK values. */
static void add_block(struct hans_moments *moments, struct extremes *widest, const int16_t *x, size_t count)
{
    struct sums sums = {0};
    struct extremes extremes = *widest;
    const int16_t *end = x + count;
    if (count & 1) {
        add_pair(&sums, *x, 0);
        widen(&extremes, *x++);
    }
    while (x < end) {
        int32_t u = *x++, v = *x++;
        add_pair(&sums, u, v);
        widen(&extremes, u);
        widen(&extremes, v);
    }
    *widest = extremes;
    add_sums(moments, &sums);
}

static void add_extremes(struct hans_moments *moments, const struct extremes *extremes)
{
    int32_t low = extremes->low, high = low + (int32_t)extremes->range;
    moments->low = low < moments->low ? low : moments->low;
    moments->high = high > moments->high ? high : moments->high;
}

void hans_moments_add(struct hans_moments *moments, const int16_t *x, size_t count)
{
    struct extremes extremes = {*x, 0};
    for (; count > BLOCK; x += BLOCK, count -= BLOCK) {
        add_block(moments, &extremes, x, BLOCK);
    }
    add_block(moments, &extremes, x, count);
    add_extremes(moments, &extremes);
}

/* Steps of which one does not fit an int16; none leaves 17 bits, but two fourth powers leave 2^64. */
static void add_leaps(struct hans_moments *moments, struct extremes *extremes, const int16_t *x, const int16_t *end)
{
    struct sums sums = {0};
    for (; x < end; x++) {
        int32_t u = (int32_t)x[0] - x[-1];
        uint32_t square = (uint32_t)u * (uint32_t)u;
        sums.s1 += u;
        sums.s2 += square;
        sums.s3 += (int64_t)square * u;
        add_fourth(moments, (uint64_t)square * square);
        widen(extremes, u);
    }
    add_sums(moments, &sums);
}

/* At most BLOCK steps. */
static void add_steps(struct hans_moments *moments, struct extremes *extremes, const int16_t *x, const int16_t *end)
{
    int16_t steps[BLOCK], *step = steps;
    uint32_t reach = 0;
    for (const int16_t *next = x; next < end; next++) {
        int32_t u = (int32_t)next[0] - next[-1];
        reach |= (uint32_t)(u + 32768); /* stays below 65536 as long as all fit an int16 */
        *step++ = (int16_t)u;
    }
    if (reach < 65536) {
        add_block(moments, extremes, steps, (size_t)(end - x));
    } else {
        add_leaps(moments, extremes, x, end);
    }
}

void hans_moments_add_steps(struct hans_moments *moments, const int16_t *x, size_t count)
{
    if (count == 0) {
        return;
    }
    struct extremes extremes = {(int32_t)x[0] - x[-1], 0};
    for (; count > BLOCK; x += BLOCK, count -= BLOCK) {
        add_steps(moments, &extremes, x, x + BLOCK);
    }
    add_steps(moments, &extremes, x, x + count);
    add_extremes(moments, &extremes);
}

void hans_moments_sum(struct hans_moments *moments, const int16_t *x, size_t count)
{
    int32_t sum = 0; /* of one hop of a frame at most: 1024 values */
    for (const int16_t *end = x + count; x < end; x++) {
        sum += *x;
    }
    moments->s1 += sum;
}

static struct hans_wide signed_wide(int64_t v)
{
    return hans_wide(v < 0 ? -1 : 0, (uint64_t)v);
}

/* m^4 times the fourth central moment: ((m S4 - 4 S1 S3) m + 6 S1^2 S2) m - 3 S1^4. */
static void fourth_moment(struct hans_wide *sum, const struct hans_moments *moments, const struct hans_wide *m,
                          const struct hans_wide *s1_squared)
{
    struct hans_wide t = signed_wide(4 * moments->s1), factor = hans_wide(moments->s3_high, moments->s3);
    hans_wide_multiply(&t, &factor);
    *sum = hans_wide((int32_t)moments->s4_high, moments->s4);
    hans_wide_multiply(sum, m);
    hans_wide_subtract(sum, &t);
    hans_wide_multiply(sum, m);
    t = hans_wide(0, 6 * moments->s2);
    hans_wide_multiply(&t, s1_squared);
    hans_wide_add(sum, &t);
    hans_wide_multiply(sum, m);
    t = hans_wide(0, 3);
    hans_wide_multiply(&t, s1_squared);
    hans_wide_multiply(&t, s1_squared);
    hans_wide_subtract(sum, &t);
}

void hans_statistics(const struct hans_moments *moments, uint32_t m, int16_t out[3])
{
    int64_t above = (int64_t)m * moments->high - moments->s1, below = moments->s1 - (int64_t)m * moments->low;
    out[0] = out[1] = out[2] = 0;
    if (above == 0 && below == 0) {
        return; /* all values are equal: the second moment is 0 */
    }
    struct hans_wide count = hans_wide(0, m), s1 = signed_wide(moments->s1), s1_squared = s1;
    struct hans_wide moment = hans_wide(0, moments->s2);
    hans_wide_multiply(&s1_squared, &s1);
    hans_wide_multiply(&moment, &count);
    hans_wide_subtract(&moment, &s1_squared);
    int32_t log_m = hans_log16(m), level = hans_wide_log16(&moment) - 2 * log_m;
    int32_t crest = 2 * (hans_log16((uint64_t)(above > below ? above : below)) - log_m) - level;
    fourth_moment(&moment, moments, &count, &s1_squared);
    int32_t kurtosis = hans_wide_log16(&moment) - 4 * log_m - 2 * level;
    out[0] = (int16_t)((level + 128) >> 8);
    out[1] = (int16_t)((crest + 128) >> 8);
    out[2] = (int16_t)((kurtosis + 128) >> 8);
}

/* Long division bit by bit: a few times a window, and it spares the 64-bit division of a library. */
int32_t hans_average(int64_t sum, uint32_t count)
{
    uint64_t step = (uint64_t)count << 25, rest = (uint64_t)(sum + count / 2) + step; /* >= 0 */
    uint32_t quotient = 0;
    for (uint8_t bit = 26; bit-- > 0; step >>= 1) {
        quotient <<= 1;
        if (rest >= step) {
            rest -= step;
            quotient |= 1;
        }
    }
    return (int32_t)quotient - ((int32_t)1 << 25);
}

int16_t hans_mean(const struct hans_moments *moments, uint32_t n)
{
    return (int16_t)hans_average(moments->s1, n);
}
