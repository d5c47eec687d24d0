/*
 * Where samples come from when no host gives them: one sensor. Its driver implements this header; so do the stored
 * waveform (waveform_source.c) and, on `native`, the player of a recording. One LSB must mean what it meant in the
 * recordings that the detector learnt from (their `unit` and `scale`): a sensor set to half the range moves every level
 * and band by two octaves.
 */
#ifndef SOURCE_H_
#define SOURCE_H_

#include <stddef.h>
#include <stdint.h>

#include "port.h"

/* What the sensor can do, and what its samples mean: value in `unit` = sample * scale_numerator / scale_denominator. */
struct source_sensor {
    const char *name; /* type of the sensor; at most 16 bytes count, as of the unit */
    const char *unit;
    uint32_t rate_mhz; /* sample frames per second unless asked otherwise, in 1/1000 Hz */
    uint32_t least_mhz;
    uint32_t most_mhz;
    uint32_t scale_numerator;
    uint32_t scale_denominator;
    uint16_t full_scale; /* LSB: magnitude at which it saturates, 1 to 32767 */
    uint8_t channels;    /* CAPTURE may ask for the first few of them */
};

/* Sample frames that follow one another without a gap, interleaved channels. */
struct source_block {
    const int16_t *samples; /* live until the next call of source_read */
    uint16_t frames;        /* 0: none is due yet */
    uint32_t ticks;         /* port_ticks when the first of them was taken */
    uint32_t lost;          /* sample frames that the sensor dropped just before it */
};

/* How long a sample frame lasts, in 2^-32 ticks of port_ticks. */
static inline uint64_t source_step(uint32_t rate_mhz)
{
    const uint64_t ticks = (uint64_t)1000 * port_tick_hz;
    return (ticks / rate_mhz << 32) + (ticks % rate_mhz << 32) / rate_mhz;
}

const struct source_sensor *source_sensor(void);

/* Begin to sample the first `channels` channels at `rate_mhz` sample frames per second, in 1/1000 Hz. */
void source_start(uint32_t rate_mhz, uint8_t channels);

/* The block that is due. Never waits. Called from the tick interrupt while a capture runs, else from the application,
 * never from both. */
struct source_block source_read(void);

/* From the tick interrupt at the end of a capture, else from the application; also where nothing is sampled. */
void source_stop(void);

#endif
