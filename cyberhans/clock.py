"""Clocks: the true rate of samples from their time stamps, how sure that is, and how far the stamps scatter."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 8  # stamps; fewer say nothing about their scatter
MOST = 2**16  # stamps that are kept
GROUPS = 30  # of neighbouring stamps, for the uncertainty
CLIP = 2.5  # robust standard deviations: a stamp that is further off counts as if it were so far
PASSES = 5
LARGEST_LEFT = 0.9
SIGMAS_PER_MAD = 1.4826  # of a normal distribution
NORMAL_95 = 1.959964  # standard deviations to either side that hold 95 % of it

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trend:
    """y against x: the slope, half the width of its 95 % interval, and the root mean square of all residuals in y."""

    slope: float
    half_width: float
    rms: float


@dataclass(frozen=True)
class Rate:
    """Sample frames per second, half the width of that figure's 95 % interval, and how far the stamps scatter (rms)."""

    rate_hz: float
    uncertainty_hz: float
    jitter_s: float


class Stamps:
    """Pairs (x, y) as they come; one whose x does not ascend is left out. Of more than MOST every second is forgotten:
    a day's capture keeps its span."""

    def __init__(self) -> None:
        self._x, self._y = array("d"), array("d")
        self._stride = 1
        self._skipped = 0

    def add(self, x: float, y: float) -> None:
        if self._x and x <= self._x[-1]:
            return
        self._skipped += 1
        if self._skipped < self._stride and self._x:
            return
        self._skipped = 0
        self._x.append(x)
        self._y.append(y)
        if len(self._x) > MOST:
            self._x, self._y, self._stride = self._x[::2], self._y[::2], 2 * self._stride

    def __len__(self) -> int:
        return len(self._x)

    @property
    def x(self) -> Floats:
        return np.array(self._x)

    @property
    def y(self) -> Floats:
        return np.array(self._y)

    @property
    def span(self) -> float:
        """From the first x to the last."""
        return self._x[-1] - self._x[0] if self._x else 0.0


def rate(index: Floats, time_s: Floats, resolution_s: float = 0.0) -> Rate | None:
    """The rate of sample frames whose numbers `index` (n,) were stamped at `time_s` (n,), both ascending.

    Gaps do no harm, nor do late stamps. resolution_s: step of the clock. None where there are too few stamps.
    """
    found = trend(index, time_s, resolution_s)
    if found is None or found.slope <= 0:
        return None
    return Rate(1 / found.slope, found.half_width / found.slope**2, found.rms)


def trend(x: Floats, y: Floats, resolution: float = 0.0) -> Trend | None:
    """The straight line through y (n,) measured at x (n,), ascending; x counts as exact. None below LEAST points.

    Least squares with residuals clipped at CLIP robust deviations (Huber, 1964), so that late stamps count no more than
    that, from a start that a quarter of bad points cannot move: the median slope between points half the span apart.

    The interval: neighbouring residuals are seldom independent (a late interrupt delays several), so what counts is not
    they but the means of GROUPS stretches; what correlation is left between two stretches, r, widens it by
    (1 + r)/(1 - r), the factor by which a first-order process has fewer independent values. With Student's t for as
    many groups, and never less than one step of the clock over the whole span: a step hides what is smaller.
    """
    if len(x) < LEAST or x[-1] <= x[0]:
        return None
    x, y = x - x.mean(), y - y.mean()
    slope, offset = _start(x, y)
    for _ in range(PASSES):
        clipped = _clipped(y - offset - slope * x)
        more = float(x @ clipped / (x @ x))
        slope, offset = slope + more, offset + float(clipped.mean())
    residual = y - offset - slope * x
    half = _half_width(x, _clipped(residual))
    return Trend(slope, math.hypot(half, resolution / (x[-1] - x[0])), float(np.sqrt(np.mean(residual**2))))


def _start(x: Floats, y: Floats) -> tuple[float, float]:
    half = len(x) // 2
    across = x[half:] - x[: len(x) - half]
    slope = float(np.median((y[half:] - y[: len(y) - half])[across > 0] / across[across > 0]))
    return slope, float(np.median(y - slope * x))


def _clipped(residual: Floats) -> Floats:
    """Residuals clipped at either side of their median, as much larger as fewer of them move the line."""
    near = residual - np.median(residual)
    most = CLIP * SIGMAS_PER_MAD * float(np.median(np.abs(near)))
    return np.asarray(np.clip(near, -most, most) / np.mean(np.abs(near) <= most))


def _half_width(x: Floats, residual: Floats) -> float:
    """Of the slope's 95 % interval, see trend()."""
    count = min(GROUPS, len(x) // 4 if len(x) >= 4 * LEAST else len(x))
    where = np.array([part.mean() for part in np.array_split(x, count)])
    means = np.array([part.mean() for part in np.array_split(residual, count)])
    where, means = where - where.mean(), means - means.mean()
    square = max(float(means @ means), 1e-300)
    left = float(means[:-1] @ means[1:]) / square
    left = min(max(left + (2 + 4 * left) / count, 0.0), LARGEST_LEFT)  # of a few residuals it comes out low by that
    variance = square / (count - 2) * (1 + left) / (1 - left)
    return _student_95(count - 2) * math.sqrt(variance / float(where @ where))


def _student_95(freedom: int) -> float:
    """Student's t that holds 95 %: the expansion in 1/freedom of Abramowitz and Stegun, 26.7.5."""
    z, v = NORMAL_95, float(freedom)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / v + second / v**2 + third / v**3
