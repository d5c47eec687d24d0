#include "watch.h"

#include <string.h>

#include "packet.h"
#include "port.h"

static struct message_trace wanted;
static struct message_traced traced;
static uint8_t dump[DUMP_BYTES];
static uint16_t dump_size;
static uint32_t calls; /* items of the watched stage so far */
static uint32_t ticks[HANS_STAGES];
static uint32_t mark; /* tick at which the work under way began */
static uint8_t armed, tracing, counting; /* armed: until a window has been traced */

static uint32_t *stage_crc(enum hans_stage stage)
{
    switch (stage) {
    case HANS_SAMPLES:
        return &traced.samples;
    case HANS_SPECTRUM:
        return &traced.spectrum;
    case HANS_BANDS:
        return &traced.bands;
    case HANS_FEATURES:
        return &traced.features;
    case HANS_SCORE:
        return &traced.score;
    case HANS_VERDICT:
        return &traced.verdict;
    default:
        return &traced.alarm;
    }
}

/* Keep the CRC of everything before the position, and the bytes from there on. */
static void look_closely(uint32_t before, const uint8_t *data, size_t size)
{
    size_t skip = traced.offset < size ? traced.offset : size;
    size_t rest = size - skip;

    if (calls++ == traced.call) {
        traced.before = hans_crc32(before, data, skip);
        dump_size = (uint16_t)(rest < DUMP_BYTES ? rest : DUMP_BYTES);
        memcpy(dump, data + skip, dump_size);
    }
}

static void tap(void *context, enum hans_stage stage, const void *data, size_t size)
{
    (void)context;
    ticks[stage] += port_ticks() - mark;
    if (tracing) {
        uint32_t *crc = stage_crc(stage);
        if (stage == (enum hans_stage)traced.stage) {
            look_closely(*crc, data, size);
        }
        *crc = hans_crc32(*crc, data, size);
    }
    mark = port_ticks();
}

void watch_arm(const struct message_trace *position)
{
    wanted = *position;
    armed = 1;
    tracing = 0;
}

void watch_start(struct hans *hans, enum mode mode, uint32_t options, uint32_t window)
{
    tracing = armed && mode == MODE_HOST;
    counting = (options & OPTION_COSTS) != 0;
    if (tracing) {
        traced = (struct message_traced){
            .call = wanted.call, .offset = wanted.offset, .stage = wanted.stage, .window = window};
        dump_size = 0;
        calls = 0;
    }
    memset(ticks, 0, sizeof ticks);
    hans_set_tap(hans, tracing || counting ? tap : NULL, NULL);
}

void watch_enter(void)
{
    if (counting) {
        mark = port_ticks();
    }
}

void watch_leave(void)
{
    if (counting) {
        ticks[HANS_SAMPLES] += port_ticks() - mark;
    }
}

void watch_window(struct hans *hans, struct message_costs *costs)
{
    costs->samples = ticks[HANS_SAMPLES];
    costs->spectrum = ticks[HANS_SPECTRUM];
    costs->bands = ticks[HANS_BANDS];
    costs->features = ticks[HANS_FEATURES];
    costs->score = ticks[HANS_SCORE] + ticks[HANS_VERDICT] + ticks[HANS_ALARM];
    memset(ticks, 0, sizeof ticks);
    if (tracing) {
        traced.done = 1;
        tracing = armed = 0;
        hans_set_tap(hans, counting ? tap : NULL, NULL);
    }
}

const struct message_traced *watch_traced(void)
{
    return &traced;
}

const uint8_t *watch_dump(uint16_t *size)
{
    *size = dump_size;
    return dump;
}
