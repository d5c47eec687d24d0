"""Idle: windows of a machine that is off are found by their level, in training and in tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from learnt import SPEC, recording

from cyberhans.core import Core
from cyberhans.dataset import Protocol
from cyberhans.errors import CyberHansError
from cyberhans.evaluate import evaluate, window_table
from cyberhans.idle import DROP, idle_level, idle_level_of, loudest, running
from cyberhans.recording import Recording
from cyberhans.spec import Family, Frame, Spec
from cyberhans.train import train

LEVELS = SPEC.feature_names.index("c0.level")


def with_pause(seed: int, pause: float = 0.3, label: str = "normal") -> Recording:
    """A machine that stands still for some of the time: its noise 40 dB down."""
    whole = recording(seed, label=label)
    samples = whole.samples.copy()
    count = int(pause * len(samples))
    samples[:count] = np.rint(samples[:count] / 100)
    return replace(whole, samples=samples)


def test_the_level_is_twelve_decibels_below_the_quietest_recordings_usual_one() -> None:
    levels = [np.full(100, 5000, np.int16), np.r_[np.full(60, 100), np.full(40, 4000)].astype(np.int16)]
    assert idle_level(levels) == 4000 - DROP and DROP == 1024


def test_the_loudest_channel_counts() -> None:
    spec = Spec(8_000_000, 2, 64, 64, Family.LEVEL, (Frame(64, (1, 4, 32)),))
    rows = np.zeros((1, spec.features), np.int16)
    rows[0, spec.feature_names.index("c0.level")] = 900
    rows[0, spec.feature_names.index("c1.level")] = 1100
    assert loudest(spec, rows).tolist() == [1100]  # type: ignore[union-attr]
    assert running(spec, rows, 1100).tolist() == [True] and running(spec, rows, 1101).tolist() == [False]


def test_a_spec_without_levels_has_no_gate() -> None:
    spec = Spec(8_000_000, 1, 64, 64, Family.STEPS, (Frame(64, (1, 4, 32)),))
    rows = np.zeros((3, spec.features), np.int16)
    assert loudest(spec, rows) is None and idle_level_of(spec, [rows]) is None
    assert running(spec, rows, 5000).all()


def test_windows_of_a_machine_that_is_off_are_not_learnt_from() -> None:
    parts = [with_pause(seed) for seed in range(4)]
    made = train(parts, kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    windows = [part.windows(SPEC) for part in parts]
    rows = np.concatenate([Core(SPEC).features(part) for part in windows])
    kept = rows[:, LEVELS] >= made.idle_level
    assert 0.6 * len(rows) < kept.sum() < 0.75 * len(rows)
    assert made.provenance["windows"] == kept.sum()
    places = np.flatnonzero(kept)
    np.testing.assert_array_equal(made.golden[[0, -1]], np.concatenate(windows)[places[[0, -1]]])
    np.testing.assert_array_equal(made.golden_features[[0, -1]], rows[places[[0, -1]]])
    whole = train([recording(seed) for seed in range(4)], kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    assert whole.provenance["windows"] == len(rows)


def test_nor_are_they_judged() -> None:
    made = train([with_pause(seed) for seed in range(4)], kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    normal, strange = with_pause(7), recording(8, label="anomaly", gain=1.5)
    table = window_table(made, Protocol("pauses", (recording(0),), (normal,), (strange,)))
    count = len(normal.windows(SPEC))
    judged = table[table["label"] == "normal"]
    assert 0.6 * count < len(judged) < 0.75 * count
    assert judged["window"].min() >= 0.29 * count and judged["window"].max() == count - 1
    assert (table["label"] == "anomaly").sum() == len(strange.windows(SPEC))


def test_a_test_recording_of_a_machine_that_is_off_is_one_line() -> None:
    made = train([recording(seed) for seed in range(4)], kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    off = with_pause(9, pause=1.0, label="anomaly")
    with pytest.raises(CyberHansError, match="protocol off, test recordings labelled anomaly: the machine is off"):
        evaluate(made, Protocol("off", (recording(0),), (recording(5),), (off,)))
