/*
 * Level, crest and kurtosis from exact power sums (SPEC.md section 5): no mean is subtracted sample by sample, so the
 * sums can be gathered while samples arrive, and the central moments follow once per window in wide integers.
 */
#include "core.h"
#include "wide.h"

#define BLOCK 32   /* values that are taken at once; even */
#define QUIET 8191 /* with |u| <= QUIET, 32 products of two 13-bit numbers stay below 2^31 */

/* Some values of a sequence and their extremes. */
struct block {
    int32_t u[BLOCK];
    size_t count;
    int32_t low;
    uint32_t range; /* high - low */
};

/* Sums over a block of values up to QUIET; u^2 = 2^13 h + l. */
struct sums {
    int32_t u, uh, ul;
    uint32_t square, hh, hl, ll;
};

void hans_moments_clear(struct hans_moments *moments)
{
    *moments = (struct hans_moments){.low = INT32_MAX, .high = INT32_MIN};
}

/* The next values, or differences of values; one of two comparisons is enough for nearly all of them. */
static inline void load(struct block *block, const int16_t *x, size_t count, uint8_t steps)
{
    int32_t before = steps ? x[-1] : 0, low = *x - before;
    uint32_t range = 0;
    block->count = count;
    for (int32_t *out = block->u, *end = out + count; out < end; out++) {
        int32_t u = *x - before;
        before = steps ? *x : 0;
        x++;
        *out = u;
        if ((uint32_t)u - (uint32_t)low > range) {
            range = u < low ? range + (uint32_t)(low - u) : (uint32_t)(u - low);
            low = u < low ? u : low;
        }
    }
    block->low = low;
    block->range = range;
}

static inline void add_third(struct hans_moments *moments, int64_t sum)
{
    uint64_t before = moments->s3;
    moments->s3 += (uint64_t)sum;
    moments->s3_high += (moments->s3 < before) - (sum < 0);
}

static inline void add_fourth(struct hans_moments *moments, uint64_t sum)
{
    moments->s4 += sum;
    moments->s4_high += moments->s4 < sum;
}

static inline void add_one(struct sums *sums, int32_t u)
{
    uint32_t square = (uint32_t)(u * u), h = square >> 13, l = square & 8191;
    sums->u += u;
    sums->square += square;
    sums->uh += u * (int32_t)h;
    sums->ul += u * (int32_t)l;
    sums->hh += h * h;
    sums->hl += h * l;
    sums->ll += l * l;
}

/* Values up to QUIET, which nearly all are that a machine gives: no sum leaves 32 bits. Two at a time. */
static void add_quiet(struct hans_moments *moments, struct block *block)
{
    struct sums sums = {0};
    if (block->count & 1) {
        block->u[block->count] = 0; /* adds nothing */
    }
    for (const int32_t *u = block->u, *end = u + block->count; u < end; u += 2) {
        add_one(&sums, u[0]);
        add_one(&sums, u[1]);
    }
    moments->s1 += sums.u;
    moments->s2 += sums.square;
    add_third(moments, (int64_t)sums.uh * 8192 + sums.ul);
    add_fourth(moments, ((uint64_t)sums.hh << 26) + ((uint64_t)sums.hl << 14) + sums.ll);
}

/* Values up to 65535. */
static void add_loud(struct hans_moments *moments, const struct block *block)
{
    int32_t s1 = 0;
    uint64_t s2 = 0;
    int64_t s3 = 0;
    for (const int32_t *u = block->u, *end = u + block->count; u < end; u++) {
        uint32_t square = (uint32_t)*u * (uint32_t)*u;
        s1 += *u;
        s2 += square;
        s3 += (int64_t)square * *u;
        add_fourth(moments, (uint64_t)square * square);
    }
    moments->s1 += s1;
    moments->s2 += s2;
    add_third(moments, s3);
}

static void add(struct hans_moments *moments, struct block *block)
{
    int32_t low = block->low, high = low + (int32_t)block->range;
    moments->low = low < moments->low ? low : moments->low;
    moments->high = high > moments->high ? high : moments->high;
    if (low >= -QUIET && high <= QUIET) {
        add_quiet(moments, block);
    } else {
        add_loud(moments, block);
    }
}

void hans_moments_add(struct hans_moments *moments, const int16_t *x, size_t count, uint8_t steps)
{
    struct block block;
    for (size_t some; count > 0; x += some, count -= some) {
        some = count < BLOCK ? count : BLOCK;
        if (steps) { /* asked once per block, not once per value */
            load(&block, x, some, 1);
        } else {
            load(&block, x, some, 0);
        }
        add(moments, &block);
    }
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

/* Long division bit by bit: once per window, and it spares the 64-bit division of a library. */
int16_t hans_mean(const struct hans_moments *moments, uint32_t n)
{
    uint64_t rest = (uint64_t)(moments->s1 + n / 2 + (int64_t)n * 32768); /* >= 0: quotient 0 .. 65535 */
    uint32_t quotient = 0;
    for (uint8_t bit = 16; bit-- > 0;) {
        if (rest >= (uint64_t)n << bit) {
            rest -= (uint64_t)n << bit;
            quotient |= (uint32_t)1 << bit;
        }
    }
    return (int16_t)((int32_t)quotient - 32768);
}
