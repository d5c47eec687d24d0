"""Every bit of features, score, verdict and state is what the host foretells, and foretold when it was trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cyberhans.difference import Difference, find_difference
from cyberhans.hil.agreement import agree_on, require_none
from cyberhans.hil.plugin import Record
from cyberhans.hil.request import unless_unknown
from cyberhans.hil.station import Station
from cyberhans.verify import verify

STAGED = 3  # windows whose every stage is compared
Windows = NDArray[np.int16]


def test_every_stage_has_the_hosts_bits(hil_station: Station, hil_windows: Windows, hil_record: Record) -> None:
    """Samples, spectrum, bands, features, score, verdict, alarm: the first, the middle and the last window."""
    chosen = sorted({0, len(hil_windows) // 2, len(hil_windows) - 1})
    for number in chosen[:STAGED]:
        found = _staged(hil_station, hil_windows[number], number)
        require_none(found, hil_record)
    hil_record("windows", len(chosen))


def _staged(station: Station, window: Windows, number: int) -> Difference | None:
    with unless_unknown("TRACE: its stages cannot be told apart"):
        return find_difference(station.device(), station.core, window, number)
    raise AssertionError


def test_every_window_has_the_hosts_bits(hil_station: Station, hil_windows: Windows, hil_record: Record) -> None:
    """Features, score, verdict and state, as one stream."""
    outcome = verify(hil_station.detector, hil_windows, hil_station.device())
    hil_record("windows", outcome.windows)
    hil_record("differing_bits", sum(outcome.differing_bits.values()))
    require_none(outcome.first_difference, hil_record)
    assert outcome.equal and outcome.windows == len(hil_windows)
    assert outcome.streams == 1, f"{outcome.streams - 1} windows did not come, and were sent again"


def test_golden_windows_give_the_golden_values(hil_station: Station, hil_record: Record) -> None:
    """Features, score and verdict are those in the detector's folder, whatever this computer's core says; each window
    is a stream of its own."""
    detector, device, count = hil_station.detector, hil_station.device(), 0
    for number, window in enumerate(detector.golden):
        score = detector.golden_score[number][None]
        golden = replace(
            hil_station.core.watch().run(window[None]), features=detector.golden_features[number][None], score=score,
            verdict=(score > detector.threshold).astype(np.uint8),
        )  # fmt: skip
        for told in device.replay(window[None]):
            agree_on(hil_station, told, golden, 0, number, hil_record)
            count += 1
    assert count == len(detector.golden)
    hil_record("windows", count)
