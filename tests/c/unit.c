/*
 * What a caller of hans.h relies on, without samples from a machine. Prints each failed check; exit 1 if there is one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "hans.h"
#include "multiply.h"
#include "wide.h"

extern const struct hans_spec SPEC;

static int failures;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            failures++;                                                                                                \
            printf("line %d: %s\n", __LINE__, #condition);                                                             \
        }                                                                                                              \
    } while (0)

static int32_t give_seven(const int16_t *features, uint32_t *parts)
{
    (void)features;
    (void)parts;
    return 7;
}

static struct hans_model direct_model(void)
{
    struct hans_model model = {.magic = HANS_MODEL_MAGIC, .interface = HANS_INTERFACE, .kind = HANS_DIRECT,
                               .features = SPEC.features, .threshold = 6, .entry = give_seven};
    memcpy(model.spec, SPEC.digest, HANS_DIGEST);
    return model;
}

static void check_log2(void)
{
    CHECK(hans_log16(0) == 0 && hans_log16(1) == 0 && hans_log8(0) == 0);
    for (int16_t n = 0; n < 64; n++) {
        CHECK(hans_log16((uint64_t)1 << n) == (int32_t)n * 65536);
        struct hans_wide power = hans_wide(0, (uint64_t)1 << n);
        CHECK(hans_wide_log16(&power) == (int32_t)n * 65536);
    }
    CHECK(hans_log16(UINT64_MAX) == 64 * 65536 - 1 || hans_log16(UINT64_MAX) == 64 * 65536);
    CHECK(hans_log16(3) == 103872); /* log2(1.5) lies on a table entry: 0.584963 */
    for (uint64_t v = 1; v < 5000; v++) {
        CHECK(hans_log16(v + 1) > hans_log16(v));
        struct hans_wide same = hans_wide(0, v);
        CHECK(hans_log16(v) == hans_wide_log16(&same));
    }
    CHECK(hans_leading_zeros(1) == 31 && hans_leading_zeros(0x80000000) == 0 && hans_leading_zeros(0x00012345) == 15);
}

static struct hans_wide product(struct hans_wide a, struct hans_wide b)
{
    hans_wide_multiply(&a, &b);
    return a;
}

static void check_wide(void)
{
    struct hans_wide a = hans_wide(-5, 12345678901234567u), b = hans_wide(0, UINT64_MAX);
    struct hans_wide sum = a, right = product(a, a);
    hans_wide_add(&sum, &b);
    struct hans_wide ab = product(a, b), bb = product(b, b), left = product(sum, sum);
    hans_wide_add(&right, &ab);
    hans_wide_add(&right, &ab);
    hans_wide_add(&right, &bb);
    CHECK(memcmp(&left, &right, sizeof left) == 0); /* (a + b)^2 = a^2 + 2ab + b^2 */
    hans_wide_subtract(&sum, &b);
    CHECK(memcmp(&sum, &a, sizeof a) == 0);
    struct hans_wide negative = product(a, hans_wide(-1, UINT64_MAX)), zero = hans_wide(0, 0);
    CHECK(hans_wide_log16(&zero) == 0);
    hans_wide_subtract(&zero, &a);
    CHECK(memcmp(&negative, &zero, sizeof zero) == 0);
}

/* A sequence gives the same sums whole, value by value, and with a loud value that sends its block the other way. */
static void check_moments(void)
{
    int16_t x[200];
    struct hans_moments whole, single;
    for (uint8_t loud = 0; loud < 2; loud++) {
        for (int i = 0; i < 200; i++) {
            x[i] = (int16_t)(i * 37 % 8191 - 4000);
        }
        x[77] = loud ? -32768 : 5;
        x[78] = loud ? 32767 : 5;
        for (uint8_t steps = 0; steps < 2; steps++) {
            void (*add)(struct hans_moments *, const int16_t *, size_t) = steps ? hans_moments_add_steps : hans_moments_add;
            hans_moments_clear(&whole);
            hans_moments_clear(&single);
            add(&whole, x + 1, 199);
            hans_moments_add_steps(&whole, x + 1, 0); /* no step: nothing changes */
            for (int i = 1; i < 200; i++) {
                add(&single, x + i, 1);
            }
            CHECK(memcmp(&whole, &single, sizeof whole) == 0);
        }
    }
    CHECK(whole.high == 65535);
}

static void check_errors(uint64_t *work, size_t size)
{
    struct hans hans;
    struct hans_verdict verdict;
    struct hans_model model = direct_model();
    struct hans_spec spec = SPEC;
    int16_t sample[HANS_MAX_CHANNELS] = {0};
    CHECK(hans_init(NULL, &SPEC, NULL, work, size) == HANS_E_ARGUMENT);
    CHECK(hans_init(&hans, NULL, NULL, work, size) == HANS_E_ARGUMENT);
    CHECK(hans_init(&hans, &SPEC, NULL, NULL, size) == HANS_E_ARGUMENT);
    CHECK(hans_init(&hans, &SPEC, NULL, work, size - 1) == HANS_E_MEMORY);
    CHECK(hans_init(&hans, &SPEC, NULL, (char *)work + 4, size) == HANS_E_MEMORY);
    CHECK(hans_push(&hans, sample, 1) == HANS_E_ARGUMENT); /* after a refused init nothing works */
    CHECK(hans_poll(&hans, &verdict) == HANS_E_ARGUMENT && hans_restart(&hans) == HANS_E_ARGUMENT);
    model.spec[15] ^= 1;
    CHECK(hans_init(&hans, &SPEC, &model, work, size) == HANS_E_DIGEST);
    model = direct_model();
    model.magic++;
    CHECK(hans_init(&hans, &SPEC, &model, work, size) == HANS_E_MODEL);
    model = direct_model();
    model.interface++;
    CHECK(hans_init(&hans, &SPEC, &model, work, size) == HANS_E_MODEL);
    model = direct_model();
    model.features--;
    CHECK(hans_init(&hans, &SPEC, &model, work, size) == HANS_E_MODEL);
    model = direct_model();
    model.kind = HANS_PARTS; /* with no parts */
    CHECK(hans_init(&hans, &SPEC, &model, work, size) == HANS_E_MODEL);
    model.parts = (uint16_t)(SPEC.features + 1); /* would not fit the work memory */
    CHECK(hans_init(&hans, &SPEC, &model, work, size) == HANS_E_MODEL);
    spec.channels = 7;
    CHECK(hans_init(&hans, &spec, NULL, work, size) == HANS_E_SPEC);
    spec = SPEC;
    spec.hop = spec.window - 1;
    CHECK(hans_init(&hans, &spec, NULL, work, size) == HANS_E_SPEC);
    spec = SPEC;
    spec.features++;
    CHECK(hans_init(&hans, &spec, NULL, work, size) == HANS_E_SPEC);
    spec = SPEC;
    struct hans_frame frame = SPEC.frame[SPEC.lengths - 1];
    frame.shift++;
    spec.frame = &frame;
    spec.lengths = 1;
    CHECK(hans_init(&hans, &spec, NULL, work, size) == HANS_E_SPEC);
    spec = SPEC;
    spec.window = spec.frame[0].length - 1u;
    CHECK(hans_init(&hans, &spec, NULL, work, size) == HANS_E_SPEC);
    CHECK(hans_init(&hans, &SPEC, NULL, work, size) == HANS_OK);
    CHECK(hans_push(&hans, NULL, 1) == HANS_E_ARGUMENT && hans_push(&hans, NULL, 0) == 0);
    CHECK(hans_poll(&hans, NULL) == HANS_E_ARGUMENT);
}

static void check_error_words(void)
{
    for (int status = -8; status <= 0; status++) {
        CHECK(hans_error(status) && hans_error(status)[0]);
        CHECK(status == -8 || strcmp(hans_error(status), hans_error(-8)) != 0);
    }
}

static const int16_t numbers[HANS_MAX_FEATURES];

static struct hans_alarm plain_alarm(void)
{
    return (struct hans_alarm){.of = 3, .raise = 2, .clear = 1, .idle = INT16_MIN, .reach = 65535, .centre = numbers,
                               .limit = numbers};
}

/* Settings that break a bound are refused; those at their bounds are not. */
static void check_settings(uint64_t *work, size_t size)
{
    struct hans hans;
    struct hans_model model = direct_model();
    struct hans_alarm alarm = plain_alarm();
    uint8_t level = (SPEC.families & HANS_LEVEL) != 0, axes = SPEC.channels >= 3;
    model.alarm = &alarm;
    CHECK(hans_init(&hans, &SPEC, &model, work, size) == HANS_OK);
#define SETTING(change, good)                                                                                          \
    do {                                                                                                               \
        alarm = plain_alarm();                                                                                         \
        alarm.change;                                                                                                  \
        CHECK(hans_init(&hans, &SPEC, &model, work, size) == ((good) ? HANS_OK : HANS_E_MODEL));                       \
    } while (0)
    SETTING(of = 0, 0);
    SETTING(of = 1, 0); /* fewer than `raise` */
    SETTING(of = 32, 1);
    SETTING(of = 33, 0);
    SETTING(raise = 3, 1);
    SETTING(raise = 4, 0);
    SETTING(raise = 1, 0); /* no more than `clear` */
    SETTING(fast = 7, 1);
    SETTING(fast = 8, 0);
    SETTING(slow = 14, 1);
    SETTING(slow = 15, 0);
    SETTING(centre = NULL, 0);
    SETTING(limit = NULL, 0);
    SETTING(moved = 1048576, axes);
    SETTING(moved = 1048577, 0);
    SETTING(idle = 0, level);
    SETTING(full_scale = 1, level);
#undef SETTING
}

static void check_alarm_errors(uint64_t *work, size_t size)
{
    struct hans hans;
    struct hans_model model = direct_model();
    struct hans_alarm alarm = plain_alarm();
    struct hans_baseline told;
    size_t saved;
    memset(&hans, 0, sizeof hans);
    CHECK(hans_rebaseline(NULL, 5) == HANS_E_ARGUMENT && hans_rebaseline(&hans, 5) == HANS_E_ARGUMENT);
    CHECK(hans_undo(&hans) == HANS_E_ARGUMENT && hans_reset(&hans, HANS_AS_BUILT) == HANS_E_ARGUMENT);
    CHECK(hans_baseline(&hans, &told) == HANS_E_ARGUMENT && !hans_save(&hans, &saved) && !hans_save(NULL, &saved));
    CHECK(hans_resume(&hans, work, size) == HANS_E_ARGUMENT);
    for (uint8_t with = 0; with < 2; with++) { /* no model, then one without settings */
        CHECK(hans_init(&hans, &SPEC, with ? &model : NULL, work, size) == HANS_OK);
        CHECK(hans_rebaseline(&hans, 5) == HANS_E_ALARM && hans_undo(&hans) == HANS_E_ALARM);
        CHECK(hans_reset(&hans, HANS_AS_BUILT) == HANS_E_ALARM && hans_baseline(&hans, &told) == HANS_E_ALARM);
        CHECK(!hans_save(&hans, &saved) && hans_resume(&hans, work, size) == HANS_E_ALARM);
    }
    model.alarm = &alarm;
    CHECK(hans_init(&hans, &SPEC, &model, work, size) == HANS_OK);
    CHECK(hans_rebaseline(&hans, 1) == HANS_E_ARGUMENT && hans_rebaseline(&hans, 4097) == HANS_E_ARGUMENT);
    CHECK(hans_reset(&hans, -1) == HANS_E_ARGUMENT && hans_reset(&hans, 3) == HANS_E_ARGUMENT);
    CHECK(hans_baseline(&hans, NULL) == HANS_E_ARGUMENT && hans_resume(&hans, NULL, 0) == HANS_E_ARGUMENT);
    CHECK(hans_undo(&hans) == HANS_E_ALARM && !hans_save(&hans, NULL));
    CHECK(hans_save(&hans, &saved) && saved == sizeof(struct hans_memory) + (size_t)12 * SPEC.features);
    CHECK(saved <= HANS_MEMORY_WORDS(SPEC.features) * 8);
    CHECK(hans_resume(&hans, hans_save(&hans, &saved), saved) == HANS_OK); /* where it lies */
    CHECK(hans_rebaseline(&hans, 2) == HANS_OK && hans_rebaseline(&hans, 4096) == HANS_OK);
    CHECK(hans_baseline(&hans, &told) == HANS_OK && told.outcome == HANS_UNDER_WAY && told.wanted == 4096);
}

/* A window waits for hans_poll: nothing is consumed meanwhile, and it is told once. */
static void check_pending(uint64_t *work, size_t size)
{
    struct hans hans;
    struct hans_verdict verdict = {0};
    struct hans_model model = direct_model();
    size_t count = SPEC.window + 10;
    int16_t *samples = calloc(count * SPEC.channels, sizeof *samples);
    CHECK(hans_init(&hans, &SPEC, &model, work, size) == HANS_OK);
    CHECK(hans_poll(&hans, &verdict) == 0);
    CHECK(hans_push(&hans, samples, count) == (long)SPEC.window);
    CHECK(hans_push(&hans, samples, 1) == 0);
    CHECK(hans_poll(&hans, &verdict) == 1 && hans_poll(&hans, &verdict) == 0);
    CHECK(verdict.score == 7 && verdict.threshold == 6 && verdict.anomaly == 1 && verdict.window == 0);
    CHECK(hans_push(&hans, samples, 1) == 1);
    CHECK(hans_restart(&hans) == HANS_OK);
    CHECK(hans_push(&hans, samples, count) == (long)SPEC.window);
    CHECK(hans_restart(&hans) == HANS_OK && hans_poll(&hans, &verdict) == 0); /* a pending verdict is dropped */
    model.threshold = 7;                                                      /* equal is not above */
    CHECK(hans_push(&hans, samples, count) == (long)SPEC.window);
    CHECK(hans_poll(&hans, &verdict) == 1 && verdict.anomaly == 0 && verdict.window == 0 && verdict.first == 0);
    free(samples);
}

/* Two instances take turns sample by sample and tell what each tells alone. */
static void check_independence(uint64_t *work, size_t size)
{
    struct hans one, two;
    struct hans_verdict verdict;
    uint64_t *other = malloc(size);
    int16_t alone[HANS_MAX_FEATURES], loud[HANS_MAX_CHANNELS], soft[HANS_MAX_CHANNELS];
    CHECK(hans_init(&one, &SPEC, NULL, work, size) == HANS_OK);
    for (uint8_t both = 0; both < 2; both++) {
        uint32_t seed = 1;
        CHECK(hans_restart(&one) == HANS_OK && hans_init(&two, &SPEC, NULL, other, size) == HANS_OK);
        for (uint32_t i = 0; i < SPEC.window; i++) {
            for (uint8_t c = 0; c < SPEC.channels; c++) {
                seed = seed * 1664525u + 1013904223u;
                loud[c] = (int16_t)(seed >> 16);
                soft[c] = (int16_t)(seed >> 28);
            }
            CHECK(hans_push(&one, loud, 1) == 1);
            CHECK(!both || hans_push(&two, soft, 1) == 1);
        }
        CHECK(hans_poll(&one, &verdict) == 1 && verdict.score == 0);
        if (!both) {
            memcpy(alone, hans_features(&one), SPEC.features * sizeof *alone);
        }
    }
    CHECK(memcmp(alone, hans_features(&one), SPEC.features * sizeof *alone) == 0);
    CHECK(hans_poll(&two, &verdict) == 1 && memcmp(alone, hans_features(&two), SPEC.features * sizeof *alone) != 0);
    free(other);
}

int main(void)
{
    size_t size = hans_work_size(&SPEC);
    uint64_t *work = malloc(size + 8);
    check_log2();
    check_wide();
    check_moments();
    check_errors(work, size);
    check_error_words();
    check_settings(work, size);
    check_alarm_errors(work, size);
    check_pending(work, size);
    check_independence(work, size);
    free(work);
    return failures > 0;
}
