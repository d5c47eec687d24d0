/*
 * The features of a complete window, in the order of SPEC.md section 6.
 */
#include "core.h"

uint32_t hans_count_frames(const struct hans_spec *spec, const struct hans_frame *frame)
{
    uint16_t half = frame->length / 2;
    return 1 + (spec->window - frame->length) / half;
}

uint16_t hans_count_means(const struct hans_spec *spec, uint8_t i)
{
    return (uint16_t)(spec->channels * spec->frame[i].bands);
}

uint16_t hans_first_mean(const struct hans_spec *spec, uint8_t i)
{
    uint16_t first = 0;
    while (i-- > 0) {
        first = (uint16_t)(first + hans_count_means(spec, i) * (spec->families & HANS_SPREAD ? 2 : 1));
    }
    return first;
}

static uint8_t count_pairs(uint8_t channels)
{
    return (uint8_t)(channels == 3 ? 3 : channels - 1);
}

uint32_t hans_count_features(const struct hans_spec *spec)
{
    uint32_t bands = 0;
    for (uint8_t i = 0; i < spec->lengths; i++) {
        bands += spec->frame[i].bands;
    }
    uint32_t per_band = spec->channels;
    if (spec->families & HANS_SPREAD) {
        per_band += spec->channels;
    }
    if (spec->families & HANS_DIFFERENCES) {
        per_band += count_pairs(spec->channels);
    }
    uint32_t per_channel = (spec->families & HANS_LEVEL ? 3u : 0) + (spec->families & HANS_STEPS ? 3u : 0);
    return per_band * bands + per_channel * spec->channels;
}

static int16_t *collect_means(const uint32_t *sums, uint16_t count, uint32_t frames, int16_t *out)
{
    for (uint16_t i = 0; i < count; i++) {
        *out++ = (int16_t)((sums[i] + frames / 2) / frames);
    }
    return out;
}

static int16_t *collect_spreads(const uint32_t *sums, const uint64_t *squares, uint16_t count, uint32_t frames,
                                int16_t *out)
{
    int16_t log_frames = hans_log8(frames);
    for (uint16_t i = 0; i < count; i++) {
        int16_t spread = (int16_t)(hans_log8(frames * squares[i] - (uint64_t)sums[i] * sums[i]) - 2 * log_frames);
        *out++ = spread > 0 ? spread : 0;
    }
    return out;
}

static int16_t *collect_statistics(const struct hans *hans, int16_t *out)
{
    const struct hans_spec *spec = hans->spec;
    for (uint8_t c = 0; c < spec->channels; c++) {
        if (spec->families & HANS_LEVEL) {
            hans_statistics(&hans->level[c], spec->window, out);
            out += 3;
        }
        if (spec->families & HANS_STEPS) {
            hans_statistics(&hans->steps[c], spec->window - 1, out);
            out += 3;
        }
    }
    return out;
}

static int16_t *collect_differences(const int16_t *means, uint8_t channels, uint8_t bands, int16_t *out)
{
    uint8_t pairs = count_pairs(channels);
    for (uint8_t pair = 0; pair < pairs; pair++) {
        uint8_t last = channels == 3 && pair == 2; /* (1, 2), which only three channels have */
        const int16_t *a = means + (last ? bands : 0), *b = means + (last ? 2 : pair + 1) * bands;
        for (uint8_t i = 0; i < bands; i++) {
            *out++ = (int16_t)(a[i] - b[i]);
        }
    }
    return out;
}

void hans_collect(struct hans *hans)
{
    const struct hans_spec *spec = hans->spec;
    const int16_t *means[2] = {0};
    int16_t *out = hans->features;
    uint16_t first = 0;
    for (uint8_t i = 0; i < spec->lengths; i++) {
        uint16_t count = (uint16_t)(spec->channels * spec->frame[i].bands);
        uint32_t frames = hans_count_frames(spec, &spec->frame[i]);
        means[i] = out;
        out = collect_means(hans->sums + first, count, frames, out);
        if (spec->families & HANS_SPREAD) {
            out = collect_spreads(hans->sums + first, hans->squares + first, count, frames, out);
        }
        first = (uint16_t)(first + count);
    }
    out = collect_statistics(hans, out);
    for (uint8_t i = 0; i < spec->lengths && spec->families & HANS_DIFFERENCES; i++) {
        out = collect_differences(means[i], spec->channels, spec->frame[i].bands, out);
    }
}
