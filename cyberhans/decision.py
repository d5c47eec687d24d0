"""Decision: the verdict on about ten seconds of a machine, by a vote of its windows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cyberhans.recording import Recording
from cyberhans.spec import Spec

SECONDS = 10.0
LEAST_VOTES = 3  # of one or two windows a single false alarm would be half
SPARSE_VOTES = 7  # where windows are so rare that ten seconds hold fewer than LEAST_VOTES
MOST_VOTES = 32  # a device keeps them in one word

Integers = npt.NDArray[np.int32]


def interval_s(recording: Recording, spec: Spec) -> float:
    """Seconds on the clock from window to window, hop by hop, of a recording.

    The clock runs on between the segments of a concatenation (segment_period_s); where it is not stated they are
    taken to follow one another.
    """
    if recording.segment_len == recording.frames:
        return spec.hop / spec.rate_hz
    segment_s = max(recording.segment_len / recording.rate_hz, recording.segment_period_s)
    in_segment = 1 + (recording.segment_len - spec.window) // spec.hop
    return segment_s / max(in_segment, 1)


def votes(recording: Recording, spec: Spec) -> int:
    """How many windows of this recording one decision takes."""
    return votes_every(interval_s(recording, spec))


def votes_every(seconds: float) -> int:
    """How many windows, so many seconds apart, one decision takes: as many as ten seconds hold, at most 32.

    Fewer than three in ten seconds, such as short looks now and then, make no vote: seven are taken then, however long
    they last.
    """
    count = min(int(SECONDS / seconds + 1e-9), MOST_VOTES)
    return count if count >= LEAST_VOTES else SPARSE_VOTES


def needed(count: int) -> int:
    """How many anomalies among `count` windows make an alarm: more than half."""
    return count // 2 + 1


def sliding(scores: npt.NDArray[np.integer], count: int) -> Integers:
    """(n,) scores of a recording's windows to (n - count + 1,) scores of its decisions, one from each window on.

    The score of a decision is the needed()-th largest of its windows', so that score > threshold says exactly that
    enough of them are anomalies. A recording of fewer windows than `count` makes one decision of all.
    """
    count = min(count, len(scores))
    stretches = np.lib.stride_tricks.sliding_window_view(scores, count)
    ordered: Integers = np.sort(stretches, axis=1)[:, -needed(count)]
    return ordered


def disjoint(verdicts: npt.NDArray[np.bool_], count: int) -> int:
    """How many of a recording's sliding() decisions of `count` windows are true and share no window: the most there
    can be."""
    found, free = 0, 0
    for place in np.flatnonzero(verdicts):
        if place >= free:
            found, free = found + 1, int(place) + count
    return found
