"""The C around a converted model: what stands above it, how integers come in and how parts or a score go out.

Every model gives `P_values`, its float results before any rounding, and `P_entry`, the slot of struct hans_model.
"""

from __future__ import annotations

import textwrap
from string import Template

HEAD = Template("""\
#include "hans.h"

/*
 * The model of one Cyber-Hans detector: $title. Generated; train again instead of changing it.
 * Its arithmetic is IEEE 754 binary32: compile with -ffp-contract=off and without -ffast-math.
 *
 * Contains code and constants made by emlearn $version (https://github.com/emlearn/emlearn) under this licence:
 *
$licence
 */
#include <float.h>
#include <stdbool.h>

$check
#if defined(__FAST_MATH__)
#error "model.c: -ffast-math changes scores; leave it out"
#endif
#if FLT_EVAL_METHOD != 0
#error "model.c: floats must be computed as floats; on 32-bit x86 add -msse2 -mfpmath=sse"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-variable"
#endif

""")

PARTS = Template("""
/* In Q12, rounded exactly to the nearest, half up; 2^32 and more, and no number at all, become the largest. */
static uint32_t P_part(float square)
{
    const float scaled = square * 4096.0f;
    if (!(scaled < 4294967296.0f)) {
        return UINT32_MAX;
    }
    const uint32_t whole = (uint32_t)scaled;
    return whole + (scaled - (float)whole >= 0.5f);
}

int32_t P_entry(const int16_t *features, uint32_t *parts)
{
    const float *square = P_values(features);
    for (int32_t i = 0; i < $parts; i++) {
        parts[i] = P_part(square[i]);
    }
    return 0;
}
""")

AUTOENCODER = Template("""
$centre

$rest

$inverse

/* Squared residuals in units of each feature's deviation. Centring is exact, in integers; the first layer holds the
 * rest of the scaling. Input and output share buffer 2: emlearn does not touch it before the first layer is done. */
static const float *P_values(const int16_t *features)
{
    for (int32_t i = 0; i < $features; i++) {
        P_net_buf2[i] = (float)((int32_t)features[i] - P_centre[i]);
    }
    P_eml_net_infer(&P_net, P_net_buf2, $features);
    for (int32_t i = 0; i < $features; i++) {
        const float z = ((float)((int32_t)features[i] - P_centre[i]) - P_rest[i]) * P_inverse[i];
        const float residual = P_net_buf2[i] - z;
        P_net_buf2[i] = residual * residual;
    }
    return P_net_buf2;
}
""")

GAUSSIAN = Template("""
$centre

static float P_input[$features];

/* The squared Mahalanobis distance over the number of features. Centring is exact, in integers. */
static const float *P_values(const int16_t *features)
{
    for (int32_t i = 0; i < $features; i++) {
        P_input[i] = (float)((int32_t)features[i] - P_centre[i]);
    }
    P_input[0] = P_net_predict(P_input, $features) / $features.0f;
    return P_input;
}
""")

FOREST = Template("""
$centre

$weight

$shift

static float P_path;
static int16_t P_input[$features];

/* What normal windows make expect of each feature, taken from it, in integers; no sum leaves 32 bits. */
static void P_whiten(const int16_t *features)
{
    const int8_t *weight = P_weight;
    for (int32_t j = 0; j < $features; j++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < $features; i++) {
            sum += *weight++ * ((int32_t)features[i] - P_centre[i]);
        }
        sum >>= P_shift[j];
        P_input[j] = (int16_t)(sum < -32768 ? -32768 : sum > 32767 ? 32767 : sum);
    }
}

/* The mean path length over the trees. */
static const float *P_values(const int16_t *features)
{
    P_whiten(features);
    $call
    return &P_path;
}

/* -65536 * path / c, to the nearest, half up; c = $typical, the path of an unsuccessful search. */
int32_t P_entry(const int16_t *features, uint32_t *parts)
{
    const float negative = P_values(features)[0] * $factor;
    const int32_t whole = (int32_t)negative;
    (void)parts;
    return -whole - (negative - (float)whole > 0.5f);
}
""")
LOADABLE_CALL = "P_eml_trees_regress(&P_net, P_input, $features, &P_path, 1);"
INLINE_CALL = "P_path = P_net_predict(P_input, $features);"

TAIL = """
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
"""


def comment(text: str) -> str:
    """Text as lines of a C comment, 120 columns wide."""
    lines = [part for line in text.replace("*/", "* /").splitlines() for part in textwrap.wrap(line, 116) or [""]]
    return "\n".join(f" * {line}".rstrip() for line in lines)
