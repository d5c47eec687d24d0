"""The search: what is recommended keeps its limits, the front is one, figures are those of a fresh build."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import cyberhans
from learnt import recording
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from conftest import ROOT
from cyberhans.baseline import Baseline
from cyberhans.build import build
from cyberhans.dataset import load_protocol
from cyberhans.detector import load_detector
from cyberhans.errors import CyberHansError
from cyberhans.promise import Promise
from cyberhans.recording import Recording
from cyberhans.search import Limits, front, of_protocol, of_recordings, search
from cyberhans.search.fidelity import perturbed, spearman
from cyberhans.search.grid import Choice, coarse, designs, neighbours, spec_of
from cyberhans.search.material import Gate, spans
from cyberhans.search.plot import plot
from cyberhans.search.report import lines
from cyberhans.search.walk import choose_yardstick
from cyberhans.search.yardstick import Auc, clusters, gather, least_error, shipped
from cyberhans.spec import Family, Spec, design
from cyberhans.train import train

DEMO = ROOT / "recordings" / "demo"
HEALTHY = [replace(recording(seed, 3.0), sha256=f"{seed:064x}") for seed in range(6)]
STRANGE = [replace(recording(seed, 3.0, "anomaly", gain=1.02), sha256=f"{seed:064x}") for seed in range(10, 14)]

Found = dict[str, Any]


def row(number: int, quality: float, flash: int, instructions: int | None = None, **more: Any) -> front.Row:
    """A whole row of the few fields that choosing needs."""
    return {"number": number, "quality": quality, "quality_error": 0.01, "flash_bytes": flash, "ram_bytes": 4000,
            "instructions_per_window": instructions, "instructions_per_s": instructions, "reason": None,
            "detector": "gaussian", "features": 9, **more}  # fmt: skip


# --- choosing


def test_the_front_has_no_dominated_point_and_lacks_none() -> None:
    random = np.random.default_rng(1)
    drawn = np.stack([random.integers(80, 100, 60), random.integers(20, 40, 60), random.integers(100, 110, 60)])
    rows = [row(k, q / 100, int(f), int(i)) for k, (q, f, i) in enumerate(drawn.T)]
    on = {one["number"] for one in front.front(rows)}
    for one in rows:
        beaten = any(
            other["quality"] >= one["quality"] and other["flash_bytes"] <= one["flash_bytes"]
            and other["instructions_per_s"] <= one["instructions_per_s"]
            and (other["quality"], other["flash_bytes"], other["instructions_per_s"])
            != (one["quality"], one["flash_bytes"], one["instructions_per_s"])
            for other in rows
        )  # fmt: skip
        assert beaten == (one["number"] not in on)
    assert 1 < len(on) < 60


def test_the_smallest_that_is_as_good_then_the_fewest_instructions() -> None:
    rows = [row(1, 1.0, 900, 50), row(2, 0.991, 300, 70), row(3, 0.992, 300, 60), row(4, 0.989, 100, 10)]
    assert [one["number"] for one in front.as_good(rows, Limits(), 0.99)] == [3, 2, 1]


def test_a_limit_excludes_and_says_by_how_much() -> None:
    rows = [row(1, 1.0, 900, 50), row(2, 0.9, 300, 70)]
    assert front.best(rows, Limits()) is rows[0]
    assert front.best(rows, Limits(flash=899)) is rows[1]
    assert front.best(rows, Limits(flash=899, quality=0.95)) is None
    assert Limits(flash=800).exceeded(rows[0]) == [("flash 900 of 800", pytest.approx(0.125))]
    assert front.best(rows, Limits(instructions=50)) is rows[0]
    assert front.best(rows, Limits(ram=3999)) is None
    assert front.nearest(rows, Limits(flash=880, quality=0.99)) is rows[0]
    assert front.nearest(rows, Limits(flash=310, quality=0.91)) is rows[1]


# --- the grid


@pytest.mark.parametrize(("channels", "segment"), [(1, 160_000), (3, 40_000), (2, 2_560), (6, 4_000)])
def test_every_point_is_a_spec_or_a_reason(channels: int, segment: int) -> None:
    """From each size everything that can be reached; whatever a Spec is made of is as SPEC.md wants it."""
    taken = recording(0, segment / 16000)
    wide = replace(taken, samples=np.repeat(taken.samples, channels, axis=1), axes=())
    designed = designs([wide])
    todo, known = coarse(("gaussian", "forest"), "small"), set()
    assert [choice.size for choice in todo] == ["small", "small", "full", "full", "tiny", "tiny"]
    specs, refused = [], []
    while todo:
        choice = todo.pop()
        if choice in known:
            continue
        known.add(choice)
        todo += neighbours(choice, ("gaussian", "forest"))
        try:
            specs.append(spec_of(choice, designed))
        except CyberHansError as error:
            refused.append(str(error))
    assert len(known) == 3 * 3 * 4 * 3 * 4 * (1 + 3)  # sizes, windows, frames, bands, families, shares of both
    assert all(isinstance(spec, Spec) for spec in specs) and len(specs) + len(refused) == len(known)
    assert all(refused)
    assert spec_of(Choice("full", "gaussian"), designed) == design("full", 16000, channels, segment)


def test_fewer_bands_cover_the_same_range_on_the_same_scale() -> None:
    designed = designs([recording(0, 10.0)])
    whole, half = (spec_of(Choice("full", "gaussian", bands=share), designed) for share in (1.0, 0.5))
    for before, after in zip(whole.frames, half.frames, strict=True):
        assert after.bands == before.bands // 2
        assert (after.edges[0], after.edges[-1]) == (before.edges[0], before.edges[-1])
        nearest = [min(abs(edge - other) for other in before.edges) for edge in after.edges]
        assert max(nearest) <= max(np.diff(before.edges)) / 2
    assert spec_of(Choice("full", "gaussian", families="none"), designed).families == Family(0)
    assert Family.SPREAD in spec_of(Choice("full", "gaussian", families="spread"), designed).families
    halved = spec_of(Choice("full", "gaussian", frames="half"), designed)
    assert [frame.length for frame in halved.frames] == [whole.longest // 2]


# --- quality


def test_auc_is_that_of_the_spans_and_never_certain() -> None:
    length = 1600
    material = of_recordings(HEALTHY + STRANGE)
    spec = replace(design("tiny", 16000, 1, 48000), window=length, hop=length)

    def loudness(windows: np.ndarray) -> np.ndarray:
        return windows.astype(np.float64).std(axis=(1, 2))

    gate = Gate(Baseline.of(material.learn, spec))
    found = Auc(material, length, gate).measure(spec, loudness)
    normal, anomaly = (np.concatenate([loudness(spans(part, length)) for part in parts])
                       for parts in (material.normal, material.anomaly))  # fmt: skip
    labels = np.repeat([0, 1], [len(normal), len(anomaly)])
    assert found.value == pytest.approx(roc_auc_score(labels, np.concatenate([normal, anomaly])), abs=1e-12)
    assert 0 < found.error < 0.2
    apart = Auc(material, length, gate).measure(spec, lambda windows: np.abs(windows).max(axis=(1, 2)) * 0.0)
    assert apart.value == 0.5
    short = replace(spec, window=800, hop=800)  # a span's score is the mean over its windows
    assert Auc(material, length, gate).measure(short, loudness).value != found.value


def axes(seed: int, off: float = 0.0, seconds: float = 6.0, label: str = "normal") -> Recording:
    """Three axes of one machine, one of them shared by all, that stands still for the first share of the time."""
    shared, *own = (recording(50 * seed + axis, seconds).samples.astype(np.float64) for axis in range(4))
    samples = np.concatenate([shared * (1 + axis / 2) + part / 2 for axis, part in enumerate(own)], axis=1)
    samples[: int(off * len(samples))] /= 200
    plain = recording(seed, seconds, label, sha256=f"{seed:064x}")
    return replace(plain, samples=np.rint(samples / 2).astype(np.int16), segment_len=0, axes=())


@pytest.mark.slow
def test_the_yardstick_is_the_full_size_detector_that_train_makes() -> None:
    """Of several axes, which are judged head by head, and of a machine that is off for some of the time."""
    material = of_recordings([axes(seed, off=0.4) for seed in range(12)])
    yardstick, length = choose_yardstick(material, designed := designs(material.learn), ["gaussian"], 0)
    full = designed["full"]
    assert isinstance(full, Spec) and len(yardstick.spans) > 100  # type: ignore[attr-defined]
    made = train(material.learn, kind="gaussian", spec=full, promise=Promise(1.0), uncalibrated=True)
    assert yardstick.measure(full, shipped(made.core())).value > 0.999
    assert length == full.window


def test_spans_in_which_the_machine_is_off_are_not_measured() -> None:
    material = of_recordings(
        [axes(seed, off=0.5) for seed in range(4)] + [axes(9, off=0.25, label="anomaly")]
    )  # fmt: skip
    full = design("full", 16000, 3, 96000)
    gate, length = Gate(Baseline.of(material.learn, full)), full.window
    assert len(spans(material.normal[0], length)) == 5
    kept = gather(material.normal * 8, length, "normal", gate).spans
    np.testing.assert_array_equal(kept, np.tile(spans(material.normal[0], length)[2:], (8, 1, 1)))
    assert len(gather(material.anomaly * 4, length, "anomalous", gate).spans) == 4 * 4
    assert [len(part.spans) for part in Auc(replace(material, normal=material.normal * 8,
            anomaly=material.anomaly * 8), length, gate).parts] == [8 * 3, 8 * 4]  # fmt: skip
    with pytest.raises(CyberHansError, match=r"^3 normal .* \(2 more, in which the machine is off, do not count\)"):
        gather(material.normal, length, "normal", gate)


@pytest.mark.parametrize(("normals", "anomalies"), [(40, 200), (50, 50), (8, 8)])
def test_the_least_error_of_a_perfect_auc_is_that_of_samples_that_are_often_perfect(
    normals: int, anomalies: int
) -> None:
    """Drawn: an anomalous score is the largest of so many normal ones that its AUC is the bound of least_error()."""
    few, many = sorted((normals, anomalies))
    bound = 1 - np.log(3) / (few * np.log(many))
    random = np.random.default_rng(0)
    drawn = [(random.random(many)[:, None] ** ((1 - bound) / bound) > random.random(few)).mean() for _ in range(1500)]
    assert 0.2 < np.mean(np.array(drawn) == 1) < 0.4
    assert least_error(1.0, anomalies, normals) == least_error(bound, anomalies, normals)
    assert least_error(1.0, anomalies, normals) == pytest.approx(np.std(drawn), rel=0.15)


def test_recordings_are_drawn_where_there_are_four_else_blocks() -> None:
    whole, place = clusters(HEALTHY[:4], [5, 3, 2, 4])
    assert whole and place.tolist() == [0] * 5 + [1] * 3 + [2] * 2 + [3] * 4
    whole, place = clusters(HEALTHY[:2], [20, 20])
    assert not whole and len(set(place)) == 10 and (np.diff(place) >= 0).all()


def test_rank_correlation_is_scipys() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        a, b = random.integers(0, 9, 40).astype(float), random.normal(size=40)
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert spearman(np.ones(5), np.arange(5.0)) == 0


def test_perturbed_spans_are_other_spans_and_always_the_same() -> None:
    part = spans(HEALTHY[0], 1600)
    for number in range(6):
        changed = perturbed(part, number)
        assert changed.dtype == np.int16 and changed.shape == part.shape
        assert (changed == perturbed(part, number)).all() and (changed != part).any()
    loud = perturbed(np.full((3, 64, 1), 32767, np.int16), 0)
    assert loud.max() == 32767 and loud.min() > 0


# --- what it learns from


def test_a_third_is_left_out_and_anomalies_only_measure() -> None:
    material = of_recordings(HEALTHY + STRANGE)
    assert material.learn == tuple(HEALTHY[:4]) and material.normal == tuple(HEALTHY[4:])
    assert material.anomaly == tuple(STRANGE) and material.every == tuple(HEALTHY)
    assert material.unlabelled == []
    alone = of_recordings([replace(HEALTHY[0], label="unknown")])
    assert alone.unlabelled == [HEALTHY[0].name]
    assert alone.learn[0].frames == 32000 and alone.normal[0].first_frame == 32000
    assert "last third" in alone.left_out


@pytest.mark.parametrize(("wrong", "word"), [
    (replace(HEALTHY[1], rate_hz=8000.0, rate_nominal_hz=8000.0), "one rate"),
    (replace(HEALTHY[1], samples=np.repeat(HEALTHY[1].samples, 2, axis=1), axes=()), "one sensor"),
    (replace(HEALTHY[1], scale=0.5), "one sensor at one range"),
    (replace(HEALTHY[1], label="anomaly", samples=np.zeros_like(HEALTHY[1].samples)), "zero"),
])  # fmt: skip
def test_recordings_that_do_not_go_together_are_refused(wrong: Any, word: str) -> None:
    with pytest.raises(CyberHansError, match=word):
        of_recordings([HEALTHY[0], wrong])


def test_anomalies_alone_teach_nothing() -> None:
    with pytest.raises(CyberHansError, match="no normal recordings"):
        of_recordings(STRANGE)


def test_too_little_to_measure_on_says_how_much_more() -> None:
    short = [replace(recording(seed, 0.7), sha256=f"{seed:064x}") for seed in range(2)]
    with pytest.raises(CyberHansError, match=r"3 normal left-out stretches of 0.2 s .*record about 1 s more"):
        search(of_recordings(short), "native", kinds=["gaussian"], points=1)


# --- the whole way, on this computer


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Found, Path]:
    out = tmp_path_factory.mktemp("search")
    return search(of_recordings(HEALTHY + STRANGE), "native", kinds=["gaussian"], points=6, out=out), out


@pytest.fixture(scope="module")
def unlabelled() -> Found:
    return search(of_recordings(HEALTHY), "native", kinds=["gaussian"], points=4)


@pytest.mark.slow
def test_it_says_which_quality(labelled: tuple[Found, Path], unlabelled: Found) -> None:
    full_size = design("full", 16000, 1, 48000).features
    assert labelled[0]["quality"] == "AUC" and "full_size" not in labelled[0]
    assert any("Quality is AUC" in line for line in lines(labelled[0]))
    assert unlabelled["quality"] == "fidelity" and f"gaussian of {full_size} features" == unlabelled["full_size"]
    assert any("no labelled anomalies" in line for line in lines(unlabelled))
    full = next(row for row in unlabelled["rows"] if row["size"] == "full" and not row["steps"])
    assert full["quality"] > 0.999  # the full-size detector itself, but for what its integers round
    assert 0 < unlabelled["full_size_to_itself"] < 1
    assert unlabelled["margin"] == pytest.approx(1 - unlabelled["full_size_to_itself"])


@pytest.mark.slow
def test_the_recommended_is_the_smallest_as_good_as_the_best(labelled: tuple[Found, Path], unlabelled: Found) -> None:
    for found in (labelled[0], unlabelled):
        rows = {row["number"]: row for row in found["rows"] if row["reason"] is None}
        assert len(rows) == (6 if found is labelled[0] else 4) and found["complete"]
        best, chosen = rows[found["best"]], rows[found["recommended"]]
        assert best["quality"] == max(row["quality"] for row in rows.values())
        assert chosen["quality"] >= best["quality"] - found["margin"]
        smaller = [row for row in rows.values() if row["flash_bytes"] < chosen["flash_bytes"]]
        assert all(row["quality"] < best["quality"] - found["margin"] for row in smaller)
        on = [rows[number] for number in found["front"]]
        assert not any(front.dominates(other, one) for one in on for other in rows.values())


@pytest.mark.slow
def test_figures_are_those_of_training_and_building_it_afresh(labelled: tuple[Found, Path], tmp_path: Path) -> None:
    material = of_recordings(HEALTHY + STRANGE)
    designed = designs(material.learn)
    for row in front.whole(labelled[0]["rows"])[-2:]:
        spec = spec_of(Choice(row["size"], row["detector"], **row["steps"]), designed)
        made = train(material.learn, kind="gaussian", spec=spec, promise=Promise(1.0), uncalibrated=True)
        assert made.digest.hex() == row["digest"]
        made.save(tmp_path / "detector")
        image = build(tmp_path / "detector", "native", tmp_path / "image")
        assert row["image_bytes"] == image.flash_bytes
        assert row["flash_bytes"] == image.flash_bytes - image.shares["waveform"]
        assert (row["ram_bytes"], row["model_bytes"]) == (image.ram_bytes, image.shares["model"])
        assert row["instructions_per_window"] is None


@pytest.mark.slow
def test_what_lies_in_the_folder(labelled: tuple[Found, Path], tmp_path: Path) -> None:
    """The report, a plot that is XML, and the recommended detector, taught all recordings, ready to build."""
    found, out = labelled
    assert json.loads((out / "search.json").read_text()) == found
    assert {path.name for path in out.iterdir()} == {"search.json", "pareto.svg", "detector"}
    image = ET.parse(out / "pareto.svg").getroot()
    titles = [node.text or "" for node in image.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == 6 and not any("href" in key for node in image.iter() for key in node.attrib)
    detector = load_detector(out / "detector")
    assert len(detector.provenance["recordings"]) == len(HEALTHY)
    built = build(out / "detector", "native", tmp_path)
    assert built.flash_bytes == found["detector"]["image_bytes"]
    assert detector.digest.hex() == found["detector"]["digest"]


@pytest.mark.slow
def test_the_same_inputs_give_the_same_rows(unlabelled: Found) -> None:
    assert search(of_recordings(HEALTHY), "native", kinds=["gaussian"], points=4) == unlabelled


@pytest.mark.slow
def test_a_smaller_share_is_a_smaller_model() -> None:
    material = of_recordings(HEALTHY + STRANGE)
    spec = design("full", 16000, 1, 48000)
    for kind, share in (("forest", 0.25), ("autoencoder", 0.5)):
        full, part = (train(material.learn, kind=kind, spec=spec, false_alarm_rate=0.05, share=s) for s in (1.0, share))
        assert len(part.model.text) < 0.8 * len(full.model.text)
        assert part.provenance["share"] == share and "share" not in full.provenance
    with pytest.raises(CyberHansError, match=r"share 0.3 of forest: choose 0.25, 0.5, 1"):
        train(material.learn, kind="forest", spec=spec, false_alarm_rate=0.05, share=0.3)


# --- the limit of false alarms


@pytest.mark.slow
def test_what_is_handed_out_keeps_a_promise_of_one_false_alarm_a_month(tmp_path: Path) -> None:
    """As train() makes it of all recordings, and not as learning; the points, of fewer sessions, may be learning."""
    material = of_protocol(load_protocol(DEMO, "fan"))
    found = search(material, "native", kinds=["gaussian"], points=1, out=tmp_path)
    row, made = found["rows"][0], load_detector(tmp_path / "detector")
    spec = spec_of(Choice(row["size"], "gaussian", **row["steps"]), designs(material.learn))
    assert made.digest == train(material.every, kind="gaussian", spec=spec, promise=Promise(1.0)).digest
    assert made.promise == Promise(1.0) and not made.uncalibrated and made.false_alarm_rate is None
    assert found["detector"]["uncalibrated"] is False and found["detector"]["false_alarms_per_month"] == 1
    assert "learning" not in " ".join(found["warnings"]).lower()
    assert any("promises at most 1 false alarms a month (confidence 0.8)" in line for line in lines(found))


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "reason"), [
    ({}, "6 recordings, 6 of them too short: too little to promise anything about false alarms: record 4 more on"),
    ({"false_alarm_rate": 0.01}, "30 windows, 69 more needed for a false-alarm rate of 0.01: record about"),
])  # fmt: skip
def test_with_too_little_baseline_it_is_learning_and_the_first_warning_says_why(
    asked: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    material = of_recordings(HEALTHY)
    found = search(material, "native", kinds=["gaussian"], points=1, out=tmp_path, **asked)
    assert json.loads((tmp_path / "search.json").read_text()) == found
    assert found["warnings"][0].startswith(f"delivered as LEARNING, which never alarms: {reason}")
    told = lines(found)
    assert next(line for line in told if line.startswith("Warning: ")) == f"Warning: {found['warnings'][0]}"
    assert not any("promises" in line or "threshold is for" in line for line in told)
    assert found["detector"]["uncalibrated"] is True and load_detector(tmp_path / "detector").uncalibrated


@pytest.mark.parametrize(("asked", "word"), [
    ({"false_alarm_rate": 0.7}, "false-alarm rate 0.7"),
    ({"false_alarm_rate": 0.1, "promise": Promise(1.0)}, "not both"),
])  # fmt: skip
def test_what_cannot_be_kept_is_refused_before_any_work(asked: dict[str, Any], word: str) -> None:
    with pytest.raises(CyberHansError, match=word):
        search(of_recordings(HEALTHY), "no such board", **asked)


# --- as a command


@pytest.mark.slow
def test_the_limit_of_false_alarms_on_the_command_line(tmp_path: Path) -> None:
    fan = ("search", "--dataset", DEMO, "--protocol", "fan", "--board", "native", "--detector", "gaussian",
           "--points", 1, "--json", "--out", tmp_path)  # fmt: skip
    promised = json.loads(cyberhans(*fan, "--alarms-per-month", 5, "--every", 2.5, "--confidence", 0.9).out)
    assert load_detector(tmp_path / "detector").promise == Promise(5.0, 2.5, 0.9)
    assert promised["detector"]["window_every_s"] == 2.5 and not promised["detector"]["uncalibrated"]
    rate = json.loads(cyberhans(*fan, "--false-alarms", 0.1).out)
    made = load_detector(tmp_path / "detector")
    assert made.promise is None and made.false_alarm_rate == rate["detector"]["false_alarm_rate"] == 0.1
    assert not made.uncalibrated and "false_alarms_per_month" not in rate["detector"]
    assert cyberhans(*fan, "--false-alarms", 0.1, "--every", 2).code == 2
    assert_one_line(cyberhans(*fan, "--alarms-per-month", 0), "0 false alarms per month", "0.01 to 1000")
    assert_one_line(cyberhans(*fan, "--every", 0.001), "a window every 0.001 s", "choose --every in between")


def assert_one_line(outcome: Any, *words: str) -> None:
    assert outcome.code == 1 and outcome.out == "" and outcome.err.count("\n") == 1, outcome
    assert all(word in outcome.err for word in words), outcome.err


@pytest.mark.slow
def test_limits_on_the_command_line(tmp_path: Path) -> None:
    pump = ("search", "--dataset", DEMO, "--protocol", "fan", "--board", "native", "--detector", "gaussian")
    free = json.loads(cyberhans(*pump, "--points", 3, "--json").out)
    sizes = sorted(row["flash_bytes"] for row in free["rows"])
    bound = json.loads(cyberhans(*pump, "--points", 3, "--max-flash", sizes[1], "--json").out)
    assert [row["exceeds"] != [] for row in bound["rows"]] == [row["flash_bytes"] > sizes[1] for row in bound["rows"]]
    assert bound["detector"]["flash_bytes"] <= sizes[1]
    outcome = cyberhans(*pump, "--points", 3, "--max-flash", 1000, "--out", tmp_path / "out")
    assert_one_line(outcome, "no point keeps the limits (flash 1000)", "the nearest, number", "of 1,000")
    assert len(json.loads((tmp_path / "out" / "search.json").read_text())["rows"]) == 3  # what was found is kept
    assert_one_line(cyberhans(*pump, "--max-instructions", 9), "native counts no instructions")
    assert_one_line(cyberhans(*pump[:-1], "gausian"), "choose", "gaussian")
    assert_one_line(cyberhans(*pump[:6], "nativ", *pump[7:]), "unknown board")
    assert cyberhans("search", "--board", "native").code == 2
    assert cyberhans(*pump, "--quick", "--points", 3).code == 2


def test_a_board_too_small_for_all_names_the_smallest() -> None:
    from cyberhans.search import _refuse_nothing

    rows = [{"number": k, "detector": "forest", "features": 40 - k, "reason": "too large",
             "needs": {"memory": "RAM", "needed": 9000 - k, "there": 8192}} for k in (1, 2)]  # fmt: skip
    with pytest.raises(CyberHansError, match=r"no point fits dwarf: the smallest, number 2 .* needs 8,998 .* 8,192"):
        _refuse_nothing(rows, Limits(), "dwarf")
    with pytest.raises(CyberHansError, match="no point could be measured: all is quiet"):
        _refuse_nothing([{"reason": "all is quiet"}], Limits(), "dwarf")


def test_the_plot_marks_front_choice_and_limit() -> None:
    rows = [row(1, 0.99, 30_000, front=True, exceeds=[]), row(2, 0.999, 60_000, front=True, exceeds=["flash"]),
            row(3, 0.98, 40_000, front=False, exceeds=[])]  # fmt: skip
    text = plot({"rows": rows, "quality": "AUC", "span_s": 2.0, "board": "native", "recommended": 1})
    groups = {group[0].text: group for group in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}g")}
    one, two, three = (next(g for title, g in groups.items() if title and title.startswith(f"{k}:")) for k in (1, 2, 3))
    assert len(one) == 3 and len(two) == len(three) == 2  # a ring more
    assert two.get("opacity") and not one.get("opacity")
    assert [group[-1].get("fill") == "white" for group in (one, two, three)] == [False, False, True]
    places = [(float(group[-1].get("cx") or 0), float(group[-1].get("cy") or 0)) for group in (one, two, three)]
    assert places[0][0] < places[2][0] < places[1][0] and places[1][1] < places[0][1] < places[2][1]
    assert all(78 <= x <= 740 and 54 <= y <= 422 for x, y in places)
    assert ET.fromstring(plot({"rows": [], "quality": "AUC", "span_s": 2.0, "board": "native", "recommended": None}))


@pytest.mark.slow
def test_an_interrupt_leaves_what_is_done(tmp_path: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "cyberhans.cli", "search", "--dataset", DEMO, "--protocol", "fan", "--board", "native",
         "--out", tmp_path / "out"],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    told, deadline = tmp_path / "out" / "search.json", time.monotonic() + 120
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    assert run.wait(60) == 130
    assert run.stderr is not None and "Traceback" not in run.stderr.read()
    found = json.loads(told.read_text())
    assert not found["complete"] and found["recommended"] is not None
    assert any(row["reason"] is None for row in found["rows"])
    assert ET.parse(tmp_path / "out" / "pareto.svg")


@pytest.mark.emulator
@pytest.mark.slow
def test_on_an_emulated_board_instructions_are_counted(tmp_path: Path) -> None:
    """The recommended detector, built and counted again: the same bytes, and the same count but for the tick."""
    from cyberhans.boards import board
    from cyberhans.device import open_device
    from cyberhans.verify import count_instructions

    material = of_protocol(load_protocol(DEMO, "fan"))
    limits = Limits(flash=40_000, ram=60_000, instructions=3_000_000, quality=0.9)
    found = search(material, "netduinoplus2", kinds=["gaussian", "forest"], points=6, limits=limits, out=tmp_path)
    chosen = found["detector"]
    assert limits.exceeded({**chosen, "quality": 1.0}) == [] and found["not_counted"] is None
    assert {row["size"] for row in found["rows"]} == {"full", "small", "tiny"}
    image = build(tmp_path / "detector", "netduinoplus2", tmp_path / "image")
    assert image.stack_bytes is not None
    assert (chosen["image_bytes"], chosen["ram_bytes"]) == (image.flash_bytes, image.ram_bytes + image.stack_bytes)
    with open_device("board:netduinoplus2", image=image.image, counting=True) as device:
        detector = load_detector(tmp_path / "detector")
        count = count_instructions(device, board("netduinoplus2"), detector.golden)["total"]
    assert chosen["instructions_per_window"] == pytest.approx(count, abs=500)
