"""Material: which recordings a search learns from, which it measures on, and what is taught in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cyberhans.baseline import Baseline
from cyberhans.core import Core
from cyberhans.dataset import Protocol
from cyberhans.errors import CyberHansError
from cyberhans.idle import running
from cyberhans.recording import RATE_TOLERANCE, Recording, refuse_bad

LEFT_OUT = 3  # one in so many recordings


@dataclass(frozen=True)
class Material:
    """learn: what every point learns. normal, anomaly: what it is measured on, none of it learnt; `anomaly` may be
    empty. every: what the recommended detector learns in the end. left_out: in words, what was left out; "" where a
    protocol says it."""

    learn: tuple[Recording, ...]
    normal: tuple[Recording, ...]
    anomaly: tuple[Recording, ...]
    every: tuple[Recording, ...]
    left_out: str

    @property
    def unlabelled(self) -> list[str]:
        """Names of those that are taken as normal without a label."""
        return [recording.name for recording in self.every if recording.label == "unknown"]

    @property
    def measured(self) -> tuple[Recording, ...]:
        return self.normal + self.anomaly


def of_protocol(protocol: Protocol) -> Material:
    """Train and test as the protocol has it."""
    return _checked(Material(protocol.train, protocol.test_normal, protocol.test_anomaly, protocol.train, ""))


def of_recordings(recordings: Sequence[Recording]) -> Material:
    """The last third of the normal files is left out, of a single file its last third of time; anomalies only measure.

    Those without a label are taken as normal.
    """
    normal = tuple(recording for recording in recordings if recording.label != "anomaly")
    anomaly = tuple(recording for recording in recordings if recording.label == "anomaly")
    if not normal:
        raise CyberHansError("no normal recordings to learn from: give at least one that is not labelled anomaly")
    files = list(dict.fromkeys(recording.sha256 or recording.name for recording in normal))
    if len(files) == 1:
        return _checked(Material(*_in_time(normal), anomaly, normal, "the last third of the only recording"))
    last = set(files[-max(1, len(files) // LEFT_OUT) :])
    learn, rest = (tuple(r for r in normal if ((r.sha256 or r.name) in last) == out) for out in (False, True))
    names = ", ".join(dict.fromkeys(recording.name for recording in rest))
    return _checked(Material(learn, rest, anomaly, normal, names))


def _in_time(normal: tuple[Recording, ...]) -> tuple[tuple[Recording, ...], tuple[Recording, ...]]:
    borders = [recording.duration_s * (LEFT_OUT - 1) / LEFT_OUT for recording in normal]
    pairs = list(zip(normal, borders, strict=True))
    learn = tuple(recording.part(0.0, border) for recording, border in pairs)
    return learn, tuple(recording.part(border, recording.duration_s) for recording, border in pairs)


def _checked(material: Material) -> Material:
    """Refuse what cannot be taken together, before any work is done."""
    first = material.learn[0]
    for recording in material.learn + material.measured:
        if recording.channels != first.channels:
            raise CyberHansError(f"{recording.name} has {recording.channels} channels, {first.name} has"
                                 f" {first.channels}: search on recordings of one sensor")  # fmt: skip
        if abs(recording.rate_hz / first.rate_hz - 1) > RATE_TOLERANCE:
            raise CyberHansError(f"{recording.name} has {recording.rate_hz:g} Hz, {first.name} has"
                                 f" {first.rate_hz:g} Hz: search on recordings of one rate")  # fmt: skip
        if (recording.unit, recording.scale) != (first.unit, first.scale):
            raise CyberHansError(f"{recording.name} has {recording.scale:g} {recording.unit} per LSB, {first.name} has"
                                 f" {first.scale:g} {first.unit}: search on one sensor at one range")  # fmt: skip
    for recording in material.measured:
        refuse_bad(recording)
    return material


def spans(recording: Recording, length: int) -> NDArray[np.int16]:
    """int16 (k, length, channels), one behind the other inside each stretch without a gap; k may be 0."""
    starts = [start for begin, end in recording.stretches for start in range(begin, end - length + 1, length)]
    cut = [recording.samples[start : start + length] for start in starts]
    return np.stack(cut) if cut else np.zeros((0, length, recording.channels), np.int16)


class Gate:
    """Leaves out the spans in which the machine is off, by the level that the baseline tells (idle.py)."""

    def __init__(self, baseline: Baseline) -> None:
        self.idle, self.core = baseline.idle, Core(baseline.spec)

    def at_work(self, recording: Recording, length: int) -> NDArray[np.int16]:
        """spans() in all of whose windows, one behind the other, the machine runs; length: a window or more."""
        cut, spec = spans(recording, length), self.core.spec
        kept = np.ones(len(cut), np.bool_)
        for start in range(0, length - spec.window + 1, spec.window):
            windows = np.ascontiguousarray(cut[:, start : start + spec.window])
            kept &= running(spec, self.core.features(windows), self.idle)
        return cut[kept]
