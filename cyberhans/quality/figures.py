"""Figures: what one pass over a recording's samples tells, in LSB; every rule of quality works on these."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cyberhans.recording import Recording

BLOCK = 1 << 18  # sample frames looked at together: what memory is needed
CODES = 1 << 16
LOWEST = -32768
SPECTRUM_S = 4.0  # longest piece of which one spectrum is made: lines no wider than 1 Hz
MOST_SPECTRA = 48  # evenly spread over the recording
LEAST_SPECTRUM = 64  # samples
SWING = 64  # sample frames within which a living channel moves
TRACK_S, LEAST_TRACK, LEAST_POINT = (0.25, 0.05), 16, 16  # a point of the track: seconds; points, samples in it
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Figures:
    """counts (channels, 65536): how often each code, -32768 first. products (channels, channels): sums of x_a x_b.

    track (points, channels): means of consecutive stretches of track_s seconds. power (channels, lines): mean power
    density in LSB^2 / Hz, line k at k * line_hz; no lines if no stretch has 64 samples. swing (pieces, channels): how
    far apart the highest and the lowest of SWING consecutive samples are.
    """

    frames: int
    counts: Counts
    products: Floats
    track: Floats
    track_s: float
    power: Floats
    line_hz: float
    swing: NDArray[np.int32]

    @cached_property
    def mean(self) -> Floats:
        """(channels,)"""
        return self._moment(np.arange(LOWEST, LOWEST + CODES, dtype=np.float64)[None])

    @cached_property
    def rms(self) -> Floats:
        """(channels,) about the mean."""
        rms: Floats = np.sqrt(self._moment(self._off**2))
        return rms

    @cached_property
    def kurtosis(self) -> Floats:
        """(channels,) Pearson's, 3 if normal; 0 of a channel that never changes."""
        kurtosis: Floats = self._moment(self._off**4) / np.maximum(self.rms, 1e-9) ** 4
        return kurtosis

    @cached_property
    def correlation(self) -> dict[tuple[int, int], float]:
        """Of each pair of channels, -1 to 1; 0 if one never changes."""
        covariance = self.products / self.frames - np.outer(self.mean, self.mean)
        over = np.maximum(np.outer(self.rms, self.rms), 1e-9)
        return {(a, b): float(covariance[a, b] / over[a, b]) for a, b in itertools.combinations(range(len(over)), 2)}

    @property
    def _off(self) -> Floats:
        return np.arange(LOWEST, LOWEST + CODES) - self.mean[:, None]

    def _moment(self, values: Floats) -> Floats:
        moment: Floats = (self.counts * values).sum(axis=1) / self.frames
        return moment

    def codes(self, channel: int) -> tuple[Counts, Counts]:
        """The codes that occur in a channel, rising, and how often."""
        found = np.flatnonzero(self.counts[channel])
        return found + LOWEST, self.counts[channel][found]


def figures(recording: Recording) -> Figures:
    """Look at all samples once; 10 minutes of three channels at 26,667 Hz take about two seconds."""
    x, channels = recording.samples, recording.channels
    counts, products = np.zeros((channels, CODES), np.int64), np.zeros((channels, channels))
    for block in (x[at : at + BLOCK] for at in range(0, len(x), BLOCK)):
        for c in range(channels):
            counts[c] += np.bincount(block[:, c].astype(np.int64) - LOWEST, minlength=CODES)
        real = block.astype(np.float64)
        products += real.T @ real
    longest, least = (round(seconds * recording.rate_hz) for seconds in TRACK_S)
    per_point = max(LEAST_POINT, least, min(longest, len(x) // LEAST_TRACK))
    power, line_hz = _power(recording)
    track_s = per_point / recording.rate_hz
    return Figures(len(x), counts, products, _means(x, per_point), track_s, power, line_hz, _swing(x))


def _means(x: NDArray[np.int16], per_point: int) -> Floats:
    """Of consecutive stretches of per_point frames; what is left at the end is not looked at."""
    whole = x[: len(x) // per_point * per_point].reshape(-1, per_point, x.shape[1])
    means: Floats = whole.mean(axis=1, dtype=np.float64)
    return means


def _swing(x: NDArray[np.int16]) -> NDArray[np.int32]:
    whole = x[: len(x) // SWING * SWING].reshape(-1, SWING, x.shape[1])
    swing: NDArray[np.int32] = whole.max(axis=1).astype(np.int32) - whole.min(axis=1)
    return swing


def _power(recording: Recording) -> tuple[Floats, float]:
    """Mean of Hann periodograms (Welch 1967), and the distance of lines in Hz."""
    longest = max(end - begin for begin, end in recording.stretches)
    size = 1 << (min(longest, max(LEAST_SPECTRUM, round(SPECTRUM_S * recording.rate_hz))).bit_length() - 1)
    if size < LEAST_SPECTRUM:
        return np.zeros((recording.channels, 0)), 0.0
    taper = np.hanning(size + 1)[:-1]
    total, pieces = np.zeros((size // 2 + 1, recording.channels)), list(_pieces(recording, size))
    for start in pieces:
        piece = recording.samples[start : start + size].astype(np.float64)
        total += np.abs(np.fft.rfft((piece - piece.mean(axis=0)) * taper[:, None], axis=0)) ** 2
    density = 2 / (recording.rate_hz * np.sum(taper**2) * len(pieces))
    return np.ascontiguousarray(total.T) * density, recording.rate_hz / size


def _pieces(recording: Recording, size: int) -> Iterator[int]:
    """Where pieces begin: half overlapping, at most MOST_SPECTRA of them, none across a gap."""
    starts = [at for begin, end in recording.stretches for at in range(begin, end - size + 1, size // 2)]
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(len(starts), MOST_SPECTRA)).round().astype(int))
    yield from (starts[place] for place in chosen)
