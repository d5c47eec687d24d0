"""Contamination: warnings about a baseline that a fault may have been in, for a person who can go and listen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from cyberhans.baseline import Baseline
from cyberhans.recording import Recording
from cyberhans.spec import Spec
from cyberhans.suspects import Mask, Numbers, Suspects, suspects

SAME_SPEED = 0.03  # stated speeds that differ by less are one
MOST_NAMED = 3


def contamination(baseline: Baseline) -> list[str]:
    """Warnings about a baseline, one line each: what does not fit the rest, how much, and what a person should do."""
    recordings, counts = baseline.recordings, baseline.counts
    bands = np.array([name.endswith(".mean") for name in baseline.spec.feature_names])
    found = suspects(baseline.features, np.repeat(np.arange(len(recordings)), counts), bands)
    told = []
    for group in found:
        parts = np.split(group.windows, np.cumsum(counts)[:-1])
        known = _same_speed(recordings, [bool(part.any()) for part in parts])
        if not group.whole or known or (known is None and not group.state):
            told.append(_line(group, baseline, parts))
    return told


def _same_speed(recordings: Sequence[Recording], strange: list[bool]) -> bool | None:
    """Whether a strange recording was made at a speed at which others were too, as they say; None: they do not say."""
    speeds = [recording.speed_rpm for recording in recordings]
    others = [speed for speed, apart in zip(speeds, strange, strict=True) if speed and not apart]
    own = [speed for speed, apart in zip(speeds, strange, strict=True) if speed and apart]
    if len(others) + len(own) < len(speeds) or not others:
        return None
    return any(abs(speed / other - 1) <= SAME_SPEED for speed in own for other in others)


def _line(group: Suspects, baseline: Baseline, parts: list[Mask]) -> str:
    named = [
        recording.name if group.whole else f"{recording.name} {_stretches(recording, np.flatnonzero(kept)[part], spec)}"
        for spec in [baseline.spec]
        for recording, kept, part in zip(baseline.recordings, baseline.at_work, parts, strict=True) if part.any()
    ]  # fmt: skip
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    rest = "the other recordings" if group.whole else "the rest of the same recordings"
    return (f"{', '.join(named[:MOST_NAMED])}{more}: {group.share:.0%} of all windows sound unlike {rest}"
            f" ({math.sqrt(2**group.gap):.1f} times as far off as any of it): a fault while learning is taken for"
            " normal: listen to the machine, or leave them out")  # fmt: skip


def _stretches(recording: Recording, strange: Numbers, spec: Spec) -> str:
    """ "windows 40-70 (0:12:03-0:12:34)" of the numbers of windows: by the clock where it says when it began."""
    starts, told = recording.starts(spec), []
    for run in np.split(strange, np.flatnonzero(np.diff(strange) > 1) + 1):
        times = (recording.clock_s(starts[run[0]]), recording.clock_s(starts[run[-1]]) + spec.window / spec.rate_hz)
        told.append(f"{run[0]}-{run[-1]} ({'-'.join(_time(recording, seconds) for seconds in times)})")
    return f"windows {', '.join(told)}"


def _time(recording: Recording, seconds: float) -> str:
    if not recording.start_utc:
        return str(timedelta(seconds=round(seconds)))
    return f"{datetime.fromisoformat(recording.start_utc) + timedelta(seconds=seconds):%H:%M:%S}"
