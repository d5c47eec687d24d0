"""Decision: the verdict on about ten seconds of a machine, by a vote of its windows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cyberhans.recording import Recording
from cyberhans.spec import Spec

SECONDS = 10.0
LEAST_VOTES = 3  # of one or two windows a single false alarm would be half
SPARSE_VOTES = 7  # where windows are so rare that ten seconds hold fewer than LEAST_VOTES

Integers = npt.NDArray[np.int32]


def votes(recording: Recording, spec: Spec) -> int:
    """How many windows one decision takes: as many as ten seconds on the clock hold.

    The clock runs on between the segments of a concatenation (segment_period_s); where it is not stated they are
    taken to follow one another. Fewer than three windows in ten seconds, such as short looks now and then, make no
    vote: seven are taken then, however long they last.
    """
    segment_s = max(recording.segment_len / recording.rate_hz, recording.segment_period_s)
    in_segment = 1 + (recording.segment_len - spec.window) // spec.hop
    whole = recording.segment_len == recording.frames
    interval = spec.hop / spec.rate_hz if whole else segment_s / max(in_segment, 1)
    count = int(SECONDS / interval + 1e-9)
    return count if count >= LEAST_VOTES else SPARSE_VOTES


def stretches(windows: int, count: int) -> npt.NDArray[np.intp]:
    """The number of the decision that each of a recording's windows votes in, -1 for none.

    Decisions take `count` windows each, one after the other, and share none. What is left at the end votes in none,
    but a recording of fewer windows than `count` makes one decision of all.
    """
    places = np.arange(windows) // count
    return np.where(places < max(windows // count, 1), places, -1)


def score(scores: Integers) -> int:
    """Of the (n,) scores of the windows the k-th largest, k = n // 2 + 1: the median, of two the lower.

    So score > threshold says exactly that more than half of the windows are anomalies.
    """
    return int(np.sort(scores)[-(len(scores) // 2 + 1)])
