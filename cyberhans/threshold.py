"""Threshold: from scores of normal windows that training did not see, and what the user can live with: a rate of false
alarms per window (threshold_for), or so many a month (kept_threshold)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from cyberhans.decision import sliding
from cyberhans.detectors import LEAST_WINDOWS
from cyberhans.errors import CyberHansError
from cyberhans.promise import Promise

MOST_FOLDS = 5
LEAST_SESSIONS = 4  # with fewer nothing can be said of how the next one will differ
EFFICIENCY = 0.37  # of the median absolute deviation (Rousseeuw and Croux 1993)
MAD = 1.4826  # of a normal distribution: standard deviation over median absolute deviation


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
        f" record about {missing * hop_s:.3g} s more, or deploy as --learning"
    )


def threshold_for(scores: npt.NDArray[np.int32], false_alarm_rate: float) -> Threshold:
    """From (k,) left-out scores, k >= 1; the verdict is score > threshold."""
    k = rank(len(scores), false_alarm_rate)
    return Threshold(int(np.sort(scores)[-max(k, 1)]), uncalibrated=k == 0)


def kept_threshold(
    scores: npt.NDArray[np.int32], session_of: npt.NDArray[np.intp], votes: int, promise: Promise, interval_s: float,
    least_spread: float = 0.15,
) -> Threshold:  # fmt: skip
    """From (k,) left-out scores in order and the session of each: the score that decisions of `votes` windows exceed no
    oftener than promised.

    A decision's score is taken as normal: a mean, plus a part of its session (between), plus one of its own (within),
    plus least_spread (octaves). With LEAST_SESSIONS or more, mean and `between` are those of the sessions' medians and
    stand in the one-sided tolerance bound of a normal distribution at the promise's confidence (Hahn and Meeker 1991);
    `within` is taken at the upper end of its confidence interval (chi-squared). With fewer sessions nothing bounds what
    the next one does, and the threshold is uncalibrated: the bare estimate, and of a single recording that of its five
    blocks, by medians, so that a run-in does not drown what comes after it.
    """
    parts = _parts(session_of)
    decisions = [sliding(scores[parts == part], votes) for part in np.unique(parts)]
    centres = np.array([np.median(scores) for scores in decisions])
    uncalibrated = missing(session_of, votes) > 0
    within = float(np.median([_mad(scores) for scores in decisions]))
    within *= 1.0 if uncalibrated else _widening(decisions, votes, promise.confidence)
    deviations = promise.deviations(votes, interval_s)
    centre, between = _session_bound(centres, deviations, None if uncalibrated else promise.confidence)
    value = centre + math.sqrt(between**2 + (deviations * within) ** 2 + (deviations * least_spread * 65536) ** 2)
    return Threshold(math.ceil(min(max(value, -(2**31)), 2**31 - 1)), uncalibrated)


def _session_bound(
    centres: npt.NDArray[np.float64], deviations: float, confidence: float | None
) -> tuple[float, float]:
    """Where sessions lie, and how far above it one `deviations` away may lie: at a confidence, or as best guessed."""
    count = len(centres)
    if confidence is not None:
        from scipy.stats import nct

        factor = float(nct.ppf(confidence, count - 1, deviations * math.sqrt(count))) / math.sqrt(count)
        return float(centres.mean()), factor * float(centres.std(ddof=1))
    if count < LEAST_SESSIONS:
        return float(np.median(centres)), deviations * (float(centres.std(ddof=1)) if count > 1 else 0.0)
    return float(np.median(centres)), deviations * _mad(centres)


def missing(session_of: npt.NDArray[np.intp], votes: int) -> int:
    """How many sessions that are long enough for one decision of `votes` windows are missing for a promise."""
    _, counts = np.unique(session_of, return_counts=True)
    return max(0, LEAST_SESSIONS - int((counts >= votes).sum()))


def too_little(
    session_of: npt.NDArray[np.intp], votes: int, interval_s: float, recordings: int
) -> CyberHansError:  # fmt: skip
    """What to say when so many recordings, of these sessions, cannot keep a promise."""
    lacking, seconds = missing(session_of, votes), votes * interval_s
    _, counts = np.unique(session_of, return_counts=True)
    short = int((counts < votes).sum())
    found = f"{recordings} recording{'s' * (recordings != 1)}"
    found += f" of {len(counts)} session{'s' * (len(counts) != 1)}" if recordings != len(counts) else ""
    found += f", {short} of them too short" if short else ""
    return CyberHansError(
        f"{found}: too little to promise anything about false alarms: record"
        f" {lacking} more on other days, {_duration(max(seconds, 60.0))} each or longer, or deploy as --learning, which"
        " never alarms"
    )


def _duration(seconds: float) -> str:
    return f"{math.ceil(seconds / 60)} minute{'s' * (seconds > 60)}"


def _parts(session_of: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Sessions, or of a single one its blocks."""
    if len(np.unique(session_of)) > 1:
        return session_of
    count = len(session_of)
    return np.arange(count) * min(MOST_FOLDS, count) // count


def _widening(decisions: list[npt.NDArray[np.int32]], votes: int, confidence: float) -> float:
    """How much larger than their median absolute deviation the spread of sessions' decisions is at the most.

    Decisions that share no window count, and of these the share that the estimate makes use of.
    """
    from scipy.stats import chi2

    free = EFFICIENCY * sum((len(scores) + votes - 1) / votes - 1 for scores in decisions)
    return math.sqrt(free / float(chi2.ppf(1 - confidence, free))) if free >= 1 else 1.0


def _mad(values: npt.NDArray[Any]) -> float:
    return MAD * float(np.median(np.abs(values - np.median(values))))


def folds(recording_of: npt.NDArray[np.intp]) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """(learn, leave out) masks over windows, at most five pairs; every window is left out once.

    Whole recordings are left out where there are several, since windows of one recording are alike; every fifth goes
    together, so that of recordings in some order, such as of speed, none is left out with its neighbours. Of a single
    one, consecutive blocks are, and the window on either side of the block is not learnt from, unless too few would be
    left: such scores say nothing of how sessions differ, and the detector warns of it.
    """
    recordings = np.unique(recording_of)
    count = len(recording_of)
    if len(recordings) > 1:
        places = np.searchsorted(recordings, recording_of)
        group = places % min(MOST_FOLDS, len(recordings))
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
