"""The golden windows over and over, as one stream: nothing differs, nothing is lost, nothing grows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cyberhans.device import Device
from cyberhans.difference import ALARM_VALUES
from cyberhans.hil.plugin import Record
from cyberhans.hil.station import Station
from cyberhans.judgement import Judgement
from cyberhans.messages import Option
from cyberhans.watch import Watched

WINDOWS = 200
PORTION_BYTES = 1 << 22  # of samples that are foretold and sent at a time
GROWTH_BYTES = 64 * 1024  # that a process may grow by, after a tenth of the windows
COMPARED = ("score", *ALARM_VALUES)


def test_nothing_differs_nothing_is_lost_nothing_grows(
    hil_station: Station, hil_record: Record, pytestconfig: pytest.Config
) -> None:
    """--hil-soak N windows; without that option 200, or as many as a slow line carries in ten seconds."""
    count = pytestconfig.getoption("hil_soak") or hil_station.affordable(WINDOWS)
    device = hil_station.device()
    device.start()
    before, missed, damaged = device.ask_info(), device.missed_events, device.damaged
    early, differing = _memory(hil_station, device), 0
    for done, bits in _soak(hil_station, count):
        differing += bits
        if done <= max(1, count // 10):
            early = _memory(hil_station, device)
    after = device.ask_info()
    grown = {name: value - early[name] for name, value in _memory(hil_station, device).items()}
    hil_record("windows", count)
    hil_record("differing_bits", differing)
    hil_record("lost_packets", after.broken - before.broken + device.missed_events - missed + device.damaged - damaged)
    hil_record("grown_bytes", dict(grown))
    assert differing == 0
    assert (after.lost - before.lost, after.broken - before.broken) == (0, 0), "the device has lost bytes or packets"
    assert (device.missed_events - missed, device.damaged - damaged) == (0, 0), "events were lost on the way"
    assert grown.get("process", 0) <= GROWTH_BYTES, f"memory of the device grows: {grown}"
    assert _overflow(device) == 0


def _soak(station: Station, count: int) -> Iterator[tuple[int, int]]:
    """(windows so far, differing bits of the last of them), portion by portion of one stream."""
    golden, watch, done = station.detector.golden, station.core.watch(), 0
    portion = max(1, min(count // 10, PORTION_BYTES // golden[0].nbytes))
    endless = itertools.cycle(golden)
    while done < count:
        windows = np.stack(list(itertools.islice(endless, min(portion, count - done))))
        expected = watch.run(windows)
        judged = list(station.device().replay(windows, Option.FEATURES, goes_on=done > 0))
        assert len(judged) == len(windows)
        assert not any(told.begun for told in judged), f"after window {done} one was lost and sent again"
        done += len(windows)
        yield done, sum(_bits(told, expected, at) for at, told in enumerate(judged))


def _bits(told: Judgement, expected: Watched, at: int) -> int:
    """That differ."""
    assert told.features is not None and len(told.features) == len(expected.features[at])
    numbers = [(int(getattr(told, name)), int(getattr(expected, name)[at])) for name in COMPARED]
    numbers.append((told.anomaly, int(expected.verdict[at])))
    return _differ(told.features, expected.features[at]) + _differ(told.mean, expected.mean[at]) + sum(
        ((device ^ host) & 0xFFFFFFFF).bit_count() for device, host in numbers
    )  # fmt: skip


def _differ(device: NDArray[np.int16], host: NDArray[np.int16]) -> int:
    return int(np.bitwise_count((device ^ host).view(np.uint16)).sum())


def _memory(station: Station, device: Device) -> dict[str, int]:
    """Bytes in use: of the process, where the device is one of this computer's, and of its stack at the deepest."""
    found: dict[str, int] = {}
    statm = Path(f"/proc/{station.pid}/statm")
    board = station.board
    if station.pid and board and not board.bare and statm.exists():
        import resource

        found["process"] = int(statm.read_text().split()[1]) * resource.getpagesize()
    found["stack"] = device.memory().stack_used
    return found


def _overflow(device: Device) -> int:
    """Bytes of the stack beyond what is reserved. An interrupt at its deepest place may still deepen it by chance."""
    told = device.memory()
    return max(0, told.stack_used - told.stack_bytes) if told.stack_bytes else 0
