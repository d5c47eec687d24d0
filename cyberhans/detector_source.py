"""The text of a detector folder's detector.c and detector.h: the slot, and what an application must know."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

from cyberhans.alarm import ARRAYS
from cyberhans.tables import c_array, spec_symbol, version_check

if TYPE_CHECKING:
    from cyberhans.alarm import Alarm
    from cyberhans.detector import Detector

VERSION_CHECK = version_check("this detector was generated for another version of the core: train it again") + "\n"

_HEADER = Template("""\
/* A Cyber-Hans detector ($kind). Generated. */
#ifndef HANS_DETECTOR_H_
#define HANS_DETECTOR_H_

#include "hans.h"

$check
#define HANS_DETECTOR_WORDS HANS_WORK_WORDS($channels, $longest, $channel_bands, $features, $families)
#define HANS_DETECTOR_MEMORY_WORDS $memory /* 8-byte words of what hans_save gives */

extern const struct hans_spec $spec;
#define HANS_DETECTOR_SPEC $spec

extern const struct hans_model ${prefix}_model;
#define HANS_DETECTOR_MODEL ${prefix}_model

#endif
""")

_ALARM = Template("""
$arrays

static const struct hans_alarm alarm = {
    .of = $of, .raise = $raise_at, .clear = $clear_at, .fast = $fast, .slow = $slow,
    .change = ${change}u, .rise = ${rise}u, .idle = $idle, .full_scale = ${full_scale}u, .reach = ${reach}u,
    .clipped = ${clipped}UL, .moved = ${moved}UL, .gravity = {$gravity},
    .centre = centre, .limit = limit,
};
""")

_SOURCE = Template("""\
#include "hans.h"

$check
int32_t ${prefix}_entry(const int16_t *features, uint32_t *parts);
extern const struct hans_model ${prefix}_model;
$alarm
/* The slot of a Cyber-Hans detector ($kind). Generated. */
const struct hans_model ${prefix}_model = {
    HANS_MODEL_MAGIC,
    HANS_INTERFACE,
    $interface_kind,
    0, /* linked with the application */
    0,
    {$model_digest},
    {$spec_digest},
    {$detector_digest},
    $features,
    $parts,
    $ram,
    $threshold, /* $octaves octaves */
    $flags,
    ${prefix}_entry,
    $alarm_address, /* alarm settings */
};
""")


def header(detector: Detector) -> str:
    """detector.h: the work memory, the Spec and the model, under names that do not change."""
    spec = detector.spec
    return _HEADER.substitute(
        kind=detector.kind, check=VERSION_CHECK, prefix=detector.model.prefix, spec=spec_symbol(spec),
        channels=spec.channels, longest=spec.longest, channel_bands=spec.channel_bands, features=spec.features,
        families=int(spec.families), memory=f"HANS_MEMORY_WORDS({spec.features})" if detector.alarm else "1",
    )  # fmt: skip


def source(detector: Detector) -> str:
    """detector.c: the struct hans_model."""
    model = detector.model
    return _SOURCE.substitute(
        kind=detector.kind, check=VERSION_CHECK, prefix=model.prefix, parts=model.parts, ram=model.ram,
        interface_kind=model.interface_kind, features=detector.spec.features,
        model_digest=_bytes(model.digest), spec_digest=_bytes(detector.spec.digest),
        detector_digest=_bytes(detector.digest), threshold=_int32(detector.threshold),
        octaves=f"{detector.threshold / 65536:.4f}", flags="HANS_UNCALIBRATED" if detector.uncalibrated else "0",
        alarm=_alarm(detector.alarm) if detector.alarm else "",
        alarm_address="&alarm" if detector.alarm else "0",
    )  # fmt: skip


def _alarm(alarm: Alarm) -> str:
    """Its settings, all static."""
    named = alarm.to_dict() | {"idle": _int16(alarm.idle), "gravity": ", ".join(map(_int16, alarm.gravity))}
    arrays = [line for name in ARRAYS for line in c_array("int16_t", name, map(_int16, getattr(alarm, name).tolist()))]
    return _ALARM.substitute(named, arrays="\n".join(arrays[1:]))


def _int16(value: int) -> str:
    """As a C constant that is an int even where int has 16 bits."""
    return str(value) if value > -(2**15) else "INT16_MIN"


def _bytes(digest: bytes) -> str:
    return ", ".join(f"0x{byte:02x}" for byte in digest)


def _int32(value: int) -> str:
    """As a C constant of a type that holds it even where int has 16 bits."""
    return f"{value}L" if value > -(2**31) else f"({value + 1}L - 1)"
