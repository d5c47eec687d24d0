"""The golden windows over and over, as one stream: nothing differs, nothing is lost, nothing grows."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cyberhans.device import Device, Refused
from cyberhans.difference import differing_bits, seen_difference
from cyberhans.hil.plugin import Record
from cyberhans.hil.station import Station
from cyberhans.messages import Refusal

WINDOWS = 200
PORTION_BYTES = 1 << 22  # of samples that are foretold and sent at a time
GROWTH_BYTES = 64 * 1024  # that a process may grow by, after a tenth of the windows
DEEPER_BYTES = 256  # an interrupt may still find the deepest place by chance: its frame, 108 bytes, and its calls


def test_nothing_differs_nothing_is_lost_nothing_grows(
    hil_station: Station, hil_record: Record, pytestconfig: pytest.Config
) -> None:
    """--hil-soak N windows; without that option 200, or as many as a slow line carries in ten seconds."""
    count = pytestconfig.getoption("hil_soak") or hil_station.affordable(WINDOWS)
    device = hil_station.device()
    device.start()
    before, missed, damaged = device.ask_info(), device.missed_events, device.damaged
    early, differing = _memory(hil_station, device), 0
    for done, bits in _soak(hil_station, count, hil_record):
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
    assert grown.get("stack", 0) <= DEEPER_BYTES, f"the stack grows: {grown}"


def _soak(station: Station, count: int, record: Record) -> Iterator[tuple[int, int]]:
    """(windows so far, differing bits of the last of them), portion by portion of one stream; keeps the first
    difference."""
    golden, watch, done = station.detector.golden, station.core.watch(), 0
    portion, names = max(1, min(count // 10, PORTION_BYTES // golden[0].nbytes)), station.detector.spec.feature_names
    endless, found = itertools.cycle(golden), None
    while done < count:
        windows = np.stack(list(itertools.islice(endless, min(portion, count - done))))
        expected, bits = watch.run(windows), 0
        for at, told in enumerate(judged := list(station.device().replay(windows, goes_on=done > 0))):
            assert told.begun == 0, f"window {done + at} was lost and sent again"
            bits += sum(differing_bits(told, expected, at).values())
            if bits and not found:
                found = seen_difference(told, expected, at, done + at, names)
                record("difference", json.dumps(found.to_dict() if found else None))
        assert len(judged) == len(windows)
        done += len(windows)
        yield done, bits


def _memory(station: Station, device: Device) -> dict[str, int]:
    """Bytes in use: of the process, where the device is one of this computer's, and of its stack at the deepest."""
    found: dict[str, int] = {}
    statm = Path(f"/proc/{station.pid}/statm")
    board = station.board
    if station.pid and board and not board.bare and statm.exists():
        import resource

        found["process"] = int(statm.read_text().split()[1]) * resource.getpagesize()
    try:
        found["stack"] = device.memory().stack_used
    except Refused as refused:
        if refused.code != Refusal.UNKNOWN:
            raise
    return found
