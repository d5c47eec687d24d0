"""Meter: what a person wants to see of a stream. Adding a block costs next to nothing, reading a little."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

RECENT_S = 1.0  # levels are those of the last second
SPECTRUM = 2048  # samples in one spectrum, at most
SHORTEST = 32  # samples below which there is no spectrum


class Piece(Protocol):
    """Successive sample frames: intake.Block, or what lines mode makes."""

    @property
    def index(self) -> int:
        """Of the first sample frame: lost ones count."""

    @property
    def samples(self) -> NDArray[Any]:
        """(n, channels), in LSB."""

    @property
    def time_s(self) -> float:
        """When the first sample frame was taken."""


@dataclass(frozen=True)
class Reading:
    """One channel over the last second: level (root of the mean square about the mean) and peak in LSB, crest = peak /
    level (0 without a level); clipped counts samples at full scale since the beginning."""

    level: float
    crest: float
    clipped: int


class Meter:
    """full_scale: magnitude (LSB) at which the sensor saturates; inf: unknown. rate_hz: nominal."""

    def __init__(self, channels: int, full_scale: float, rate_hz: float) -> None:
        self.frames = self.lost = self.gaps = 0  # sample frames; lost: missing between those that came
        self._full_scale, self._keep = full_scale, max(SPECTRUM, math.ceil(RECENT_S * rate_hz))
        self._new: list[NDArray[Any]] = []
        self._recent: NDArray[Any] = np.zeros((0, channels), np.int16)
        self._clipped = np.zeros(channels, np.int64)
        self._next: int | None = None
        self._rate_hz = rate_hz
        self._first = self._last = (0, -math.inf)  # index and time of the first block of a clock, and of the last

    def add(self, piece: Piece) -> None:
        """Once or more for each packet: what costs time waits for read()."""
        if self._next is not None and piece.index > self._next:
            self.lost += piece.index - self._next
            self.gaps += 1
        self._next = piece.index + len(piece.samples)
        self.frames += len(piece.samples)
        self._new.append(piece.samples)
        index, time_s = self._last
        if abs(piece.time_s - time_s - (piece.index - index) / self._rate_hz) > RECENT_S:
            self._first = (piece.index, piece.time_s)  # a device that was plugged in again has another zero
        self._last = (piece.index, piece.time_s)

    @property
    def end(self) -> int:
        """Index after the last sample frame."""
        return self._next or 0

    @property
    def rate_hz(self) -> float | None:
        """Between the first block and the last, by the clock that stamped them; None: too early to say."""
        (first, start), (last, end) = self._first, self._last
        return (last - first) / (end - start) if end - start > RECENT_S else None

    def read(self) -> list[Reading]:
        """One for each channel."""
        if self._new:
            fresh = np.concatenate(self._new)
            self._new.clear()
            self._clipped += ((fresh >= self._full_scale) | (fresh <= -self._full_scale)).sum(axis=0)
            self._recent = np.concatenate([self._recent[-self._keep :], fresh])[-self._keep :]
        return [self._reading(c) for c in range(self._recent.shape[1])]

    def _reading(self, c: int) -> Reading:
        signal = self._recent[:, c].astype(np.float64)
        if not len(signal):
            return Reading(0.0, 0.0, 0)
        signal -= signal.mean()
        level = math.sqrt(float(np.mean(signal * signal)))  # not @: its threads would cost more than they save
        peak = float(np.abs(signal).max())
        return Reading(level, peak / level if level else 0.0, int(self._clipped[c]))

    def spectrum(self, c: int, edges: NDArray[np.float64]) -> NDArray[np.float64]:
        """Strongest line of a Hann spectrum of the last samples read, in each band between `edges`, as power in LSB²
        (a sine's mean square). edges (k + 1,) in shares of the sample rate, rising; a band between two lines has the
        nearer one. Zeros, if there are too few samples."""
        size = 1 << (min(len(self._recent), SPECTRUM).bit_length() - 1) if len(self._recent) else 0
        if size < SHORTEST:
            return np.zeros(len(edges) - 1)
        signal = self._recent[-size:, c].astype(np.float64)
        taper = np.hanning(size + 1)[:-1]
        signal -= (signal * taper).sum() / taper.sum()
        power = 2 * (np.abs(np.fft.rfft(signal * taper)) / taper.sum()) ** 2
        low = np.ceil(edges[:-1] * size).astype(int)
        high = np.maximum(np.ceil(edges[1:] * size).astype(int), low + 1)
        middle = np.rint(np.sqrt(edges[:-1] * edges[1:]) * size).astype(int)
        empty = np.ceil(edges[1:] * size).astype(int) <= low
        return np.array([power[m] if e else power[a:b].max(initial=0.0)
                         for a, b, m, e in zip(low, high, middle, empty, strict=True)])  # fmt: skip
