"""Promise: at most so many false alarms a month, at one window every so many seconds."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from cyberhans.decision import needed
from cyberhans.errors import CyberHansError

MONTH_S = 30 * 86400.0
LEAST_PER_MONTH, MOST_PER_MONTH = 0.01, 1000.0  # one in eight years is more than any baseline shows
MOST_RATE = 0.5  # of false decisions; a promise that allows more is none
CONFIDENCES = (0.5, 0.99)


@dataclass(frozen=True)
class Promise:
    """What a user can live with.

    per_month   false alarms in 30 days of healthy running, at most so many are expected
    every_s     seconds from window to window of the deployed node; 0: as in the recordings, without a pause
    confidence  with which the spread between sessions, known from a few only, is not larger than it is taken to be
    """

    per_month: float
    every_s: float = 0.0
    confidence: float = 0.8

    def __post_init__(self) -> None:
        if not LEAST_PER_MONTH <= self.per_month <= MOST_PER_MONTH:
            raise CyberHansError(
                f"{self.per_month:g} false alarms per month: give {LEAST_PER_MONTH:g} to {MOST_PER_MONTH:g}"
            )
        if not (self.every_s >= 0 and math.isfinite(self.every_s)):
            raise CyberHansError(f"a window every {self.every_s:g} s: give the seconds, or 0 for no pause between them")
        if not CONFIDENCES[0] <= self.confidence <= CONFIDENCES[1]:
            raise CyberHansError(f"confidence {self.confidence:g}: give {CONFIDENCES[0]:g} to {CONFIDENCES[1]:g}")

    def rate(self, votes: int, interval_s: float) -> float:
        """The share of decisions of `votes` windows, interval_s seconds apart, that may be false.

        A device decides at every window. Where windows are alike false decisions come in runs, one alarm each; where
        they are not, an alarm can begin with each false window that finds needed() - 1 others before it. So alarms are
        at most needed() times as many as false decisions that share no window.
        """
        return min(self.per_month * votes * interval_s / needed(votes) / MONTH_S, MOST_RATE)

    def deviations(self, votes: int, interval_s: float) -> float:
        """How many standard deviations of a normal distribution leave that share above them."""
        return -NormalDist().inv_cdf(self.rate(votes, interval_s))

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)
