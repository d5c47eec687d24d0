"""The one rule from what a detector has learnt from to its alarm settings (SPEC.md section 7.1)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cyberhans.alarm import NEVER_IDLE, Alarm
from cyberhans.baseline import Baseline
from cyberhans.core import Core
from cyberhans.decision import needed
from cyberhans.recording import Recording
from cyberhans.spec import Family

FAST = 2  # the fast mean follows by a quarter of the way a window
SLOWEST, SOONEST = 14, 4
CHANGE = 26  # 1/256 octave: 0.1 octave, 0.3 dB
RISE = 384  # 1/256 octave above the highest rise while learning: 1.5 octaves, 4.5 dB
REACH = 512  # 1/256 octave: 2 octaves, 6 dB: a sensor put elsewhere stays within, a bearing at its end does not
LEAST_LIMIT = 38  # 1/256 octave: 0.15 octave
DEVIATIONS = 3
CLIPPED = 0.01  # of a window's samples
STEADY_DEG = 0.25  # largest angle of gravity while learning
TOUCHED_DEG = 2 * STEADY_DEG  # more says that the sensor was touched
LEAST_GRAVITY = 64  # LSB: below, one LSB is an angle

Samples = NDArray[np.int16]


def learn_alarm(baseline: Baseline, of: int) -> Alarm:
    """Settings from what was learnt from, and how many windows vote, 1 to 32.

    More than half of the votes raise an alarm, a quarter end it. Several sessions hold how the machine differs from day
    to day: then the baseline follows as slowly as can be, within 2^14 windows. Of a single session nothing is known of
    that: it follows within half as many windows as were learnt. Gravity is watched where there are 3 channels and its
    direction was steady. `rise` is left 0, never: see with_rise().
    """
    spec, features = baseline.spec, baseline.features
    means = [part.mean[kept] for part, kept in zip(baseline.results, baseline.at_work, strict=True)]
    gravity, moved = _gravity(means) if spec.channels >= 3 else ((0, 0, 0), 0)
    level = Family.LEVEL in spec.families
    return Alarm(
        of=of, raise_at=needed(of), clear_at=of // 4, fast=FAST,
        slow=_slow(baseline),
        change=CHANGE, rise=0, idle=NEVER_IDLE if baseline.idle is None else max(baseline.idle, NEVER_IDLE + 1),
        full_scale=min(recording.full_scale for recording in baseline.recordings) if level else 0,
        reach=REACH, clipped=_clipped(baseline.recordings, baseline.windows), moved=moved, gravity=gravity,
        centre=np.rint(features.mean(axis=0)).astype(np.int16),
        limit=np.clip(np.ceil(DEVIATIONS * features.std(axis=0)), LEAST_LIMIT, 32767).astype(np.int16),
    )  # fmt: skip


def _slow(baseline: Baseline) -> int:
    session_of = baseline.session_of
    if len(np.unique(session_of)) > 1:
        return SLOWEST
    return min(max((len(session_of) // 2).bit_length() - 1, SOONEST), SLOWEST)


def with_rise(alarm: Alarm, core: Core, windows: Sequence[Samples]) -> Alarm:
    """The settings with `rise`: RISE above the highest that the core tells of any training recording, each as built."""
    highest = max(max(int(core.watch().run(part).rise.max()), 0) for part in windows)
    return dataclasses.replace(alarm, rise=highest + RISE)


def _clipped(recordings: Sequence[Recording], windows: Sequence[Samples]) -> int:
    """CLIPPED of a window's samples, or three times as many as clipped in the worst that was learnt."""
    worst = max(
        int(((part >= one.full_scale) | (part <= -one.full_scale)).sum(axis=(1, 2)).max())
        for one, part in zip(recordings, windows, strict=True)
    )
    return max(int(CLIPPED * windows[0][0].size), 3 * worst)


def _gravity(means: Sequence[Samples]) -> tuple[tuple[int, int, int], int]:
    """Its mean, LSB, and sin^2 of the angle that says the sensor was moved, Q20; zeros where it was not steady."""
    common = np.rint(np.concatenate(means)[:, :3].mean(axis=0))
    if np.linalg.norm(common) < LEAST_GRAVITY:
        return (0, 0, 0), 0
    largest = max(float(_angles_deg(_smoothed(part), common).max()) for part in means if len(part))
    if largest > STEADY_DEG:
        return (0, 0, 0), 0
    sine = math.sin(math.radians(TOUCHED_DEG))
    x, y, z = (int(v) for v in common)
    return (x, y, z), math.ceil(sine * sine * 2**20)


def _smoothed(mean: Samples) -> NDArray[np.float64]:
    """As the core does it, SPEC.md section 7.4: (k, 3), LSB."""
    now = mean[:, :3].astype(np.int64) * 256
    smooth = now.copy()
    for i in range(1, len(now)):
        smooth[i] = smooth[i - 1] + ((now[i] - smooth[i - 1]) >> 2)
    return ((smooth + 128) >> 8).astype(np.float64)


def _angles_deg(vectors: NDArray[np.float64], common: NDArray[np.float64]) -> NDArray[np.float64]:
    sine = np.linalg.norm(np.cross(vectors, common), axis=1)
    angles: NDArray[np.float64] = np.degrees(np.arctan2(sine, vectors @ common))
    return angles
