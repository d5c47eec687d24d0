"""Limit: how many false alarms a user can live with, asked for in one of two ways, and the threshold that keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cyberhans.baseline import Baseline
from cyberhans.decision import needed, votes_every
from cyberhans.detectors import LEAST_SPREAD
from cyberhans.errors import CyberHansError
from cyberhans.promise import Promise
from cyberhans.threshold import Threshold, kept_threshold, missing, rank, threshold_for, too_few, too_little


@dataclass(frozen=True)
class Limit:
    """So many alarms a month (threshold.kept_threshold), or a rate of single windows (threshold.threshold_for)."""

    promise: Promise | None
    false_alarm_rate: float | None

    def __post_init__(self) -> None:
        if (self.promise is None) == (self.false_alarm_rate is None):
            raise CyberHansError("give a promise of false alarms per month, or a false-alarm rate per window; not both")

    def every_s(self, baseline: Baseline) -> float:
        """From window to window of the deployed node: as promised, else as recorded."""
        return self.promise.every_s if self.promise and self.promise.every_s else baseline.interval_s

    def votes(self, baseline: Baseline) -> int:
        """How many windows one decision takes."""
        return votes_every(self.every_s(baseline))

    def refuse_too_little(self, baseline: Baseline) -> None:
        """Raise CyberHansError, which says what is missing, where this baseline cannot keep it."""
        session_of = baseline.session_of
        if self.false_alarm_rate is not None and rank(len(session_of), self.false_alarm_rate) == 0:
            raise too_few(len(session_of), self.false_alarm_rate, self.every_s(baseline))
        if self.promise is not None and missing(session_of, self.votes(baseline)):
            raise too_little(session_of, self.votes(baseline), baseline.interval_s, len(baseline.recordings))

    def threshold(self, scores: npt.NDArray[np.int32], baseline: Baseline, kind: str) -> Threshold:
        """From the left-out scores (k,) of the baseline's windows by that kind of detector."""
        if self.promise is None:
            return threshold_for(scores, self.false_alarm_rate or 0.0)
        return kept_threshold(
            scores, baseline.session_of, self.votes(baseline), self.promise, self.every_s(baseline), LEAST_SPREAD[kind]
        )

    def decision(self, baseline: Baseline) -> dict[str, Any]:
        """For the provenance: `needed` of `votes` windows, every_s seconds apart, make an alarm."""
        count = self.votes(baseline)
        return {"votes": count, "needed": needed(count), "every_s": self.every_s(baseline)}
