"""Decisions: how many windows vote, which vote together, and that the score says what the vote says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learnt import recording

from cyberhans.decision import score, stretches, votes
from cyberhans.recording import Recording
from cyberhans.spec import Family, Frame, Spec


def spec(rate_hz: float, window: int, hop: int = 0) -> Spec:
    return Spec(round(rate_hz * 1000), 1, window, hop or window, Family(0), (Frame(64, (1, 2, 4, 8)),))


def stream(rate_hz: float, frames: int, segment: int = 0, period_s: float = 0.0) -> Recording:
    samples = np.ones((frames, 1), np.int16)
    return Recording(samples, rate_hz, segment_len=segment, segment_period_s=period_s)


@pytest.mark.parametrize(
    ("heard", "by", "count"),
    [
        (stream(16_000, 960_000), spec(16_000, 32_000), 5),  # 2 s windows
        (stream(16_000, 960_000), spec(16_000, 1600), 100),
        (stream(16_000, 32_000), spec(16_000, 1600), 100),  # however short the recording
        (stream(16_000, 960_000), spec(16_000, 1600, 16_000), 10),  # a window each second
        (stream(200, 58_000, 200), spec(200, 200), 10),  # clips of a second, one window each
        (stream(1600, 7800, 780, 0.4875), spec(1600, 780), 20),
        (stream(1600, 7800, 780), spec(1600, 780), 20),  # nothing stated: no pause
        (stream(1600, 7800, 780, 2.0), spec(1600, 128), 30),  # six windows every two seconds
        (stream(1600, 7800, 780, 10 / 3), spec(1600, 780), 3),
        (stream(25_600, 25_600, 2560, 10.0), spec(25_600, 2560), 7),  # a look every ten seconds
        (stream(100, 6000), spec(100, 600), 7),  # 6 s windows: one in ten seconds
    ],
)
def test_ten_seconds_on_the_clock_or_seven_windows(heard: Recording, by: Spec, count: int) -> None:
    assert votes(heard, by) == count


def test_decisions_follow_one_another_and_the_rest_votes_in_none() -> None:
    assert stretches(7, 3).tolist() == [0, 0, 0, 1, 1, 1, -1]
    assert stretches(6, 3).tolist() == [0, 0, 0, 1, 1, 1]


def test_a_short_recording_is_one_decision() -> None:
    assert stretches(2, 3).tolist() == [0, 0]
    assert stretches(1, 100).tolist() == [0]


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=30), st.integers(-10, 10))
def test_a_score_above_the_threshold_is_a_majority(scores: list[int], threshold: int) -> None:
    anomalies = sum(value > threshold for value in scores)
    assert (score(np.array(scores, np.int32)) > threshold) == (2 * anomalies > len(scores))


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=29).filter(lambda values: len(values) % 2 == 1))
def test_of_an_odd_number_it_is_the_median(scores: list[int]) -> None:
    assert score(np.array(scores, np.int32)) == np.median(scores)


def test_a_recording_keeps_its_period_in_parts() -> None:
    whole = stream(100, 1000, 100, 10.0)
    assert whole.part(1, 5).segment_period_s == 10.0
    assert recording().segment_period_s == 0.0
