"""Every bit of features, score, verdict and state is what the host foretells, and foretold when it was trained."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from cyberhans.device import Refused
from cyberhans.difference import Difference, find_difference
from cyberhans.hil.plugin import Record
from cyberhans.hil.station import Station
from cyberhans.messages import Refusal
from cyberhans.verify import verify

STAGED = 3  # windows whose every stage is compared
Windows = NDArray[np.int16]


def test_every_stage_has_the_hosts_bits(hil_station: Station, hil_windows: Windows, hil_record: Record) -> None:
    """Samples, spectrum, bands, features, score, verdict, alarm: the first, the middle and the last window."""
    chosen = sorted({0, len(hil_windows) // 2, len(hil_windows) - 1})
    for number in chosen[:STAGED]:
        found = _staged(hil_station, hil_windows[number], number)
        if found:
            hil_record("difference", json.dumps(found.to_dict()))
        assert found is None
    hil_record("windows", len(chosen))


def _staged(station: Station, window: Windows, number: int) -> Difference | None:
    try:
        return find_difference(station.device(), station.core, window, number)
    except Refused as refused:
        if refused.code == Refusal.UNKNOWN:
            pytest.skip("this firmware does not answer TRACE: its stages cannot be told apart")
        raise


def test_every_window_has_the_hosts_bits(hil_station: Station, hil_windows: Windows, hil_record: Record) -> None:
    """Features, score, verdict and state, as one stream."""
    outcome = verify(hil_station.detector, hil_windows, hil_station.device())
    if outcome.first_difference:
        hil_record("difference", json.dumps(outcome.first_difference.to_dict()))
    hil_record("windows", outcome.windows)
    hil_record("differing_bits", sum(outcome.differing_bits.values()))
    assert outcome.first_difference is None
    assert outcome.equal and outcome.windows == len(hil_windows)
    assert outcome.streams == 1, f"{outcome.streams - 1} windows did not come, and were sent again"


def test_golden_windows_give_the_golden_values(hil_station: Station, hil_record: Record) -> None:
    """Those in the detector's folder, whatever this computer's core says; each window a stream of its own."""
    detector, device = hil_station.detector, hil_station.device()
    judged = [judgement for window in detector.golden for judgement in device.replay(window[None])]
    for number, judgement in enumerate(judged):
        assert judgement.features is not None
        assert judgement.features.tolist() == detector.golden_features[number].tolist(), f"features of window {number}"
        assert judgement.score == detector.golden_score[number], f"score of window {number}"
        assert judgement.anomaly == (judgement.score > detector.threshold)
    assert len(judged) == len(detector.golden)
    hil_record("windows", len(judged))
