"""A window's work is done before the next window is there."""

from __future__ import annotations

from statistics import median_low

import numpy as np
import pytest

from cyberhans.hil.plugin import Record
from cyberhans.hil.station import Station
from cyberhans.messages import Option
from cyberhans.verify import COSTED, COUNTED_WINDOWS, count_instructions


def _windows(station: Station) -> np.ndarray:
    """Golden ones; the first costs as much as any."""
    return station.detector.golden[: station.affordable(COUNTED_WINDOWS)]


def _hop_seconds(station: Station) -> float:
    spec = station.detector.spec
    return spec.hop * 1000 / spec.rate_mhz


def test_a_window_is_done_before_the_next(hil_station: Station, hil_record: Record) -> None:
    """On an emulated board by instructions, at one a cycle of its clock, which no processor does always; else by the
    device's own clock, which COSTS tell. Where the clock is unknown there is no load: its instructions are told."""
    board = hil_station.board
    if not hil_station.device().info.tick_hz:
        pytest.skip("this firmware has no clock (tick_hz 0): what its work takes is not known")
    if not (board and board.bare and hil_station.entry.emulated):
        _hold("load", _ticks(hil_station, hil_record) / _hop_seconds(hil_station), hil_record)
        return
    with hil_station.aside(counting=True) as device:
        counts = count_instructions(device, board, _windows(hil_station))
    for stage, count in counts.items():
        hil_record(f"instructions_{stage}", count)
    assert all(counts[stage] > 0 for stage in COSTED)
    if board.clock_hz:
        load = counts["total"] / board.clock_hz / _hop_seconds(hil_station)
        _hold("load_at_one_instruction_a_cycle", load, hil_record)


def _hold(name: str, load: float, record: Record) -> None:
    record(name, round(load, 6))
    assert 0 < load < 1, f"a window takes {load:.0%} of the time until the next"


def _ticks(station: Station, record: Record) -> float:
    """Seconds of a window's work."""
    device = station.device()
    judged = list(device.replay(_windows(station), Option.COSTS, credits=1))
    ticks = {stage: int(median_low(getattr(told.costs, stage) for told in judged)) for stage in COSTED}
    for stage, count in ticks.items():
        record(f"us_{stage}", round(count * 1e6 / device.info.tick_hz, 1))
    seconds = sum(ticks.values()) / device.info.tick_hz
    if station.board and station.board.clock_hz and not station.entry.emulated:
        record("cycles", round(seconds * station.board.clock_hz))
    return seconds
