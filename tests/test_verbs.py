"""train, evaluate, build, verify and demo as commands: what they print, and the exit code a script relies on."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import pty
import shutil
import subprocess
import tempfile
import threading
import time
import tty
from pathlib import Path
from typing import Any

import pytest
from command import Outcome, cyberhans

from conftest import ROOT
from cyberhans import demo
from cyberhans.build import build
from cyberhans.core import firmware_dir
from cyberhans.difference import Difference
from cyberhans.quality import Reason, profile
from cyberhans.recording import load_recording, save_recording

DEMO = ROOT / "recordings" / "demo"
HEALTHY = [DEMO / f"fan_{day}.wav" for day in ("mon", "tue", "wed", "thu")]
TEST = DEMO / "fan_fri.wav"


@functools.cache
def trained(seed: int = 0) -> tuple[Path, Outcome]:
    """A detector's folder made by the command, and what the command said."""
    out = Path(tempfile.mkdtemp(prefix="verbs-")) / "fan"
    outcome = cyberhans("train", *HEALTHY, "--detector", "forest", "--spec", "tiny", "--false-alarms", "0.05",
                        "--seed", seed, "--out", out, "--json")  # fmt: skip
    return out, outcome


@functools.cache
def image() -> Path:
    return build(trained()[0], "native", Path(tempfile.mkdtemp(prefix="verbs-"))).image


def told(outcome: Outcome) -> dict[str, Any]:
    """The JSON that is all of standard output."""
    row: dict[str, Any] = json.loads(outcome.out)
    return row


def assert_one_line(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 1, outcome
    assert outcome.out == "" and outcome.err.startswith("cyberhans: ") and outcome.err.count("\n") == 1, outcome
    assert all(word in outcome.err for word in words), outcome.err


def a_failed_one(folder: Path) -> Path:
    """A fan's recording of which a capture has told that it failed."""
    told = (Reason("the sensor has come loose: fasten it", fatal=True), Reason("hums: shield the cable"))
    loose = dataclasses.replace(load_recording(HEALTHY[0]), reasons=told)
    return save_recording(dataclasses.replace(loose, profile=profile(loose)), folder / "fan_loose.wav").path or folder


def test_inspect_tells_the_grade_and_the_reasons(tmp_path: Path) -> None:
    path = a_failed_one(tmp_path)
    (row,) = json.loads(cyberhans("inspect", path, "--json").out)
    assert (row["quality"], row["bad"]) == ("failed", True)
    assert row["reasons"] == ["the sensor has come loose: fasten it", "hums: shield the cable"]
    shown = cyberhans("inspect", path, TEST).out.splitlines()
    assert "Failed: the sensor has come loose: fasten it" in shown and "Warning: hums: shield the cable" in shown
    assert [line.split()[-1] for line in shown if line.startswith("quality ")] == ["failed", "good"]


def test_train_refuses_what_failed_unless_told_why_not(tmp_path: Path) -> None:
    arguments = ("train", *HEALTHY[1:], a_failed_one(tmp_path), "--detector", "gaussian", "--spec", "tiny",
                 "--false-alarms", "0.05", "--out", tmp_path / "fan", "--json")  # fmt: skip
    assert_one_line(cyberhans(*arguments), "fan_loose.wav: failed: the sensor has come loose", "--accept REASON")
    assert not (tmp_path / "fan").exists()
    outcome = cyberhans(*arguments, "--accept", "it was fastened, and sounds alike")
    assert outcome.code == 0 and "fan_loose.wav failed, but was accepted" in told(outcome)["warnings"]
    described = json.loads((tmp_path / "fan" / "detector.json").read_text())
    assert described["provenance"]["accepted"] == {
        "reason": "it was fastened, and sounds alike",
        "recordings": {"fan_loose.wav": ["the sensor has come loose: fasten it"]},
    }


def test_train_tells_json() -> None:
    folder, outcome = trained()
    row = told(outcome)
    assert outcome.code == 0 and outcome.err == ""
    assert row["detector"] == str(folder) and row["uncalibrated"] is False
    assert (folder / "model.c").exists() and (folder / "detector.json").exists()


def test_train_from_a_protocol(tmp_path: Path) -> None:
    outcome = cyberhans("train", "--dataset", DEMO, "--protocol", "fan", "--detector", "gaussian", "--spec", "tiny",
                        "--false-alarms", "0.05", "--out", tmp_path / "d")  # fmt: skip
    assert outcome.code == 0, outcome.err


def test_evaluate_tells_json() -> None:
    row = told(cyberhans("evaluate", trained()[0], "--dataset", DEMO, "--protocol", "fan", "--json"))
    assert set(row) >= {"auc", "pauc10", "false_alarm_rate", "detection_rate", "windows"}
    assert 0.5 < row["auc"] <= 1
    assert list(row["beside"]) == ["forest", "autoencoder", "gaussian", "trees"]
    assert row["beside"]["forest"]["auc"] == row["auc"] and 0.5 < row["beside"]["gaussian"]["auc"] <= 1


def test_evaluate_shows_the_kinds_side_by_side() -> None:
    shown = cyberhans("evaluate", trained()[0], "--dataset", DEMO, "--protocol", "fan").out.splitlines()
    place = next(place for place, line in enumerate(shown) if line.startswith("detector  ") and "10 s: AUC" in line)
    assert [line.split()[0] for line in shown[place + 1 :]] == ["forest", "autoencoder", "gaussian", "trees"]
    alone = cyberhans("evaluate", trained()[0], "--dataset", DEMO, "--protocol", "fan", "--alone").out
    assert "gaussian" not in alone and shown[: place - 1] == alone.splitlines()


def test_build_tells_json(tmp_path: Path) -> None:
    row = told(cyberhans("build", trained()[0], "--board", "native", "--out", tmp_path / "b", "--json"))
    assert row["flash_bytes"] > 1000 and "stack_bytes" in row and "ram_bytes" in row
    assert Path(row["image"]).exists()


def test_verify_tells_json_and_exits_0() -> None:
    outcome = cyberhans("verify", trained()[0], TEST, "--device", "board:native", "--image", image(), "--json")
    row = told(outcome)
    assert outcome.code == 0
    assert row["differing_bits"] == {"features": 0, "score": 0, "verdict": 0, "alarm": 0}
    assert row["first_difference"] is None
    assert row["windows"] == 5 and row["instructions_per_window"] is None


def test_verify_builds_the_image_itself() -> None:
    outcome = cyberhans("verify", trained()[0], TEST, "--device", "board:native", "--windows", 3)
    assert outcome.code == 0 and "windows" in outcome.out


def changed_image(folder: Path) -> Path:
    """Firmware with one constant of the spectrum changed."""
    shutil.copytree(firmware_dir(), folder / "firmware")
    source = folder / "firmware" / "core" / "spectrum.c"
    text = source.read_text()
    assert "23170" in text
    source.write_text(text.replace("23170", "23171"))
    return build(trained()[0], "native", folder / "build", firmware=folder / "firmware").image


def test_verify_exits_1_on_a_difference_and_names_its_stage(tmp_path: Path) -> None:
    outcome = cyberhans("verify", trained()[0], TEST, "--device", "board:native",
                        "--image", changed_image(tmp_path), "--json")  # fmt: skip
    assert outcome.code == 1
    first = told(outcome)["first_difference"]
    assert first["stage"] == "spectrum" and first["window"] == 0 and first["device"] != first["host"]


def test_another_detector_on_the_device_is_refused_by_name() -> None:
    outcome = cyberhans("verify", trained(seed=1)[0], TEST, "--device", "board:native", "--image", image())
    assert_one_line(outcome, "model", "digest")


def test_no_such_port() -> None:
    outcome = cyberhans("verify", trained()[0], TEST, "--device", "/dev/ttyNONE0")
    assert_one_line(outcome, "/dev/ttyNONE0")


@pytest.mark.slow
def test_a_device_that_does_not_answer() -> None:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    outcome = cyberhans("verify", trained()[0], TEST, "--device", os.ttyname(theirs))
    os.close(ours)
    os.close(theirs)
    assert_one_line(outcome, "/dev/pts/", "answer")


@pytest.mark.slow
def test_a_device_unplugged_in_the_middle(tmp_path: Path) -> None:
    with subprocess.Popen([image()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as firmware:
        assert firmware.stdout
        port = firmware.stdout.readline().strip()
        unplug = threading.Thread(target=lambda: (time.sleep(1.0), firmware.kill()))
        unplug.start()
        long = [TEST] * 2000
        outcome = cyberhans("verify", trained()[0], *long, "--device", port)
        unplug.join()
    assert_one_line(outcome, port)


@pytest.mark.emulator
@pytest.mark.slow
def test_a_detector_too_large_for_the_board_is_refused_with_the_numbers(tmp_path: Path) -> None:
    folder, spec = tmp_path / "large", tmp_path / "large.toml"
    spec.write_text("rate_hz = 3200\nchannels = 3\nwindow = 4096\n[[frames]]\nlength = 2048\nbands = 16\n")
    made = cyberhans("train", "--dataset", DEMO, "--protocol", "pump", "--detector", "gaussian", "--spec", spec,
                     "--false-alarms", "0.05", "--out", folder)  # fmt: skip
    assert made.code == 0, made.err
    outcome = cyberhans("build", folder, "--board", "microbit", "--out", tmp_path / "b")
    assert_one_line(outcome, "RAM", "16,384", "microbit")
    assert not (tmp_path / "b" / "firmware.elf").exists()


def test_build_for_an_unknown_board(tmp_path: Path) -> None:
    assert_one_line(cyberhans("build", trained()[0], "--board", "nativ", "--out", tmp_path / "b"), "native")


@pytest.mark.slow
def test_demo_on_native_prints_a_row_per_machine_and_detector() -> None:
    outcome = cyberhans("demo", "--board", "native")
    assert outcome.code == 0, outcome.err
    rows = outcome.out.splitlines()
    assert len(rows) == 9 and rows[0].startswith("machine")
    assert all(row.endswith(" 0 differing bits") for row in rows[1:])


@pytest.mark.slow
def test_demo_json_and_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """A difference that no output bit shows still fails the demo."""

    def verify_on(*arguments: Any, **options: Any) -> Any:
        outcome = original(*arguments, **options)
        first = Difference(0, "spectrum", 0, 0, 1, 2, "power of bin 0")
        return dataclasses.replace(outcome, first_difference=first)

    original = demo.verify_on
    monkeypatch.setattr(demo, "verify_on", verify_on)
    monkeypatch.setattr(demo, "MACHINES", ("fan",))
    monkeypatch.setattr(demo, "DETECTORS", ("forest",))
    outcome = cyberhans("demo", "--board", "native", "--json")
    assert outcome.code == 1
    assert json.loads(outcome.out)[0]["first_difference"]["stage"] == "spectrum"
