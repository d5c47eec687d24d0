"""Inspection: known signals give their known figures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cyberhans.inspection import dominant, inspect
from cyberhans.recording import Recording
from cyberhans.simulate import simulate

RATE = 2000.0


def recording(*columns: np.ndarray, **fields: object) -> Recording:
    samples = np.stack([np.rint(column) for column in columns], axis=1).astype(np.int16)
    return Recording(samples=samples, rate_hz=RATE, **fields)


def sine(hz: float, amplitude: float, n: int = 20000) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(n) / RATE)


def test_a_sine_has_the_figures_of_a_sine() -> None:
    seen = inspect(recording(sine(50, 1000) + 500, unit="g", scale=0.001, offset=-0.25, full_scale=4000))
    figures = seen["channels"]["c0"]
    assert figures["dc"] == pytest.approx(0.25, abs=1e-4)
    assert figures["level"] == pytest.approx(np.sqrt(0.5), rel=1e-3)
    assert figures["level_dbfs"] == pytest.approx(20 * np.log10(1000 / np.sqrt(2) / 4000), abs=0.01)
    assert figures["crest"] == pytest.approx(np.sqrt(2), rel=1e-3)
    assert figures["kurtosis"] == pytest.approx(1.5, rel=1e-3)
    assert figures["dominant_hz"] == [pytest.approx(50, abs=0.05)]


def test_normal_noise_has_kurtosis_three_and_no_tone() -> None:
    noise = np.random.default_rng(0).normal(0, 1000, 40000)
    figures = inspect(recording(noise))["channels"]["c0"]
    assert figures["kurtosis"] == pytest.approx(3, abs=0.1)
    assert figures["dominant_hz"] == []


def test_tones_come_strongest_first_and_between_the_lines() -> None:
    noise = np.random.default_rng(0).normal(0, 30, 20000)
    seen = inspect(recording(sine(123.4, 300) + sine(700.7, 1500) + sine(30.3, 800) + noise))
    assert seen["channels"]["c0"]["dominant_hz"] == [pytest.approx(hz, abs=0.1) for hz in (700.7, 30.3, 123.4)]


def test_the_pump_shows_its_shaft() -> None:
    made = simulate("pump", seconds=10, seed=1, speed_rpm=1440, fault="imbalance", severity=1)
    assert inspect(made)["channels"]["x"]["dominant_hz"][0] == pytest.approx(24, abs=0.3)


def test_a_report_says_what_the_recording_is() -> None:
    seen = inspect(recording(sine(50, 99), sine(50, 99), machine="fan 3", session="mon", axes=("x", "y"),
                             segment_len=5000, lost_samples=4, speed_rpm=1500.0))  # fmt: skip
    assert (seen["duration_s"], seen["rate_hz"], seen["samples"]) == (10.0, 2000.0, 20000)
    assert (seen["segments"], seen["segment_s"], seen["lost_samples"]) == (4, 2.5, 4)
    assert (seen["machine"], seen["session"], seen["label"], seen["speed_rpm"]) == ("fan 3", "mon", "unknown", 1500.0)
    assert list(seen["channels"]) == ["x", "y"]
    assert seen["quality"] == "warning" and seen["bad"] is False
    assert [reason.split(" (")[0] for reason in seen["reasons"]] == ["4 samples were lost"]


@pytest.mark.parametrize("value", [0, 5, 32767])
def test_silence_has_no_level_but_a_reason(value: int) -> None:
    seen = inspect(recording(np.full(3000, value)))
    figures = seen["channels"]["c0"]
    assert (figures["level"], figures["level_dbfs"], figures["crest"], figures["kurtosis"]) == (0, None, None, None)
    assert figures["dominant_hz"] == []
    assert seen["quality"] == "failed" and seen["bad"] is True and len(seen["reasons"]) == 1


def test_clipped_samples_are_counted_per_channel() -> None:
    seen = inspect(recording(np.clip(sine(50, 40000), -32768, 32767), sine(50, 99)))
    assert seen["channels"]["c0"]["clipped_samples"] > 5000 and seen["channels"]["c1"]["clipped_samples"] == 0
    assert "at full scale" in seen["reasons"][0]


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 100, 4095, 4097])
def test_any_length_can_be_inspected_and_told_as_json(n: int) -> None:
    noise = np.random.default_rng(0).normal(0, 1000, n)
    assert json.loads(json.dumps(inspect(recording(noise)), allow_nan=False))["samples"] == n


def test_a_block_never_crosses_a_segment_border() -> None:
    """A block over one of these steps would bury the faint tone."""
    steps = np.repeat(np.where(np.arange(60) % 2, 20000.0, -20000.0), 300)
    assert dominant(sine(200, 20, 18000) + steps, RATE, 300) == [pytest.approx(200, abs=0.5)]
