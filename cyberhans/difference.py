"""Difference: the first value in which a device and its host disagree: found by bisection over a window's stages, or
seen in what the device has told."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyberhans.core import Core, Stage
from cyberhans.device import Device
from cyberhans.errors import CyberHansError
from cyberhans.judgement import Judgement
from cyberhans.messages import DUMP_BYTES, Trace
from cyberhans.watch import Watched

ALARM_VALUES = ("state", "votes", "reasons", "change", "rise")
OCTAVE = {"bands": 256, "features": 256, "score": 65536, "alarm": 256}  # units of values that are logarithms
ALARM_ITEM = struct.Struct("<BBBxhh")
VALUES: dict[Stage, np.dtype[Any]] = {
    Stage.SAMPLES: np.dtype("<i2"),
    Stage.SPECTRUM: np.dtype("<u8"),
    Stage.BANDS: np.dtype("<i2"),
    Stage.FEATURES: np.dtype("<i2"),
    Stage.SCORE: np.dtype("<i4"),
    Stage.VERDICT: np.dtype("u1"),
    Stage.ALARM: np.dtype("u1"),  # of an item that is not ALARM_ITEM
}


@dataclass(frozen=True)
class Difference:
    """Where: window, stage, item of the stage and value in the item (SPEC.md section 9), all from 0. None: that side
    has no such value."""

    window: int
    stage: str
    item: int
    index: int
    device: int | None
    host: int | None
    what: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the fields, both values as hexadecimal digits of their bits and in dB, and the difference in dB."""
        mean = self.stage == "verdict" and self.index > 0  # int16, after the anomaly
        width = 16 if mean or self._moves else VALUES[Stage[self.stage.upper()]].itemsize * 8
        sides = (("device", self.device), ("host", self.host))
        bits = {f"{side}_hex": _hex(value, width) for side, value in sides}
        levels = {f"{side}_db": self.decibels_of(value) for side, value in sides}
        return asdict(self) | bits | levels | {"db": self.decibels}

    @property
    def _moves(self) -> bool:
        """Whether it is one of the two levels of the stage alarm."""
        return self.stage == "alarm" and self.what in ("change", "rise")

    @property
    def _level(self) -> bool:
        """Whether decibels say anything: of a level, a power or an amplitude."""
        return self._moves if self.stage == "alarm" else self.stage != "verdict"

    def decibels_of(self, value: int | None) -> float | None:
        """One side's value: 0 dB is 1 LSB, or 1 of a power, or the logarithm 0; None where it is none of these, or
        nothing at all."""
        if value is None or not self._level:
            return None
        if octave := OCTAVE.get(self.stage):  # a logarithm already
            return value / octave * 10 * math.log10(2)
        return (20 if self.stage == "samples" else 10) * math.log10(abs(value)) if value else None

    @property
    def decibels(self) -> float | None:
        """By how much the device is louder; None where either side has no level, or their signs differ."""
        device, host = self.decibels_of(self.device), self.decibels_of(self.host)
        if device is None or host is None or self.device is None or self.host is None:
            return None
        if self.stage not in OCTAVE and self.device * self.host < 0:
            return None
        return device - host


def _hex(value: int | None, width: int) -> str | None:
    return None if value is None else f"0x{value % (1 << width):0{width // 4}x}"


def find_difference(device: Device, core: Core, window: NDArray[np.int16], number: int) -> Difference | None:
    """Let the device do int16 `window` (n, channels) again, and find the first stage, item and value that differ.

    Costs one pass where all agree, else about log2 of the stage's bytes / DUMP_BYTES passes more. None if all agree.
    """
    host = core.trace(window)
    traced = device.trace(window, Trace(0, 0, 0, 0))
    for stage in Stage:
        if getattr(traced, stage.name.lower()) != zlib.crc32(b"".join(host[stage])):
            return _narrow(device, core, window, number, stage, host[stage])
    return None


def _narrow(
    device: Device, core: Core, window: NDArray[np.int16], number: int, stage: Stage, items: list[bytes]
) -> Difference:
    places = [(item, offset) for item, data in enumerate(items) for offset in range(0, len(data), DUMP_BYTES)]
    before = [0]
    for item, offset in places:
        before.append(zlib.crc32(items[item][offset : offset + DUMP_BYTES], before[-1]))
    good, bad = 0, len(places)
    while bad - good > 1:
        middle = (good + bad) // 2
        item, offset = places[middle]
        if device.trace(window, Trace(item, offset, stage, 0)).before == before[middle]:
            good = middle
        else:
            bad = middle
    item, offset = places[good]
    dump = device.trace(window, Trace(item, offset, stage, 0)).tail
    return _first_value(core, number, stage, item, offset, dump, items[item][offset : offset + DUMP_BYTES])


def _first_value(
    core: Core, number: int, stage: Stage, item: int, offset: int, device: bytes, host: bytes
) -> Difference:
    ours, theirs = _values(stage, host), _values(stage, device)
    shared = min(len(ours), len(theirs))
    at = next((place for place in range(shared) if ours[place] != theirs[place]), shared)
    index = at + offset // VALUES[stage].itemsize
    value = [side[at] if at < len(side) else None for side in (theirs, ours)]
    return Difference(number, stage.name.lower(), item, index, value[0], value[1], _words(core, stage, item, index))


def _values(stage: Stage, item: bytes) -> list[int]:
    """Of as many bytes as make whole ones."""
    if stage is Stage.ALARM and len(item) == ALARM_ITEM.size:
        return list(ALARM_ITEM.unpack(item))
    kind = VALUES[stage]
    found: list[int] = np.frombuffer(item[: len(item) // kind.itemsize * kind.itemsize], kind).tolist()
    return found


def _words(core: Core, stage: Stage, item: int, index: int) -> str:
    if stage is Stage.ALARM and index < len(ALARM_VALUES):
        return ALARM_VALUES[index]
    if stage in (Stage.SCORE, Stage.VERDICT, Stage.ALARM):
        return stage.name.lower()
    if stage is Stage.FEATURES:
        names = core.spec.feature_names
        return f"feature {names[index]}" if index < len(names) else f"feature {index}"
    value = {Stage.SAMPLES: "sample", Stage.SPECTRUM: "bin", Stage.BANDS: "band"}[stage]
    return f"{value} {index} of frame {item}"


def seen_difference(
    told: Judgement, expected: Watched, at: int, number: int, names: Sequence[str]
) -> Difference | None:
    """The first value that a device told of window `number` and that is not what the host foretells at place `at`.

    names: of the features, told or not. None if all that was told agrees. Raises CyberHansError where it told too many
    features or means, or too few.
    """
    values = _told(told, expected, at, names)
    found = next((value for value in values if value[2] != value[3]), None)
    return Difference(number, found[0], 0, *found[1:]) if found else None


def differing_bits(told: Judgement, expected: Watched, at: int) -> dict[str, int]:
    """How many, of the stages that a judgement tells: features, score, verdict (with the means), alarm. Raises as
    seen_difference() does."""
    bits = {"features": 0, "score": 0, "verdict": 0, "alarm": 0}
    for stage, _, device, host, _ in _told(told, expected, at, [""] * expected.features.shape[1]):
        bits[stage] += ((device ^ host) & 0xFFFFFFFF if stage == "score" else (device ^ host) & 0xFFFF).bit_count()
    return bits


def _told(told: Judgement, expected: Watched, at: int, names: Sequence[str]) -> list[tuple[str, int, int, int, str]]:
    """(stage, index, device, host, what) of each value, in the order of SPEC.md section 9."""
    features = _pairs(told, told.features, expected.features[at], "features") if told.features is not None else []
    means = _pairs(told, told.mean, expected.mean[at], "means")
    return [
        *(("features", i, *pair, f"feature {names[i]}") for i, pair in enumerate(features)),
        ("score", 0, told.score, int(expected.score[at]), "score"),
        ("verdict", 0, told.anomaly, int(expected.verdict[at]), "verdict"),
        *(("verdict", i + 1, *pair, f"mean of channel {i}") for i, pair in enumerate(means)),
        *(("alarm", i, getattr(told, name), int(getattr(expected, name)[at]), name)
          for i, name in enumerate(ALARM_VALUES)),
    ]  # fmt: skip


def _pairs(told: Judgement, device: NDArray[np.int16], host: NDArray[np.int16], what: str) -> list[tuple[int, int]]:
    if device.shape != host.shape:
        raise CyberHansError(f"window {told.window}: the device sent a wrong number of {what}; "
                             "build and flash it again")  # fmt: skip
    return list(zip(device.tolist(), host.tolist(), strict=True))
