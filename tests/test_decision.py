"""Decisions: how many windows vote, which vote together, and that the score says what the vote says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learnt import recording

from cyberhans.decision import disjoint, interval_s, needed, sliding, votes, votes_every
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
        (stream(16_000, 960_000), spec(16_000, 1600), 32),  # as many as a device keeps
        (stream(16_000, 32_000), spec(16_000, 1600), 32),  # however short the recording
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
    assert votes(heard, by) == votes_every(interval_s(heard, by)) == count


@pytest.mark.parametrize(("count", "wanted"), [(1, 1), (2, 2), (3, 2), (5, 3), (7, 4), (10, 6), (32, 17)])
def test_more_than_half_alarm(count: int, wanted: int) -> None:
    assert needed(count) == wanted


@given(
    st.lists(st.integers(-9, 9), min_size=1, max_size=30), st.integers(1, 32), st.integers(-10, 10),
)  # fmt: skip
def test_a_score_above_the_threshold_is_an_alarm_of_the_windows_from_there_on(
    scores: list[int], count: int, threshold: int
) -> None:
    """By counting, window by window, as a device does it."""
    taken = min(count, len(scores))
    told = sliding(np.array(scores, np.int32), count) > threshold
    for place in range(len(scores) - taken + 1):
        anomalies = sum(value > threshold for value in scores[place : place + taken])
        assert told[place] == (anomalies >= needed(taken))
    assert len(told) == len(scores) - taken + 1


@given(st.lists(st.booleans(), max_size=12), st.integers(1, 5))
def test_disjoint_decisions_are_as_many_as_can_be(verdicts: list[bool], count: int) -> None:
    places = [place for place, verdict in enumerate(verdicts) if verdict]
    most = max(
        size for size in range(len(places) + 1)
        for chosen in itertools.combinations(places, size)
        if all(b - a >= count for a, b in itertools.pairwise(chosen))
    )  # fmt: skip
    assert disjoint(np.array(verdicts, bool), count) == most


def test_a_recording_keeps_its_period_in_parts() -> None:
    whole = stream(100, 1000, 100, 10.0)
    assert whole.part(1, 5).segment_period_s == 10.0
    assert recording().segment_period_s == 0.0
