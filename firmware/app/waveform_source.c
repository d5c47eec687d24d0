/*
 * The stored waveform as a sample source: played in a loop, at the rate that is asked for. It cannot overrun: a block
 * that is read late is delayed, not lost, so that what a board says on its own can be foretold.
 */
#include "source.h"

#include "port.h"

#define BLOCK 64 /* sample frames */

extern const int16_t hans_waveform[];
extern const uint32_t hans_waveform_frames;

static uint32_t rate;      /* 1/1000 Hz */
static uint32_t due;       /* tick at which the next block is complete */
static uint64_t remainder; /* of `due`, in ticks / rate */
static uint32_t next;      /* sample frame of the waveform */
static uint8_t width;      /* channels */
static uint8_t running;

static uint32_t block_frames(void)
{
    uint32_t left = hans_waveform_frames - next;
    return left < BLOCK ? left : BLOCK;
}

/* Ticks until the next block is complete, without any drift. */
static uint32_t block_ticks(void)
{
    uint64_t exact = remainder + (uint64_t)block_frames() * 1000 * port_tick_hz;
    uint32_t whole = (uint32_t)(exact / rate);
    remainder = exact - (uint64_t)whole * rate;
    return whole;
}

void source_start(uint32_t rate_mhz, uint8_t channels)
{
    rate = rate_mhz;
    width = channels;
    remainder = 0;
    next = 0;
    due = port_ticks() + block_ticks();
    running = 1;
}

size_t source_read(const int16_t **samples)
{
    uint32_t now = port_ticks();
    uint32_t count = block_frames();

    if (!running || (int32_t)(now - due) < 0) {
        return 0;
    }
    *samples = hans_waveform + (size_t)next * width;
    next = (next + count) % hans_waveform_frames;
    due += block_ticks();
    if ((int32_t)(now - due) >= 0) {
        due = now; /* a whole block late: go on from here */
    }
    return count;
}

void source_stop(void)
{
    running = 0;
}
