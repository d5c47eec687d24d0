"""The bench: one rule for all protocols, figures that can be computed again from the scores, failures as rows."""

from __future__ import annotations

import csv
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import cyberhans
from counts import ENDURANCE
from learnt import SPEC, recording
from sklearn.metrics import roc_auc_score

from conftest import ROOT
from cyberhans.bench import bench, spec_for
from cyberhans.bench_summary import FIGURES, group, lines, summary
from cyberhans.dataset import load_protocol
from cyberhans.errors import CyberHansError
from cyberhans.flash import Flash
from cyberhans.promise import Promise
from cyberhans.train import train

DEMO = ROOT / "recordings" / "demo"
KINDS = ("gaussian", "forest")
TOGETHER, APART = ("adxl356_point/*",), ("ceiling_fan_shift/*", "cwru_smoke")  # of the real set


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """Two detectors and two seeds; the board is this computer, which can always build."""
    return bench(DEMO, kinds=KINDS, seeds=2, board_name="native", jobs=2)


@pytest.mark.slow
def test_a_row_for_every_protocol_detector_and_seed(found: dict[str, Any]) -> None:
    keys = [(row["protocol"], row["detector"], row["seed"]) for row in found["rows"]]
    assert keys == [(name, kind, seed) for name in ("pump", "fan") for kind in KINDS for seed in (0, 1)]
    for row in found["rows"]:
        assert row["reason"] is None and all(0 <= row[figure] <= 1 for figure in FIGURES)
        assert row["features"] == (174 if row["protocol"] == "pump" else 70)
        assert row["windows"]["train"] > 15 and row["recordings"] == 4
        assert row["alarms"]["of_normal"] > 0 and 0 <= row["alarms"]["found"] <= row["alarms"]["of_anomaly"]
    assert found["settings"]["false_alarms_per_month"] == 1.0 and "design('full'" in found["settings"]["rule"]


@pytest.mark.slow
def test_the_figures_are_those_of_the_scores(found: dict[str, Any]) -> None:
    """Trained again and computed by other code, from the integers of the C core."""
    row = next(row for row in found["rows"] if (row["protocol"], row["detector"], row["seed"]) == ("fan", "forest", 1))
    protocol = load_protocol(DEMO, "fan")
    spec = spec_for(protocol, "full")
    detector = train(protocol.train, kind="forest", spec=spec, promise=Promise(1), seed=1, uncalibrated=True)
    assert (row["digest"], row["threshold"]) == (detector.digest.hex(), detector.threshold)
    assert row["warnings"] == detector.warnings
    core = detector.core()
    scores = [core.run(part.windows(spec)).score for part in protocol.test_normal + protocol.test_anomaly]
    normal, anomaly = (np.concatenate(part) for part in (scores[: len(protocol.test_normal)],
                                                         scores[len(protocol.test_normal) :]))  # fmt: skip
    labels = np.repeat([0, 1], [len(normal), len(anomaly)])
    assert row["auc"] == pytest.approx(roc_auc_score(labels, np.concatenate([normal, anomaly])), abs=1e-12)
    assert row["pauc10"] == pytest.approx(
        roc_auc_score(labels, np.concatenate([normal, anomaly]), max_fpr=0.1), abs=1e-12
    )
    assert row["false_alarm_rate"] == pytest.approx(np.mean(normal > detector.threshold))
    assert row["detection_rate"] == pytest.approx(np.mean(anomaly > detector.threshold))
    assert row["windows"]["normal"] == len(normal) and row["windows"]["anomaly"] == len(anomaly)
    votes = min(int(10 / row["window_s"]), 32)
    heard = [part[k : k + votes] for part in scores for k in range(max(len(part) - votes + 1, 1))]
    said = [2 * np.sum(part > detector.threshold) > len(part) for part in heard]
    of_normal = row["decisions"]["normal"]
    assert len(said) == of_normal + row["decisions"]["anomaly"]
    assert row["decision_false_alarm_rate"] == pytest.approx(np.mean(said[:of_normal]))
    assert row["decision_detection_rate"] == pytest.approx(np.mean(said[of_normal:]))


@pytest.mark.slow
def test_the_seed_matters_to_a_forest_and_not_to_a_gaussian(found: dict[str, Any]) -> None:
    digests = {kind: {row["digest"] for row in found["rows"] if (row["protocol"], row["detector"]) == ("pump", kind)}
               for kind in KINDS}  # fmt: skip
    assert len(digests["gaussian"]) == 1 and len(digests["forest"]) == 2


@pytest.mark.slow
def test_flash_is_that_of_the_image(found: dict[str, Any], tmp_path: Path) -> None:
    """Of the second seed too, which was not linked."""
    from cyberhans.build import build

    protocol = load_protocol(DEMO, "fan")
    for row in found["rows"]:
        if (row["protocol"], row["detector"]) != ("fan", "forest"):
            continue
        detector = train(protocol.train, kind="forest", spec=spec_for(protocol, "full"), promise=Promise(1),
                         seed=row["seed"], uncalibrated=True)  # fmt: skip
        folder = detector.save(tmp_path / str(row["seed"])).folder
        assert folder is not None
        image = build(folder, "native", tmp_path / "image")
        assert row["flash_bytes"] == pytest.approx(image.flash_bytes, abs=64)  # sections are padded
        assert row["model_bytes"] == pytest.approx(image.shares["model"], abs=64)


@pytest.mark.emulator
@pytest.mark.slow
@pytest.mark.parametrize("board", ["netduinoplus2", "virt-rv32imac"])
def test_flash_is_that_of_the_boards_image(board: str, tmp_path: Path) -> None:
    from cyberhans.build import build

    (tmp_path / "work").mkdir()
    flash = Flash(board, tmp_path / "work")
    sizes = set()
    for seed in range(3):
        detector = train([recording(0)], kind="forest", spec=SPEC, false_alarm_rate=0.05, seed=seed)
        detector.save(tmp_path / "detector")
        image = build(tmp_path / "detector", board, tmp_path / "image")
        assert flash.measure(detector) == {"flash_bytes": image.flash_bytes, "model_bytes": image.shares["model"],
                                           "flash_reason": None}  # fmt: skip
        sizes.add(image.flash_bytes)
    assert len(sizes) == 3


@pytest.mark.slow
def test_why_there_are_no_flash_bytes_is_one_line(tmp_path: Path) -> None:
    """Of a model that does not compile, be it the first or a later one."""
    sound = train([recording(0)], kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    broken = replace(sound, model=replace(sound.model, text="int here(void)\n{\n    return nothing;\n}\n"))
    flash = Flash("native", tmp_path)
    for detector in (broken, sound, broken, sound):
        told = flash.measure(detector)
        reason = told.pop("flash_reason")
        if detector is sound:
            assert reason is None and told["model_bytes"] > 0
        else:
            assert told == {"flash_bytes": None, "model_bytes": None}
            assert "nothing" in reason and "error:" in reason and "\n" not in reason


def test_means_over_protocols_groups_and_seeds() -> None:
    def row(protocol: str, seed: int, auc: float) -> dict[str, Any]:
        figures: dict[str, Any] = {figure: 0.0 for figure in FIGURES} | {"auc": auc}
        figures["alarms"] = {"false": seed, "found_sliding": auc + 0.2 * (1 - seed)}
        return {"protocol": protocol, "group": group(protocol, TOGETHER, APART), "detector": "gaussian", "seed": seed,
                "reason": None, "flash_bytes": 9, **figures}  # fmt: skip

    values = {"adxl356_point/a": (0.5, 0.7), "adxl356_point/b": (0.9, 0.9), "fan": (1.0, 0.6), "cwru_smoke": (0.1, 0.1)}
    rows = [row(name, seed, pair[seed]) for name, pair in values.items() for seed in (0, 1)]
    rows.append({**row("late", 0, 1.0)})
    rows.append({"protocol": "late", "detector": "gaussian", "seed": 1, "reason": "too short"})
    told = summary(rows)["gaussian"]
    assert told["not_measured"] == ["late"] and told["protocols"] == 4 and told["groups_counted"] == 2
    assert told["groups"]["adxl356_point/*"]["auc"] == pytest.approx(0.75)
    seeds = [(0.7 + 1.0) / 2, (0.8 + 0.6) / 2]
    assert told["over_groups"]["auc"] == pytest.approx(
        {"mean": sum(seeds) / 2, "min": min(seeds), "max": max(seeds), "std": statistics.stdev(seeds)}
    )
    assert told["over_protocols"]["auc"]["max"] == pytest.approx(2.5 / 4)
    assert told["heard"] == ["adxl356_point/b"]  # with every seed
    fewer = summary([*rows, {**row("fan", 0, 0.0), "fewer": True}])["gaussian"]
    assert fewer == told


def test_nothing_measured_is_no_mean() -> None:
    told = summary([{"protocol": "a", "detector": "forest", "seed": 0, "reason": "no"}])["forest"]
    assert told["over_groups"]["auc"] is None and told["groups"] == {} and told["largest_flash_bytes"] is None


def test_groups_by_name() -> None:
    for name in ("press", "press/left", "cwru_smoke", "adxl356_point/1200rpm_00lb"):
        assert group(name) == name  # no name means anything by itself
    assert group("press/left", ["*/right", "press/*", "*"]) == "press/*"
    assert group("press", ["press/*"]) == "press"
    assert group("press/left", ["press/*"], ["fan", "*/left"]) is None
    assert group("press/left", (), ["fan"]) == "press/left"


@pytest.mark.slow
def test_the_command_groups_as_it_is_asked() -> None:
    asked = ("--together", "fan", "--together", "*u*", "--apart", "f*")
    told = json.loads(cyberhans("bench", DEMO, "--detector", "gaussian", "--board", "native", *asked, "--json").out)
    assert told["settings"]["together"] == ["fan", "*u*"] and told["settings"]["apart"] == ["f*"]
    assert {row["protocol"]: row["group"] for row in told["rows"]} == {"pump": "*u*", "fan": None}
    means = told["summary"]["gaussian"]
    assert set(means["groups"]) == {"*u*"} and means["groups_counted"] == 1 and means["protocols"] == 2


@pytest.mark.recordings
def test_the_29_protocols_of_the_real_set_are_18_groups(recordings: Path) -> None:
    with open(recordings / "protocols.csv", newline="") as file:
        names = {row["protocol"] for row in csv.DictReader(file)}
    assert len(names) == 29
    assert len({group(name, TOGETHER, APART) for name in names} - {None}) == 18


@pytest.mark.slow
def test_the_table(found: dict[str, Any]) -> None:
    text = list(lines(found))
    rows = [line for line in text if line.startswith(("pump", "fan"))]
    assert len(rows) == 4 and len({len(line) for line in [*rows, text[1]]}) == 1  # aligned
    assert any(line.startswith("forest      mean over 2 groups:") for line in text)
    assert "No flash" not in "\n".join(text)


@pytest.mark.slow
def test_the_table_marks_what_is_warned_of(found: dict[str, Any]) -> None:
    """The seeds of a row together."""
    rows = [{**row, "warnings": ["a.wav: 9 samples were lost"] if (row["protocol"], row["seed"]) == ("fan", 1) else []}
            for row in found["rows"]]  # fmt: skip
    text = list(lines({**found, "rows": rows}))
    marked = [line.split()[0] for line in text if line.startswith(("pump", "fan"))]
    assert marked == ["pump", "pump", "fan!", "fan!"]
    assert any(line.startswith("! warned of, 2 of 4 rows: ") for line in text)
    sound = {**found, "rows": [{**row, "warnings": []} for row in rows]}
    assert "!" not in "\n".join(lines(sound))


def small_set(folder: Path, **change: str) -> Path:
    """The fan of the demo set, with rows of protocols.csv changed or added."""
    for path in DEMO.iterdir():
        if path.name.startswith("fan"):
            (folder / path.name).symlink_to(path)
    (folder / "manifest.csv").write_text((DEMO / "manifest.csv").read_text())
    rows = [line for line in (DEMO / "protocols.csv").read_text().splitlines() if not line.startswith("pump")]
    (folder / "protocols.csv").write_text("\n".join([*rows, *change.values()]) + "\n")
    return folder


@pytest.mark.slow
def test_what_cannot_be_measured_is_a_row_with_a_reason(tmp_path: Path) -> None:
    """And what has too little baseline for the promise is measured, as learning."""
    parts = (("train_normal", "mon", 0, 0.15), ("test_normal", "tue", 0, 1), ("test_anomaly", "imbalance", 0, 1))
    rows = "\n".join(f"short,{role},fan_{day}.wav,{start},{end}" for role, day, start, end in parts)
    folder = small_set(tmp_path, rows=rows)
    found = bench(folder, kinds=("gaussian",), board_name="native", jobs=1)
    good, bad = found["rows"]
    assert good["reason"] is None
    assert "are the least: record more" in bad["reason"] and "auc" not in bad
    assert found["summary"]["gaussian"]["not_measured"] == ["short"]
    assert any("not measured: " in line for line in lines(found))


def test_without_a_compiler_for_the_board_there_are_no_flash_bytes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from cyberhans import flash

    monkeypatch.setattr(flash, "toolchain_missing", lambda board: "arm-none-eabi-gcc not found: install it")
    told = flash.Flash("netduinoplus2", tmp_path).measure(None)  # type: ignore[arg-type]
    assert told == {"flash_bytes": None, "model_bytes": None,
                    "flash_reason": "arm-none-eabi-gcc not found: install it"}  # fmt: skip


@pytest.mark.slow
def test_the_command_gives_the_same_with_one_process(found: dict[str, Any]) -> None:
    narrowed = ("--protocol", "f*", "--detector", "gaussian", "--board", "native")
    outcome = cyberhans("bench", DEMO, *narrowed, "--jobs", 1, "--json")
    told = json.loads(outcome.out)
    assert set(told) == {"settings", "summary", "rows"} and outcome.err == ""
    assert told["rows"] == [row for row in found["rows"] if row["detector"] == "gaussian"
                            and row["protocol"] == "fan" and row["seed"] == 0]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((DEMO / "nowhere",), "protocols.csv: No such file or directory"),
        ((DEMO, "--protocol", "tractor*"), "no protocol fits 'tractor*'; it has pump, fan"),
        ((DEMO, "--together", "*", "--together", "trac*"), "no protocol fits 'trac*'; it has pump, fan"),
        ((DEMO, "--apart", "pump", "--apart", "Pump"), "no protocol fits 'Pump'; it has pump, fan"),
        ((DEMO, "--detector", "svm"), "detector 'svm': choose autoencoder, forest, gaussian"),
        ((DEMO, "--alarms-per-month", "0"), "0 false alarms per month: give 0.01"),
        ((DEMO, "--board", "toaster"), "unknown board 'toaster'"),
    ],
)
def test_bad_requests_are_one_line(arguments: tuple[object, ...], words: str) -> None:
    outcome = cyberhans("bench", *arguments)
    assert outcome.code == 1 and words in outcome.err and outcome.err.count("\n") == 1


def test_a_missing_recording_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    (small_set(tmp_path) / "fan_wed.wav").unlink()
    with pytest.raises(CyberHansError, match=r"fan_wed\.wav"):
        bench(tmp_path, kinds=("gaussian",), board_name="native")


@pytest.mark.slow
def test_what_is_warned_of_stays_in_the_row(tmp_path: Path) -> None:
    parts = (("train_normal", "mon"), ("test_normal", "tue"), ("test_anomaly", "imbalance"))
    rows = "\n".join(f"lone,{role},fan_{day}.wav,," for role, day in parts)
    found = bench(small_set(tmp_path, rows=rows), protocols=("lone",), kinds=("gaussian",), board_name="native", jobs=1)
    assert found["rows"][0]["uncalibrated"] is True
    assert found["rows"][0]["warnings"][0].startswith("threshold from one recording")
    assert any(line.startswith("lone! ") for line in lines(found))


def test_samples_that_train_and_test_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    folder = small_set(tmp_path, row="fan,test_normal,fan_mon.wav,,")
    with pytest.raises(CyberHansError, match=r"fan_mon\.wav trains and fan_mon\.wav tests on the same samples"):
        bench(folder, kinds=("gaussian",), board_name="native")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for the children in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_when_it_is_stopped_no_process_stays(how: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cyberhans.cli", "bench", str(DEMO), "--seeds", "50", "--jobs", "2"]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                           env={**os.environ, "TMPDIR": str(tmp_path)})  # fmt: skip
    children: set[int] = set()
    deadline = time.monotonic() + 60
    while len(children) < 3 and time.monotonic() < deadline:  # two workers, and what looks after them
        children = set(_children(run.pid))
        time.sleep(0.1)
    assert len(children) >= 3
    run.send_signal(how)
    assert run.wait(60) != 0
    deadline = time.monotonic() + 60
    while (left := [pid for pid in children if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
    assert run.stderr is not None and "Traceback" not in run.stderr.read()


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.mark.recordings
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_promised_means(recordings: Path, record_property: Callable[[str, object], None]) -> None:
    """Window AUC, mean over the groups, worst of the seeds; the ordinary run takes one bearing, one seed."""
    protocols, seeds, groups = (("*",), 5, 18) if ENDURANCE else (("run_to_failure/bearing1_2",), 1, 1)
    found = bench(recordings, protocols=protocols, seeds=seeds, board_name="native", together=TOGETHER, apart=APART)
    told = found["summary"]
    for kind, least in {"gaussian": 0.988, "autoencoder": 0.971, "forest": 0.941, "trees": 0.971}.items():
        over_groups = told[kind]["over_groups"]["auc"]
        assert told[kind]["groups_counted"] == groups and told[kind]["not_measured"] == []
        assert over_groups["min"] >= least, kind
        for name in ("mean", "min", "max", "std"):
            record_property(f"worst AUC over {groups} groups, {kind}, {name}", round(over_groups[name], 4))
    snapshots = [row for row in found["rows"] if row["protocol"] == "run_to_failure/bearing1_2"]
    assert all(row["decisions"] == {"normal": 255, "anomaly": 38} for row in snapshots)  # of 7 snapshots
    assert all((row["alarms"]["of_normal"], row["alarms"]["of_anomaly"]) == (37, 6) for row in snapshots)


@pytest.mark.slow
def test_fewer_recordings_are_rows_of_their_own(found: dict[str, Any]) -> None:
    told = bench(DEMO, protocols=("fan",), kinds=("gaussian",), board_name="native", jobs=1, fewer=True)
    assert [row["recordings"] for row in told["rows"]] == [4, 1, 2, 3]
    assert told["rows"][0] == next(row for row in found["rows"] if row["protocol"] == "fan")
    assert all(row["uncalibrated"] for row in told["rows"] if row["recordings"] < 4)
    assert told["summary"]["gaussian"]["protocols"] == 1
    assert sum(line.startswith("fan") for line in lines(told)) == 4


@pytest.mark.slow
def test_where_nothing_was_measured_the_verb_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a recording that goes after the check is a reason as well."""
    folder = small_set(tmp_path)
    (folder / "fan_sat.wav").unlink()
    monkeypatch.setattr("cyberhans.bench._check", lambda *_: ["fan"])
    outcome = cyberhans("bench", folder, "--detector", "gaussian", "--jobs", "1", "--board", "native")
    assert outcome.code == 1
    assert "fan_sat.wav: No such file" in outcome.out
