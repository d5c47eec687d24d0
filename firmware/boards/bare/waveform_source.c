/*
 * The stored waveform as a sensor: played in a loop, at the rate that is asked for. Sample frame k since source_start is
 * the waveform's frame k modulo its length, always: a block that is read late is delayed, not lost, so that what a board
 * says on its own can be foretold.
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

static uint32_t rate;      /* 1/1000 Hz */
static uint32_t begun;     /* tick at which the block under way began */
static uint32_t lasts;     /* ticks that it takes */
static uint64_t remainder; /* of its end, in ticks / rate / 1000 */
static uint32_t next;      /* its first sample frame, of the waveform */
static uint16_t count;     /* its sample frames */
static uint16_t most;      /* sample frames of any block */
static int16_t picked[PICKED];
static uint8_t width; /* channels; 0: stopped */

/* The next block; without any drift. */
static void begin_block(void)
{
    uint32_t left = hans_waveform_frames - next;
    uint64_t exact;

    count = (uint16_t)(left < most ? left : most);
    exact = remainder + (uint64_t)count * 1000 * port_tick_hz;
    lasts = (uint32_t)(exact / rate);
    remainder = exact - (uint64_t)lasts * rate;
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
    rate = rate_mhz;
    width = channels;
    remainder = 0;
    next = 0;
    begun = port_ticks();
    begin_block();
}

struct source_block source_read(void)
{
    struct source_block block = {0};
    uint32_t now = port_ticks();

    if (!width || now - begun < lasts) {
        return block;
    }
    block.samples = pick(hans_waveform + (size_t)next * hans_waveform_sensor.channels);
    block.frames = count;
    block.ticks = begun;
    next = (next + count) % hans_waveform_frames;
    begun += lasts;
    if (now - begun > LATE) {
        begun = now;
    }
    begin_block();
    return block;
}

void source_stop(void)
{
    width = 0;
}
