/*
 * What an instance refuses to start with, and the words for it.
 */
#include <string.h>

#include "core.h"

static int check_frame(const struct hans_spec *spec, const struct hans_frame *frame)
{
    uint16_t length = frame->length;
    if (length < 64 || length > 2048 || (length & (length - 1)) || length > spec->window) {
        return HANS_E_SPEC;
    }
    if (frame->bands < 1 || frame->bands > HANS_MAX_BANDS || hans_count_frames(spec, frame) > 32767) {
        return HANS_E_SPEC;
    }
    if ((frame->radix != 4 && frame->radix != 8) || frame->stages > 4 || frame->shift > 15) {
        return HANS_E_SPEC;
    }
    if ((uint32_t)frame->radix << 2 * frame->stages != length / 2u ||
        (uint32_t)1 << (15 + frame->stages - frame->shift) != length) {
        return HANS_E_SPEC;
    }
    uint16_t last = 0;
    for (uint8_t i = 0; i < frame->bands + 2; i++) {
        if (frame->edge[i] <= last || frame->edge[i] > length / 2) {
            return HANS_E_SPEC;
        }
        last = frame->edge[i];
    }
    return HANS_OK;
}

int hans_check_spec(const struct hans_spec *spec)
{
    if (spec->channels < 1 || spec->channels > HANS_MAX_CHANNELS || spec->lengths < 1 || spec->lengths > 2) {
        return HANS_E_SPEC;
    }
    if (spec->rate_mhz < 100000 || spec->rate_mhz > 100000000 || !spec->frame) {
        return HANS_E_SPEC;
    }
    if (spec->window < 64 || spec->window > spec->hop || spec->hop > 1048576 || spec->families > 15) {
        return HANS_E_SPEC;
    }
    for (uint8_t i = 0; i < spec->lengths; i++) {
        if (check_frame(spec, &spec->frame[i]) != HANS_OK) {
            return HANS_E_SPEC;
        }
    }
    if (spec->lengths == 2 && spec->frame[0].length >= spec->frame[1].length) {
        return HANS_E_SPEC;
    }
    return hans_count_features(spec) == spec->features ? HANS_OK : HANS_E_SPEC;
}

static int check_alarm(const struct hans_spec *spec, const struct hans_alarm *alarm)
{
    if (alarm->of < 1 || alarm->of > 32 || alarm->raise > alarm->of || alarm->clear >= alarm->raise) {
        return HANS_E_MODEL;
    }
    if (alarm->fast > 7 || alarm->slow > 14 || !alarm->centre || !alarm->limit) {
        return HANS_E_MODEL;
    }
    if (alarm->moved > 1048576 || (alarm->moved > 0 && spec->channels < 3)) {
        return HANS_E_MODEL;
    }
    uint8_t level = (spec->families & HANS_LEVEL) != 0;
    return level || (alarm->idle == INT16_MIN && alarm->full_scale == 0) ? HANS_OK : HANS_E_MODEL;
}

int hans_check_model(const struct hans_spec *spec, const struct hans_model *model)
{
    if (model->magic != HANS_MODEL_MAGIC || model->interface != HANS_INTERFACE || !model->entry) {
        return HANS_E_MODEL;
    }
    if (memcmp(model->spec, spec->digest, HANS_DIGEST) != 0) {
        return HANS_E_DIGEST;
    }
    uint8_t parts = model->kind == HANS_PARTS || model->kind == HANS_HEADS;
    uint8_t fits = model->kind == HANS_DIRECT || (parts && model->parts > 0);
    if (!fits || model->features != spec->features || model->parts > model->features) {
        return HANS_E_MODEL;
    }
    return model->alarm ? check_alarm(spec, model->alarm) : HANS_OK;
}

const char *hans_error(int status)
{
    switch (status) {
    case HANS_OK:
        return "no error";
    case HANS_E_ARGUMENT:
        return "an argument is missing or the instance was not initialised";
    case HANS_E_SPEC:
        return "the spec breaks a bound";
    case HANS_E_MODEL:
        return "the model is none, of another interface version, or does not fit the spec's features or a bound";
    case HANS_E_DIGEST:
        return "the model was made for another spec";
    case HANS_E_MEMORY:
        return "work memory is too small or not aligned to 8 bytes";
    case HANS_E_SAVED:
        return "what was saved is damaged, or another detector's";
    case HANS_E_ALARM:
        return "the model has no alarm settings, or there is nothing to undo";
    default:
        return "unknown error";
    }
}
