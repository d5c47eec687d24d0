/*
 * An instance: its memory, the stream of samples through it, and its verdicts. hans.h is the manual.
 */
#include "hans.h"

#include <string.h>

#include "core.h"

/* The item of stage HANS_ALARM: state, votes, reasons, reserved, change, rise. */
#define ALARM_BYTES 8
#define AT(member) offsetof(struct hans_verdict, member)
typedef char alarm_lies_close[AT(rise) + 2 - AT(state) == ALARM_BYTES ? 1 : -1];

static uint16_t longest(const struct hans_spec *spec)
{
    return spec->frame[spec->lengths - 1].length;
}

static uint16_t channel_bands(const struct hans_spec *spec)
{
    uint16_t bands = spec->frame[0].bands;
    if (spec->lengths == 2) {
        bands = (uint16_t)(bands + spec->frame[1].bands);
    }
    return (uint16_t)(spec->channels * bands);
}

static size_t cells(const struct hans_spec *spec)
{
    size_t power = longest(spec) / 2, features = ((size_t)spec->features + 3) / 4;
    return power > features ? power : features;
}

size_t hans_work_size(const struct hans_spec *spec)
{
    return HANS_WORK_WORDS(spec->channels, longest(spec), channel_bands(spec), spec->features, spec->families) *
           sizeof(uint64_t);
}

/* The widest types first, each part a whole number of 8-byte words, as HANS_WORK_WORDS counts them. */
static void lay_out(struct hans *hans, uint64_t *word)
{
    const struct hans_spec *spec = hans->spec;
    uint16_t bands = channel_bands(spec);
    hans->cells = word;
    word += cells(spec);
    hans->level = (struct hans_moments *)word;
    word += spec->channels * (sizeof(struct hans_moments) / 8);
    hans->steps = (struct hans_moments *)word;
    word += spec->families & HANS_STEPS ? spec->channels * (sizeof(struct hans_moments) / 8) : 0;
    hans->squares = word;
    word += spec->families & HANS_SPREAD ? bands : 0;
    hans->sums = (uint32_t *)word;
    word += (bands + 1) / 2;
    hans->parts = (uint32_t *)word;
    word += (spec->features + 1) / 2;
    hans->frame = (int16_t *)word;
    word += ((size_t)spec->channels * longest(spec) + 3) / 4;
    hans->features = (int16_t *)word;
    word += ((size_t)spec->features + 3) / 4;
    hans->memory = (struct hans_memory *)word;
    hans->drift = (int32_t *)(hans->memory + 1);
    hans->fast = hans->drift + spec->features;
    hans->baseline = (int16_t *)(hans->fast + spec->features);
    hans->before = hans->baseline + spec->features;
}

/* The next sample frame is the first of a window. */
static void begin(struct hans *hans)
{
    const struct hans_spec *spec = hans->spec;
    uint16_t bands = channel_bands(spec);
    for (uint8_t c = 0; c < spec->channels; c++) {
        hans_moments_clear(&hans->level[c]);
        if (spec->families & HANS_STEPS) {
            hans_moments_clear(&hans->steps[c]);
        }
    }
    if (spec->families & HANS_SPREAD) {
        memset(hans->squares, 0, bands * sizeof *hans->squares);
    }
    memset(hans->sums, 0, bands * sizeof *hans->sums);
    hans->position = 0;
    hans->fill = 0;
    hans->clipped = 0;
}

int hans_init(struct hans *hans, const struct hans_spec *spec, const struct hans_model *model, void *work, size_t size)
{
    if (!hans || !spec || !work) {
        return HANS_E_ARGUMENT;
    }
    memset(hans, 0, sizeof *hans);
    int status = hans_check_spec(spec);
    if (status == HANS_OK && model) {
        status = hans_check_model(spec, model);
    }
    if (status == HANS_OK && (size < hans_work_size(spec) || (uintptr_t)work % 8 != 0)) {
        status = HANS_E_MEMORY;
    }
    if (status != HANS_OK) {
        return status;
    }
    hans->spec = spec;
    hans->model = model;
    lay_out(hans, work);
    memset(hans->features, 0, spec->features * sizeof *hans->features);
    if (model && model->alarm) {
        hans_forget(hans, HANS_AS_BUILT);
    }
    return hans_restart(hans);
}

int hans_restart(struct hans *hans)
{
    if (!hans || !hans->spec) {
        return HANS_E_ARGUMENT;
    }
    begin(hans);
    hans->window = 0;
    hans->first = 0;
    hans->pending = 0;
    return HANS_OK;
}

void hans_set_tap(struct hans *hans, hans_tap tap, void *context)
{
    if (hans) {
        hans->tap = tap;
        hans->context = context;
    }
}

static void show(const struct hans *hans, enum hans_stage stage, const void *data, size_t size)
{
    if (hans->tap) {
        hans->tap(hans->context, stage, data, size);
    }
}

/* Add one frame of one channel to its band sums. The features' memory is free until the window is complete. */
static void take_frame(struct hans *hans, const struct hans_frame *frame, const int16_t *x, uint16_t first)
{
    int16_t *q = hans->features;
    show(hans, HANS_SAMPLES, x, frame->length * sizeof *x);
    hans_spectrum(frame, x, hans->cells);
    show(hans, HANS_SPECTRUM, hans->cells, frame->length / 2 * sizeof *hans->cells);
    hans_bands(frame, hans->cells, q);
    show(hans, HANS_BANDS, q, frame->bands * sizeof *q);
    for (uint8_t b = 0; b < frame->bands; b++) {
        hans->sums[first + b] += (uint16_t)q[b];
        if (hans->spec->families & HANS_SPREAD) {
            hans->squares[first + b] += (uint32_t)((int32_t)q[b] * q[b]);
        }
    }
}

/* Every frame that ends with the newest sample frame. */
static void take_frames(struct hans *hans)
{
    const struct hans_spec *spec = hans->spec;
    uint16_t first = 0;
    for (uint8_t i = 0; i < spec->lengths; i++) {
        const struct hans_frame *frame = &spec->frame[i];
        uint8_t ends = hans->position >= frame->length && (hans->position & (frame->length / 2u - 1)) == 0;
        for (uint8_t c = 0; c < spec->channels; c++) {
            if (ends) {
                const int16_t *newest = hans->frame + (size_t)c * longest(spec) + hans->fill;
                take_frame(hans, frame, newest - frame->length, first);
            }
            first = (uint16_t)(first + frame->bands);
        }
    }
}

/* When the frame buffers are full, their second half becomes the first. */
static void make_room(struct hans *hans)
{
    uint16_t length = longest(hans->spec), half = length / 2;
    if (hans->fill < length) {
        return;
    }
    for (uint8_t c = 0; c < hans->spec->channels; c++) {
        int16_t *frame = hans->frame + (size_t)c * length;
        memcpy(frame, frame + half, half * sizeof *frame);
    }
    hans->fill = half;
}

/* One channel's samples out of `count` sample frames. */
static void pick(int16_t *x, const int16_t *samples, uint8_t channels, uint16_t count)
{
    if (channels == 1) {
        memcpy(x, samples, count * sizeof *x);
        return;
    }
    for (const int16_t *end = x + count; x < end; samples += channels) {
        *x++ = *samples;
    }
}

/* Take sample frames that reach at most to the next end of a frame. */
static void take_block(struct hans *hans, const int16_t *samples, uint16_t count)
{
    uint8_t channels = hans->spec->channels, families = hans->spec->families;
    for (uint8_t c = 0; c < channels; c++) {
        int16_t *x = hans->frame + (size_t)c * longest(hans->spec) + hans->fill;
        pick(x, samples + c, channels, count);
        if (families & HANS_LEVEL) {
            hans_moments_add(&hans->level[c], x, count);
            hans_count_clipped(hans, &hans->level[c], x, count);
        } else {
            hans_moments_sum(&hans->level[c], x, count); /* the verdict tells the mean */
        }
        if (families & HANS_STEPS) {
            uint8_t skip = hans->fill == 0; /* the first sample has no difference */
            hans_moments_add_steps(&hans->steps[c], x + skip, (size_t)count - skip);
        }
    }
    hans->fill = (uint16_t)(hans->fill + count);
    hans->position += count;
    if ((hans->position & (hans->spec->frame[0].length / 2u - 1)) == 0) {
        take_frames(hans);
        make_room(hans);
    }
}

long hans_push(struct hans *hans, const int16_t *samples, size_t count)
{
    if (!hans || !hans->spec || (!samples && count > 0)) {
        return HANS_E_ARGUMENT;
    }
    const struct hans_spec *spec = hans->spec;
    uint16_t step = spec->frame[0].length / 2;
    size_t used = 0;
    while (used < count && !hans->pending) {
        size_t some = count - used;
        if (hans->position >= spec->window) { /* between windows */
            uint32_t rest = spec->hop - hans->position;
            some = some < rest ? some : rest;
            hans->position += (uint32_t)some;
        } else {
            uint32_t block = step - (hans->position & (step - 1u)), rest = spec->window - hans->position;
            block = block < rest ? block : rest;
            some = some < block ? some : block;
            take_block(hans, samples + used * spec->channels, (uint16_t)some);
            hans->pending = hans->position == spec->window;
        }
        used += some;
        if (hans->position == spec->hop && !hans->pending) {
            hans->first += spec->hop;
            begin(hans);
        }
    }
    return (long)used;
}

static int32_t score(struct hans *hans)
{
    const struct hans_model *model = hans->model;
    int32_t direct = model->entry(hans->features, hans->parts);
    if (model->kind == HANS_DIRECT) {
        return direct;
    }
    uint64_t sum = 0;
    for (uint16_t i = 0; i < model->parts; i++) {
        sum += hans->parts[i];
    }
    return hans_log16(sum) - hans_log16(model->parts) - (int32_t)12 * 65536;
}

/* The score of the features as the model sees them; the features themselves stay as they are. */
static int32_t adjusted_score(struct hans *hans)
{
    size_t size = hans->spec->features * sizeof *hans->features;
    if (!hans->model) {
        return 0;
    }
    if (!hans->model->alarm) {
        return score(hans);
    }
    memcpy(hans->cells, hans->features, size); /* the transform is done with its memory */
    hans_adjust(hans);
    int32_t found = score(hans);
    memcpy(hans->features, hans->cells, size);
    return found;
}

int hans_poll(struct hans *hans, struct hans_verdict *verdict)
{
    if (!hans || !hans->spec || !verdict) {
        return HANS_E_ARGUMENT;
    }
    if (!hans->pending) {
        return 0;
    }
    const struct hans_spec *spec = hans->spec;
    const struct hans_model *model = hans->model;
    hans_collect(hans);
    show(hans, HANS_FEATURES, hans->features, spec->features * sizeof *hans->features);
    *verdict = (struct hans_verdict){.window = hans->window++, .first = hans->first, .score = adjusted_score(hans),
                                     .state = HANS_STATE_NORMAL};
    if (model) {
        verdict->threshold = model->threshold;
        verdict->anomaly = verdict->score > model->threshold;
        verdict->flags = (uint8_t)model->flags;
    }
    show(hans, HANS_SCORE, &verdict->score, sizeof verdict->score);
    show(hans, HANS_VERDICT, &verdict->anomaly, sizeof verdict->anomaly);
    for (uint8_t c = 0; c < spec->channels; c++) {
        verdict->mean[c] = hans_mean(&hans->level[c], spec->window);
    }
    if (model && model->alarm) {
        hans_judge(hans, verdict);
    }
    show(hans, HANS_ALARM, &verdict->state, ALARM_BYTES);
    hans->pending = 0;
    if (spec->hop == spec->window) {
        hans->first += spec->hop;
        begin(hans);
    }
    return 1;
}

const int16_t *hans_features(const struct hans *hans)
{
    return hans->features;
}
