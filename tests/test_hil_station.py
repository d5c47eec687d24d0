"""Station: a device of the bench is opened, left, restarted and found again."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_detector import small_detector, small_image

from cyberhans.alarm import Outcome
from cyberhans.device import open_device
from cyberhans.errors import CyberHansError
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
