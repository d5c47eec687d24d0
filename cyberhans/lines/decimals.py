"""Decimals: printed values as int16 samples, without loss where they fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cyberhans.errors import CyberHansError

LARGEST = 32767
MOST = 9  # decimals
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """value = sample * scale, rounded by `error` at most; full_scale in LSB. chosen: the scale follows from these very
    values, so that another recording may get another one."""

    samples: NDArray[np.int16]
    scale: float
    full_scale: int
    error: float
    chosen: bool


def sampled(values: Floats, decimals: int | None, scale: float | None = None, most: float | None = None) -> Samples:
    """values (n, channels) as they were printed with so many decimals (None: with an exponent).

    scale, in the unit per LSB, and `most`, the largest magnitude that the sensor can tell, are as asked for. Without a
    scale: one printed step, if all that the sensor can tell fits into 16 bits; else the least scale that holds it.
    CyberHansError where values do not fit the scale asked for.
    """
    largest = float(np.abs(values).max(initial=0.0))
    full = most if most is not None else largest
    step, chosen = scale, False
    if step is None:
        step = _step(values, decimals, full, exact=most is None)
    if step is None:
        step, chosen = (full or 1.0) / (LARGEST if most is not None else LARGEST - 1), most is None
    if scale is not None and round(largest / scale) > LARGEST:
        raise CyberHansError(
            f"a value of {largest:g} does not fit 16 bits with --scale {scale:g}; give at least {largest / LARGEST:.3g}"
        )
    decade = round(1 / step)
    exact = values * decade if step < 1 and 1 / decade == step else values / step
    samples = np.clip(np.rint(exact), -LARGEST - 1, LARGEST).astype(np.int16)
    error = float(np.abs(samples * step - values).max(initial=0.0))
    full_scale = min(LARGEST, max(1, round(full / step))) if most is not None else LARGEST
    return Samples(samples, step, full_scale, error if error > 1e-6 * step else 0.0, chosen)


def _step(values: Floats, decimals: int | None, full: float, *, exact: bool) -> float | None:
    """One printed step, 10^-decimals; or, if that is too fine, a coarser one that holds every value exactly."""
    if decimals is None or decimals > MOST:
        return None
    for places in range(decimals, -1 if exact else decimals - 1, -1):
        if round(full * 10**places) <= LARGEST:
            whole = np.rint(values * 10**places)
            return 1 / 10**places if (whole / 10**places == values).all() else None
    return None
