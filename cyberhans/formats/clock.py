"""Clock: what a column of time stamps says about the rate, its jitter and missing sample frames."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyberhans.errors import CyberHansError
from cyberhans.recording import Gap

DIGITS = 9  # of a rate that stamps give: a thousandth of a millionth, as far as printed stamps can tell


def measured(stamps: NDArray[np.float64], path: Path) -> dict[str, Any]:
    """Fields of Recording from the time of each sample frame in seconds (n,), n >= 3, never falling.

    The rate is the slope of a line through all stamps, by least squares; half its 95 % interval is 1.96 standard
    errors of the slope. A step beyond one and a half sample intervals (and what the stamps resolve) is a gap.
    """
    if len(stamps) < 3:
        raise CyberHansError(f"{path}: {len(stamps)} time stamps tell no rate; give --rate HZ")
    steps = np.diff(stamps)
    if not np.isfinite(stamps).all() or (steps < 0).any():
        row = 2 + int(np.argmax(~(steps >= 0)))
        raise CyberHansError(f"{path}: time goes back, or is no number, at sample {row}; mend it, or give --rate HZ")
    usual = float(np.median(steps))
    if usual == 0:
        raise CyberHansError(f"{path}: its time column is too coarse (most stamps are equal); give --rate HZ")
    levels = np.unique(np.round(steps / usual, 6))  # finer differences are rounding
    finest = float(np.diff(levels).min()) * usual if len(levels) > 1 else 0.0
    wide = steps > 1.5 * usual + min(finest, usual)
    interval = float(steps[~wide].mean())
    lost = np.where(wide, np.maximum(np.rint(steps / interval) - 1, 1), 0).astype(np.int64)
    gaps = tuple(Gap(int(at) + 1, int(lost[at]), counted=False) for at in np.flatnonzero(wide))
    index = np.arange(len(stamps)) + np.concatenate([[0], np.cumsum(lost)])
    return {"gaps": gaps, "lost_samples": int(lost.sum()), **_slope(index.astype(np.float64), stamps)}


def _slope(index: NDArray[np.float64], stamps: NDArray[np.float64]) -> dict[str, float]:
    centred, late = index - index.mean(), stamps - stamps.mean()
    spread = float(centred @ centred)
    interval = float(centred @ late) / spread
    square = float(np.square(late - interval * centred).sum())
    rate = float(f"{1 / interval:.{DIGITS}g}")
    error = math.sqrt(square / (len(index) - 2) / spread)
    return {"rate_hz": rate, "rate_uncertainty_hz": 1.96 * error * rate**2, "jitter_s": math.sqrt(square / len(index))}
