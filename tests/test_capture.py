"""capture, with the real firmware as a process: what is in the file is what the sensor gave, and the rest is told."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from command import cyberhans
from source import playing, plug, source, wrong

from cyberhans.capture import Captured, Wish, capture
from cyberhans.capture.intake import Block
from cyberhans.device import Device, open_device
from cyberhans.errors import CyberHansError
from cyberhans.ports import find
from cyberhans.recording import load_recording, save_recording

pytestmark = pytest.mark.slow  # in real time, all of it together

RATE_HZ = 20_000.0


class Watching:
    """A view that does nothing, but what a test wants at some place."""

    def __init__(self, at: int = -1, act: Callable[[], None] = lambda: None) -> None:
        self.at, self.act, self.notes, self.frames = at, act, list[str](), 0

    def __call__(self, *_: object) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def add(self, block: Block, /) -> None:
        self.frames = block.index + len(block.samples)
        if 0 <= self.at <= self.frames:
            self.at = -1
            self.act()

    def tick(self) -> None: ...

    def note(self, text: str, /) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return source(tmp_path_factory.mktemp("source"), RATE_HZ)


def record(url: str, out: Path, seconds: float, view: Watching | None = None, patience_s: float = 20.0) -> Captured:
    place = find(url)

    def again(for_s: float) -> Device | None:
        found = place.again(for_s)
        return open_device(found) if found else None

    wish = Wish("press7", "normal", seconds, out)
    return capture(wish, lambda: open_device(url), again, view=view or Watching(), patience_s=patience_s)


def told(captured: Captured) -> dict[str, Any]:
    """What the sidecar says."""
    assert captured.recording.path
    return dict(json.loads(captured.recording.path.with_suffix(".json").read_text()))


# --- the verb


def test_what_is_told_is_what_is_there(played: Path, tmp_path: Path) -> None:
    done = cyberhans(
        "capture", "--device", f"board:native,play={played}", "--machine", "press 7", "--label", "normal",
        "--seconds", 1.5, "--out", tmp_path, "--channels", 2, "--axes", "x,y", "--speed", 1480, "--load", "half",
        "--notes", "after lunch", "--no-live", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    row = json.loads(done.out)
    path = Path(row["file"])
    assert path.parent == tmp_path / "press 7" and path.name.startswith("press 7-normal-2")
    assert row["samples"] == 30_000 and row["lost_samples"] == row["lost_by_device"] == 0 and row["gaps"] == []
    assert abs(row["rate_hz"] - RATE_HZ) <= max(row["rate_uncertainty"], 1e-3 * RATE_HZ) and row["rate_uncertainty"] > 0
    assert row["quality"] in ("good", "warning", "failed") and isinstance(row["reasons"], list)
    saved = load_recording(path)
    assert (saved.machine, saved.label, saved.axes, saved.channels) == ("press 7", "normal", ("x", "y"), 2)
    assert (saved.unit, saved.scale, saved.full_scale) == ("g", 1 / 2048, 32_000)
    assert (saved.speed_rpm, saved.load, saved.notes, saved.rate_nominal_hz) == (1480, "half", "after lunch", RATE_HZ)
    assert saved.rate_hz == row["rate_hz"] and saved.jitter_s is not None and saved.start_utc[:10] == saved.session
    assert wrong(path, played) == 0
    there = {entry.name for entry in path.parent.iterdir()}
    assert there == {path.name, path.with_suffix(".json").name, "machine.toml"}


def test_machine_toml_says_what_was_not_said(played: Path, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "machine.toml").write_text('speed_rpm = 1480\naxes = ["x", "y", "z"]\n')
    usual = ("capture", "--device", f"board:native,play={played}", "--machine", "m", "--label", "normal")
    for options, expected in (((), 1480), (("--speed", 900), 900)):
        done = cyberhans(*usual, "--seconds", 0.5, "--out", tmp_path, "--no-live", "--json", *options)
        saved = load_recording(json.loads(done.out)["file"])
        assert (saved.speed_rpm, saved.axes) == (expected, ("x", "y", "z"))


def test_what_was_simulated_stays_so(played: Path, tmp_path: Path) -> None:
    """A recording that is played is as synthetic as it was; what an image plays by itself is."""
    for device, expected in (("board:native", True), (f"board:native,play={played}", load_recording(played).synthetic)):
        done = cyberhans("capture", "--device", device, "--machine", "m", "--label", "normal", "--seconds", 0.5,
                         "--out", tmp_path, "--no-live", "--json")  # fmt: skip
        assert load_recording(json.loads(done.out)["file"]).synthetic is expected


@pytest.mark.parametrize("machine", ["", ".", "..", "a/b", "a\\b", ".hidden", "ends.", " x", "a\0b", "x" * 101])
def test_a_name_that_is_no_folder_is_refused(machine: str, tmp_path: Path) -> None:
    with pytest.raises(CyberHansError, match="is to be a folder's name"):
        Wish(machine, "normal", 1.0, tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--channels", 4), "ask for 1 to 3"), (("--rate", 48_000), "20000 Hz alone"), (("--axes", "x,y"), "--axes"),
     (("--label", "fine"), "choose normal"), (("--seconds", 0), "less than one sample"),
     (("--seconds", "1e6"), "WAV file")],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_it_starts(
    options: tuple[object, ...], said: str, played: Path, tmp_path: Path
) -> None:
    usual = ("--machine", "m", "--label", "normal", "--seconds", 1, "--out", tmp_path, "--no-live")
    done = cyberhans("capture", "--device", f"board:native,play={played}", *usual, *options)
    assert done.code == 1 and said in done.err and len(done.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told_before_it_starts(played: Path, tmp_path: Path) -> None:
    (tmp_path / "press7").write_text("a file")
    with playing(played) as on, pytest.raises(CyberHansError, match="cannot be written"):
        record(on.url, tmp_path, 1.0)


@contextlib.contextmanager
def process(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The command line as a process of its own."""
    command = [sys.executable, "-m", "cyberhans.cli", "capture", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def drafts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.is_file()]


def growing(folder: Path, size: int) -> None:
    """Wait until so many bytes are captured."""
    deadline = time.monotonic() + 20
    while not any(path.stat().st_size > size for path in drafts(folder)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_keeps_what_was_captured(number: signal.Signals, played: Path, tmp_path: Path) -> None:
    usual = ("--machine", "m", "--label", "normal", "--seconds", 60, "--out", tmp_path, "--no-live", "--json")
    with process("--device", f"board:native,play={played}", *usual) as child:
        growing(tmp_path, 60_000)
        os.kill(child.pid, number)
        out, err = child.communicate(timeout=20)
    assert child.returncode == 0, err
    row = json.loads(out)
    assert row["samples"] >= 10_000 and row["lost_samples"] == 0 and wrong(row["file"], played) == 0
    assert drafts(tmp_path) == []


def test_heavy_packages_are_not_needed(played: Path, tmp_path: Path) -> None:
    """Neither for --help nor for a capture with its quality."""
    script = (
        "import sys, atexit\n"
        "atexit.register(lambda: print([n for n in ('sklearn', 'scipy', 'pandas', 'matplotlib') if n in sys.modules],"
        " file=sys.stderr))\n"
        "from cyberhans.cli import main\nmain()"
    )
    usual = ("--machine", "m", "--label", "normal", "--seconds", "0.5", "--out", str(tmp_path), "--no-live")
    for arguments in (["--help"], ["--device", f"board:native,play={played}", *usual]):
        command = [sys.executable, "-c", script, "capture", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stderr.splitlines()[-1] == "[]"


def seconds_of(*arguments: str) -> float:
    """Of a processor, for a Python; the least of three."""
    spent = []
    for _ in range(3):
        child = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        spent.append(used.ru_utime + used.ru_stime)
    return min(spent)


@pytest.mark.parametrize("verb", [[], ["capture"], ["devices"], ["recordings"]])
def test_help_is_there_at_once(verb: list[str]) -> None:
    bare = seconds_of("-c", "import typer, rich")
    assert seconds_of("-m", "cyberhans.cli", *verb, "--help") < bare + 0.3


# --- slow hosts and unplugged devices


def test_a_host_that_stalls_loses_nothing_that_the_device_holds(played: Path, tmp_path: Path) -> None:
    with playing(played) as on:
        done = record(on.url, tmp_path, 3.0, Watching(10_000, lambda: time.sleep(1.5)))
    assert done.recording.lost_samples == 0 and done.recording.frames == 60_000
    assert wrong(done.to_dict()["file"], played) == 0


def test_the_overruns_of_a_host_that_stalls_too_long_are_counted(tmp_path: Path) -> None:
    """1.2 MB a second overflow a ring of 1 MiB."""
    fast = source(tmp_path, 200_000.0)
    with playing(fast) as on:
        done = record(on.url, tmp_path, 1.5, Watching(20_000, lambda: time.sleep(1.3)))
    row = done.to_dict()
    assert row["lost_samples"] > 0 and row["samples"] + row["lost_samples"] == 300_000
    assert row["lost_by_device"] == row["lost_samples"] == sum(gap["lost"] for gap in row["gaps"])
    assert wrong(row["file"], fast) == 0


@pytest.mark.slow
def test_a_device_that_keeps_its_power_goes_on_where_it_was(played: Path, tmp_path: Path) -> None:
    with playing(played) as on, plug(on.url) as line:
        pulled = Watching(20_000, lambda: (line.pull(), threading.Timer(1.5, line.push).start())[0])
        done = record(line.url, tmp_path, 4.0, pulled)
    row = done.to_dict()
    assert row["samples"] + row["lost_samples"] == 80_000 and all(gap["counted"] for gap in row["gaps"])
    assert row["lost_samples"] < 20_000 and wrong(row["file"], played) == 0
    assert any("waiting" in note for note in pulled.notes) and pulled.notes[-1] == ""


@pytest.mark.slow
def test_a_device_that_began_anew_leaves_a_gap_by_the_clock(played: Path, tmp_path: Path) -> None:
    with playing(played) as first, playing(played) as second, plug(first.url) as line:
        pulled = Watching(
            20_000, lambda: (line.pull(), first.close(), threading.Timer(1.0, line.push, [second.url]).start())[0]
        )
        done = record(line.url, tmp_path, 4.0, pulled)
    row = done.to_dict()
    (gap,) = (gap for gap in row["gaps"] if not gap["counted"])
    assert row["samples"] + row["lost_samples"] == 80_000
    assert abs(gap["lost"] / RATE_HZ - 1.0) < 0.8
    saved = load_recording(row["file"])
    true = load_recording(played).samples
    assert (saved.samples[: gap["at"]] == true[: gap["at"]]).all()
    rest = saved.samples[gap["at"] :]
    assert (rest == true[: len(rest)]).all()


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("serial, unit, said", [("B2", "g", "is another device (native, serial "),
                                                ("A1", "m/s2", "has another sensor")])  # fmt: skip
def test_of_another_device_in_its_place_nothing_is_recorded(
    serial: str, unit: str, said: str, played: Path, tmp_path: Path
) -> None:
    one = load_recording(played)
    other = save_recording(replace(one, samples=one.samples[::-1].copy(), unit=unit), tmp_path / "other.wav").path
    assert other
    with (
        playing(played, serial_number="00000000000000A1") as first,
        playing(other, serial_number=f"00000000000000{serial}") as second,
        plug(first.url) as line,
    ):

        def pull() -> None:
            line.pull()
            threading.Timer(0.5, line.push, [second.url]).start()

        view = Watching(20_000, pull)
        done = record(line.url, tmp_path / "out", 3.0, view, patience_s=3.0)
    path, notes = done.recording.path, [note for note in view.notes if said in note]
    assert path and wrong(path, played) == 0 and load_recording(path).serial.endswith("A1")
    assert done.recording.frames < 30_000 and any("ended after" in reason and said in reason
                                                  for reason in done.recording.reasons)  # fmt: skip
    assert 1 <= len(notes) <= 2, "told, and not asked over and over"


def test_a_device_that_does_not_come_back_leaves_what_there_is(played: Path, tmp_path: Path) -> None:
    with playing(played) as on, plug(on.url) as line:
        done = record(line.url, tmp_path, 30.0, Watching(20_000, line.pull), patience_s=1.0)
    row = done.to_dict()
    assert 20_000 <= row["samples"] < 40_000 and wrong(row["file"], played) == 0
    assert any(reason["text"].startswith("ended after") for reason in told(done)["reasons"])


@pytest.mark.slow
def test_a_board_that_dies_leaves_what_there_is(played: Path, tmp_path: Path) -> None:
    on = playing(played)
    done = record(on.url, tmp_path, 30.0, Watching(20_000, on.close), patience_s=1.0)
    assert done.recording.frames >= 20_000 and wrong(done.to_dict()["file"], played) == 0


def test_nothing_captured_is_an_error_and_leaves_nothing(played: Path, tmp_path: Path) -> None:
    with playing(played) as on, plug(on.url) as line:

        class Pulled(Watching):
            def __enter__(self) -> Self:
                line.pull()
                time.sleep(0.1)
                return self

        with pytest.raises(CyberHansError, match="went away"):
            record(line.url, tmp_path, 5.0, Pulled(), patience_s=0.5)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
