"""Inspection: what a person wants to know of a recording before trusting it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyberhans.quality import verdict
from cyberhans.reason import grade
from cyberhans.recording import Recording

BLOCK = 4096  # samples in one spectrum: the finest line is rate / BLOCK
DOMINANT = 5
PROMINENT = 4.0  # a line must exceed this many times the median power of the spectrum around it,
FAINTEST = 1e-5  # and this share of the strongest line: 50 dB below it may be rounding


def inspect(recording: Recording) -> dict[str, Any]:
    """A flat report with one entry per channel under `channels`; JSON-ready.

    quality: good, warning or failed (`bad`: training refuses the recording), with its reasons, fatal ones first.
    Recordings of the machine in the same folder that began earlier are taken into account.
    """
    reasons = verdict(recording)
    segments = math.ceil(recording.frames / recording.segment_len)
    return {
        "file": str(recording.path) if recording.path else recording.name,
        "machine": recording.machine,
        "session": recording.session,
        "label": recording.label,
        "synthetic": recording.synthetic,
        "duration_s": round(recording.duration_s, 3),
        "rate_hz": recording.rate_hz,
        "samples": recording.frames,
        "segments": segments,
        "segment_s": round(recording.segment_len / recording.rate_hz, 3),
        "unit": recording.unit,
        "speed_rpm": recording.speed_rpm,
        "load": recording.load,
        "rate_nominal_hz": recording.rate_nominal_hz,
        "rate_uncertainty_hz": recording.rate_uncertainty_hz or None,  # not measured
        "lost_samples": recording.lost_samples,
        "gaps": len(recording.gaps),
        "channels": {axis: _channel(recording, c) for c, axis in enumerate(recording.axes)},
        "quality": grade(reasons),
        "reasons": reasons,
        "bad": any(reason.fatal for reason in reasons),
    }


def _channel(recording: Recording, c: int) -> dict[str, Any]:
    """DC and level (root of the mean square about the DC) in the unit; crest and kurtosis of what is left.

    level_dbfs is relative to full scale, 0 dBFS being a square wave that fills it. Kurtosis is Pearson's: 3 if normal.
    """
    signal = recording.samples[:, c].astype(np.float64)
    mean = float(signal.mean())
    signal -= mean
    square = float(np.mean(signal**2))
    rms = math.sqrt(square)
    return {
        "dc": _short(mean * recording.scale + recording.offset),
        "level": _short(rms * recording.scale),
        "level_dbfs": round(20 * math.log10(rms / recording.full_scale), 2) if rms else None,
        "crest": _short(float(np.abs(signal).max()) / rms) if rms else None,
        "kurtosis": _short(float(np.mean(signal**4)) / square**2) if rms else None,
        "clipped_samples": recording.clipped[c],
        "dominant_hz": dominant(signal, recording.rate_hz, recording.segment_len) if rms else [],
    }


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def dominant(signal: NDArray[np.float64], rate_hz: float, segment_len: int) -> list[float]:
    """Up to five frequencies in Hz, strongest first: peaks of the mean Hann spectrum that stand out around them.

    signal (n,) without its mean; no block crosses a segment border. Peaks are placed between lines by a parabola
    through the log power of three of them, and no two lie within four lines of one another.
    """
    size = min(BLOCK, segment_len)
    starts = [
        start
        for begin in range(0, len(signal), segment_len)
        for start in range(begin, min(begin + segment_len, len(signal)) - size + 1, max(1, size // 2))
    ]
    if size < 16 or not starts:
        return []
    taper = np.hanning(size + 1)[:-1]  # periodic: what is left of a mean stays in lines 0 and 1
    power = np.zeros(size // 2 + 1)
    for start in starts:
        power += np.abs(np.fft.rfft(signal[start : start + size] * taper)) ** 2
    found: list[float] = []
    least = np.maximum(PROMINENT * _floor(power), FAINTEST * power[2:].max())
    for k in np.argsort(-power[2:-1]) + 2:
        peak = power[k] >= power[k - 1] and power[k] > power[k + 1] and power[k] > least[k]
        if peak and all(abs(k * rate_hz / size - hz) > 4 * rate_hz / size for hz in found):
            found.append(round(float(k + _vertex(power[k - 1 : k + 2])) * rate_hz / size, 2))
        if len(found) == DOMINANT:
            break
    return found


def _floor(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of the 65 lines around each."""
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(power, 32, mode="reflect" if len(power) > 32 else "edge"), 65
    )
    median: NDArray[np.float64] = np.median(around, axis=1)
    return median


def _vertex(power: NDArray[np.float64]) -> float:
    """Where, in lines from the middle one, a parabola through three log powers peaks."""
    low, mid, high = np.log(power + 1e-12)
    bend = low - 2 * mid + high
    return float((low - high) / (2 * bend)) if bend < 0 else 0.0
