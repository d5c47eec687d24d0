"""What a user can live with: bounds, and how often a decision may be false."""

from __future__ import annotations

import pytest
from scipy.stats import norm

from cyberhans.errors import CyberHansError
from cyberhans.promise import Promise


def test_one_a_month_by_hand() -> None:
    """30 days of windows every 10 s are 259,200, and 37,028 decisions of seven; each may begin four alarms."""
    assert Promise(1).rate(7, 10.0) == pytest.approx(1 / (259_200 / 7) / 4)
    assert Promise(1).deviations(7, 10.0) == pytest.approx(norm.isf(7 / 259_200 / 4))
    assert Promise(3).rate(5, 2.0) == pytest.approx(3 / 259_200 / 3)


def test_a_promise_of_more_false_decisions_than_half_is_none() -> None:
    assert Promise(1000).rate(32, 3600.0) == 0.5
    assert Promise(1000).deviations(32, 3600.0) == pytest.approx(0.0)


@pytest.mark.parametrize("per_month", [0.0, -1.0, 1001.0, float("nan"), float("inf")])
def test_alarms_out_of_range(per_month: float) -> None:
    with pytest.raises(CyberHansError, match=r"false alarms per month: give 0\.01 to 1000"):
        Promise(per_month)


@pytest.mark.parametrize("every_s", [-1.0, float("nan"), float("inf")])
def test_pauses_out_of_range(every_s: float) -> None:
    with pytest.raises(CyberHansError, match="give the seconds, or 0"):
        Promise(1, every_s)


@pytest.mark.parametrize("confidence", [0.0, 0.49, 1.0, float("nan")])
def test_confidences_out_of_range(confidence: float) -> None:
    with pytest.raises(CyberHansError, match=r"confidence .*: give 0\.5 to 0\.99"):
        Promise(1, 0.0, confidence)
