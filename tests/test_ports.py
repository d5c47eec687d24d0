"""Names of devices, and the way back to one that was unplugged."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import cyberhans
from small_detector import noise, small_image

from cyberhans import ports as room
from cyberhans.boards import board
from cyberhans.device import open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.ports import Place, find
from cyberhans.recording import Recording, save_recording
from cyberhans.serial_port import Port


def usb(url: str, serial: str | None, location: str = "1-1:1.0", pid: int = 1) -> Port:
    return Port(url, "sensor", 0x1209, pid, serial, location)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> list[Port]:
    """The serial ports that the system tells of, for a test to fill."""
    ports: list[Port] = []
    monkeypatch.setattr(room, "serial_ports", lambda: list(ports))
    monkeypatch.setattr(room, "accessible", lambda path: True)
    return ports


@contextmanager
def native() -> Iterator[Emulator]:
    with Emulator(board("native"), small_image()[1]) as running:
        yield running


def test_a_board_is_named_with_its_settings() -> None:
    assert find("board:microbit") == Place("board:microbit", "microbit")
    place = find("board:native,play=a=b.wav,jitter=0.001")
    assert (place.url, place.board) == ("board:native,play=a=b.wav,jitter=0.001", "native")
    assert place.again(5) is None  # what was started here and has ended does not come back


@pytest.mark.parametrize(("text", "told"), [("board:nativ", "did you mean native"), ("board:native,plai=1", "play")])
def test_a_board_or_a_setting_that_there_is_not_is_told_at_once(text: str, told: str) -> None:
    with pytest.raises(CyberHansError, match=told):
        find(text)


def test_a_url_is_taken_as_it_is(there: list[Port]) -> None:
    assert find("socket://127.0.0.1:7") == Place("socket://127.0.0.1:7")
    there.append(usb("/dev/ttyACM0", "CH-1"))
    assert find("/dev/ttyACM0") == Place("/dev/ttyACM0", port=there[0])


def test_a_link_to_a_usb_port_is_that_port(there: list[Port], tmp_path: Path) -> None:
    real, link = tmp_path / "ttyACM0", tmp_path / "by-id"
    real.touch()
    link.symlink_to(real)
    there.append(usb(str(real), "CH-1"))
    place = find(str(link))
    there[:] = [usb("/dev/ttyACM5", "CH-1", "2-2:1.0")]
    assert (place.url, place.again(0)) == (str(link), "/dev/ttyACM5")


def test_a_usb_number_names_a_port(there: list[Port]) -> None:
    there += [usb("/dev/ttyACM0", "CH-1"), usb("/dev/ttyACM1", "CH-2"), Port("/dev/ttyS0", serial="CH-2")]
    assert find(None, "ch-2") == Place("/dev/ttyACM1", port=there[1])


def test_a_number_that_nobody_has_is_told_with_those_that_there_are(there: list[Port]) -> None:
    with pytest.raises(CyberHansError, match="--serial X: no such device; there is no USB serial port"):
        find(None, "X")
    there += [usb("/dev/ttyNONE0", "CH-1"), usb("/dev/ttyNONE1", None)]
    with pytest.raises(
        CyberHansError, match=r"X: no such .* /dev/ttyNONE0 \(serial CH-1\), /dev/ttyNONE1 \(serial -\)"
    ):
        find(None, "X")


def test_a_number_that_several_have_is_told_unless_one_of_them_answers(there: list[Port]) -> None:
    """A device may have a second port, for its debugger: with the same number, and silent."""
    there += [usb("/dev/ttyNONE0", "CH-1"), usb("/dev/ttyNONE1", "CH-1")]
    with pytest.raises(CyberHansError, match=r"several ports have it; there is /dev/ttyNONE0 .*, /dev/ttyNONE1"):
        find(None, "CH-1")
    with native() as running:
        there.append(usb(running.url, "CH-1"))
        assert find(None, "CH-1").url == running.url


@pytest.mark.parametrize("named", [(), ("--device", "board:native", "--serial", "CH-1")])
def test_a_verb_wants_one_name_and_not_two(named: tuple[str, ...]) -> None:
    outcome = cyberhans("verify", "nowhere", "some.wav", *named)
    assert outcome.code == 2 and "--serial NUMBER" in " ".join(outcome.err.split())


def test_verify_finds_the_device_by_its_number(there: list[Port], tmp_path: Path) -> None:
    detector = small_image()[0]
    save_recording(Recording(noise(detector.spec, 3).reshape(-1, 3), detector.spec.rate_hz), tmp_path / "some.wav")
    with native() as running:
        there.append(usb(running.url, "CH-1"))
        outcome = cyberhans("verify", detector.folder, tmp_path / "some.wav", "--serial", "ch-1", "--json")
    assert outcome.code == 0, outcome.err
    assert (json.loads(outcome.out)["device"], json.loads(outcome.out)["windows"]) == (running.url, 3)


def test_a_number_that_a_device_tells_itself_names_it(there: list[Port]) -> None:
    with native() as running:
        there += [usb("/dev/ttyNONE0", None), usb(running.url, None)]
        assert find(None, "0" * 16).url == running.url


@pytest.mark.parametrize(
    ("serial", "now", "url"),
    [
        ("CH-1", [usb("/dev/ttyACM1", "CH-1")], "/dev/ttyACM1"),
        ("CH-1", [usb("/dev/ttyACM1", "CH-1", "2-4:1.0"), usb("/dev/ttyACM0", "CH-2")], "/dev/ttyACM1"),
        ("CH-1", [usb("/dev/ttyACM0", "CH-2")], None),  # another device in the same socket
        ("CH-1", [usb("/dev/ttyACM0", "CH-1", pid=2)], None),  # its boot loader
        ("CH-1", [usb("/dev/ttyACM1", "CH-1", "2-1"), usb("/dev/ttyACM2", "CH-1")], "/dev/ttyACM2"),  # two ports of one
        ("CH-1", [usb("/dev/ttyACM1", "CH-1", "2-1"), usb("/dev/ttyACM2", "CH-1", "2-2")], None),
        (None, [usb("/dev/ttyUSB3", None)], "/dev/ttyUSB3"),  # without a number: the same socket
        (None, [usb("/dev/ttyUSB3", None, "2-4:1.0")], None),
        (None, [], None),
    ],
)
def test_a_usb_device_is_found_again(there: list[Port], serial: str | None, now: list[Port], url: str | None) -> None:
    there.append(usb("/dev/ttyACM0", serial))
    place = find("/dev/ttyACM0")
    there[:] = now
    assert place.again(0) == url


def test_it_waits_for_the_device_and_for_the_right_to_open_it(
    there: list[Port], monkeypatch: pytest.MonkeyPatch
) -> None:
    there.append(usb("/dev/ttyACM0", "CH-1"))
    place, allowed = find(None, "CH-1"), threading.Event()
    there.clear()
    monkeypatch.setattr(room, "accessible", lambda path: allowed.is_set())
    timers = [threading.Timer(0.2, there.append, (usb("/dev/ttyACM1", "CH-1"),)), threading.Timer(0.5, allowed.set)]
    began = time.monotonic()
    for timer in timers:
        timer.start()
    assert place.again(10) == "/dev/ttyACM1"
    assert 0.4 < time.monotonic() - began < 5
    there.clear()
    began = time.monotonic()
    assert place.again(0.3) is None
    assert 0.3 <= time.monotonic() - began < 2


def test_a_link_that_leads_to_another_pty_is_the_same_device(tmp_path: Path) -> None:
    """The device goes away in the midst of a conversation, and comes back behind the same name."""
    link = tmp_path / "sensor"
    with native() as first:
        link.symlink_to(first.url)
        place = find(str(link))
        device = open_device(place.url)
        first.close()
        with pytest.raises(CyberHansError, match="the device went away"):
            device.run()
        device.close()
    assert place.again(0.2) is None
    with native() as second:
        link.unlink()
        link.symlink_to(second.url)
        url = place.again(2)
        assert url == str(link)
        with open_device(url) as device:
            assert device.info.board == "native"


def test_a_socket_is_there_again_when_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        place = find(f"socket://127.0.0.1:{port}")
        assert place.again(0) == place.url
    assert place.again(0) is None
    assert find("socket://nonsense").again(0) is None
    with socket.create_server(("127.0.0.1", port)):
        assert place.again(2) == place.url


def test_a_pty_that_was_closed_is_not_there() -> None:
    ours, theirs = os.openpty()
    place = find(os.ttyname(theirs))
    os.close(theirs)
    assert place.again(0) == place.url
    os.close(ours)
    assert place.again(0.2) is None
