"""Track: how a recording goes on: steps of the mean, and stretches in which a channel stands still."""

from __future__ import annotations

import numpy as np

from cyberhans.codes import step
from cyberhans.figures import LEAST_TRACK, SWING, Figures, Floats
from cyberhans.reason import Reason
from cyberhans.recording import Recording

STEP_SCATTER = 10.0  # a step exceeds the usual change of the mean so many times,
STEP_LEVEL, STEP_LSB = 0.25, 4  # this share of the level, and so many of the channel's steps
BESIDE = 4  # points of the track on each side of a step, at most
ALIVE = 8  # steps by which a channel usually swings within SWING samples, if it is to be missed when it stands still
STILL_REFUSE = 0.2  # share of the recording


def course(recording: Recording, seen: Figures) -> list[Reason]:
    """A step of the mean and standing still, of each channel that lives."""
    return [
        reason for c in range(recording.channels) if seen.rms[c] > 0
        for reason in _step(recording, seen, c) + _still(recording, seen, c)
    ]  # fmt: skip


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


def _still(recording: Recording, seen: Figures, c: int) -> list[Reason]:
    """Runs of one code in a channel that else swings; a run at its ends is clipping."""
    swing = seen.swing[:, c]
    if not len(swing) or np.median(swing) < ALIVE * step(seen, c):
        return []
    still = np.flatnonzero(swing == 0)
    codes = seen.codes(c)[0]
    value = recording.samples[still * SWING, c]
    still = still[(value != codes[0]) & (value != codes[-1])]
    if not len(still):
        return []
    at, lasting = still[0] * SWING / recording.rate_hz, len(still) * SWING / recording.rate_hz
    text = f"channel {recording.axes[c]} stands still for {lasting:.3g} s, first at {at:.2f} s"
    return [Reason(f"{text}: samples were lost and filled up; check line and logger",
                   fatal=len(still) > STILL_REFUSE * len(swing))]  # fmt: skip
