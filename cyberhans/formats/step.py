"""Step: the size of one count, found in values that were once integers of a sensor."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

NEAR = 1e-6  # of the largest value: a thirtieth of the smallest step that int16 can count it with
ROUNDING = 4e-16  # of a value: what is left of a decimal fraction, or of a product, in a float64
WIDEST = 32766  # of 32767: the largest value must not look like a sensor's full scale


def fitted(values: NDArray[np.float64]) -> tuple[NDArray[np.int16], float, float]:
    """int16 counts, units per count, largest rounding error in the unit (0: lossless).

    The step is the largest that every value is a whole multiple of, where int16 can count that; else the least that
    holds the largest value. values (n, channels), finite, not all zero.
    """
    sizes = np.unique(np.abs(values))
    found = common(sizes)
    size = found if found is not None else float(sizes[-1]) / WIDEST
    counts = np.rint(values / size)
    if counts.max() > 32767:  # 32768 counts fit below zero only
        size = float(sizes[-1]) / WIDEST
        counts = np.rint(values / size)
    return counts.astype(np.int16), size, error_of(counts * size, values)


def error_of(made: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """The largest distance of a value from what its counts make of it; 0 if none exceeds what a float64 leaves."""
    off = np.abs(made - values)
    return float(off.max()) if (off > ROUNDING * np.abs(values)).any() else 0.0


def common(sizes: NDArray[np.float64]) -> float | None:
    """The largest step that all of the sizes (>= 0, rising) are multiples of, or None if int16 cannot count it."""
    sizes = sizes[sizes > 0]
    largest = float(sizes[-1])
    step, near = float(sizes[0]), NEAR * largest
    while step * 32768.5 > largest:
        off = np.abs(sizes - step * np.rint(sizes / step))
        if off.max() <= near:
            return _shortest(largest / round(largest / step), sizes)
        step = _measure(step, float(off.max()), near)
    return None


def _measure(a: float, b: float, near: float) -> float:
    """Euclid's common measure of two lengths, where anything up to `near` is nothing."""
    while b > near:
        a, b = b, abs(a - b * round(a / b))
    return a


def _shortest(step: float, sizes: NDArray[np.float64]) -> float:
    """The shortest number beside `step` whose multiples are the sizes: equal if possible, else but for rounding."""
    counts = np.rint(sizes / step)
    candidates = list(_beside(step))
    for size in candidates:
        if np.array_equal(counts * size, sizes):
            return size
    return next((size for size in candidates if error_of(counts * size, sizes) == 0), step)


def _beside(step: float) -> Iterator[float]:
    yield from (float(f"{step:.{digits}g}") for digits in range(1, 17))
    yield from (step, math.nextafter(step, 0), math.nextafter(step, math.inf))
    yield math.nextafter(math.nextafter(step, 0), 0)
    yield math.nextafter(math.nextafter(step, math.inf), math.inf)
