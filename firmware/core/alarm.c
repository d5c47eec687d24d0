/*
 * What a window makes of the machine's state (SPEC.md section 7): the sensor's and the machine's own conditions first,
 * then votes of the score, the rise above the quietest baseline, and the baseline that follows the machine slowly.
 */
#include "core.h"

#define FARTHEST ((int32_t)8 << 16) /* the tracked baseline drifts by 8 octaves at most */

static int16_t saturated(int32_t v)
{
    return (int16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

/* From 1/65536 to 1/256 octave. */
static int16_t coarse(int32_t v)
{
    return saturated((v + 128) >> 8);
}

static uint8_t count_bits(uint32_t v)
{
    uint8_t count = 0;
    for (; v; v &= v - 1) {
        count++;
    }
    return count;
}

void hans_adjust(struct hans *hans)
{
    for (uint16_t i = 0; i < hans->spec->features; i++) {
        hans->features[i] = saturated((int32_t)hans->features[i] - ((hans_offset(hans, i) + 128) >> 8));
    }
}

/* How far feature i is from its baseline, 1/65536 octave. */
static int32_t distance(const struct hans *hans, uint16_t i)
{
    return ((int32_t)hans->features[i] - hans->model->alarm->centre[i]) * 256 - hans_offset(hans, i);
}

/* Samples are looked at one by one only if their channel's window has come to full scale. */
void hans_count_clipped(struct hans *hans, const struct hans_moments *level, const int16_t *x, uint16_t count)
{
    int32_t full = hans->model && hans->model->alarm ? hans->model->alarm->full_scale : 0;
    if (full == 0 || (level->high < full && level->low > -full)) {
        return;
    }
    for (const int16_t *end = x + count; x < end; x++) {
        if (*x >= full || *x <= -full) {
            hans->clipped++;
        }
    }
}

static uint8_t sensor_faults(const struct hans *hans)
{
    uint8_t found = hans->clipped > hans->model->alarm->clipped ? HANS_CLIPPED : 0;
    for (uint8_t c = 0; c < hans->spec->channels && hans->spec->families & HANS_LEVEL; c++) {
        found |= hans->level[c].low == hans->level[c].high ? HANS_STUCK : 0;
    }
    return found;
}

/* Every channel's level is below the settings': the machine is off. */
static uint8_t is_off(const struct hans *hans)
{
    const struct hans_spec *spec = hans->spec;
    uint16_t place = hans_first_mean(spec, spec->lengths); /* the statistics follow the bands */
    if (hans->model->alarm->idle == INT16_MIN) {
        return 0;
    }
    for (uint8_t c = 0; c < spec->channels; c++) {
        if (hans->features[place] >= hans->model->alarm->idle) {
            return 0;
        }
        place = (uint16_t)(place + (spec->families & HANS_STEPS ? 6 : 3));
    }
    return HANS_OFF;
}

static void smooth_gravity(struct hans_memory *memory, const int16_t *mean)
{
    for (uint8_t axis = 0; axis < 3; axis++) {
        int32_t now = (int32_t)mean[axis] * 256;
        memory->dc[axis] = memory->settled ? memory->dc[axis] + ((now - memory->dc[axis]) >> 2) : now;
    }
    memory->settled = 1;
}

static uint64_t square(int64_t v)
{
    return (uint64_t)(v < 0 ? -v : v) * (uint64_t)(v < 0 ? -v : v);
}

/* The angle between a and b is more than its sin^2, Q20, allows; no sum leaves 64 bits, for all are below 2^63.2. */
static uint8_t is_beyond(const int16_t *a, const int16_t *b, uint32_t sine_squared)
{
    uint64_t cross = 0, aa = 0, bb = 0;
    int64_t dot = 0;
    for (uint8_t i = 0; i < 3; i++) {
        uint8_t j = (uint8_t)(i < 2 ? i + 1 : 0);
        cross += square((int64_t)((int32_t)a[i] * b[j]) - (int32_t)a[j] * b[i]);
        aa += square(a[i]);
        bb += square(b[i]);
        dot += (int32_t)a[i] * b[i];
    }
    return dot < 0 || cross > (aa * bb >> 20) * sine_squared;
}

static uint8_t is_tilted(struct hans *hans, const int16_t *mean)
{
    const struct hans_alarm *alarm = hans->model->alarm;
    int16_t now[3];
    if (alarm->moved == 0) {
        return 0;
    }
    smooth_gravity(hans->memory, mean);
    for (uint8_t axis = 0; axis < 3; axis++) {
        now[axis] = saturated((hans->memory->dc[axis] + 128) >> 8);
    }
    return is_beyond(hans->aside ? alarm->gravity : hans->memory->gravity, now, alarm->moved) ? HANS_TILTED : 0;
}

/* Let the band means' fast means follow this window; their mean and mean size, 1/65536 octave. */
static void follow(struct hans *hans, int32_t *mean, int32_t *size)
{
    const struct hans_spec *spec = hans->spec;
    int64_t sum = 0, sizes = 0;
    uint16_t count = 0;
    for (uint8_t length = 0; length < spec->lengths; length++) {
        uint16_t first = hans_first_mean(spec, length), end = (uint16_t)(first + hans_count_means(spec, length));
        for (uint16_t i = first; i < end; i++) {
            hans->fast[i] += (distance(hans, i) - hans->fast[i]) >> hans->model->alarm->fast;
            sum += hans->fast[i];
            sizes += hans->fast[i] < 0 ? -hans->fast[i] : hans->fast[i];
            count++;
        }
    }
    *mean = hans_average(sum, count);
    *size = hans_average(sizes, count);
}

static uint32_t cast_vote(uint32_t votes, uint8_t yes, uint8_t of)
{
    return (votes << 1 | yes) & (UINT32_MAX >> (32 - of));
}

/* Both keys' votes of a window, and the alarm that they raise or end. */
static void vote(struct hans *hans, struct hans_verdict *verdict)
{
    const struct hans_alarm *alarm = hans->model->alarm;
    struct hans_memory *memory = hans->memory;
    int32_t mean, size, offset = hans_mean_offset(hans);
    follow(hans, &mean, &size);
    memory->quietest = offset < memory->quietest ? offset : memory->quietest;
    verdict->change = coarse(size);
    verdict->rise = coarse(mean + offset - memory->quietest);
    memory->votes = cast_vote(memory->votes, verdict->anomaly, alarm->of);
    memory->rises = cast_vote(memory->rises, alarm->rise > 0 && verdict->rise > (int32_t)alarm->rise, alarm->of);
    uint8_t votes = count_bits(memory->votes), rises = count_bits(memory->rises), keys = 0;
    if (votes >= alarm->raise && verdict->change >= (int32_t)alarm->change) {
        keys |= HANS_BY_SCORE;
    }
    if (rises >= alarm->raise) {
        keys |= HANS_BY_RISE;
    }
    memory->alarmed |= hans->model->flags & HANS_UNCALIBRATED ? 0 : keys;
    if (votes <= alarm->clear && rises <= alarm->clear) {
        memory->alarmed = 0;
    }
}

/* The state of a machine that runs, with a sensor that works and lies as it lay; and why. */
static uint8_t condition(const struct hans *hans, uint8_t *reasons)
{
    const struct hans_memory *memory = hans->memory;
    uint8_t raise = hans->model->alarm->raise, suspicion = 0;
    suspicion |= 2 * count_bits(memory->votes) >= raise ? HANS_BY_SCORE : 0;
    suspicion |= 2 * count_bits(memory->rises) >= raise ? HANS_BY_RISE : 0;
    *reasons |= memory->alarmed ? memory->alarmed : suspicion;
    if (*reasons & HANS_FEW_WINDOWS) {
        return HANS_STATE_LEARNING;
    }
    return memory->alarmed ? HANS_STATE_ALARM : suspicion ? HANS_STATE_SUSPICIOUS : HANS_STATE_NORMAL;
}

/* Let the baseline follow this window, eight times slower if it is suspicious: a fault must not be followed away. */
static void track(struct hans *hans, uint8_t normal)
{
    const struct hans_alarm *alarm = hans->model->alarm;
    uint8_t shift = (uint8_t)(alarm->slow + (normal ? 0 : 3));
    for (uint16_t i = 0; i < hans->spec->features; i++) {
        int32_t step = distance(hans, i), limit = (int32_t)alarm->limit[i] * 256;
        step = step < -limit ? -limit : step > limit ? limit : step;
        int32_t drift = hans->drift[i] + ((step + ((int32_t)1 << (shift - 1))) >> shift);
        hans->drift[i] = drift < -FARTHEST ? -FARTHEST : drift > FARTHEST ? FARTHEST : drift;
    }
}

static uint8_t run(struct hans *hans, struct hans_verdict *verdict)
{
    vote(hans, verdict);
    uint8_t state = condition(hans, &verdict->reasons);
    if (hans->model->alarm->slow > 0 && (state == HANS_STATE_NORMAL || state == HANS_STATE_SUSPICIOUS)) {
        track(hans, state == HANS_STATE_NORMAL);
    }
    return state;
}

/* Whatever keeps the machine's state from being judged, the first that applies; else NORMAL. Adds the reasons. */
static uint8_t hindrance(struct hans *hans, const int16_t *mean, uint8_t *reasons)
{
    uint8_t faults = sensor_faults(hans), off = is_off(hans), tilted;
    *reasons |= faults | off;
    if (faults) {
        return HANS_STATE_FAULT;
    }
    if (off) {
        return HANS_STATE_IDLE;
    }
    tilted = is_tilted(hans, mean);
    *reasons |= tilted;
    return tilted ? HANS_STATE_MOVED : HANS_STATE_NORMAL;
}

void hans_judge(struct hans *hans, struct hans_verdict *verdict)
{
    uint8_t gathering = hans->memory->outcome == HANS_UNDER_WAY;
    verdict->reasons = (uint8_t)((gathering ? HANS_GATHERING : 0) |
                                 (hans->model->flags & HANS_UNCALIBRATED ? HANS_FEW_WINDOWS : 0));
    verdict->state = hindrance(hans, verdict->mean, &verdict->reasons);
    if (gathering && (verdict->state == HANS_STATE_NORMAL || verdict->state == HANS_STATE_MOVED)) {
        hans_gather(hans, verdict->mean);
        verdict->state = verdict->state == HANS_STATE_NORMAL ? HANS_STATE_LEARNING : verdict->state;
    } else if (verdict->state == HANS_STATE_NORMAL) {
        verdict->state = run(hans, verdict);
    }
    verdict->votes = count_bits(hans->memory->votes);
}
