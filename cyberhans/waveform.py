"""The stored waveform that a board without a sensor plays: its samples, and what they mean, as C."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

LEAST_MHZ, MOST_MHZ = 1_000, 100_000_000  # a waveform can be played at any rate; SPEC.md section 2 ends there
TEXT = 16  # bytes of a text in a message

_SOURCE = """\
#include "source.h"

extern const struct source_sensor hans_waveform_sensor;
extern const int16_t hans_waveform[];
extern const uint32_t hans_waveform_frames;

static const char hans_waveform_name[] = "{name}";
static const char hans_waveform_unit[] = "{unit}";

const struct source_sensor hans_waveform_sensor = {{
    .name = hans_waveform_name,
    .unit = hans_waveform_unit,
    .rate_mhz = {rate_mhz},
    .least_mhz = {least},
    .most_mhz = {most},
    .scale_numerator = {numerator},
    .scale_denominator = {denominator},
    .full_scale = {full_scale},
    .channels = {channels},
}};

const int16_t hans_waveform[] = {{
    {rows}}};
const uint32_t hans_waveform_frames = {frames};
"""


@dataclass(frozen=True)
class Meaning:
    """Of a waveform's samples: value in `unit` = sample * scale; full_scale in LSB; name of the sensor."""

    name: str = "waveform"
    unit: str = "full-scale"
    scale: float = 1 / 32768
    full_scale: int = 32767


def waveform_source(samples: NDArray[np.int16], rate_mhz: int, meaning: Meaning) -> str:
    """C of int16 samples (n, channels), which firmware/boards/bare/waveform_source.c plays."""
    values = [str(value) for value in samples.ravel()]
    scale = ratio(meaning.scale)
    return _SOURCE.format(
        name=_text(meaning.name), unit=_text(meaning.unit), rate_mhz=rate_mhz, least=LEAST_MHZ, most=MOST_MHZ,
        numerator=scale.numerator, denominator=scale.denominator, full_scale=meaning.full_scale,
        rows=",\n    ".join(", ".join(values[i : i + 16]) for i in range(0, len(values), 16)),
        channels=samples.shape[1], frames=len(samples),
    )  # fmt: skip


def ratio(scale: float) -> Fraction:
    """Of two numbers within 32 bits, the nearest to `scale`: the same float64 where any is."""
    bound = 2**32 - 1
    return Fraction(scale).limit_denominator(bound if scale <= 1 else max(1, int(bound / scale)))


def _text(text: str) -> str:
    """As a C string of at most TEXT printable ASCII characters."""
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\?' else "_" for letter in text)
    return plain[:TEXT]
