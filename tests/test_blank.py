"""Firmware without a detector: built once, and honest about what it lacks; the waveform's C."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from receiver import Receiver, waveform
from small_detector import small_detector, small_spec

from cyberhans.blank import blank_image
from cyberhans.build import build
from cyberhans.core import firmware_dir
from cyberhans.device import Refused, open_device
from cyberhans.errors import CyberHansError
from cyberhans.messages import Mode, Option, Request
from cyberhans.waveform import Meaning, waveform_source

HANS_E_MODEL = -3


def test_it_is_built_once_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = blank_image("native")
    made = first.stat().st_mtime_ns
    assert blank_image("native") == first and first.stat().st_mtime_ns == made
    assert [path.name for path in first.parent.iterdir()] == [first.name]
    with pytest.raises(CyberHansError, match="did you mean native"):
        blank_image("nativ")


def test_it_says_that_it_has_no_detector() -> None:
    with open_device("board:native", image=blank_image("native")) as device:
        info, wave = device.info, waveform()
        assert (info.status, info.mode) == (HANS_E_MODEL, Mode.RUN)
        assert {info.spec, info.model, info.detector} == {bytes(16)}
        assert (info.channels, info.features, info.window, info.hop, info.rate_mhz) == (0, 0, 0, 0, 0)
        for ask in (device.run, lambda: device.start(Option(0))):
            with pytest.raises(Refused, match=rf"its core refuses \(error {HANS_E_MODEL}\)"):
                ask()
        for kind in (Request.SAMPLES, Request.FILE):  # nothing divides by its 0 channels
            with pytest.raises(Refused, match="another mode"):
                device.request(kind, b"absent\0\0\0")
        sensor = Receiver(device).sensor
        assert (sensor.channels, sensor.unit, sensor.sensor) == (wave.shape[1], "g", "simulated pump")
        assert sensor.scale_numerator / sensor.scale_denominator == 16 / 32768
        device._line.write(b"?\n")
        assert device.last_verdicts().windows == 0


def test_the_committed_waveform_is_what_its_command_prints() -> None:
    made = subprocess.run([sys.executable, "-m", "cyberhans.blank"], capture_output=True, text=True, check=True)
    assert made.stdout == (firmware_dir() / "blank" / "waveform.c").read_text()


@pytest.mark.parametrize("scale", [1 / 32768, 16 / 32768, 0.061e-3, 9.80665 / 4096, 1.0, 250.0, 1e-9])
def test_the_scale_is_a_fraction_of_32_bits(scale: float) -> None:
    text = waveform_source(np.zeros((2, 1), np.int16), 1000, Meaning(scale=scale))
    numerator, denominator = (int(number) for number in re.findall(r"scale_\w+ = (\d+)", text))
    assert 0 < numerator < 2**32 and 0 < denominator < 2**32
    assert numerator / denominator == pytest.approx(scale, rel=1e-12 if scale > 1e-6 else 1e-4)


def test_texts_in_it_are_short_and_harmless() -> None:
    text = waveform_source(np.zeros((2, 1), np.int16), 1000, Meaning('a"b\\c?', "µm/s and much more than fits"))
    assert '"a_b_c_"' in text and '"_m/s and much mo"' in text


def test_a_detectors_image_plays_what_its_sensor_meant(tmp_path: Path) -> None:
    detector = small_detector(tmp_path / "detector", small_spec())
    meaning = Meaning("LIS3DH", "g", 4 / 32768, 30000)
    detector.provenance["sensor"] = asdict(meaning)
    image = build(detector.save(tmp_path / "detector").folder, "native", tmp_path / "out").image
    with open_device("board:native", image=image) as device:
        sensor = Receiver(device).sensor
    assert (sensor.sensor, sensor.unit, sensor.full_scale) == ("LIS3DH", "g", 30000)
    assert sensor.scale_numerator / sensor.scale_denominator == 4 / 32768
    assert sensor.rate_mhz == detector.spec.rate_mhz
