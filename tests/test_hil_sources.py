"""Sources: which recordings of a folder are sent."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_detector import small_detector

from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError
from cyberhans.hil.sources import sources
from cyberhans.recording import Recording, save_recording


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    return small_detector(tmp_path / "detector")


@pytest.fixture
def recordings(tmp_path: Path, detector: Detector) -> Path:
    """day.wav, below a folder with a dot before its name."""
    spec, folder = detector.spec, tmp_path / ".kept" / "recordings"
    folder.mkdir(parents=True)
    samples = np.random.default_rng(1).integers(-999, 999, (4 * spec.window, spec.channels), np.int16)
    axes = ("x", "y", "z")[: spec.channels]
    save_recording(Recording(samples=samples, rate_hz=spec.rate_hz, axes=axes), folder / "day.wav")
    return folder


def test_what_is_hidden_in_a_folder_is_left_out(recordings: Path, detector: Detector) -> None:
    """A recording under way is no whole file yet."""
    (recordings / ".night.wav").write_bytes(b"RIFF")
    (recordings / ".trash").mkdir()
    shutil.copy(recordings / "day.wav", recordings / ".trash")
    assert [source.name for source in sources(detector, str(recordings), 20)] == ["golden", "adversarial", "day"]


def test_a_folder_with_none_is_one_line(tmp_path: Path, detector: Detector) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CyberHansError, match="empty: 0 WAV files, none of 3 channels"):
        sources(detector, str(tmp_path / "empty"), 20)
