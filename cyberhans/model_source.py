"""The C around a converted model: what stands above it, how integers come in and how parts or a score go out.

Every model gives `P_entry`, the slot of struct hans_model; one with floats `P_values` too, these before any rounding.
"""

from __future__ import annotations

import textwrap
from string import Template

HEAD = Template("""\
#include "hans.h"

/*
 * The model of one Cyber-Hans detector: $title. Generated; train again instead of changing it.
$about
 */
$includes
$check
$floats
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-variable"
#endif

""")

ABOUT_INTEGERS = " * All of its arithmetic is on integers (SPEC.md section 7)."
ABOUT_FLOATS = Template("""\
 * Its arithmetic is IEEE 754 binary32: compile with -ffp-contract=off and without -ffast-math.
 *
 * Contains code and constants made by emlearn $version (https://github.com/emlearn/emlearn) under this licence:
 *
$licence""")
INCLUDES = """\
#include <float.h>
#include <stdbool.h>
"""
FLOATS = """\
#if defined(__FAST_MATH__)
#error "model.c: -ffast-math changes scores; leave it out"
#endif
#if FLT_EVAL_METHOD != 0
#error "model.c: floats must be computed as floats; on 32-bit x86 add -msse2 -mfpmath=sse"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif"""

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
static float P_square[$heads];

/* The mean squared residual of each head, in deviations. Input and output share buffer 2: emlearn does not touch it
 * before the first layer is done. */
static const float *P_values(const int16_t *features)
{
    P_whiten(features);
    for (int32_t i = 0; i < $inputs; i++) {
        P_net_buf2[i] = (float)P_white[i] * $unit;
    }
    P_eml_net_infer(&P_net, P_net_buf2, $inputs);
    const float *repeated = P_net_buf2;
    const int16_t *white = P_white;
    for (int32_t head = 0; head < $heads; head++) {
        float sum = 0.0f;
        for (const float *end = repeated + P_size[head]; repeated < end; repeated++, white++) {
            const float residual = *repeated - (float)*white * $unit;
            sum += residual * residual;
        }
        P_square[head] = sum / (float)P_size[head];
    }
    return P_square;
}
""")

APART = """
/* All trees in one function would be too far across for the short jumps of a Cortex-M0. */
#if defined(__GNUC__)
#define P_APART __attribute__((noinline))
#else
#define P_APART
#endif

"""
TREES = Template("""
static float P_square[$heads];

/* The square of what a guess leaves of a whitened feature, in deviations. */
static P_APART float P_left(int32_t place, float guess)
{
    const float residual = ((float)P_white[place] - guess) * $unit;
    return residual * residual;
}

$sums
/* Each head's mean square of what its trees leave. */
static const float *P_values(const int16_t *features)
{
    P_whiten(features);
$calls
    return P_square;
}
""")

FOREST = Template("""
static float P_path;

/* The mean path length over the trees, which cut whitened features. */
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
LOADABLE_CALL = "P_eml_trees_regress(&P_net, P_white, $inputs, &P_path, 1);"
INLINE_CALL = "P_path = P_net_predict(P_white, $inputs);"

TAIL = """
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
"""


def comment(text: str) -> str:
    """Text as lines of a C comment, 120 columns wide."""
    lines = [part for line in text.replace("*/", "* /").splitlines() for part in textwrap.wrap(line, 116) or [""]]
    return "\n".join(f" * {line}".rstrip() for line in lines)
