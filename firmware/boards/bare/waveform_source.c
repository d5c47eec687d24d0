/*
 * The stored waveform as a sensor: played in a loop, at the rate that is asked for. Sample frame k since source_start
 * is the waveform's frame k modulo its length, always: a block that is read late is delayed, not lost, so that what a
 * board says on its own can be foretold.
 */
#include "../../app/source.h"

#include "../../app/port.h"

#define BLOCK 64         /* sample frames at most */
#define BLOCKS_PER_S 128 /* about, at low rates: so that a block's ticks fit 32 bits */
#define PICKED 32        /* samples at most, where not all channels are asked for */
#define LATE (port_tick_hz / 10) /* by more than this the source falls back, rather than catch up at once */

extern const struct source_sensor hans_waveform_sensor;
extern const int16_t hans_waveform[];
extern const uint32_t hans_waveform_frames;

static uint64_t step;  /* of a sample frame; in 2^-32 ticks, as the next: so the interrupt divides nothing */
static uint64_t begun; /* when the block under way began, modulo 2^64 */
static uint32_t next;      /* its first sample frame, of the waveform */
static uint16_t count;     /* its sample frames */
static uint16_t most;      /* sample frames of any block */
static int16_t picked[PICKED];
static uint8_t width; /* channels; 0: stopped */

static uint32_t whole(uint64_t moment)
{
    return (uint32_t)(moment >> 32);
}

static void choose_count(void)
{
    uint32_t left = hans_waveform_frames - next;
    count = (uint16_t)(left < most ? left : most);
}

static const int16_t *pick(const int16_t *all)
{
    int16_t *one = picked;

    if (width == hans_waveform_sensor.channels) {
        return all;
    }
    for (uint32_t i = 0; i < count; i++, all += hans_waveform_sensor.channels) {
        for (uint8_t channel = 0; channel < width; channel++) {
            *one++ = all[channel];
        }
    }
    return picked;
}

const struct source_sensor *source_sensor(void)
{
    return &hans_waveform_sensor;
}

void source_start(uint32_t rate_mhz, uint8_t channels)
{
    uint32_t frames = rate_mhz / 1000 / BLOCKS_PER_S + 1;
    uint32_t room = channels == hans_waveform_sensor.channels ? BLOCK : PICKED / channels;

    most = (uint16_t)(frames < room ? frames : room);
    step = source_step(rate_mhz);
    width = channels;
    next = 0;
    choose_count();
    begun = (uint64_t)port_ticks() << 32;
}

struct source_block source_read(void)
{
    struct source_block block = {0};
    const uint32_t now = port_ticks();
    const uint64_t end = begun + count * step;

    if (!width || now - whole(begun) < whole(end) - whole(begun)) {
        return block;
    }
    block.samples = pick(hans_waveform + (size_t)next * hans_waveform_sensor.channels);
    block.frames = count;
    block.ticks = whole(begun);
    next += count;
    if (next == hans_waveform_frames) {
        next = 0;
    }
    begun = now - whole(end) > LATE ? (uint64_t)now << 32 : end;
    choose_count();
    return block;
}

void source_stop(void)
{
    width = 0;
}
