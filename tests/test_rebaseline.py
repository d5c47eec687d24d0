"""A new baseline on the device: taken, refused with the reason, set back, and written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from command import Outcome as Told
from command import cyberhans
from small_detector import small_detector
from watched import Windows, recorded, script, watched_detector, windows

from cyberhans import rebaseline as room
from cyberhans.alarm import Outcome, State
from cyberhans.build import build
from cyberhans.detector import Detector
from cyberhans.device import Device, open_device
from cyberhans.errors import CyberHansError
from cyberhans.messages import Baseline
from cyberhans.rebaseline import rebaseline, undo

pytestmark = pytest.mark.slow  # real processes, in real time

_SCRATCH = TemporaryDirectory(prefix="rebaseline-")


@cache
def built() -> tuple[Detector, Path]:
    folder = Path(_SCRATCH.name)
    detector = watched_detector(folder / "detector")
    return detector, build(folder / "detector", "native", folder / "out").image


@contextmanager
def playing(made: Windows, folder: Path) -> Iterator[Device]:
    with open_device(f"board:native,play={recorded(folder, made)}", image=built()[1]) as device:
        for judged, _ in zip(device.judgements(), range(3), strict=False):
            assert judged  # it knows how the machine is
        yield device


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_what_it_hears_becomes_its_baseline_and_back_and_both_are_written_down(tmp_path: Path) -> None:
    log, noted = tmp_path / "log", list[Baseline]()
    with playing(windows("louder", 300), tmp_path) as device:
        change = rebaseline(device, 20, log, noted.append)
        back = undo(device, log)
        assert undo(device, log).revision == 3  # forth again
        info = device.info
    assert (change.action, change.outcome, change.revision, change.windows) == ("rebaseline", "done", 1, 20)
    assert change.change_db == pytest.approx(3.0, abs=0.4) and change.limit_db == 6.02  # by an octave, of two
    assert (back.action, back.outcome, back.revision) == ("undo", "undone", 2)
    assert not change.kept and "no storage" in change.warnings[0]
    assert (change.serial, change.board, change.detector) == (info.serial, "native", built()[0].digest.hex())
    assert lines(log)[:2] == [change.to_dict(), back.to_dict()] and len(lines(log)) == 3
    assert datetime.now(UTC) - datetime.fromisoformat(change.time) < timedelta(minutes=1)
    gathered = [told.gathered for told in noted]
    assert gathered == sorted(gathered) and gathered[-1] == 20 and noted[-1].wanted == 20


def test_too_far_is_refused_with_the_distance_and_the_limit(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with playing(windows("worn", 300), tmp_path) as device:
        with pytest.raises(CyberHansError, match=r"too far from its trained baseline: 1[12]\.\d dB .*, 6\.0 at most"):
            rebaseline(device, 10, log)
        assert (device.ask_info().revision, device.baseline().outcome) == (0, Outcome.TOO_FAR)
    (told,) = lines(log)
    assert (told["outcome"], told["revision"]) == ("too_far", 0) and told["change_db"] > told["limit_db"]


@pytest.mark.parametrize(
    ("kind", "state", "words"),
    [("off", State.IDLE, "the machine is off: let it run"), ("stuck", State.FAULT, "the sensor is stuck"),
     ("clipped", State.FAULT, "check its cable")],
)  # fmt: skip
def test_a_machine_that_cannot_be_heard_is_refused_at_once(kind: str, state: State, words: str, tmp_path: Path) -> None:
    with playing(windows(kind, 300), tmp_path) as device:
        with pytest.raises(CyberHansError, match=words):
            rebaseline(device, 10, tmp_path / "log")
        assert (device.baseline().state, device.baseline().outcome) == (state, Outcome.NONE)
    assert lines(tmp_path / "log") == []


def test_a_moved_sensor_gets_a_new_baseline(tmp_path: Path) -> None:
    with playing(windows("tilted", 300), tmp_path) as device:
        assert device.baseline().state == State.MOVED
        rebaseline(device, 10, tmp_path / "log")
        states = {judged.state for judged, _ in zip(device.judgements(), range(30), strict=False) if judged.window > 20}
        assert states == {State.NORMAL}


def test_a_machine_that_stops_in_the_midst_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PATIENCE_SECONDS", 0.5)
    with playing(script([("healthy", 60), ("off", 2000)]), tmp_path) as device:
        with pytest.raises(CyberHansError, match="the machine is off"):
            rebaseline(device, 200, tmp_path / "log")
        told = device.baseline()
        assert (told.outcome, told.revision) == (Outcome.STOPPED, 0) and 0 < told.gathered < 60


def test_ctrl_c_stops_it(tmp_path: Path) -> None:
    def interrupt(told: Baseline) -> None:
        if told.gathered:
            raise KeyboardInterrupt

    with playing(windows("healthy", 300), tmp_path) as device:
        with pytest.raises(KeyboardInterrupt):
            rebaseline(device, 4096, tmp_path / "log", interrupt)
        assert (device.baseline().outcome, device.baseline().revision) == (Outcome.STOPPED, 0)


def test_another_host_in_between_is_told_and_left_alone(tmp_path: Path) -> None:
    with playing(windows("healthy", 300), tmp_path) as device:

        def meddle(told: Baseline) -> None:
            device.rebaseline(4096, token=5)

        with pytest.raises(CyberHansError, match="another host came between"):
            rebaseline(device, 4000, tmp_path / "log", meddle)
        assert (device.baseline().outcome, device.baseline().token) == (Outcome.UNDER_WAY, 5)


def test_what_does_not_watch_is_refused(tmp_path: Path) -> None:
    with playing(windows("healthy", 300), tmp_path) as device:
        for wrong in (0, 1, 4097):
            with pytest.raises(CyberHansError, match=f"{wrong} windows: a baseline is set by 2 to 4096"):
                rebaseline(device, wrong, tmp_path / "log")
        with pytest.raises(CyberHansError, match="nothing to undo"):
            undo(device, tmp_path / "log")
        with pytest.raises(CyberHansError, match=r"absent/log: cannot be written; choose another --log"):
            rebaseline(device, 10, tmp_path / "absent" / "log")
        device.start()
        with pytest.raises(CyberHansError, match="is in host mode and does not watch its machine"):
            rebaseline(device, 10, tmp_path / "log")
        assert device.baseline().token == 0


def test_a_log_that_fails_at_the_end_says_what_it_would_have_said(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with playing(windows("healthy", 300), tmp_path) as device:

        def spoil(told: Baseline) -> None:
            if told.outcome == Outcome.DONE:
                log.unlink(missing_ok=True)
                log.mkdir()

        with pytest.raises(CyberHansError, match=r'not written down, but done .*"revision": 1'):
            rebaseline(device, 10, log, spoil)


# --- the verb


def command(folder: Path, made: Windows, *more: object) -> Told:
    url = f"board:native,play={recorded(folder, made)},store={folder / 'store'}"
    return cyberhans("rebaseline", "--device", url, "--detector", built()[0].folder, "--log", folder / "log", *more)


def test_the_verb_sets_it_and_sets_it_back(tmp_path: Path) -> None:
    """Two runs of the same device: its storage carries the baseline from one to the other."""
    told = json.loads(command(tmp_path, windows("louder", 300), "--windows", 10, "--json").out)
    assert (told["outcome"], told["revision"], told["windows"]) == ("done", 1, 10)
    assert told["kept"] and told["warnings"] == []
    shown = command(tmp_path, windows("louder", 300), "--undo")
    assert shown.code == 0 and "undone" in shown.out
    assert [line["revision"] for line in lines(tmp_path / "log")] == [1, 2]


def test_the_verb_fails_in_one_line(tmp_path: Path) -> None:
    outcome = command(tmp_path, windows("worn", 300), "--windows", 10)
    assert outcome.code == 1 and outcome.err.count("\n") == 1 and "dB" in outcome.err, outcome
    other = small_detector(tmp_path / "other", uncalibrated=True)
    wrong = cyberhans("rebaseline", "--device", "board:native", "--detector", other.folder, "--undo", "--log",
                      tmp_path / "log")  # fmt: skip
    assert wrong.code == 1 and "nothing to undo" in wrong.err


@pytest.mark.parametrize(
    "arguments",
    [(), ("--windows", 5, "--undo"), ("--windows", 5), ("--undo", "--device", "board:native")],
)
def test_bad_usage_is_told_with_the_usage(arguments: tuple[object, ...]) -> None:
    assert cyberhans("rebaseline", *arguments).code == 2
