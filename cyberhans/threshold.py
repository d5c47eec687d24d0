"""Threshold: from scores of normal windows that training did not see, and the false-alarm rate the user names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from cyberhans.detectors import LEAST_WINDOWS
from cyberhans.errors import CyberHansError

MOST_FOLDS = 5


@dataclass(frozen=True)
class Threshold:
    """`value` in 1/65536 octave. `uncalibrated`: there were too few scores for the rate, it is their largest."""

    value: int
    uncalibrated: bool


def rank(windows: int, false_alarm_rate: float) -> int:
    """k = floor((windows + 1) * rate): the k-th largest score of so many is the threshold; 0 means too few.

    Were all scores by one model that learnt none of the windows, a new window exchangeable with them would exceed it
    with probability at most `rate` (split conformal prediction, Vovk, Gammerman and Shafer 2005). They are by up to
    five models, each on windows that it did not learn, and the detector learns all: cross-conformal (Vovk 2015), the
    rate is kept approximately. Windows of one session are not exchangeable with those of the next: see folds().
    The rate counts as the decimal number it is written as.
    """
    return int((windows + 1) * _exact(false_alarm_rate))


def windows_needed(false_alarm_rate: float) -> int:
    """The fewest left-out windows for which rank() is 1: ceil(1 / rate) - 1."""
    return -(-1 // _exact(false_alarm_rate)) - 1


def _exact(false_alarm_rate: float) -> Fraction:
    if not 0 < false_alarm_rate <= 0.5:
        raise CyberHansError(f"false-alarm rate {false_alarm_rate:g}: give one above 0 and up to 0.5, per window")
    return Fraction(str(false_alarm_rate))


def too_few(windows: int, false_alarm_rate: float, hop_s: float) -> CyberHansError:
    """What to say when so many left-out windows, hop_s seconds apart, cannot keep the rate."""
    missing = windows_needed(false_alarm_rate) - windows
    return CyberHansError(
        f"{windows} windows, {missing} more needed for a false-alarm rate of {false_alarm_rate:g}:"
        f" record about {missing * hop_s:.3g} s more, or --uncalibrated"
    )


def threshold_for(scores: npt.NDArray[np.int32], false_alarm_rate: float) -> Threshold:
    """From (k,) left-out scores, k >= 1; the verdict is score > threshold."""
    k = rank(len(scores), false_alarm_rate)
    return Threshold(int(np.sort(scores)[-max(k, 1)]), uncalibrated=k == 0)


def folds(recording_of: npt.NDArray[np.intp]) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """(learn, leave out) masks over windows, at most five pairs; every window is left out once.

    Whole recordings are left out where there are several, since windows of one recording are alike. Of a single one,
    consecutive blocks are, and the window on either side of the block is not learnt from, unless too few would be left:
    such scores say nothing of how sessions differ, and the detector warns of it.
    """
    recordings = np.unique(recording_of)
    count = len(recording_of)
    if len(recordings) > 1:
        places = np.searchsorted(recordings, recording_of)
        group = places * min(MOST_FOLDS, len(recordings)) // len(recordings)
    else:
        group = np.arange(count) * min(MOST_FOLDS, count) // count
    for g in range(group.max() + 1):
        out = group == g
        learn = ~out
        if len(recordings) == 1:
            inner = np.flatnonzero(out)
            apart = learn.copy()
            apart[max(inner[0] - 1, 0) : inner[-1] + 2] = False
            learn = apart if apart.sum() >= LEAST_WINDOWS else learn
        yield learn, out
