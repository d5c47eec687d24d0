"""Station: a device of the bench is opened, left, restarted and found again."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_detector import small_detector, small_image

from cyberhans.alarm import Outcome
from cyberhans.device import open_device
from cyberhans.errors import CyberHansError
from cyberhans.hil import commands
from cyberhans.hil.commands import Started, run_command
from cyberhans.hil.hil_map import Entry, entry_of
from cyberhans.hil.station import Station
from cyberhans.messages import Mode, Storage

STARTS = """\
import sys, time
from pathlib import Path
from cyberhans.boards import board
from cyberhans.emulator import Emulator
with Emulator(board("native"), Path(sys.argv[1])) as emulator:
    print("a device at", emulator.url, "is there", flush=True)
    time.sleep(100)
"""

# The port is there a moment after the command has ended; the firmware ends when nobody holds `power` any more.
FLASHES = """\
cp "$1" firmware
(sleep 0.5; ./firmware < power > said & sleep 0.3; ln -s "$(cat said)" port) > /dev/null 2>&1 &
"""


def station_of(entry: Entry, scratch: Path) -> Station:
    detector, image = small_image()
    return Station(entry, detector, scratch, image)


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Station]:
    station = station_of(entry_of("board:native"), tmp_path)
    yield station
    station.close()


def test_a_device_is_opened_once(native: Station) -> None:
    assert native.device() is native.device()
    assert native.pid and native.resets


def test_a_device_runs_on_when_its_host_hangs_up(native: Station) -> None:
    native.device().start(window=5)
    pid = native.pid
    native.hang_up()
    assert native.device().ask_info().mode == Mode.HOST
    assert native.pid == pid


def test_another_may_open_its_line_meanwhile(native: Station) -> None:
    serial = native.device().info.serial
    with native.line() as url, open_device(url) as other:
        assert other.info.serial == serial
    assert native.device().ask_info().serial == serial


def test_a_restart_takes_the_power_away(native: Station) -> None:
    native.device().start()
    pid = native.pid
    assert native.restart().info.mode == Mode.RUN
    assert native.pid != pid


def test_a_process_goes_on_from_what_it_has_stored(native: Station) -> None:
    assert native.device().info.storage == Storage.EMPTY
    native.device().rebaseline(2)
    end = time.monotonic() + 10
    while native.device().baseline().outcome == Outcome.UNDER_WAY and time.monotonic() < end:
        time.sleep(0.01)
    info = native.restart().info
    assert (info.storage, info.revision) == (Storage.RESUMED, 1)


def test_a_device_that_has_died_is_one_line_and_is_there_again(native: Station) -> None:
    pid = native.device() and native.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(CyberHansError, match="went away"):
        native.device().ask_info()
    native.close()
    assert native.device().ask_info().status == 0


def test_another_detector_is_refused_each_time(tmp_path: Path) -> None:
    other, (_, image) = small_detector(tmp_path / "other", centre=3100), small_image()
    station = Station(entry_of("board:native"), other, tmp_path, image)
    for _ in range(2):
        with pytest.raises(CyberHansError, match="holds another detector: model digest"):
            station.device()
    station.close()


def test_a_command_may_start_the_device(tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(STARTS)
    command = f"{sys.executable} {tmp_path / 'starts.py'} {small_image()[1]}"
    station = station_of(Entry("mine", start=command), tmp_path)
    station.device().start()
    assert station.pid is None and station.resets
    assert station.restart().info.mode == Mode.RUN
    station.hang_up()
    assert station.device().ask_info().status == 0
    station.close()


def test_a_command_that_tells_no_url_is_one_line(tmp_path: Path) -> None:
    station = station_of(Entry("mine", start="echo nothing here"), tmp_path)
    with pytest.raises(CyberHansError, match=r"device mine: `echo nothing here` ended and printed no /dev/"):
        station.device()
    station.close()


def children(folder: Path) -> list[str]:
    """Of this machine's processes those that have the folder in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


def gone(folder: Path) -> bool:
    end = time.monotonic() + 5
    while children(folder) and time.monotonic() < end:
        time.sleep(0.02)
    return not children(folder)


def starting(folder: Path, *lines: str) -> Entry:
    """A device that a script starts, which stands in the folder, as all that it starts has in its command line."""
    (folder / "start.sh").write_text("\n".join(lines))
    return Entry("mine", start=f"sh {folder / 'start.sh'} {folder}")


@pytest.mark.parametrize("url", ["/dev/null", "socket://127.0.0.1:1"])
def test_what_a_command_has_started_ends_when_no_device_answers(url: str, tmp_path: Path) -> None:
    """Twice, as two tests would: with the children of its shell."""
    station = station_of(starting(tmp_path, 'sh -c "sleep 60; : $1" &', f"echo {url}", "wait"), tmp_path)
    for _ in range(2):
        with pytest.raises(CyberHansError):
            station.device()
        assert gone(tmp_path)
    station.close()


def test_a_command_with_children_ends_with_the_device(tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(STARTS)
    line = f"{sys.executable} {tmp_path / 'starts.py'} {small_image()[1]}"
    station = station_of(starting(tmp_path, f"{line} &", "wait"), tmp_path)
    assert station.device().ask_info().status == 0 and children(tmp_path)
    station.close()
    assert gone(tmp_path)


def test_a_command_that_is_silent_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "START_SECONDS", 0.2)
    station = station_of(starting(tmp_path, "sleep 60", ": $1"), tmp_path)
    with pytest.raises(CyberHansError, match=r"has printed no /dev/... or socket://... for 0.2 s"):
        station.device()
    assert gone(tmp_path)


def test_a_command_may_print_without_end(tmp_path: Path) -> None:
    """More than a pipe holds, so it is read: else the script would stand still before its last line."""
    done = tmp_path / "done"
    started = Started(starting(tmp_path, "echo it is at /dev/null now", "seq 100000", f"touch {done}", "sleep 60"))
    assert started.url == "/dev/null"
    end = time.monotonic() + 10
    while not done.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert done.exists()
    started.close()
    assert gone(tmp_path)


def test_only_elf_and_hex_are_replaced_in_a_command(tmp_path: Path) -> None:
    entry = Entry("desk", "/dev/null", board="native", flash="sh x", folder=tmp_path)
    script = """sh -c 'echo "$@" > said' - {elf} {hex}x {foo {} {other} {0}"""
    run_command(entry, script, {"elf": "a {hex} b", "hex": "c"})
    assert (tmp_path / "said").read_text() == "a {hex} b cx {foo {} {other} {0}\n"


def test_two_detectors_of_one_device_are_flashed_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one station has flashed, another has flashed over; a third of the first's detector flashes nothing."""
    detector, other = small_image()[0], small_detector(tmp_path / "other", centre=3100)
    entry, flashed = Entry("desk", "/dev/null", board="native", flash="sh -c 'echo >> log'", folder=tmp_path), {}
    made = SimpleNamespace(image=tmp_path / "firmware.elf")
    monkeypatch.setattr(Station, "build", made)
    monkeypatch.setattr(Station, "_opened", lambda station: SimpleNamespace())
    one, two = (Station(entry, each, tmp_path, flashed=flashed) for each in (detector, other))
    for station, times in ((one, 1), (one, 1), (two, 2), (two, 2), (one, 3)):
        station._device = None
        station.device()
        assert len((tmp_path / "log").read_text()) == times


def test_a_reset_command_is_run_and_its_failure_told(native: Station, tmp_path: Path) -> None:
    """On a port that belongs to no emulator of ours."""
    with native.line() as url:
        marked = tmp_path / "was reset"
        desk = station_of(Entry("desk", url, reset=f"touch '{marked}'"), tmp_path)
        desk.device()
        assert desk.restart().info.status == 0 and marked.exists()
        desk.close()
        broken = station_of(Entry("desk", url, reset="sh -c 'echo no such hub; exit 3'"), tmp_path)
        with pytest.raises(CyberHansError, match="ended with 3: no such hub"):
            broken.restart()
        assert not station_of(Entry("desk", url), tmp_path).resets


@pytest.mark.slow
def test_a_flashed_device_is_waited_for(tmp_path: Path) -> None:
    """With the image that was built, in a folder with a space in its name; it is flashed once."""
    os.mkfifo(tmp_path / "power")
    (tmp_path / "flash.sh").write_text(FLASHES)
    power = os.open(tmp_path / "power", os.O_RDWR)
    entry = Entry("desk", str(tmp_path / "port"), board="native", flash="sh flash.sh {elf}", folder=tmp_path)
    station = Station(entry, small_image()[0], tmp_path / "made here")
    try:
        assert station.device().info.board == "native"
        (tmp_path / "flash.sh").unlink()
        station.close()
        assert station.device().ask_info().status == 0
        station.close()
    finally:
        os.close(power)


def test_a_slow_line_affords_fewer_windows(native: Station, tmp_path: Path) -> None:
    """10 s of 115,200 baud carry some 18 windows of six kilobytes; at least five are always sent."""
    desk = station_of(Entry("desk", "/dev/ttyACM7", board="netduinoplus2"), tmp_path)
    each = 2 * desk.detector.spec.hop * desk.detector.spec.channels
    assert desk.affordable(1000) == 115_200 // each
    assert (desk.affordable(3), native.affordable(200)) == (3, 200)
