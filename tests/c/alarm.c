/*
 * Drives the alarm logic with features, means, extremes and clipped samples that no samples need to give: commands from
 * standard input, a line for each. SPEC names the spec; the settings come first, as SPEC.md section 8 packs them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

extern const struct hans_spec SPEC;

static struct hans_alarm alarm;
static struct hans_model model;
static int16_t arrays[2][HANS_MAX_FEATURES];
static struct hans hans;
static uint64_t *work;

static void take(void *to, size_t size)
{
    if (fread(to, 1, size, stdin) != size) {
        exit(3);
    }
}

#define TAKE(to) take(&(to), sizeof(to))

static int32_t entry(const int16_t *features, uint32_t *parts)
{
    int32_t score = 0;
    (void)parts;
    for (int i = 0; i < SPEC.features; i++) {
        score += features[i] * (i % 3 + 1);
    }
    return score;
}

static void take_settings(void)
{
    uint8_t pad;
    TAKE(alarm.of), TAKE(alarm.raise), TAKE(alarm.clear), TAKE(alarm.fast), TAKE(alarm.slow), TAKE(pad);
    TAKE(alarm.change), TAKE(alarm.rise), TAKE(alarm.idle), TAKE(alarm.full_scale), TAKE(alarm.reach);
    TAKE(alarm.clipped), TAKE(alarm.moved), TAKE(alarm.gravity);
    take(arrays[0], SPEC.features * sizeof(int16_t));
    take(arrays[1], SPEC.features * sizeof(int16_t));
    alarm.centre = arrays[0];
    alarm.limit = arrays[1];
    model = (struct hans_model){.magic = HANS_MODEL_MAGIC, .interface = HANS_INTERFACE, .kind = HANS_DIRECT,
                                .features = SPEC.features, .entry = entry, .alarm = &alarm};
    memcpy(model.spec, SPEC.digest, HANS_DIGEST);
    TAKE(model.threshold), TAKE(model.flags), TAKE(model.detector);
}

static void window(void)
{
    struct hans_verdict verdict = {.state = HANS_STATE_NORMAL};
    int16_t kept[HANS_MAX_FEATURES];
    size_t size = SPEC.features * sizeof *kept;
    take(kept, size);
    take(verdict.mean, SPEC.channels * sizeof *verdict.mean);
    for (int c = 0; c < SPEC.channels; c++) {
        TAKE(hans.level[c].low), TAKE(hans.level[c].high);
    }
    TAKE(hans.clipped);
    hans.clipped = alarm.full_scale ? hans.clipped : 0; /* none is counted then */
    memcpy(hans.features, kept, size);
    hans_adjust(&hans);
    verdict.score = entry(hans.features, NULL);
    verdict.anomaly = verdict.score > model.threshold;
    memcpy(hans.features, kept, size);
    hans_judge(&hans, &verdict);
    printf("%ld %d %d %d %d %d %d\n", (long)verdict.score, verdict.anomaly, verdict.state, verdict.votes,
           verdict.reasons, verdict.change, verdict.rise);
}

static void told(int status)
{
    struct hans_baseline b;
    hans_baseline(&hans, &b);
    printf("= %d %lu %d %d %d %d %d\n", status, (unsigned long)b.revision, b.gathered, b.wanted, b.change, b.outcome,
           b.alarmed);
}

static void save(void)
{
    size_t size;
    const uint8_t *saved = hans_save(&hans, &size);
    for (size_t i = 0; i < size; i++) {
        printf("%02x", saved[i]);
    }
    printf("\n");
}

/* As after a reset: a new instance goes on from what was saved; or this one does. */
static void restart(uint16_t same, size_t work_size)
{
    size_t size;
    const void *saved = hans_save(&hans, &size);
    uint8_t *copy = malloc(size);
    memcpy(copy, saved, size);
    if (!same) {
        memset(work, 0xA5, work_size);
        hans_init(&hans, &SPEC, &model, work, work_size);
    }
    told(hans_resume(&hans, copy, size));
    free(copy);
}

int main(void)
{
    size_t size = hans_work_size(&SPEC);
    int command;
    work = malloc(size); /* exactly: an access beyond it is found */
    take_settings();
    int status = hans_init(&hans, &SPEC, &model, work, size);
    printf("%d\n", status);
    while (status == HANS_OK && (command = getchar()) != EOF) {
        uint16_t argument = 0;
        if (command == 'w') {
            window();
            continue;
        }
        TAKE(argument);
        switch (command) {
        case 'r':
            told(hans_rebaseline(&hans, argument));
            break;
        case 'u':
            told(hans_undo(&hans));
            break;
        case 'z':
            told(hans_reset(&hans, argument));
            break;
        case 's':
            save();
            break;
        default:
            restart(argument, size);
        }
    }
    free(work);
    return 0;
}
