"""Decimals: printed values as int16 samples, without loss where they fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LARGEST = 32767
MOST = 9  # decimals
LEAST = 1e-38  # below it all is 0
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """value = sample * scale, rounded by `error` at most; full_scale in LSB. chosen: the scale follows from these very
    values, so that another recording may get another one. beyond: the largest value that the scale asked for does not
    hold, cut off to the largest sample; 0 if it holds all."""

    samples: NDArray[np.int16]
    scale: float
    full_scale: int
    error: float
    chosen: bool
    beyond: float


def sampled(values: Floats, decimals: int | None, scale: float | None = None, most: float | None = None) -> Samples:
    """values (n, channels) as they were printed with so many decimals (None: with an exponent).

    scale, in the unit per LSB, and `most`, the largest magnitude that the sensor can tell, are as asked for. With a
    scale, integers are counts of it; see worth(). Without one: one printed step, if all that the sensor can tell fits
    into 16 bits; else the least scale that holds it.
    Values that do not fit the scale or the range asked for are cut off: one of them may be a damaged one.
    """
    values = values * worth(decimals, scale)
    largest = float(np.abs(values).max(initial=0.0))
    full = most if most is not None else largest
    step, chosen = scale, False
    if step is None:
        step = _step(values, decimals, full, exact=most is None)
    if step is None:
        step, chosen = (full if full > LEAST else 1.0) / (LARGEST if most is not None else LARGEST - 1), most is None
    beyond = largest if scale is not None and largest / scale >= LARGEST + 0.5 else 0.0
    decade = round(1 / step)
    exact = values * decade if step < 1 and 1 / decade == step else values / step
    samples = np.clip(np.rint(exact), -LARGEST - 1, LARGEST).astype(np.int16)
    error = float(np.abs(samples * step - np.clip(values, -(LARGEST + 1) * step, LARGEST * step)).max(initial=0.0))
    full_scale = min(LARGEST, max(1, round(full / step))) if most is not None else LARGEST
    return Samples(samples, step, full_scale, error if error > 1e-6 * step else 0.0, chosen, beyond)


def worth(decimals: int | None, scale: float | None) -> float:
    """What 1, as it is printed, is in the unit: a sketch that prints a sensor's counts has a scale and no decimals."""
    return scale if scale is not None and decimals == 0 else 1.0


def _step(values: Floats, decimals: int | None, full: float, *, exact: bool) -> float | None:
    """One printed step, 10^-decimals; or, if that is too fine, a coarser one that holds every value exactly."""
    if decimals is None or decimals > MOST:
        return None
    for places in range(decimals, -1 if exact else decimals - 1, -1):
        if round(full * 10**places) <= LARGEST:
            whole = np.rint(values * 10**places)
            return 1 / 10**places if (whole / 10**places == values).all() else None
    return None
