"""Windows made for any detector: a script in which every state comes, and windows at the brink of an anomaly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_detector import small_detector
from watched import watched_detector

from cyberhans.alarm import State
from cyberhans.detector import Detector
from cyberhans.hil.brink import at_the_brink
from cyberhans.hil.script import Kinds, allowed, script


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return watched_detector(tmp_path_factory.mktemp("detector") / "watched")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return small_detector(tmp_path_factory.mktemp("detector") / "small")


def test_every_state_comes_that_the_settings_allow(watched: Detector) -> None:
    made = script(watched, watched.core(), 60)
    assert set(made.states) == set(State) - {State.LEARNING}
    assert len(made.windows) == len(made.kinds) == len(made.states) <= 60


def test_an_alarm_comes_and_goes_where_nothing_hides_the_machine(small: Detector) -> None:
    """Its settings know no idle machine, no gravity and no full scale."""
    made = script(small, small.core(), 60)
    assert set(made.states) == {State.NORMAL, State.SUSPICIOUS, State.ALARM, State.FAULT}
    changes = [(a, b) for a, b in zip(made.states, made.states[1:], strict=False) if a != b]
    assert (State.NORMAL, State.SUSPICIOUS) in changes and (State.ALARM, State.NORMAL) in changes


def test_a_detector_that_learns_is_never_in_alarm(tmp_path: Path) -> None:
    learning = small_detector(tmp_path / "learning", uncalibrated=True)
    assert set(script(learning, learning.core(), 60).states) == {State.LEARNING, State.FAULT}


def test_a_script_is_no_longer_than_asked_and_the_same_each_time(watched: Detector) -> None:
    short, again = script(watched, watched.core(), 9), script(watched, watched.core(), 9)
    assert len(short.windows) == 9
    assert (short.windows == again.windows).all()


def test_what_is_strange_does_not_clip(watched: Detector) -> None:
    kinds = Kinds(watched, watched.core())
    assert watched.alarm
    made = np.stack([kinds.next("strange") for _ in range(6)])
    assert np.abs(made.astype(int)).max() < watched.alarm.full_scale
    assert "tilted" in kinds and "upside down" not in kinds


@pytest.mark.parametrize("name", ["watched", "small"])
def test_windows_with_the_thresholds_own_score_are_found(name: str, request: pytest.FixtureRequest) -> None:
    detector = request.getfixturevalue(name)
    found = detector.core().run(at_the_brink(detector, detector.core()))
    assert found.score[0] == detector.threshold and found.verdict[0] == 0


@pytest.mark.parametrize("name", ["watched", "small"])
def test_the_states_that_the_settings_allow_are_those_that_come(name: str, request: pytest.FixtureRequest) -> None:
    detector = request.getfixturevalue(name)
    core = detector.core()
    assert allowed(detector, Kinds(detector, core)) == set(script(detector, core, 60).states)


def test_a_detector_that_learns_may_be_learning_and_at_fault(tmp_path: Path) -> None:
    learning = small_detector(tmp_path / "learning", uncalibrated=True)
    assert allowed(learning, Kinds(learning, learning.core())) == {State.LEARNING, State.FAULT}
