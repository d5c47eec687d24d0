"""How far the integers are from real arithmetic, at N = 1024 and for the statistics.

The oracle's X is measured; `test_the_c_core_has_the_measured_spectrum` ties it to the C. The reference is SciPy in
float64 on the same int16 samples with an exact Hann taper, scaled by 2^15 / N as SPEC.md section 3.4 says. What is
said of recordings holds for every recording at hand; the synthetic frames keep the tests alive without them.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import inputs
import numpy as np
import oracle
import pytest
import scipy.fft
import scipy.stats
from numpy.typing import NDArray

from cyberhans.core import Core, Stage
from cyberhans.spec import Family, band_edges

N = 1024
EDGES = band_edges(N, 16000.0, 32)
Reals = NDArray[np.float64]
OCTAVE = 256  # feature units


def exact_spectrum(frames: inputs.Samples) -> NDArray[np.complex128]:
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N) / N)
    exact: NDArray[np.complex128] = scipy.fft.rfft(frames * taper, axis=1)[:, : N // 2] * 2**15 / N
    return exact


def exact_bands(power: Reals) -> Reals:
    """Triangles over EDGES with real weights."""
    bins = np.arange(N // 2)
    triangles = zip(EDGES, EDGES[1:], EDGES[2:], strict=False)
    return power @ np.stack([np.interp(bins, corners, (0.0, 1.0, 0.0)) for corners in triangles], axis=1)


def noise(level: float, seed: int = 1) -> inputs.Samples:
    """500 frames of uniform noise with this peak (1 = full scale)."""
    return np.rint(np.random.default_rng(seed).uniform(-32768, 32767, (500, N)) * level).astype(np.int16)


def spectrum_error(frames: inputs.Samples) -> tuple[Reals, Reals]:
    """Energy of every frame's exact spectrum, and of the oracle's deviation from it."""
    x, exact = oracle.transform(frames), exact_spectrum(frames)
    return (np.abs(exact) ** 2).sum(axis=1), (np.abs(x[0] + 1j * x[1] - exact) ** 2).sum(axis=1)


def band_error(frames: inputs.Samples) -> tuple[Reals, Reals]:
    """|error| of every band in feature units, and the band's share of its frame's power."""
    power = np.abs(exact_spectrum(frames)) ** 2 / 64
    exact = exact_bands(power)
    error = oracle.bands(oracle.power(frames), EDGES) - OCTAVE * np.log2(exact)
    return np.abs(error), exact / power.sum(axis=1, keepdims=True)


def real_frames(recordings: Path, quietest: float) -> inputs.Samples:
    """10 frames of every channel of every recording whose standard deviation reaches `quietest` LSB: (k, N)."""
    rows = [w.transpose(0, 2, 1).reshape(-1, N) for _, w in inputs.real_windows(recordings, N, 10)]
    frames: inputs.Samples = np.concatenate(rows)
    return np.asarray(frames[frames.std(axis=1) >= quietest])


# --- spectrum -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "decibels"), [(1.0, 90.0), (0.01, 88.0)])
def test_the_spectrum_of_noise(level: float, decibels: float) -> None:
    signal, error = spectrum_error(noise(level))
    assert 10 * np.log10(signal.sum() / error.sum()) >= decibels
    assert 10 * np.log10((signal / error).min()) >= decibels


def test_the_spectrum_of_tones() -> None:
    """A tone that fills the scale, on and between bins: its own bin is not what spoils the others."""
    rng = np.random.default_rng(2)
    turns = rng.uniform(0.002, 0.498, (400, 1)) * np.arange(N) + rng.uniform(0, 1, (400, 1))
    signal, error = spectrum_error(np.rint(32767 * np.sin(2 * np.pi * turns)).astype(np.int16))
    assert 10 * np.log10((signal / error).min()) >= 88


def test_the_spectrum_of_a_whisper_is_cleaner_than_its_samples() -> None:
    """At 3 LSB rms the arithmetic's noise stays 35 dB below that of rounding samples to integers."""
    frames = np.rint(np.random.default_rng(3).normal(0, 3, (2000, N))).astype(np.int16)
    _, error = spectrum_error(frames)
    rounding = (2**15 / N) ** 2 * N * 3 / 8 / 12 * (N // 2)  # white, 1/12 LSB², Hann
    assert 10 * np.log10(rounding / error.mean()) >= 35


def test_the_c_core_has_the_measured_spectrum() -> None:
    spec = inputs.spec_for((N,), 1, Family(0), "log", N, N)
    core = Core(spec)
    for frame in np.concatenate((noise(1.0)[:20], noise(0.01)[:20])):
        item = core.trace(frame[:, np.newaxis])[Stage.SPECTRUM][0]
        assert item == oracle.power(frame[np.newaxis]).astype("<u8").tobytes()


# --- bands ----------------------------------------------------------------------------------------------------------


def test_bands_of_full_scale_noise() -> None:
    error, _ = band_error(noise(1.0))
    assert error.max() <= 3


def test_bands_of_quiet_noise() -> None:
    error, share = band_error(noise(0.01))
    assert error.max() <= 6
    assert error[share > 1e-4].max() <= 2


@pytest.mark.slow
@pytest.mark.recordings
def test_bands_of_real_frames(recordings: Path) -> None:
    """From 16 LSB rms: within 6/256 octave above -60 dB of the frame's power (DC included), 2/256 above -40 dB."""
    frames = real_frames(recordings, quietest=16)
    error, share = band_error(frames)
    assert len(frames) > 5000
    assert error[share > 1e-6].max() <= 6
    assert error[share > 1e-4].max() <= 2
    assert np.percentile(error, 99) <= 2


# --- logarithm ------------------------------------------------------------------------------------------------------


def test_log8_of_64_bit_values() -> None:
    rng = np.random.default_rng(4)
    octave = rng.integers(0, 64, 1_000_000).astype(np.uint64)
    mantissa = rng.integers(2**63, 2**64, octave.size, dtype=np.uint64)
    v = mantissa >> octave
    assert np.abs(oracle.log8(v) - OCTAVE * np.log2(v.astype(np.longdouble))).max() <= 0.55


def test_log8_of_every_small_value() -> None:
    v = np.arange(1, 1 << 18, dtype=np.uint64)
    assert np.abs(oracle.log8(v) - OCTAVE * np.log2(v)).max() <= 0.55


# --- statistics -----------------------------------------------------------------------------------------------------


def statistics_error(windows: inputs.Samples) -> float:
    """Largest deviation from SciPy, in feature units, over rows (k, n) that are not constant."""
    largest = 0.0
    found = oracle.statistics(windows)
    for u, column in ((windows.astype(np.float64), 0), (np.diff(windows.astype(np.float64), axis=1), 3)):
        variance = u.var(axis=1)
        peak = np.abs(u - u.mean(axis=1, keepdims=True)).max(axis=1)
        kurtosis = scipy.stats.kurtosis(u, axis=1, fisher=False)
        exact = OCTAVE * np.log2(np.stack((variance, peak**2 / variance, kurtosis), axis=1))
        largest = max(largest, float(np.abs(found[:, column : column + 3] - exact).max()))
    return largest


@pytest.mark.parametrize("draw", ["normal", "uniform", "laplace"])
@pytest.mark.parametrize("spread", [0.5, 3.0, 100.0, 3000.0])
def test_statistics_of_noise(draw: str, spread: float) -> None:
    rng = np.random.default_rng(6)
    values = getattr(rng, draw)(size=(200, 1000)) * spread + rng.uniform(-9000, 9000, (200, 1))
    windows = np.clip(np.rint(values), -32768, 32767).astype(np.int16)
    moving = windows[windows.std(axis=1) > 0]
    assert len(moving) > 90
    assert statistics_error(moving) <= 2


@pytest.mark.slow
@pytest.mark.recordings
def test_statistics_of_real_windows(recordings: Path) -> None:
    assert statistics_error(real_frames(recordings, quietest=0.01)) <= 2


def test_spread_is_log2_of_the_variance_over_frames() -> None:
    q = np.random.default_rng(7).integers(0, 16384, (50, 40, 8))
    exact = OCTAVE * np.log2(q.var(axis=1))
    assert np.abs(oracle.band_spread(q) - exact).max() <= 2


def test_triangles_are_those_of_the_reference() -> None:
    """The reference's own shape: each peaks at 1 on its middle edge, neighbours sum to 1 between their peaks."""
    weights = exact_bands(np.eye(N // 2))
    assert all(weights[edge, band] == 1 for band, edge in enumerate(EDGES[1:-1]))
    assert np.allclose(weights[EDGES[1] : EDGES[-2]].sum(axis=1), 1)
    assert all(low < high for low, high in pairwise(EDGES))
