/*
 * One frame of int16 samples to its power spectrum (SPEC.md section 3): Hann taper, a complex transform of half the
 * length on pairs of samples, and the split of its result into that of the real signal. In place, in int32; every stage
 * halves, so nothing overflows and nothing depends on the data.
 */
#include "core.h"
#include "multiply.h"

#define ONE ((int32_t)32768) /* Q15 */

struct point {
    int32_t re, im;
};

/* The work memory holds points, real part in the low half of a cell, until the split turns each into a power. */
static inline struct point get(const uint64_t *cell)
{
    uint64_t both = *cell;
    return (struct point){(int32_t)(uint32_t)both, (int32_t)(uint32_t)(both >> 32)};
}

static inline void put(uint64_t *cell, struct point a)
{
    *cell = (uint64_t)(uint32_t)a.im << 32 | (uint32_t)a.re;
}

static inline struct point add(struct point a, struct point b)
{
    return (struct point){a.re + b.re, a.im + b.im};
}

static inline struct point subtract(struct point a, struct point b)
{
    return (struct point){a.re - b.re, a.im - b.im};
}

/* -j times a. */
static inline struct point turn(struct point a)
{
    return (struct point){a.im, -a.re};
}

static inline struct point halve(struct point a)
{
    return (struct point){a.re >> 1, a.im >> 1};
}

/* a times (cos - j sin), halved. The 1 makes good what two floors take on average; the imaginary part's cancel. */
static inline struct point rotate(struct point a, uint32_t twiddle)
{
    return (struct point){hans_mul_low(a.re, twiddle) + hans_mul_high(a.im, twiddle) + 1,
                          hans_mul_low(a.im, twiddle) - hans_mul_high(a.re, twiddle)};
}

/* v / sqrt 2. */
static inline int32_t diagonal(int32_t v)
{
    return 2 * hans_mul_low(v, 23170);
}

/* Four points of a four-point transform, after its first half. */
struct four {
    struct point A, B, C, D;
};

static inline struct four pair(struct point a, struct point b, struct point c, struct point d)
{
    return (struct four){add(a, c), subtract(a, c), add(b, d), subtract(b, d)};
}

/* The second half, to four cells. */
static inline void finish(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, struct four t)
{
    struct point turned = turn(t.D);
    put(a, add(t.A, t.C));
    put(c, subtract(t.A, t.C));
    put(b, add(t.B, turned));
    put(d, subtract(t.B, turned));
}

/* Section 3.1: x times a taper. */
static inline int32_t weigh(int16_t x, int32_t taper, uint_fast8_t down)
{
    return (x * taper + ((int32_t)1 << (down - 1))) >> down;
}

/* Two samples of the frame's first half as one point, and two of its second half: there the taper falls as it rose. */
static inline struct point rising(const int16_t *x, const uint16_t *taper, uint_fast8_t down)
{
    return (struct point){weigh(x[0], taper[0], down), weigh(x[1], taper[1], down)};
}

static inline struct point falling(const int16_t *x, const uint16_t *taper, uint_fast8_t down)
{
    return (struct point){weigh(x[0], ONE - taper[0], down), weigh(x[1], ONE - taper[1], down)};
}

/* Tapers four points of the frame that lie `step` samples apart and transforms them. */
static inline void load4(const int16_t *x, const uint16_t *taper, size_t step, uint_fast8_t down, uint64_t *z)
{
    struct point a = rising(x, taper, down), c = falling(x + 2 * step, taper, down);
    struct point b = rising(x + step, taper + step, down), d = falling(x + 3 * step, taper + step, down);
    finish(z, z + 1, z + 2, z + 3, pair(a, b, c, d));
}

/* The last step of an eight-point transform. */
static inline void join(uint64_t *z, struct point turned)
{
    struct point even = get(z);
    put(z, add(even, turned));
    put(z + 4, subtract(even, turned));
}

static inline void join8(uint64_t *z)
{
    struct point one = get(z + 5), three = get(z + 7);
    join(z, get(z + 4));
    join(z + 1, (struct point){diagonal(one.re + one.im), diagonal(one.im - one.re)});
    join(z + 2, turn(get(z + 6)));
    join(z + 3, (struct point){diagonal(three.im - three.re), -diagonal(three.re + three.im)});
}

/* Section 3.2: taper and transforms of 4 or 8 points. Those of 8 are two of 4, even and odd points, and their union. */
static void first_pass(const struct hans_frame *frame, const int16_t *x, uint64_t *z)
{
    uint_fast8_t down = (uint_fast8_t)(15 - frame->shift);
    size_t step = frame->length / 4, next = frame->length / frame->radix;
    const uint64_t *end = z + frame->length / 2;
    const uint16_t *r = frame->order;
    for (uint64_t *p = z; p < end; r++) {
        for (size_t i = 2u * *r; i < step; i += next, p += 4) {
            load4(x + i, frame->taper + i, step, down, p);
        }
    }
    for (; frame->radix == 8 && z < end; z += 8) {
        join8(z);
    }
}

/* Section 3.3: one stage over blocks of 4q cells; every stride-th triple of the table is a twiddle of this stage. */
static void stage(uint64_t *z, const uint64_t *end, size_t q, const uint32_t *twiddle, size_t stride)
{
    for (uint64_t *a = z; a < end; a += 3 * q) {
        uint64_t *b = a + q, *c = b + q, *d = c + q;
        const uint64_t *last = b;
        const uint32_t *w = twiddle;
        struct four t = pair(get(a), get(b), get(c), get(d));
        finish(a, b, c, d, (struct four){halve(t.A), halve(t.B), halve(t.C), halve(t.D)});
        while (++a < last) {
            w += 3 * stride;
            struct point t1 = rotate(get(++b), w[0]), t3 = rotate(get(++d), w[2]);
            struct point C = add(t1, t3), D = subtract(t1, t3); /* first, since registers are few */
            struct point t2 = rotate(get(++c), w[1]), t0 = halve(get(a));
            finish(a, b, c, d, (struct four){add(t0, t2), subtract(t0, t2), C, D});
        }
    }
}

/* Section 3.4, from both ends to the middle. The sign of X[m]'s imaginary part does not reach its power. */
static void split(uint64_t *z, size_t half, const uint32_t *twiddle)
{
    struct point first = get(z), middle = get(z + half / 2);
    for (uint64_t *k = z + 1, *m = z + half - 1; k < m; k++, m--) {
        struct point a = get(k), b = get(m), sum = add(a, b), difference = subtract(a, b);
        struct point u = rotate((struct point){difference.re, sum.im}, *++twiddle); /* U and T */
        int32_t re = sum.re >> 1, im = difference.im >> 1;
        *k = hans_power(u.im + re, im - u.re);
        *m = hans_power(re - u.im, im + u.re);
    }
    z[0] = hans_power(first.re + first.im, 0);
    z[half / 2] = hans_power(middle.re, middle.im);
}

void hans_spectrum(const struct hans_frame *frame, const int16_t *x, uint64_t *cells)
{
    size_t half = frame->length / 2;
    first_pass(frame, x, cells);
    for (size_t q = frame->radix; q < half; q *= 4) {
        stage(cells, cells + half, q, frame->twiddle, half / 4 / q);
    }
    split(cells, half, frame->split);
}
