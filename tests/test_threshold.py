"""The conformal rule: how many windows a rate needs, which score it takes, and what it promises."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from counts import full
from hypothesis import given
from hypothesis import strategies as st

from cyberhans.errors import CyberHansError
from cyberhans.threshold import folds, rank, threshold_for, too_few, windows_needed

RATES = st.integers(1, 5000).map(lambda n: n / 10000)


@pytest.mark.parametrize(
    ("rate", "needed"), [(0.5, 1), (0.1, 9), (0.05, 19), (0.01, 99), (0.001, 999), (0.03, 33), (0.29, 3)]
)
def test_windows_needed(rate: float, needed: int) -> None:
    assert windows_needed(rate) == needed


@given(RATES)
def test_the_fewest_windows_are_just_enough(rate: float) -> None:
    """Also where rate * (n + 1) in binary floats falls just short of a whole number."""
    needed = windows_needed(rate)
    assert rank(needed, rate) == 1
    assert needed == 0 or rank(needed - 1, rate) == 0


@given(RATES, st.integers(0, 10**6))
def test_the_rank_never_promises_more_than_the_rate(rate: float, windows: int) -> None:
    k = rank(windows, rate)
    exact = Fraction(str(rate))
    assert Fraction(k, windows + 1) <= exact < Fraction(k + 1, windows + 1)


def test_threshold_is_the_kth_largest_score() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(100, dtype=np.int32))
    threshold = threshold_for(scores, 0.05)  # k = floor(101 * 0.05) = 5
    assert (threshold.value, threshold.uncalibrated) == (95, False)
    assert (scores > threshold.value).sum() == 4


def test_ties_never_make_more_alarms() -> None:
    scores = np.array([7] * 30 + [3] * 9, np.int32)
    assert threshold_for(scores, 0.1).value == 7


def test_too_few_scores_give_the_largest_and_say_so() -> None:
    threshold = threshold_for(np.array([-5, 9, 2], np.int32), 0.05)
    assert (threshold.value, threshold.uncalibrated) == (9, True)


def test_new_normal_windows_keep_the_rate() -> None:
    """Over many draws of exchangeable scores, the share of false alarms is at most the rate asked for."""
    random = np.random.default_rng(1)
    shares = []
    for _ in range(full(400, 20_000)):
        scores = random.normal(0, 10000, 59).astype(np.int32)
        new = random.normal(0, 10000, 200).astype(np.int32)
        shares.append(np.mean(new > threshold_for(scores, 0.05).value))
    assert 0.035 < np.mean(shares) < 0.055  # k / (n + 1) = 3 / 60 = 0.05


def test_too_few_windows_says_how_many_and_how_long() -> None:
    text = str(too_few(12, 0.05, 2.0))
    assert text == "12 windows, 7 more needed for a false-alarm rate of 0.05: record about 14 s more, or --uncalibrated"


@pytest.mark.parametrize("rate", [0.0, -0.1, 0.51, 1.0, float("nan"), float("inf")])
def test_rates_out_of_range(rate: float) -> None:
    with pytest.raises(CyberHansError, match="false-alarm rate"):
        rank(100, rate)


@pytest.mark.parametrize("counts", [[10, 20, 30], [5] * 12, [1, 1], [40], [4]])
def test_every_window_is_left_out_once_and_never_learnt_from_then(counts: list[int]) -> None:
    recording_of = np.repeat(np.arange(len(counts)), counts)
    left = np.zeros(len(recording_of), int)
    pairs = list(folds(recording_of))
    assert 2 <= len(pairs) <= 5
    for learn, out in pairs:
        assert not (learn & out).any()
        left += out
    assert (left == 1).all()


def test_whole_recordings_are_left_out() -> None:
    recording_of = np.repeat(np.arange(7), [3, 9, 4, 4, 8, 2, 6])
    for learn, out in folds(recording_of):
        assert not set(recording_of[learn]) & set(recording_of[out])
        assert (learn | out).all()


def test_blocks_of_a_single_recording_keep_a_distance() -> None:
    for learn, out in folds(np.zeros(50, int)):
        inner = np.flatnonzero(out)
        assert (np.diff(inner) == 1).all()
        assert np.abs(np.flatnonzero(learn)[:, None] - inner[None, :]).min() == 2
