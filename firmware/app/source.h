/*
 * Where samples come from when no host gives them. A sensor's driver implements this header; so does the stored waveform.
 * One LSB must mean what it meant in the recordings that the detector learnt from (their `unit` and `scale`): a sensor set
 * to half the range moves every level and band by two octaves.
 */
#ifndef SOURCE_H_
#define SOURCE_H_

#include <stddef.h>
#include <stdint.h>

/* Begin to sample `channels` channels at `rate_mhz` sample frames per second, in 1/1000 Hz. */
void source_start(uint32_t rate_mhz, uint8_t channels);

/* The block that is due: its sample frames (0 = none yet), and where they lie until the next call. Never waits. */
size_t source_read(const int16_t **samples);

void source_stop(void);

#endif
