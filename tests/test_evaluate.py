"""The figures of merit: the same as scikit-learn's, and by the integer path; bad recordings are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from counts import full
from hypothesis import given, settings
from hypothesis import strategies as st
from learnt import SPEC, recording
from scipy import stats
from sklearn.metrics import roc_auc_score

from cyberhans.dataset import Protocol, load_protocol
from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError
from cyberhans.evaluate import (
    PARTIAL,
    alarm_counts,
    area,
    binomial_interval,
    decision_table,
    evaluate,
    roc,
    standardised_area,
    window_table,
)
from cyberhans.recording import Recording
from cyberhans.spec import design
from cyberhans.train import train


@pytest.fixture(scope="module")
def detector() -> Detector:
    return train([recording(seed) for seed in range(4)], kind="gaussian", spec=SPEC, false_alarm_rate=0.05)


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    strange = (recording(20, label="anomaly", gain=1.5), recording(21, label="anomaly", gain=1.02))
    return Protocol("rig", (), (recording(10), recording(11, seconds=1.0)), strange)


@settings(max_examples=full(60, 2000), deadline=None)
@given(st.lists(st.tuples(st.integers(-20, 20), st.booleans()), min_size=2, max_size=80))
def test_areas_are_those_of_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    scores, anomaly = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    if anomaly.all() or not anomaly.any():
        return
    curve = roc(scores, anomaly)
    assert area(*curve) == pytest.approx(roc_auc_score(anomaly, scores), abs=1e-12)
    assert standardised_area(*curve, PARTIAL) == pytest.approx(roc_auc_score(anomaly, scores, max_fpr=0.1), abs=1e-12)


def test_perfect_and_useless_scores() -> None:
    anomaly = np.array([False] * 50 + [True] * 50)
    assert area(*roc(anomaly.astype(float), anomaly)) == 1
    assert standardised_area(*roc(anomaly.astype(float), anomaly), PARTIAL) == pytest.approx(1)
    assert area(*roc(np.zeros(100), anomaly)) == 0.5
    assert standardised_area(*roc(np.zeros(100), anomaly), PARTIAL) == pytest.approx(0.5)


def test_the_report(detector: Detector, protocol: Protocol) -> None:
    found = evaluate(detector, protocol)
    figures = {"auc", "pauc10", "false_alarm_rate", "detection_rate"}
    told = figures | {f"decision_{name}" for name in figures}
    assert set(found) == told | {"windows", "decisions", "alarms", "uncalibrated", "warnings"}
    assert found["decisions"] == {"normal": 125, "anomaly": 188}  # from every window on, of 32 windows each
    assert (found["alarms"]["of_normal"], found["alarms"]["of_anomaly"]) == (3 + 1, 3 + 3)
    assert found["windows"] == {"train": 500, "normal": 187, "anomaly": 250}
    assert found["uncalibrated"] is False and found["warnings"] == []
    assert 0.5 < found["auc"] <= 1 and 0.5 < found["pauc10"] <= 1
    assert found["false_alarm_rate"] < 0.15
    assert found["detection_rate"] > 0.5  # the first strange recording at least


def test_it_takes_the_integers_that_ship(detector: Detector, protocol: Protocol) -> None:
    table = window_table(detector, protocol)
    result = detector.core().run(protocol.test_anomaly[0].windows(SPEC))
    mine = table[table["recording"] == protocol.test_anomaly[0].name].reset_index()
    np.testing.assert_array_equal(mine["score"], result.score)
    np.testing.assert_array_equal(mine["verdict"], result.verdict)
    assert table["score"].dtype == np.int32
    expected = evaluate(detector, protocol)
    alarms = table[table["label"] == "normal"]["score"] > detector.threshold
    assert expected["false_alarm_rate"] == pytest.approx(alarms.mean())


def test_decisions_are_votes_of_windows_that_follow_one_another(detector: Detector, protocol: Protocol) -> None:
    """Against a count of the verdicts, by hand; of two parts of one file, which have one name, none votes in both."""
    long = recording(30, seconds=3.0)
    parts = (long.part(0, 1), long.part(1, 3))
    strange = recording(31, seconds=2.0, label="anomaly", gain=1.02)
    windows = window_table(detector, replace(protocol, test_normal=parts, test_anomaly=(strange,)))
    found = decision_table(detector, windows)
    expected, part_of = [], []
    for place, heard in enumerate((*parts, strange)):
        verdicts = detector.core().run(heard.windows(SPEC)).verdict  # 62.5 windows a second, 32 of which vote
        expected += [int(verdicts[k : k + 32].sum() > 16) for k in range(len(verdicts) - 31)]
        part_of += [place] * (len(verdicts) - 31)
    assert found["verdict"].tolist() == expected and 0 < sum(expected) < len(expected)
    assert found["part"].tolist() == part_of and found["score"].dtype == np.int32
    assert set(found["label"][found["part"] < 2]) == {"normal"} and set(found["votes"]) == {32}


def test_alarms_are_counted_in_decisions_that_share_no_window() -> None:
    rows = [("normal", 0, [0, 1, 1, 1, 0, 0, 1]), ("normal", 1, [0]), ("anomaly", 2, [1, 1, 1, 1, 1, 0])]
    table = pd.concat([pd.DataFrame({"label": label, "part": part, "votes": 3, "verdict": verdicts})
                       for label, part, verdicts in rows], ignore_index=True)  # fmt: skip
    found = alarm_counts(table)
    assert (found["false"], found["of_normal"], found["found"], found["of_anomaly"]) == (2, 3 + 1, 2, 2)
    assert found["found_sliding"] == pytest.approx(5 / 6)
    assert found["found_share"] == pytest.approx([0.025**0.5, 1.0])  # two of two: both tails known by hand


@pytest.mark.parametrize(("hits", "of"), [(0, 10), (3, 10), (10, 10), (1, 200)])
def test_the_binomial_interval_is_exact(hits: int, of: int) -> None:
    """At either end the tail of the binomial distribution beyond what was seen is 2.5 %."""
    low, high = binomial_interval(hits, of)
    assert hits == 0 or stats.binom.sf(hits - 1, of, low) == pytest.approx(0.025)
    assert hits == of or stats.binom.cdf(hits, of, high) == pytest.approx(0.025)
    assert (low == 0) == (hits == 0) and (high == 1) == (hits == of)


@pytest.mark.parametrize("role", ["test_normal", "test_anomaly"])
def test_a_missing_class_is_refused(detector: Detector, protocol: Protocol, role: str) -> None:
    with pytest.raises(CyberHansError, match="protocol rig: needs a normal and an anomalous test recording"):
        evaluate(detector, replace(protocol, **{role: ()}))


@pytest.mark.parametrize("role", ["test_normal", "test_anomaly"])
def test_a_bad_recording_is_refused(detector: Detector, protocol: Protocol, role: str) -> None:
    silent = replace(recording(12), samples=np.zeros((9000, 1), np.int16), path=Path("silent.wav"))
    with pytest.raises(CyberHansError, match=r"silent\.wav: all samples are zero"):
        evaluate(detector, replace(protocol, **{role: (*getattr(protocol, role), silent)}))


def test_warnings_are_those_of_the_detector_and_of_the_test(protocol: Protocol) -> None:
    single = train([recording(0)], kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    lossy = replace(protocol.test_normal[0], lost_samples=9, path=Path("lossy.wav"))
    found = evaluate(single, replace(protocol, test_normal=(lossy,)))["warnings"]
    assert found == [*single.warnings, "lossy.wav: 9 samples were lost"] and "one recording" in found[0]


def test_what_it_was_trained_on_is_warned_of(protocol: Protocol) -> None:
    file = replace(recording(0, seconds=4.0), sha256="ab", path=Path("day.wav"))
    known = train([file.part(0, 2)], kind="gaussian", spec=SPEC, false_alarm_rate=0.05)

    def told(test: Recording) -> list[str]:
        found = evaluate(known, replace(protocol, test_normal=(test,)))["warnings"]
        return [line for line in found if "trained" in line]

    assert told(file.part(1.9, 4)) == [
        "day.wav: the detector was trained on it, so it looks better than it is; test on another"
    ]
    assert told(file.part(2, 4)) == [] == told(replace(file.part(0, 2), sha256="cd"))


def test_an_uncalibrated_detector_says_so(protocol: Protocol) -> None:
    rough = train([recording(0)], kind="gaussian", spec=SPEC, false_alarm_rate=0.001, uncalibrated=True)
    assert evaluate(rough, protocol)["uncalibrated"] is True


@pytest.mark.recordings
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "least"), [("autoencoder", 0.99), ("forest", 0.95), ("gaussian", 0.99), ("trees", 0.99)]
)
def test_a_coin_on_a_real_fan_is_heard(recordings: Path, kind: str, least: float) -> None:
    """Real accelerometer, ceiling fan with and without a coin on a blade; the rate asked for is kept."""
    real = load_protocol(recordings, "ceiling_fan/low")
    first = real.train[0]
    spec = design("small", first.rate_hz, first.channels, min(part.segment_len for part in real.train))
    found = evaluate(train(real.train, kind=kind, spec=spec, false_alarm_rate=0.05), real)
    assert found["auc"] > least
    assert found["detection_rate"] > 0.9
    assert found["false_alarm_rate"] < 0.08
