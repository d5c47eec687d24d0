"""The whole path on real recordings: train, build, run on each board, and demand 0 differing bits."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cyberhans.build import build
from cyberhans.dataset import Protocol, load_protocol
from cyberhans.detector import Detector
from cyberhans.recording import Recording
from cyberhans.spec import Spec, design
from cyberhans.train import train
from cyberhans.verify import adversarial_windows, gather_windows, verify_on

ENDURANCE = bool(os.environ.get("CYBERHANS_ENDURANCE"))
DETECTORS = ("gaussian", "autoencoder", "forest")
# Windows taken of each test recording, so that every protocol gives a few dozen per board and detector.
PROTOCOLS = {"engine_idle/car01": 6, "adxl356_pooled": 1, "ceiling_fan/low": 40, "cwru_smoke": 12}
OVER_THE_LINK = "ceiling_fan/low"  # short windows: the others go by semihosting
BOARDS = [
    pytest.param("native"),
    pytest.param("netduinoplus2", marks=pytest.mark.emulator),
    pytest.param("microbit", marks=pytest.mark.emulator),
]
pytestmark = [pytest.mark.recordings, pytest.mark.slow]


@functools.cache
def learn(folder: Path, protocol: str, kind: str, size: str) -> tuple[Detector, Protocol]:
    """A detector in a folder of its own; the false-alarm rate does not matter here."""
    part = load_protocol(folder, protocol)
    detector = train(part.train, kind=kind, spec=spec_for(part.train, size), false_alarm_rate=0.05, uncalibrated=True)
    return detector.save(Path(tempfile.mkdtemp(prefix="parity-")) / "detector"), part


def spec_for(recordings: tuple[Recording, ...], size: str) -> Spec:
    first = recordings[0]
    return design(size, first.rate_hz, first.channels, min(recording.segment_len for recording in recordings))


def windows_of(part: Protocol, spec: Spec, most: int) -> np.ndarray:
    """Real test windows, normal and anomalous, then the adversarial ones."""
    real = gather_windows(part.test_normal + part.test_anomaly, spec, most * (25 if ENDURANCE else 1))
    return np.concatenate([real, adversarial_windows(spec)])


def compare(
    detector: Detector, windows: np.ndarray, board: str, bulk: bool, folder: Path, record: Callable[[str, object], None]
) -> None:
    assert detector.folder
    built = build(detector.folder, board, folder)
    outcome = verify_on(f"board:{board}", detector, windows, image=built.image, bulk=bulk)
    record("parity_board", f"{board}, {'from a file' if bulk else 'over the link'}")
    record("parity_windows", outcome.windows)
    record("parity_differing_bits", sum(outcome.differing_bits.values()))
    assert outcome.first_difference is None
    assert outcome.equal and outcome.windows == len(windows)
    assert (outcome.instructions is None) == (board == "native")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("board", BOARDS)
def test_every_bit_of_every_window(
    recordings: Path,
    protocol: str,
    kind: str,
    board: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """One detector, the same for all three boards."""
    detector, part = learn(recordings, protocol, kind, "small")
    windows = windows_of(part, detector.spec, PROTOCOLS[protocol])
    compare(detector, windows, board, protocol != OVER_THE_LINK, tmp_path, record_property)


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("board", BOARDS[:2])
def test_two_frame_lengths(
    recordings: Path, kind: str, board: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Spec `full`, where the board has the memory for it."""
    detector, part = learn(recordings, "adxl356_pooled", kind, "full")
    assert len(detector.spec.frames) == 2
    compare(detector, windows_of(part, detector.spec, 1), board, True, tmp_path, record_property)
