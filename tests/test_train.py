"""Training: the same bytes again, thresholds from windows left out, and refusals that say how to mend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from counts import full
from learnt import SPEC, features, recording

from cyberhans import detectors
from cyberhans import train as room
from cyberhans.core import Core
from cyberhans.detector import load_detector
from cyberhans.detectors import KINDS, Features
from cyberhans.detectors.gaussian import Gaussian
from cyberhans.errors import CyberHansError
from cyberhans.promise import Promise
from cyberhans.quality import Reason, profile
from cyberhans.recording import Recording, load_recording, save_recording
from cyberhans.threshold import rank, threshold_for
from cyberhans.train import left_out_scores, train

FEW = [recording(seed, seconds=0.5) for seed in range(3)]  # 31 windows each


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_same_inputs_same_bytes_of_the_whole_folder(kind: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(FEW, kind=kind, spec=SPEC, false_alarm_rate=0.05, seed=3).save(tmp_path / name)
    assert content(tmp_path / "a") == content(tmp_path / "b")


@pytest.mark.slow
def test_the_seed_counts() -> None:
    a, b = (train(FEW, kind="forest", spec=SPEC, false_alarm_rate=0.05, seed=seed) for seed in (0, 1))
    assert a.model.text != b.model.text
    for seed in (-1, 1 << 25):
        with pytest.raises(CyberHansError, match="seed"):
            train(FEW, kind="forest", spec=SPEC, false_alarm_rate=0.05, seed=seed)


def saved(folder: Path, name: str, seed: int = 1) -> Recording:
    path = folder / f"{name}.wav"
    save_recording(recording(seed, seconds=0.5), path)
    return load_recording(path)


def test_a_copy_of_a_recording_counts_once(tmp_path: Path) -> None:
    """Else no window of it would be left out while its twin is learnt from, and the threshold would be far too low."""
    one, two = saved(tmp_path, "one"), saved(tmp_path, "two", seed=2)
    copies = [saved(tmp_path, f"copy{i}") for i in range(3)]
    alone = train([one, two], kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    made = train([one, copies[0], two, one, *copies[1:]], kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    assert (made.threshold, made.model.text) == (alone.threshold, alone.model.text)
    assert made.provenance["windows"] == alone.provenance["windows"]
    assert any("copy1.wav holds the same samples: counted once" in text for text in made.warnings)
    with pytest.raises(CyberHansError, match="windows"):  # copies are no more windows
        train([one, *copies], kind="gaussian", spec=SPEC, false_alarm_rate=0.01)


def test_parts_that_overlap_are_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path, "whole")
    with pytest.raises(CyberHansError, match="shares samples with whole"):
        train([whole.part(0, 0.3), whole.part(0.2, 0.5)], kind="gaussian", spec=SPEC, false_alarm_rate=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_device_scores_as_scikit_learn_does(kind: str) -> None:
    """The whole integer path, from samples on, against floats: the difference is that of rounding."""
    made = train(FEW, kind=kind, spec=SPEC, false_alarm_rate=0.05)
    windows = recording(9, gain=1.3).windows(SPEC)
    result = made.core().run(windows)
    learnt = np.concatenate([Core(SPEC).features(part.windows(SPEC)) for part in FEW])
    wanted = detectors.fit(kind, learnt, 0).score(result.features)
    np.testing.assert_allclose(result.score / 65536, wanted, atol=2e-3)


def test_the_threshold_comes_from_windows_left_out() -> None:
    made = train(FEW, kind="gaussian", spec=SPEC, false_alarm_rate=0.1)
    scores = made.arrays["left_out_score"]
    assert scores.dtype == np.int32 and len(scores) == made.provenance["windows"] == 93
    assert made.threshold == np.sort(scores)[-rank(93, 0.1)]


def test_parts_of_one_file_are_left_out_as_one_recording() -> None:
    """128 windows of one file in two parts are scored like those of the whole; parts of two files are not."""

    def scores(*parts: Recording) -> list[int]:
        made = train(parts, kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
        return list(made.arrays["left_out_score"])

    file = replace(recording(0, seconds=2.048), sha256="ab", path=Path("day.wav"))
    first, second = file.part(0, 1.024), file.part(1.024, 2.048)
    assert scores(first, second) == scores(file)
    assert scores(first, replace(second, session="another day")) != scores(file)
    unnamed = [replace(part, session="") for part in (first, second)]  # then a file is a session
    assert scores(*unnamed) == scores(file)
    assert scores(unnamed[0], replace(unnamed[1], sha256="cd")) != scores(file)


def test_left_out_scores_never_see_their_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.repeat(np.arange(60), 4).reshape(60, 4).astype(np.int16)
    recording_of = np.repeat(np.arange(3), 20)

    class Knows:
        def __init__(self, learnt: Features) -> None:
            self.learnt = set(recording_of[learnt[:, 0]])

        def score(self, features: Features) -> np.ndarray:
            assert not self.learnt & set(recording_of[features[:, 0]])
            return features[:, 0] / 65536

    monkeypatch.setattr(detectors, "fit", lambda kind, features, seed, heads, share: Knows(features))
    np.testing.assert_array_equal(left_out_scores("gaussian", rows, recording_of, 0), np.arange(60))


def test_a_strange_recording_raises_the_threshold() -> None:
    """A recording that differs from the others is normal too: left out, it scores high, and the threshold follows."""
    plain = train(FEW, kind="gaussian", spec=SPEC, false_alarm_rate=0.1)
    varied = train([*FEW[:2], recording(2, seconds=0.5, gain=1.2)], kind="gaussian", spec=SPEC, false_alarm_rate=0.1)
    assert varied.threshold > plain.threshold + 65536


def test_golden_windows_are_of_the_training() -> None:
    made = train(FEW, kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    windows = np.concatenate([part.windows(SPEC) for part in FEW])
    np.testing.assert_array_equal(made.golden, windows[[0, 46, 92]])
    np.testing.assert_array_equal(made.golden_features, Core(SPEC).features(made.golden))


def test_provenance_says_where_it_comes_from() -> None:
    parts = [replace(FEW[0], sha256="ab" * 32), FEW[1]]
    found = train(parts, kind="gaussian", spec=SPEC, false_alarm_rate=0.05, seed=7).provenance
    assert found["seed"] == 7 and found["windows"] == 62
    assert found["recordings"][0]["sha256"] == "ab" * 32
    assert [part["windows"] for part in found["recordings"]] == [31, 31]
    assert {"cyberhans", "python", "numpy", "scikit-learn", "emlearn"} <= set(found["versions"])
    assert found["agreement_with_source"]["error"] <= found["agreement_with_source"]["limit"]


def test_what_to_warn_of_is_kept() -> None:
    """Each reason of the verdict that is not fatal, with the recording it is about."""
    clipped = FEW[1].samples.copy()
    clipped[::50] = 32767
    parts = [replace(FEW[0], lost_samples=7), replace(FEW[1], samples=clipped), *FEW[2:], recording(3, seconds=0.5)]
    made = train(parts, kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    told = [[warning.split(":")[0] for warning in part["warnings"]] for part in made.provenance["recordings"]]
    assert told == [["7 samples were lost (0.087 %)"], ["channel c0"], [], []]
    assert [warning.rsplit(":", 1)[0] for warning in made.warnings] == [
        "recording rig day 0: 7 samples were lost (0.087 %)",
        "recording rig day 1: channel c0: 2 % of samples at full scale",
    ]
    assert made.summary()["warnings"] == made.warnings and "accepted" not in made.provenance


FAILED = Reason("the sensor has come loose: fasten it", fatal=True)  # as a capture has told it


def test_a_recording_that_failed_is_refused_by_name_and_reason() -> None:
    parts = [FEW[0], replace(FEW[1], reasons=(FAILED,), profile=profile(FEW[1])), FEW[2]]
    with pytest.raises(
        CyberHansError, match=r"^recording rig day 1: failed: the sensor has come loose.*--accept REASON$"
    ):
        train(parts, kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    with pytest.raises(CyberHansError, match="failed"):  # a blank is no reason
        train(parts, kind="gaussian", spec=SPEC, false_alarm_rate=0.05, accept="  ")


def test_what_is_accepted_is_kept_with_its_reason(tmp_path: Path) -> None:
    parts = [FEW[0], replace(FEW[1], reasons=(FAILED,), profile=profile(FEW[1])), FEW[2]]
    made = train(parts, kind="gaussian", spec=SPEC, false_alarm_rate=0.05, accept="glued on again at once")
    expected = {"reason": "glued on again at once", "recordings": {"recording rig day 1": [str(FAILED)]}}
    assert load_detector(made.save(tmp_path / "d").folder or "").provenance["accepted"] == expected
    assert "recording rig day 1 failed, but was accepted" in made.warnings


def test_what_failed_is_found_anew_where_nobody_assessed_it() -> None:
    dead = replace(FEW[1], samples=np.zeros_like(FEW[1].samples))
    with pytest.raises(CyberHansError, match="day 1: failed: all samples are zero"):
        train([FEW[0], dead], kind="gaussian", spec=SPEC, false_alarm_rate=0.05)


def test_accepting_does_no_harm_where_nothing_failed() -> None:
    made = train(FEW, kind="gaussian", spec=SPEC, false_alarm_rate=0.05, accept="just in case")
    assert "accepted" not in made.provenance


def test_a_single_recording_is_calibrated_but_warned_of() -> None:
    made = train([recording(0)], kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    assert not made.uncalibrated
    assert made.warnings[0].startswith("threshold from one recording: sessions of a machine differ")


def false_alarms(sessions: int, random: np.random.Generator) -> float:
    """Of a gaussian with rate 0.05, on windows of sessions unseen; each session shifts all features by its own."""

    def windows(count: int) -> Features:
        rows = features(8, 100 * count, seed=int(random.integers(1 << 30))).astype(np.float64)
        return np.rint(rows + np.repeat(random.normal(0, 120, (count, 8)), 100, axis=0)).astype(np.int16)

    normal = windows(sessions)
    left_out = left_out_scores("gaussian", normal, np.repeat(np.arange(sessions), 100), 0)
    threshold = threshold_for(left_out, 0.05)
    assert not threshold.uncalibrated
    scores = detectors.fit("gaussian", normal, 0).score(windows(5)) * 65536
    return float((scores > threshold.value).mean())


def test_the_rate_is_kept_for_sessions_unseen_if_several_were_learnt_and_not_after_one() -> None:
    """Why a detector of one recording warns: its threshold knows of no other session."""
    random = np.random.default_rng(0)
    one, four = (np.mean([false_alarms(count, random) for _ in range(full(20, 200))]) for count in (1, 4))
    assert four < 0.1 and one > 0.3


KINDS_OF_STILL = [("gaussian", ""), ("autoencoder", ""), ("forest", "could never alarm"), ("trees", "")]


@pytest.mark.parametrize(("kind", "words"), KINDS_OF_STILL)
def test_a_machine_of_which_all_windows_are_alike(kind: str, words: str) -> None:
    """Ends in a detector that is silent on it and hears another, or in one line."""
    period = (np.arange(256) % 64 * 100 - 3000).astype(np.int16)
    alike = [Recording(np.tile(period, 30)[:, None], 16000.0, session=str(day)) for day in range(2)]
    if words:
        with pytest.raises(CyberHansError, match=words):
            train(alike, kind=kind, spec=SPEC, false_alarm_rate=0.05)
        return
    made = train(alike, kind=kind, spec=SPEC, false_alarm_rate=0.05)
    assert not made.core().run(alike[0].windows(SPEC)).verdict.any()
    assert made.core().run(recording(5).windows(SPEC)).verdict.all()


def test_a_short_single_recording_is_enough_when_uncalibrated() -> None:
    made = train([recording(0, seconds=0.2)], kind="gaussian", spec=SPEC, false_alarm_rate=0.01, uncalibrated=True)
    assert made.uncalibrated and made.flags == 1
    assert made.threshold == made.arrays["left_out_score"].max()


def test_enough_windows_are_calibrated_even_if_it_need_not_be() -> None:
    made = train(FEW, kind="gaussian", spec=SPEC, false_alarm_rate=0.05, uncalibrated=True)
    assert not made.uncalibrated and made.flags == 0


def test_too_few_windows_are_refused_before_anything_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "left_out_scores", lambda *_: pytest.fail("it went on"))
    with pytest.raises(
        CyberHansError, match=r"93 windows, 6 more needed .* 0\.01: record about 0\.096 s more, or deploy"
    ):
        train(FEW, kind="gaussian", spec=SPEC, false_alarm_rate=0.01)


def named(base: Recording, name: str, **changes: object) -> Recording:
    return replace(base, path=Path(name), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"rate_hz": 8000.0}, r"b\.wav has 8000 Hz, a\.wav has 16000 Hz"),
        ({"samples": np.ones((9000, 2), np.int16), "axes": ()}, r"b\.wav has 2 channels, a\.wav has 1"),
        ({"scale": 0.001, "unit": "g"}, r"b\.wav has 0\.001 g per LSB, a\.wav has .* full-scale: train on one sensor"),
        ({"label": "anomaly"}, r"b\.wav: is labelled anomaly"),
        ({"samples": np.zeros((9000, 1), np.int16)}, r"b\.wav: failed: all samples are zero"),
        ({"samples": np.full((9000, 1), 32767, np.int16)}, r"b\.wav: "),
        ({"samples": np.ones((100, 1), np.int16) * np.arange(100, dtype=np.int16)[:, None]}, r"b\.wav: .* shorter"),
    ],
)
def test_a_bad_recording_is_named(second: dict[str, object], words: str) -> None:
    if "samples" in second:
        second = {**second, "segment_len": 0}
    pair = [named(FEW[0], "a.wav"), named(FEW[1], "b.wav", **second)]
    with pytest.raises(CyberHansError, match=words):
        train(pair, kind="gaussian", spec=SPEC, false_alarm_rate=0.1)


def test_a_recording_without_a_label_is_taken_at_the_users_word() -> None:
    unlabelled = [replace(part, label="unknown") for part in FEW]
    assert train(unlabelled, kind="gaussian", spec=SPEC, false_alarm_rate=0.1).provenance["windows"] == 93


@pytest.mark.parametrize("rate", [0.0, 0.6, -1.0])
@pytest.mark.parametrize("uncalibrated", [False, True])
def test_a_rate_out_of_range(rate: float, uncalibrated: bool) -> None:
    with pytest.raises(CyberHansError, match="false-alarm rate"):
        train(FEW, kind="gaussian", spec=SPEC, false_alarm_rate=rate, uncalibrated=uncalibrated)


def test_nothing_to_learn_from() -> None:
    with pytest.raises(CyberHansError, match="no recordings"):
        train([], kind="gaussian", spec=SPEC, false_alarm_rate=0.1)
    with pytest.raises(CyberHansError, match="left to learn from"):
        train([recording(0, seconds=0.02)], kind="gaussian", spec=SPEC, false_alarm_rate=0.5, uncalibrated=True)


def test_an_unknown_kind() -> None:
    with pytest.raises(CyberHansError, match="choose autoencoder, forest, gaussian"):
        train(FEW, kind="oracle", spec=SPEC, false_alarm_rate=0.1)


def test_learning_leaves_numpy_as_it_was() -> None:
    before = np.geterr()
    train(FEW, kind="gaussian", spec=SPEC, false_alarm_rate=0.1)
    assert np.geterr() == before


def test_the_yardstick_is_learnt_from_all_windows() -> None:
    learnt = np.concatenate([Core(SPEC).features(part.windows(SPEC)) for part in FEW])
    whole = detectors.fit("gaussian", learnt, 0)
    assert isinstance(whole, Gaussian)
    made = train(FEW, kind="gaussian", spec=SPEC, false_alarm_rate=0.1)
    np.testing.assert_array_equal(made.arrays["exact"], whole.arrays()["exact"])


def days(count: int, seconds: float = 0.6, first: int = 0) -> list[Recording]:
    """As many sessions, each long enough for one decision of 32 windows of 16 ms."""
    return [recording(seed, seconds=seconds) for seed in range(first, first + count)]


def test_a_promise_makes_the_threshold_and_is_kept_with_the_detector(tmp_path: Path) -> None:
    made = [train(days(6), kind="gaussian", spec=SPEC, promise=Promise(n)) for n in (0.01, 1, 100)]
    assert made[0].threshold > made[1].threshold > made[2].threshold
    assert not made[1].uncalibrated and made[1].false_alarm_rate is None and made[1].false_alarms_per_hour is None
    loaded = load_detector(made[1].save(tmp_path / "d").folder or tmp_path)
    assert loaded.promise == Promise(1) and loaded.digest == made[1].digest
    told = loaded.summary()
    assert (told["false_alarms_per_month"], told["alarm"]) == (1, "17 of 32 windows")


def test_how_often_the_node_looks_is_its_hop_and_takes_nothing_from_what_is_learnt() -> None:
    made = train(days(5), kind="gaussian", spec=SPEC, promise=Promise(1, every_s=10.0))
    assert made.spec.hop == 160_000 and made.spec.window == SPEC.window
    assert made.provenance["windows"] == 5 * 37
    assert made.provenance["decision"] == {"votes": 7, "needed": 4, "every_s": 10.0}


@pytest.mark.parametrize("every_s", [0.001, 100.0])
def test_a_pause_that_no_spec_has_is_refused(every_s: float) -> None:
    with pytest.raises(CyberHansError, match=r"may come every 0\.016 to 65\.54 s; choose --every in between"):
        train(days(4), kind="gaussian", spec=SPEC, promise=Promise(1, every_s=every_s))


@pytest.mark.parametrize(
    ("baseline", "text"),
    [
        (
            days(1),
            "1 recording: too little to promise anything .*: record 3 more on other days, 1 minute each",
        ),
        (days(3), "3 recordings: too little .* record 1 more on other days"),
        (days(4, seconds=0.3), "4 recordings, 4 of them too short: .* record 4 more on other days"),
    ],
)
def test_too_little_for_a_promise_says_what_is_missing_or_is_deployed_as_learning(
    baseline: list[Recording], text: str
) -> None:
    with pytest.raises(CyberHansError, match=text):
        train(baseline, kind="gaussian", spec=SPEC, promise=Promise(1))
    assert train(baseline, kind="gaussian", spec=SPEC, promise=Promise(1), uncalibrated=True).uncalibrated


def test_a_promise_kept_by_a_deaf_detector_is_warned_of() -> None:
    """Four sessions that are unlike one another make a high threshold; eight alike do not."""
    unlike = [recording(seed, seconds=0.6, gain=1.0 + 0.1 * seed) for seed in range(4)]
    warned = train(unlike, kind="gaussian", spec=SPEC, promise=Promise(1)).warnings
    assert any("octaves above healthy windows" in line and "record more sessions" in line for line in warned)
    assert not any(
        "octaves above" in line for line in train(days(8), kind="gaussian", spec=SPEC, promise=Promise(1)).warnings
    )


def test_a_promise_or_a_rate_but_not_both() -> None:
    for more in ({}, {"promise": Promise(1), "false_alarm_rate": 0.01}):
        with pytest.raises(CyberHansError, match="not both"):
            train(days(4), kind="gaussian", spec=SPEC, **more)  # type: ignore[arg-type]
