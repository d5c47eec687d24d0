"""Asking what is behind serial ports, and the verb that tells it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from command import cyberhans
from fake_device import info_of
from small_detector import small_image

from cyberhans import probe as room
from cyberhans import serial_port
from cyberhans.blank import blank_image
from cyberhans.boards import board
from cyberhans.device import open_device
from cyberhans.emulator import Emulator
from cyberhans.messages import Verdicts
from cyberhans.probe import Found, probe
from cyberhans.serial_port import Port


@pytest.fixture
def running() -> Iterator[Emulator]:
    with Emulator(board("native"), small_image()[1]) as on:
        yield on


@pytest.fixture
def silent() -> Iterator[str]:
    """A port with nothing behind it that answers."""
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    os.close(theirs)
    yield name
    os.close(ours)


def test_ours_tells_what_it_is(running: Emulator) -> None:
    found = probe([Port(running.url, "sensor", 0x1209, 1, "CH-0001")])[0]
    detector, told = small_image()[0], found.to_dict()
    assert (told["url"], told["vid_pid"], told["serial"], told["why"]) == (running.url, "1209:0001", "CH-0001", None)
    device = told["device"]
    assert (device["board"], device["serial"], device["mode"]) == ("native", "0" * 16, "run")
    assert (device["sensor"], device["channels"]) == ("waveform", 3)
    assert device["state"] in ("normal", "suspicious", "alarm") and (device["revision"], device["storage"]) == (
        0,
        "none",
    )
    assert (device["detector"], device["rate_hz"]) == (detector.digest.hex(), detector.spec.rate_mhz / 1000)


def test_verdicts_since_it_was_switched_on_are_told(running: Emulator) -> None:
    deadline = time.monotonic() + 10
    while not (device := probe([Port(running.url)])[0].to_dict()["device"])["windows"]:
        assert time.monotonic() < deadline
    assert device["last_verdict"] in ("normal", "anomaly")


def test_a_device_may_say_anything(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control signs in its texts, a mode and a verdict that there are not: told all the same, on one line."""
    info = replace(info_of(small_image()[0]), board="\x1b[2Jevil\n", mode=77, state=78, storage=79)
    found = Found(Port(silent, vid=1), info, verdicts=Verdicts(3, 0, 1, 2, tail=b"\0\0"))
    monkeypatch.setattr(serial_port, "serial_ports", lambda: [found.port])
    monkeypatch.setattr(room, "probe", lambda ports: [found for _ in ports])
    _, line = cyberhans("devices").out.splitlines()
    assert "?[2Jevil?" in line and "77" in line and "78" in line and "3, last -" in line


def test_firmware_without_a_detector_says_so() -> None:
    with Emulator(board("native"), blank_image("native")) as running:
        device = probe([Port(running.url)])[0].to_dict()["device"]
    assert device["detector"] is None and device["rate_hz"] > 0 and device["channels"] > 0


def test_many_silent_ports_take_no_longer_than_one(running: Emulator) -> None:
    """Each is listed, in the order asked; ours is found among them."""
    pairs = [os.openpty() for _ in range(8)]
    names = [os.ttyname(theirs) for _, theirs in pairs]
    for _, theirs in pairs:
        os.close(theirs)
    began = time.monotonic()
    found = probe([Port(name) for name in (*names[:4], running.url, *names[4:])])
    assert time.monotonic() - began < 1.5
    assert [row.port.url for row in found] == [*names[:4], running.url, *names[4:]]
    assert [row.why for row in found] == ["no answer"] * 4 + [None] + ["no answer"] * 4
    for ours, _ in pairs:
        os.close(ours)


def test_a_port_in_use_is_left_alone(running: Emulator) -> None:
    """Every window of a replay comes, with others asking for the device all the while."""
    detector = small_image()[0]
    scores = detector.core().run(detector.golden).score
    with open_device(running.url) as device:
        for number, judgement in enumerate(device.replay(detector.golden)):
            told = probe([Port(running.url)])[0]
            assert told.info is None and told.why
            assert told.why.startswith("busy: ") and f"(process {os.getpid()})" in told.why
            assert judgement.score == scores[number]
        assert number == len(scores) - 1
        assert device.missed_events == 0
    assert probe([Port(running.url)])[0].info


def test_a_lock_of_somebody_whose_files_cannot_be_seen_is_kept(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_port, "_holder", lambda path: None)
    holder = os.open(silent, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    assert "busy: another program has it open" in (probe([Port(silent)])[0].why or "")
    os.close(holder)
    assert probe([Port(silent)])[0].why == "no answer"


def test_a_port_that_is_gone_is_told() -> None:
    assert "cannot be opened" in (probe([Port("/dev/ttyNONE0")])[0].why or "")


def test_the_verb_asks_usb_ports_and_the_others_only_if_told(
    running: Emulator, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = [Port(running.url, "sensor", 0x1209, 1, "CH-0001", "1-1"), Port(silent, "ttyS0")]
    monkeypatch.setattr(serial_port, "serial_ports", lambda: ports)
    asked, others = json.loads(cyberhans("devices", "--json").out)
    assert asked["device"]["board"] == "native" and others["device"] is None
    assert others["why"] == "not USB: not asked (--all asks it)"
    assert json.loads(cyberhans("devices", "--all", "--json").out)[1]["why"] == "no answer"
    head, first, second = cyberhans("devices").out.splitlines()
    assert first.split()[:3] == [running.url, "1209:0001", "CH-0001"]
    assert small_image()[0].digest.hex()[:8] in first and "20000 Hz" in first and "run" in first
    assert "revision 0" in first and re.search(r"normal|suspicious|alarm", first)
    assert second.endswith("ttyS0: not USB: not asked (--all asks it)")
    assert len(head.split()) == 10


def test_no_port_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_port, "serial_ports", list)
    outcome = cyberhans("devices")
    assert outcome.code == 0 and "No serial port" in outcome.out
    assert json.loads(cyberhans("devices", "--json").out) == []
