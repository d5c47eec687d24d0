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

/* Section 5: take x[0 .. count - 1], count > 0. */
void hans_moments_add(struct hans_moments *moments, const int16_t *x, size_t count);

/* Section 5: take the differences x[i] - x[i - 1] instead, from x[0] - x[-1] on; count may be 0. */
void hans_moments_add_steps(struct hans_moments *moments, const int16_t *x, size_t count);

/* Section 5: take x[0 .. count - 1] into their sum alone, which is all that hans_mean needs. */
void hans_moments_sum(struct hans_moments *moments, const int16_t *x, size_t count);

/* Section 5: level, crest and kurtosis of m values, in 1/256 octave. */
void hans_statistics(const struct hans_moments *moments, uint32_t m, int16_t out[3]);

/* Section 5: the mean of n samples, to the nearest integer. */
int16_t hans_mean(const struct hans_moments *moments, uint32_t n);

/* Section 6: all features of a complete window into hans->features. */
void hans_collect(struct hans *hans);

/* Section 7.2: count those of x[0 .. count - 1], just added to their channel's `level`, that are at full scale. */
void hans_count_clipped(struct hans *hans, const struct hans_moments *level, const int16_t *x, uint16_t count);

/* Section 7.3: the features as the model sees them, in place. */
void hans_adjust(struct hans *hans);

/* Sections 7.2 to 7.6: what the window of `verdict`, whose score and means are told, makes of the machine's state. */
void hans_judge(struct hans *hans, struct hans_verdict *verdict);

/* Section 7.6: one window more of a re-baselining under way. */
void hans_gather(struct hans *hans, const int16_t *mean);

/* hans_reset, of an instance that may be used. */
void hans_forget(struct hans *hans, int how);

/* Section 7.6: the mean offset of the band means, 1/65536 octave. */
int32_t hans_mean_offset(const struct hans *hans);

/* Where the baseline of feature i stands, 1/65536 octave from the trained one; |it| < 2^24. */
int32_t hans_offset(const struct hans *hans, uint16_t i);

/* Section 6: where the band means of frame length i begin among the features, with i = lengths where the statistics do;
 * and how many there are. */
uint16_t hans_first_mean(const struct hans_spec *spec, uint8_t i);
uint16_t hans_count_means(const struct hans_spec *spec, uint8_t i);

/* (sum + count // 2) // count, // rounding down: from -2^25 to 2^25 - 1. */
int32_t hans_average(int64_t sum, uint32_t count);

/* Section 6: how many features a spec of these channels, families and frames gives. */
uint32_t hans_count_features(const struct hans_spec *spec);

/* Section 2: how many frames of this length a window holds. */
uint32_t hans_count_frames(const struct hans_spec *spec, const struct hans_frame *frame);

/* Section 1.1, in 1/65536 and 1/256 octave. */
int32_t hans_log16(uint64_t v);
int16_t hans_log8(uint64_t v);

/* L16 of a number whose highest set bit is bit n; `top` is its highest 32 bits, that bit first. */
int32_t hans_log16_of_top(int16_t n, uint32_t top);

#endif
