/*
 * What the files of the core share with one another; no caller includes it. SPEC.md defines every result.
 */
#ifndef HANS_CORE_H_
#define HANS_CORE_H_

#include "hans.h"

/* Section 2: HANS_OK, or HANS_E_SPEC if a bound is broken. The contents of the tables are trusted. */
int hans_check_spec(const struct hans_spec *spec);

/* HANS_OK, or HANS_E_MODEL or HANS_E_DIGEST if the model cannot score this spec's features. */
int hans_check_model(const struct hans_spec *spec, const struct hans_model *model);

/* Sections 3.1 to 3.4: x[length] of one channel gives power[length / 2] in `cells`, which the transform works in. */
void hans_spectrum(const struct hans_frame *frame, const int16_t *x, uint64_t *cells);

/* Section 4: power[length / 2] gives q[bands]. */
void hans_bands(const struct hans_frame *frame, const uint64_t *power, int16_t *q);

/* Section 5: forget everything. */
void hans_moments_clear(struct hans_moments *moments);

/* Section 5: take x[0 .. count - 1]; with `steps` the differences x[i] - x[i - 1] instead, from x[0] - x[-1] on. */
void hans_moments_add(struct hans_moments *moments, const int16_t *x, size_t count, uint8_t steps);

/* Section 5: take x[0 .. count - 1] into their sum alone, which is all that hans_mean needs. */
void hans_moments_sum(struct hans_moments *moments, const int16_t *x, size_t count);

/* Section 5: level, crest and kurtosis of m values, in 1/256 octave. */
void hans_statistics(const struct hans_moments *moments, uint32_t m, int16_t out[3]);

/* Section 5: the mean of n samples, to the nearest integer. */
int16_t hans_mean(const struct hans_moments *moments, uint32_t n);

/* Section 6: all features of a complete window into hans->features. */
void hans_collect(struct hans *hans);

/* Section 6: how many features a spec of these channels, families and frames gives. */
uint32_t hans_count_features(const struct hans_spec *spec);

/* Section 2: how many frames of this length a window holds. */
uint32_t hans_count_frames(const struct hans_spec *spec, const struct hans_frame *frame);

/* Section 1.1, in 1/65536 and 1/256 octave. */
int32_t hans_log16(uint64_t v);
int16_t hans_log8(uint64_t v);

/* L16 of a number whose highest set bit is bit n; `top` is its highest 32 bits, that bit first. */
int32_t hans_log16_of_top(int16_t n, uint32_t top);

/* How many zero bits stand above the highest set bit of v, v > 0. */
int16_t hans_leading_zeros(uint32_t v);

#endif
