/*
 * Where the baseline stands, and how a re-baselining moves it (SPEC.md section 7.6).
 */
#include <string.h>

#include "core.h"

int32_t hans_offset(const struct hans *hans, uint16_t i)
{
    return (hans->aside ? 0 : (int32_t)hans->baseline[i] * 256) + hans->drift[i];
}

int32_t hans_mean_offset(const struct hans *hans)
{
    int64_t sum = 0;
    uint16_t count = 0;
    for (uint8_t length = 0; length < hans->spec->lengths; length++) {
        uint16_t first = hans_first_mean(hans->spec, length), means = hans_count_means(hans->spec, length);
        for (uint16_t i = 0; i < means; i++) {
            sum += hans_offset(hans, (uint16_t)(first + i));
        }
        count = (uint16_t)(count + means);
    }
    return hans_average(sum, count);
}

/* Judge by the baseline as if nothing had come since it was set. */
static void begin_anew(struct hans *hans)
{
    struct hans_memory *memory = hans->memory;
    size_t size = hans->spec->features * sizeof *hans->drift;
    memset(hans->drift, 0, size);
    memset(hans->fast, 0, size);
    memory->votes = memory->rises = 0;
    memory->alarmed = 0;
    memory->quietest = hans_mean_offset(hans);
}

void hans_forget(struct hans *hans, int how)
{
    struct hans_memory *memory = hans->memory;
    if (how == HANS_AS_BUILT) {
        memset(memory, 0, HANS_MEMORY_WORDS(hans->spec->features) * 8);
        memcpy(memory->detector, hans->model->detector, HANS_DIGEST);
        memcpy(memory->gravity, hans->model->alarm->gravity, sizeof memory->gravity);
        memcpy(memory->gravity_before, memory->gravity, sizeof memory->gravity);
    }
    if (memory->outcome == HANS_UNDER_WAY) {
        memory->outcome = HANS_STOPPED;
    }
    memset(memory->dc, 0, sizeof memory->dc);
    memory->settled = 0;
    hans->aside = how == HANS_BASELINE_ASIDE;
    begin_anew(hans);
}

/* HANS_OK if this instance has alarm logic. */
static int check(const struct hans *hans)
{
    if (!hans || !hans->spec) {
        return HANS_E_ARGUMENT;
    }
    return hans->model && hans->model->alarm ? HANS_OK : HANS_E_ALARM;
}

int hans_reset(struct hans *hans, int how)
{
    int status = check(hans);
    if (status == HANS_OK && (how < HANS_AS_BUILT || how > HANS_BASELINE_ASIDE)) {
        status = HANS_E_ARGUMENT;
    }
    if (status == HANS_OK) {
        hans_forget(hans, how);
    }
    return status;
}

int hans_rebaseline(struct hans *hans, uint16_t windows)
{
    int status = check(hans);
    if (status == HANS_OK && (windows < 2 || windows > 4096)) {
        status = HANS_E_ARGUMENT;
    }
    if (status == HANS_OK) {
        struct hans_memory *memory = hans->memory;
        memset(hans->fast, 0, hans->spec->features * sizeof *hans->fast);
        memset(memory->dc_sum, 0, sizeof memory->dc_sum);
        memory->gathered = 0;
        memory->wanted = windows;
        memory->outcome = HANS_UNDER_WAY;
    }
    return status;
}

static int16_t gathered_mean(const struct hans *hans, uint16_t i)
{
    int32_t mean = hans_average(hans->fast[i], hans->memory->wanted);
    return (int16_t)(mean < -32768 ? -32768 : mean > 32767 ? 32767 : mean);
}

/* The mean size of the band means' new offsets, 1/256 octave. */
static uint16_t found_change(const struct hans *hans)
{
    int64_t sum = 0;
    uint16_t count = 0;
    for (uint8_t length = 0; length < hans->spec->lengths; length++) {
        uint16_t first = hans_first_mean(hans->spec, length), means = hans_count_means(hans->spec, length);
        for (uint16_t i = 0; i < means; i++) {
            int32_t mean = gathered_mean(hans, (uint16_t)(first + i));
            sum += mean < 0 ? -mean : mean;
        }
        count = (uint16_t)(count + means);
    }
    return (uint16_t)hans_average(sum, count);
}

static void move(struct hans *hans)
{
    struct hans_memory *memory = hans->memory;
    size_t size = hans->spec->features * sizeof *hans->baseline;
    memcpy(hans->before, hans->baseline, size);
    for (uint16_t i = 0; i < hans->spec->features; i++) {
        hans->baseline[i] = gathered_mean(hans, i);
    }
    memcpy(memory->gravity_before, memory->gravity, sizeof memory->gravity);
    for (uint8_t axis = 0; axis < 3; axis++) {
        memory->gravity[axis] = (int16_t)hans_average(memory->dc_sum[axis], memory->wanted);
    }
    memory->outcome = HANS_DONE;
    memory->revision++;
    hans->aside = 0;
    begin_anew(hans);
}

void hans_gather(struct hans *hans, const int16_t *mean)
{
    struct hans_memory *memory = hans->memory;
    for (uint16_t i = 0; i < hans->spec->features; i++) {
        hans->fast[i] += (int32_t)hans->features[i] - hans->model->alarm->centre[i];
    }
    for (uint8_t axis = 0; axis < 3; axis++) {
        memory->dc_sum[axis] += mean[axis];
    }
    if (++memory->gathered < memory->wanted) {
        return;
    }
    memory->change = found_change(hans);
    if (memory->change > hans->model->alarm->reach) {
        memory->outcome = HANS_TOO_FAR;
        memset(hans->fast, 0, hans->spec->features * sizeof *hans->fast);
    } else {
        move(hans);
    }
}

static void swap(int16_t *a, int16_t *b, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        int16_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

int hans_undo(struct hans *hans)
{
    int status = check(hans);
    if (status != HANS_OK) {
        return status;
    }
    struct hans_memory *memory = hans->memory;
    if (memory->outcome == HANS_UNDER_WAY) {
        memory->outcome = HANS_STOPPED;
        memset(hans->fast, 0, hans->spec->features * sizeof *hans->fast);
        return HANS_OK;
    }
    if (memory->revision == 0) {
        return HANS_E_ALARM;
    }
    swap(hans->baseline, hans->before, hans->spec->features);
    swap(memory->gravity, memory->gravity_before, 3);
    memory->outcome = HANS_UNDONE;
    memory->revision++;
    hans->aside = 0;
    begin_anew(hans);
    return HANS_OK;
}

int hans_baseline(const struct hans *hans, struct hans_baseline *told)
{
    int status = told ? check(hans) : HANS_E_ARGUMENT;
    if (status == HANS_OK) {
        const struct hans_memory *memory = hans->memory;
        *told = (struct hans_baseline){.revision = memory->revision, .gathered = memory->gathered,
                                       .wanted = memory->wanted, .change = memory->change,
                                       .outcome = memory->outcome, .alarmed = memory->alarmed != 0};
    }
    return status;
}
