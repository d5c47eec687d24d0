"""Windows at the brink of an anomaly: their score is the threshold, or as near to it as a search brings them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cyberhans.core import Core
from cyberhans.detector import Detector
from cyberhans.hil.script import Kinds, whole

TURNS = 80  # of the search


def at_the_brink(detector: Detector, core: Core) -> NDArray[np.int16]:
    """Two windows: of the golden ones, those between them and strange ones, and what small changes make of these, the
    nearest to the threshold; often it is met."""
    kinds, random = Kinds(detector, core), np.random.default_rng(1)
    pool = np.concatenate((detector.golden, [kinds.next("strange") for _ in range(2)]))
    for turn in range(TURNS):
        away = core.run(pool).score.astype(np.int64) - detector.threshold
        if not away.all():
            break
        different = np.unique(away, return_index=True)[1]
        pool = pool[different[np.argsort(np.abs(away[different]))]]
        if turn < TURNS // 4 and away.min() < 0 < away.max():
            below, above = _around(pool, core.run(pool).score > detector.threshold)
            pool = np.concatenate((below[None], above[None], _between(below, above)))
        else:
            pool = np.concatenate((pool[:4], _nudged(pool[random.integers(min(4, len(pool)))], random)))
    away = core.run(pool).score.astype(np.int64) - detector.threshold
    return np.ascontiguousarray(pool[np.argsort(np.abs(away))[:2]])


def _around(pool: NDArray[np.int16], above: NDArray[np.bool_]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The nearest on either side, of windows that are ordered by their distance."""
    return pool[int(np.argmin(above))], pool[int(np.argmax(above))]


def _between(first: NDArray[np.int16], second: NDArray[np.int16], count: int = 8) -> NDArray[np.int16]:
    shares = np.linspace(0, 1, count + 2)[1:-1, None, None]
    return whole(first + shares * (second.astype(float) - first))


def _nudged(window: NDArray[np.int16], random: np.random.Generator, count: int = 12) -> NDArray[np.int16]:
    """So often with other changes of some samples by a little."""
    where = random.random((count, *window.shape)) < random.choice((0.001, 0.01, 0.1, 1.0), (count, 1, 1))
    return whole(window + where * random.integers(-3, 4, where.shape).astype(float))
