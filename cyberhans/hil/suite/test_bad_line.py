"""A line that loses, delays and bends: every verdict once, in its order, with the right bits; never a wrong one."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

from cyberhans import device as device_room
from cyberhans import exchange as exchange_room
from cyberhans.device import Device, open_device
from cyberhans.difference import ALARM_VALUES
from cyberhans.errors import CyberHansError
from cyberhans.hil.plugin import Record
from cyberhans.hil.proxy import BIT, FLIP, JITTER, Proxy, proxy
from cyberhans.hil.station import Station
from cyberhans.judgement import Judgement
from cyberhans.messages import Option
from cyberhans.verify import Expected

LOSSES = {"drop": 0.01, BIT: 0.001, JITTER: 1.0}  # of packets
FLIPS = 0.001  # of bits
WAITS = (0.25,) * 8 + (1.0,) * 4  # for a reply
SHORT_WAITS = (0.08,) * 8 + WAITS  # where most packets come damaged
ROUNDS = 4  # at most, until each fault has happened
LOSSY_PACKETS = 120  # of SAMPLES, about: each waits for its jitter
SHORT_BYTES = 64  # of samples in a packet that is to come through
FLIPPED_PACKETS = 70  # SAMPLES packets of a test with flips, at most, at their full rate
COMPARED = ("score", "anomaly", *ALARM_VALUES)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Many short waits: what a bad line takes costs a part of a second. None shorter than its jitter, both ways."""
    waits = SHORT_WAITS if "flipped" in request.node.name else WAITS
    monkeypatch.setattr(exchange_room, "REPEAT_SECONDS", waits)
    monkeypatch.setattr(device_room, "ANSWER_SECONDS", waits)
    monkeypatch.setattr(device_room, "TRIES", 30)


def _windows(station: Station, packets: int, packet_bytes: int) -> np.ndarray:
    """Golden windows, over again where they are short; as many as so many packets of samples carry, at least two."""
    spec = station.detector.spec
    each = math.ceil(2 * spec.hop * spec.channels / packet_bytes)
    count = min(40, max(2, packets // each))
    return np.stack(list(itertools.islice(itertools.cycle(station.detector.golden), count)))


def _through(
    station: Station, windows: np.ndarray, rates: Mapping[str, float], record: Record, step: int | None = None
) -> None:
    """Replay over a proxy that is a good line until the device is open. What arrives must be right, once and in order;
    the failure says which window is missing."""
    with station.line() as url, proxy(url, seed=1) as line, open_device(line.url) as device:
        for _ in range(ROUNDS):
            line.to_device.rates, line.to_host.rates = dict(rates), dict(rates)
            arrived, why = _replayed(device, windows, Expected(station.core, windows), step)
            missing = list(range(len(arrived), len(windows)))
            line.clear()
            if missing or all((line.to_device.done + line.to_host.done)[fault] for fault in rates if fault != BIT):
                break  # else chance has spared the line
        device.leave()
        _tell(record, line, arrived)
    assert not missing, f"verdicts of windows {missing} did not arrive: {why}"


def _replayed(device: Device, windows: np.ndarray, expected: Expected, step: int | None) -> tuple[list[Judgement], str]:
    """What arrived, and why no more did."""
    arrived: list[Judgement] = []
    try:
        for told in device.replay(windows, Option(0), step=step):
            _right(told, expected, len(arrived))
            arrived.append(told)
    except CyberHansError as error:
        return arrived, str(error)
    return arrived, "the device sent no more"


def _right(told: Judgement, expected: Expected, number: int) -> None:
    assert told.window == number, f"window {told.window} came in place of {number}"
    foretold, at = expected.from_window(told.begun), number - told.begun
    for name in COMPARED:
        host = int(getattr(foretold, "verdict" if name == "anomaly" else name)[at])
        assert getattr(told, name) == host, f"{name} of window {number}: device {getattr(told, name)}, host {host}"
    assert told.mean.tolist() == foretold.mean[at].tolist(), f"means of window {number}"


def _tell(record: Record, line: Proxy, arrived: list[Judgement]) -> None:
    done: Counter[str] = line.to_device.done + line.to_host.done
    record("verdicts", len(arrived))
    record("streams", len({told.begun for told in arrived}))
    for name, count in sorted(done.items()):
        record(name, count)


def test_loss_jitter_and_single_bits_cost_no_verdict(hil_station: Station, hil_record: Record) -> None:
    """1 % of the packets lost, one of 1000 hit by a bit error, all of them up to 50 ms late."""
    body = hil_station.device().info.body_max - 4
    _through(hil_station, _windows(hil_station, LOSSY_PACKETS, body), LOSSES, hil_record)


def test_flipped_bits_give_no_wrong_verdict(hil_station: Station, hil_record: Record) -> None:
    """One bit of 1000, in both directions: most packets come damaged. Where windows are long, fewer bits, and longer
    packets; the rate is recorded."""
    spec = hil_station.detector.spec
    long = max(1.0, 2 * spec.hop * spec.channels / SHORT_BYTES / FLIPPED_PACKETS)
    size = min(int(SHORT_BYTES * long), hil_station.device().info.body_max - 4)
    rate = min(FLIPS, FLIPS * SHORT_BYTES / size)
    windows = _windows(hil_station, FLIPPED_PACKETS, size)
    hil_record("flipped_bits_of_all", rate)
    _through(hil_station, windows, {FLIP: rate}, hil_record, step=max(1, size // (2 * spec.channels)))
