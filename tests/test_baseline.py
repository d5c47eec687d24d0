"""The baseline: which windows are learnt from, and whose session they are; the limit that a user names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from learnt import SPEC, recording

from cyberhans.baseline import Baseline
from cyberhans.core import Core
from cyberhans.errors import CyberHansError
from cyberhans.limit import Limit
from cyberhans.promise import Promise
from cyberhans.recording import Recording


def with_pause(seed: int) -> Recording:
    """Two seconds of a machine, half a second of which it is off."""
    whole = recording(seed)
    samples = whole.samples.copy()
    samples[8000:16000] = np.random.default_rng(seed).normal(0, 3, (8000, 1)).astype(np.int16)
    return replace(whole, samples=samples)


def test_windows_of_a_machine_that_is_off_are_not_learnt_from() -> None:
    """125 windows of 256 samples; those wholly in the pause, 8000 to 16000, are 32 to 61."""
    baseline = Baseline.of([recording(0), with_pause(1)], SPEC)
    assert baseline.counts == [125, 95] and baseline.features.shape == (220, SPEC.features)
    off = np.flatnonzero(~baseline.at_work[1])
    assert off.min() == 32 and off.max() == 61
    np.testing.assert_array_equal(baseline.window(125 + 32), with_pause(1).windows(SPEC)[62])
    np.testing.assert_array_equal(Core(SPEC).features(baseline.window(157)[None])[0], baseline.features[157])


def test_a_node_that_seldom_looks_learns_from_all_that_was_recorded() -> None:
    seldom = replace(SPEC, hop=4096)
    assert Baseline.of([recording(0)], seldom).counts == [125]
    assert Baseline.of([recording(0)], seldom).interval_s == pytest.approx(256 / 16000)


def test_a_session_is_what_the_sidecars_say_else_the_file() -> None:
    def sessions(*recordings: Recording) -> list[int]:
        found = Baseline.of(recordings, SPEC).session_of
        return [int(found[125 * place]) for place in range(len(recordings))]

    monday, tuesday = recording(0), recording(1)
    assert sessions(monday, tuesday, replace(monday, samples=tuesday.samples.copy())) == [0, 1, 0]
    assert sessions(monday, replace(monday, machine="another", samples=tuesday.samples.copy())) == [0, 1]
    file = replace(recording(0, seconds=4.0), session="", sha256="ab", path=Path("day.wav"))
    other = replace(recording(1), session="", sha256="cd", path=Path("night.wav"))
    assert sessions(file.part(0, 2), other, file.part(2, 4)) == [0, 1, 0]


def test_a_limit_is_a_promise_or_a_rate() -> None:
    for promise, rate in ((None, None), (Promise(1), 0.1)):
        with pytest.raises(CyberHansError, match="not both"):
            Limit(promise, rate)


def test_votes_are_counted_at_the_pace_of_the_node() -> None:
    baseline = Baseline.of([recording(0)], SPEC)
    assert Limit(Promise(1), None).decision(baseline) == {"votes": 32, "needed": 17, "every_s": 0.016}
    assert Limit(Promise(1, every_s=1.0), None).decision(baseline) == {"votes": 10, "needed": 6, "every_s": 1.0}
    assert Limit(None, 0.1).votes(baseline) == 32


def test_a_forests_scores_have_a_smaller_scale() -> None:
    """The same scores: what is taken to be the least spread is that of the kind."""
    baseline = Baseline.of([recording(seed, seconds=1.0) for seed in range(5)], SPEC)
    scores = np.random.default_rng(0).normal(-65536, 900, len(baseline.features)).astype(np.int32)
    forest, gaussian = (Limit(Promise(1), None).threshold(scores, baseline, kind) for kind in ("forest", "gaussian"))
    assert forest.value < -65536 + 0.25 * 65536 < gaussian.value
