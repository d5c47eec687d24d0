"""The two rules: how many windows a rate needs, which score it takes, and what it promises; and so many a month."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from counts import full
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cyberhans.decision import needed
from cyberhans.errors import CyberHansError
from cyberhans.promise import MONTH_S, Promise
from cyberhans.threshold import (
    folds,
    kept_threshold,
    missing,
    rank,
    threshold_for,
    too_few,
    too_little,
    windows_needed,
)

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
    assert text == (
        "12 windows, 7 more needed for a false-alarm rate of 0.05: record about 14 s more, or deploy as --learning"
    )


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


VOTES = 5


def healthy(
    random: np.random.Generator, sessions: int, between: float, within: float = 0.2, windows: int = 60
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Scores of windows: a part of the session and one of the window, normal, in octaves; and their sessions."""
    part = random.normal(0, between, sessions)[:, None]
    octaves = part + random.normal(0, within, (sessions, windows))
    return np.rint(octaves.ravel() * 65536).astype(np.int32), np.repeat(np.arange(sessions), windows)


def alarms(verdicts: NDArray[np.bool_], votes: int) -> int:
    """How many alarms begin, as the device counts: more than half of the last votes, until a quarter are left."""
    counts = np.convolve(verdicts, np.ones(votes, np.int64))[: len(verdicts)]
    begun, on = 0, False
    for count in counts:
        begun += not on and count >= needed(votes)
        on = count >= needed(votes) or (on and count > votes // 4)
    return begun


@pytest.mark.parametrize("votes", [5, 7, 32])
@pytest.mark.parametrize(("between", "sessions"), [(0.6, 8), (0.0, 8), (0.3, 4)])
def test_the_promise_is_kept_with_its_confidence(between: float, sessions: int, votes: int) -> None:
    """Machines drawn at random, whose sessions and windows are normal and each by itself, as the rule assumes; alarms
    of later sessions, by the device's own way of counting. So many are promised that they can be counted."""
    random = np.random.default_rng(4)
    promise = Promise(1000, every_s=100.0)
    each, kept, machines = 10 * votes, 0, full(40, 400)
    for _ in range(machines):
        scores, session_of = healthy(random, sessions, between, windows=max(60, 3 * votes))
        threshold = kept_threshold(scores, session_of, votes, promise, 100.0, 0.0)
        assert not threshold.uncalibrated
        later, _ = healthy(random, 400, between, windows=each)
        seen = sum(alarms(part > threshold.value, votes) for part in later.reshape(-1, each))
        kept += seen <= promise.per_month * 400 * each * 100.0 / MONTH_S
    assert kept / machines >= promise.confidence - 0.1


def test_the_run_in_of_a_single_recording_moves_a_learning_threshold_little() -> None:
    scores, session_of = healthy(np.random.default_rng(0), 1, between=0.2, windows=300)
    started = np.where(np.arange(300) < 60, scores + 5 * 65536, scores).astype(np.int32)
    plain, moved = (kept_threshold(s, session_of, VOTES, Promise(1), 2.0).value / 65536 for s in (scores, started))
    assert plain - 0.1 < moved < plain + 1.0


def test_more_sessions_more_trust_and_a_stricter_promise_a_higher_threshold() -> None:
    scores, session_of = healthy(np.random.default_rng(1), 12, between=0.3)

    def value(sessions: int = 12, **changed: float) -> float:
        chosen = session_of < sessions
        promise = Promise(**{"per_month": 1.0, **changed})
        return kept_threshold(scores[chosen], session_of[chosen], VOTES, promise, 2.0).value / 65536

    assert value(per_month=0.1) > value() > value(per_month=10)
    assert value(confidence=0.95) > value() > value(confidence=0.5)


@pytest.mark.parametrize(("sessions", "windows", "lacking"), [(1, 60, 3), (2, 60, 2), (4, 60, 0), (4, 4, 4), (9, 5, 0)])
def test_what_a_promise_needs(sessions: int, windows: int, lacking: int) -> None:
    scores, session_of = healthy(np.random.default_rng(2), sessions, 0.1, windows=windows)
    assert missing(session_of, VOTES) == lacking
    assert kept_threshold(scores, session_of, VOTES, Promise(1), 2.0).uncalibrated == (lacking > 0)


def test_what_is_missing_in_words() -> None:
    text = str(too_little(np.repeat([0, 1, 2], [60, 60, 3]), 7, 10.0, 3))
    of_one = str(too_little(np.zeros(60, int), 7, 10.0, 8))
    assert of_one.startswith("8 recordings of 1 session: too little")
    assert text.startswith("3 recordings, 1 of them too short: too little") and "record 2 more on other days" in text
    assert "2 minutes each or longer" in text and "--learning" in text


def test_every_fifth_recording_is_left_out_together() -> None:
    """So that of recordings in some order, as of speed, no end of it is left out as a whole."""
    recording_of = np.repeat(np.arange(10), 4)
    left = [sorted(set(recording_of[out])) for _, out in folds(recording_of)]
    assert left == [[0, 5], [1, 6], [2, 7], [3, 8], [4, 9]]
