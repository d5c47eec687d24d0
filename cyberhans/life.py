"""Life: a machine watched by the core from its first day to its failure: false alarms in health, and the warning."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyberhans.alarm import Cause, State
from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError
from cyberhans.recording import Recording
from cyberhans.spec import design
from cyberhans.train import train

HEALTHY = 0.2, 0.5  # of a life: an alarm in there counts as false, one after it as a warning


def life(
    recording: Recording, learn: int, *, kind: str = "gaussian", false_alarm_rate: float = 0.02, size: str = "full"
) -> dict[str, Any]:
    """Train on the first `learn` segments of a recording that ends with the machine's failure, then watch all of it.

    recording: whole, in segments. Its windows follow one another in the core as on a device, which is as built at the
    first. learn: segments, at least 2 and no more than half of the life. Gives: snapshots, learn, windows, threshold
    (octaves), uncalibrated; false_episodes: alarms that are on in HEALTHY, what was learnt apart; detected: one begins
    after that; first_alarm: where in the life, 0 to 1; lead_min: from that window to the end, None unless detected;
    episodes: of alarm, in all; states: windows in each; reasons: of the first alarm.
    """
    snapshots = recording.frames // recording.segment_len
    if snapshots < 4:
        raise CyberHansError(f"{recording.name}: has {snapshots} segments: a life is many short looks, told by"
                             " segment_len in its sidecar")  # fmt: skip
    if not 2 <= learn <= snapshots * HEALTHY[1]:
        raise CyberHansError(f"{recording.name}: learn from 2 to {int(snapshots * HEALTHY[1])} segments, not {learn}")
    detector = learnt_life(recording, learn, kind=kind, false_alarm_rate=false_alarm_rate, size=size)
    windows = recording.windows(detector.spec)
    watched = detector.core().watch().run(windows)
    alarm = watched.state == State.ALARM
    count = len(alarm)
    begin = max(round(count * HEALTHY[0]), -(-learn * count // snapshots))
    half = round(count * HEALTHY[1])
    late = np.flatnonzero(alarm[half:] & ~_shifted(alarm)[half:]) + half
    first = int(late[0]) if len(late) else None
    seconds = max(recording.segment_period_s, recording.segment_len / recording.rate_hz) * snapshots / count
    return {
        "recording": recording.name,
        "snapshots": snapshots,
        "learn": learn,
        "windows": count,
        "threshold": detector.threshold / 65536,
        "uncalibrated": detector.uncalibrated,
        "false_episodes": episodes(alarm[begin:half]),
        "episodes": episodes(alarm),
        "detected": first is not None,
        "first_alarm": None if first is None else first / count,
        "lead_min": None if first is None else (count - first) * seconds / 60,
        "reasons": [] if first is None else _names(int(watched.reasons[first])),
        "states": {state.name.lower(): int((watched.state == state).sum()) for state in State},
    }


def segments(recording: Recording, amount: str) -> int:
    """How many segments to learn from: a number, or a share such as 20%."""
    whole = recording.frames // recording.segment_len
    try:
        return int(whole * float(amount[:-1]) / 100) if amount.endswith("%") else int(amount)
    except (ValueError, OverflowError):
        raise CyberHansError(f"learn from {amount!r}: give a number of segments, or a share such as 20%") from None


def line(told: dict[str, Any]) -> str:
    """The outcome of life() for people."""
    warned = (
        f"{told['lead_min']:.1f} min before the end, at {told['first_alarm']:.1%} of its life"
        if told["detected"]
        else "NEVER"
    )
    return (
        f"{told['recording']}: learnt from {told['learn']} of {told['snapshots']}; false alarms in 20-50 % of its life"
        f" {told['false_episodes']}; alarm {warned}"
    )


def learnt_life(recording: Recording, learn: int, *, kind: str, false_alarm_rate: float, size: str) -> Detector:
    """The detector of the first `learn` segments, by the one rule of design()."""
    early = recording.part(0, learn * recording.segment_len / recording.rate_hz)
    spec = design(size, recording.rate_hz, recording.channels, recording.segment_len)
    return train([dataclasses.replace(early, label="normal")], kind=kind, spec=spec, false_alarm_rate=false_alarm_rate)


def episodes(alarm: NDArray[np.bool_]) -> int:
    """How many stretches of alarm; one that is on at the beginning counts."""
    return int((alarm & ~_shifted(alarm)).sum())


def _shifted(alarm: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What was before, nothing before the first."""
    return np.concatenate(([False], alarm[:-1]))


def _names(reasons: int) -> list[str]:
    return [cause.name.lower() for cause in Cause if cause & reasons and cause.name]
