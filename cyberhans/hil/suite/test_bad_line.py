"""A line that loses, delays and bends: every verdict once, in its order, with the right bits; never a wrong one."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from cyberhans import device as device_room
from cyberhans import exchange as exchange_room
from cyberhans.device import Device
from cyberhans.errors import CyberHansError
from cyberhans.hil.agreement import agree_on
from cyberhans.hil.plugin import Record
from cyberhans.hil.proxy import FLIP, JITTER, proxy
from cyberhans.hil.station import Station
from cyberhans.messages import Option
from cyberhans.verify import Expected

LOSSES = {"drop": 0.01, JITTER: 1.0}  # of packets
FLIPS = 0.001  # of bits
WAITS = (0.25,) * 8 + (1.0,) * 4  # for a reply
SHORT_WAITS = (0.08,) * 8 + WAITS  # where most packets come damaged
JITTERY_WAITS = (0.12,) * 8 + WAITS  # and where they come late, on both ways
PATIENT_TRIES = 30  # streams in a row; a user's device gives up after device.TRIES
ROUNDS = 12  # at most, until each fault has happened
LOSSY_PACKETS = 120  # of SAMPLES, about: each waits for its jitter
SHORT_BYTES, FLIPPED_PACKETS = 64, 40  # of samples in a packet that is to come through; packets of a window, at most
SHORTER_BYTES, JITTERY_PACKETS = 32, 32  # the same where they come late besides
Waits = Callable[[tuple[float, ...], int], None]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """Many short waits: what a bad line takes costs a part of a second. None shorter than its jitter, both ways."""

    def chosen(seconds: tuple[float, ...], tries: int) -> None:
        monkeypatch.setattr(exchange_room, "REPEAT_SECONDS", seconds)
        monkeypatch.setattr(device_room, "ANSWER_SECONDS", seconds)
        monkeypatch.setattr(device_room, "TRIES", tries)

    return chosen


def _windows(station: Station, packets: int, packet_bytes: int) -> np.ndarray:
    """Golden windows, over again where they are short; as many as so many packets of samples carry, at least two."""
    spec = station.detector.spec
    each = math.ceil(2 * spec.hop * spec.channels / packet_bytes)
    count = min(40, max(2, packets // each))
    return np.stack(list(itertools.islice(itertools.cycle(station.detector.golden), count)))


def _through(
    station: Station, windows: np.ndarray, rates: Mapping[str, float], record: Record, step: int | None = None
) -> str:
    """Replay over a proxy that is a good line until the device is open, again until each fault has happened. What
    arrives must be right, once and in order. Gives what the host says of the first window that did not come, or ""."""
    why, expected = "", Expected(station.core, windows)
    with station.line() as url, proxy(url, seed=1) as line, station.another(line.url) as device:
        for _ in range(ROUNDS):
            line.to_device.rates, line.to_host.rates = dict(rates), dict(rates)
            arrived, why = _replayed(station, device, windows, expected, record, step)
            line.clear()
            done = line.to_device.done + line.to_host.done
            if why or all(done[fault] for fault in rates):
                break  # else chance has spared the line
        device.leave()
        _tell(record, done, arrived)
    assert why or all(done[fault] for fault in rates), f"a line that was to be bad was not: {dict(done)}"
    return why


def _replayed(
    station: Station, device: Device, windows: np.ndarray, expected: Expected, record: Record, step: int | None
) -> tuple[int, str]:
    """How many verdicts arrived, each right and in its turn, and why no more did, which names the window."""
    arrived = 0
    try:
        for told in device.replay(windows, step=step, options=Option(0)):
            assert told.window == arrived, f"window {told.window} came in place of {arrived}"
            foretold = expected.from_window(told.begun)
            agree_on(station, told, foretold, arrived - told.begun, arrived, record)
            arrived += 1
    except CyberHansError as error:
        return arrived, f"verdicts from window {arrived} of {len(windows)} on did not arrive: {error}"
    assert arrived == len(windows)
    return arrived, ""


def _short(station: Station, record: Record, short: int, packets: int) -> tuple[np.ndarray, float, int]:
    """Windows, bits flipped of all, and sample frames of a packet: where windows are long, fewer bits, and longer
    packets."""
    spec = station.detector.spec
    long = max(1.0, 2 * spec.hop * spec.channels / short / packets)
    size = min(int(short * long), station.device().info.body_max - 4)
    rate = min(FLIPS, FLIPS * short / size)
    record("flipped_bits_of_all", rate)
    return _windows(station, packets, size), rate, max(1, size // (2 * spec.channels))


def _tell(record: Record, done: Counter[str], arrived: int) -> None:
    record("verdicts", arrived)
    for name, count in sorted(done.items()):
        record(name, count)


def test_loss_and_jitter_cost_no_verdict(hil_station: Station, hil_record: Record, waits: Waits) -> None:
    """1 % of the packets lost, all of them up to 50 ms late; packets as long as the device takes them."""
    waits(WAITS, PATIENT_TRIES)
    body = hil_station.device().info.body_max - 4
    assert _through(hil_station, _windows(hil_station, LOSSY_PACKETS, body), LOSSES, hil_record) == ""


def test_flipped_bits_give_no_wrong_verdict(hil_station: Station, hil_record: Record, waits: Waits) -> None:
    """One bit of 1000, in both directions: most packets come damaged, and all verdicts arrive."""
    waits(SHORT_WAITS, PATIENT_TRIES)
    windows, rate, step = _short(hil_station, hil_record, SHORT_BYTES, FLIPPED_PACKETS)
    assert _through(hil_station, windows, {FLIP: rate}, hil_record, step) == ""


def test_all_at_once_give_no_wrong_verdict(hil_station: Station, hil_record: Record, waits: Waits) -> None:
    """Loss, flipped bits and jitter together, with as many streams in a row as a user's host tries: all verdicts
    arrive, or the host says which one did not."""
    waits(JITTERY_WAITS, device_room.TRIES)
    windows, rate, step = _short(hil_station, hil_record, SHORTER_BYTES, JITTERY_PACKETS)
    why = _through(hil_station, windows, {**LOSSES, FLIP: rate}, hil_record, step)
    hil_record("told", why or "all arrived")
    assert not why or re.search(r"window \d+", why)
