/* The slot of an image without a detector: a device that samples for a host, and judges nothing. */
#ifndef HANS_DETECTOR_H_
#define HANS_DETECTOR_H_

#include "hans.h"

#define HANS_DETECTOR_WORDS 1
#define HANS_DETECTOR_MEMORY_WORDS 1

extern const struct hans_spec hans_blank_spec;
#define HANS_DETECTOR_SPEC hans_blank_spec

extern const struct hans_model hans_blank_model;
#define HANS_DETECTOR_MODEL hans_blank_model

#endif
