"""Track: how a recording goes on: steps of the mean, and stretches in which a channel stands still."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cyberhans.quality.codes import rails, step
from cyberhans.quality.figures import LEAST_TRACK, SWING, Figures, Floats
from cyberhans.reason import Reason
from cyberhans.recording import Recording

STEP_SCATTER = 7.0  # a step exceeds the usual change of the mean so many times,
STEP_LEVEL, STEP_LSB = 0.25, 4  # this share of the level, and so many of the channel's steps
BESIDE = 4  # points of the track on each side of a step, at most
ALIVE = 8  # steps by which a channel usually swings within SWING samples, if it is to be missed when it stands still
STILL_REFUSE = 0.2  # share of the recording


def course(recording: Recording, seen: Figures) -> list[Reason]:
    """Steps of the mean of each channel that lives, and where channels stand still."""
    alive = [c for c in range(recording.channels) if seen.rms[c] > 0]
    return [reason for c in alive for reason in _step(recording, seen, c)] + _still(recording, seen, alive)


def _step(recording: Recording, seen: Figures, c: int) -> list[Reason]:
    """The largest change of the mean from one moment to the next, against the usual ones."""
    change, beside = _changes(seen.track[:, c])
    if not len(change):
        return []
    usual = 1.4826 * np.median(np.abs(change - np.median(change)))
    place = int(np.argmax(np.abs(change)))
    height = float(change[place])
    if abs(height) <= max(STEP_SCATTER * usual, STEP_LEVEL * seen.rms[c], STEP_LSB * step(seen, c)):
        return []
    at = (place + beside) * seen.track_s
    return [Reason(f"channel {recording.axes[c]}: DC steps by {height * recording.scale:.3g} {recording.unit} at"
                   f" {at:.1f} s: fasten sensor and cable, then record again")]  # fmt: skip


def _changes(track: Floats) -> tuple[Floats, int]:
    """From the mean of some points to that of as many that follow, at each place; how many points that are."""
    beside = max(1, min(BESIDE, len(track) // 12))
    if len(track) < LEAST_TRACK:
        return np.zeros(0), beside
    sums = np.concatenate([[0.0], np.cumsum(track)])
    means = (sums[beside:] - sums[:-beside]) / beside
    return means[beside:] - means[:-beside], beside


def _still(recording: Recording, seen: Figures, alive: list[int]) -> list[Reason]:
    """Runs of one code in channels that else swing; those of several at the same time are one reason."""
    found: dict[tuple[int, int], list[int]] = {}
    for c in alive:
        if len(places := _still_places(recording, seen, c)):
            found.setdefault((int(places[0]), len(places)), []).append(c)
    reasons = []
    for (first, count), channels in found.items():
        at, lasting = first * SWING / recording.rate_hz, count * SWING / recording.rate_hz
        text = f"channel {', '.join(recording.axes[c] for c in channels)} stands still for {lasting:.3g} s"
        mend = "samples were lost and filled up; check line and logger"
        fatal = count > STILL_REFUSE * len(seen.swing)
        reasons.append(Reason(f"{text}, first at {at:.2f} s: {mend}", fatal=fatal))
    return reasons


def _still_places(recording: Recording, seen: Figures, c: int) -> NDArray[np.intp]:
    """Which pieces of SWING samples do not move at all; those at the channel's rails are clipping."""
    swing = seen.swing[:, c]
    if not len(swing) or np.median(swing) < ALIVE * step(seen, c):
        return np.zeros(0, np.intp)
    still = np.flatnonzero(swing == 0)
    ends = [at for piled, at in rails(seen, c) if piled]
    return still[~np.isin(recording.samples[still * SWING, c], ends)]
