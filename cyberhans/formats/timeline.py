"""Timeline: what a column of time stamps says about the rate, its jitter and missing sample frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyberhans import clock
from cyberhans.errors import CyberHansError
from cyberhans.ranges import RANGES, WIDE

MOST = 1e15  # sample frames in a gap
DIGITS = 9  # of a rate that stamps give: a thousandth of a millionth, as far as printed stamps can tell


def measured(stamps: NDArray[np.float64], resolution_s: float, path: Path) -> dict[str, Any]:
    """Fields of Recording from the time of each sample frame in seconds (n,), never falling.

    resolution_s: what the last digit of a stamp is worth. A step beyond one and a half sample intervals and that is a
    gap; how many frames it lost is an estimate from the rate. The rate is that of clock.rate.
    """
    if (far := np.isfinite(stamps) & (np.abs(stamps) > WIDE)).any():
        raise CyberHansError(f"{path}: time {stamps[far][0]:g} s at sample {1 + int(np.argmax(far))}: no clock says"
                             " that; mend it, or give --rate HZ")  # fmt: skip
    steps = np.diff(np.where(np.isfinite(stamps), stamps, np.nan))
    if not np.isfinite(stamps).all() or (steps < 0).any():
        row = 2 + int(np.argmax(~(steps >= 0)))
        raise CyberHansError(f"{path}: time goes back, or is no number, at sample {row}; mend it, or give --rate HZ")
    if len(stamps) < clock.LEAST:
        raise CyberHansError(f"{path}: {len(stamps)} time stamps tell no rate; give --rate HZ")
    usual = float(np.median(steps))
    if usual == 0:
        raise CyberHansError(f"{path}: its time column is too coarse (most stamps are equal); give --rate HZ")
    if usual < 1 / RANGES["rate_nominal_hz"][1] or steps.max() > MOST * usual:
        raise CyberHansError(f"{path}: its time stamps are {usual:g} s apart, and up to {steps.max():g} s: no sensor's"
                             " are; mend them, or give --rate HZ")  # fmt: skip
    wide = steps > 1.5 * usual + resolution_s
    lost = np.where(wide, np.maximum(np.rint(steps / steps[~wide].mean()) - 1, 1), 0).astype(np.int64)
    index = np.arange(len(stamps)) + np.concatenate([[0], np.cumsum(lost)])
    rate = clock.rate(index.astype(np.float64), stamps, resolution_s)
    if rate is None:
        raise CyberHansError(f"{path}: its time stamps tell no rate; give --rate HZ")
    gaps = tuple((int(at) + 1, int(lost[at]), False) for at in np.flatnonzero(wide))
    return {
        "gaps": gaps, "lost_samples": int(lost.sum()), "rate_hz": float(f"{rate.rate_hz:.{DIGITS}g}"),
        "rate_uncertainty_hz": rate.uncertainty_hz, "jitter_s": rate.jitter_s,
    }  # fmt: skip
