"""The whole path on real recordings: train, build, run on every board, and demand 0 differing bits."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cyberhans.boards import boards
from cyberhans.build import build
from cyberhans.dataset import Protocol, load_protocol
from cyberhans.detector import Detector
from cyberhans.spec import SIZES, Spec, design, size_for_ram
from cyberhans.train import train
from cyberhans.verify import adversarial_windows, gather_windows, verify_on

ENDURANCE = bool(os.environ.get("CYBERHANS_ENDURANCE"))
DETECTORS = ("gaussian", "autoencoder", "forest")
# Each protocol with the largest Spec it is learnt with, where the board has the memory; and the windows taken of each
# test recording, so that all give a few dozen per board and detector. So every size runs on every board that holds it.
PROTOCOLS = {
    "engine_idle/car01": ("full", 6),
    "adxl356_pooled": ("full", 1),
    "cwru_smoke": ("small", 12),
    "ceiling_fan/low": ("tiny", 40),
}
OVER_THE_LINK = "ceiling_fan/low"  # short windows: the others go by semihosting
BOARDS = [pytest.param(row.name, marks=pytest.mark.emulator if row.bare else ()) for row in boards()]
pytestmark = [pytest.mark.recordings, pytest.mark.slow]


@functools.cache
def learn(folder: Path, protocol: str, kind: str, size: str) -> tuple[Detector, Protocol]:
    """A detector in a folder of its own; the false-alarm rate does not matter here."""
    part = load_protocol(folder, protocol)
    first, segment = part.train[0], min(recording.segment_len for recording in part.train)
    spec = design(size, first.rate_hz, first.channels, segment)
    detector = train(part.train, kind=kind, spec=spec, false_alarm_rate=0.05, uncalibrated=True)
    return detector.save(Path(tempfile.mkdtemp(prefix="parity-")) / "detector"), part


def windows_of(part: Protocol, spec: Spec, most: int) -> np.ndarray:
    """Real test windows, normal and anomalous, then the adversarial ones."""
    real = gather_windows(part.test_normal + part.test_anomaly, spec, most * (25 if ENDURANCE else 1))
    return np.concatenate([real, adversarial_windows(spec)])


def size_on(name: str, largest: str) -> str:
    """The smaller of a Spec's size and of what the board holds."""
    held = size_for_ram(next(row.ram_bytes for row in boards() if row.name == name))
    return min(largest, held, key=SIZES.index)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_bit_of_every_window(
    recordings: Path,
    protocol: str,
    kind: str,
    board: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    largest, most = PROTOCOLS[protocol]
    detector, part = learn(recordings, protocol, kind, size_on(board, largest))
    windows, bulk = windows_of(part, detector.spec, most), protocol != OVER_THE_LINK
    assert detector.folder
    built = build(detector.folder, board, tmp_path)
    outcome = verify_on(f"board:{board}", detector, windows, image=built.image, bulk=bulk)
    record_property("parity_board", f"{board}, {'from a file' if bulk else 'over the link'}")
    record_property("parity_windows", outcome.windows)
    record_property("parity_differing_bits", sum(outcome.differing_bits.values()))
    assert outcome.first_difference is None
    assert outcome.equal and outcome.windows == len(windows)
    assert (outcome.instructions is None) == (board == "native")
