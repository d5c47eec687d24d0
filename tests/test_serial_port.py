"""What can be told of a serial port without opening it."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from cyberhans.serial_port import Port, obstacle, serial_ports


def test_ports_are_sorted_and_what_the_system_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    acm, plain = ListPortInfo("/dev/ttyACM0"), ListPortInfo("/dev/ttyAA")
    acm.vid, acm.pid, acm.serial_number, acm.location, acm.description = 0x1209, 1, "CH-0001", "1-1:1.0", "sensor"
    plain.serial_number = ""
    monkeypatch.setattr(list_ports, "comports", lambda: [acm, plain])
    assert serial_ports() == [
        Port("/dev/ttyAA"), Port("/dev/ttyACM0", "sensor", 0x1209, 1, "CH-0001", "1-1:1.0"),
    ]  # fmt: skip
    assert [(port.usb, port.vid_pid) for port in serial_ports()] == [(False, None), (True, "1209:0001")]


def test_a_free_port_has_no_obstacle_and_one_that_is_not_there_none_that_is_known() -> None:
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    os.close(theirs)
    assert obstacle(name) is None
    os.close(ours)
    assert obstacle(name) is None and obstacle("socket://127.0.0.1:1") is None


def test_who_has_it_open_is_named() -> None:
    _, theirs = os.openpty()
    child = subprocess.Popen(["sleep", "60"], stdin=theirs)
    name = os.ttyname(theirs)
    os.close(theirs)
    try:
        assert obstacle(name) == f"busy: sleep (process {child.pid}) has it open; close that"
    finally:
        child.kill()
        child.wait()
    assert obstacle(name) is None


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EAGAIN])
def test_a_port_that_the_system_refuses_is_busy(code: int) -> None:
    assert obstacle("/dev/ttyNONE0", code) == "busy: another program has it open; close that"


def test_a_missing_right_is_told_with_its_group(tmp_path: Path) -> None:
    port = tmp_path / "port"
    port.touch()
    mend = "sudo usermod -aG {} $USER, then log in again"
    assert obstacle(str(port), errno.EACCES) == f"no permission: {mend.format(port.group())}"
    assert obstacle("/dev/ttyNONE0", errno.EACCES) == f"no permission: {mend.format('dialout')}"
