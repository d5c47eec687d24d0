"""Whitening in integers: from each feature of a head is taken what those before it make expect; int8 weights.

y = W (x - mean), W the inverse of the covariance's triangular root, but that a feature is compared with a few of its
predecessors only, see reach() (Vecchia's approximation, 1988): small, and on few recordings better than with all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, cholesky

from cyberhans.detectors import Features, Reals, Scale
from cyberhans.detectors.covariance import shrunken_covariance
from cyberhans.detectors.heads import Head

REACH, REACH_OF_SEVERAL = 24, 17  # weights in a row, its own included
LARGEST_WEIGHT = 127
UNIT_BITS = 6  # a whitened feature comes in 1/64 of its deviation: its square is Q12
LARGEST_SUM = (1 << 32) - 1
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """One head. exact: (n, n) lower triangular, deviations per feature step; mean (n,): before any rounding.

    weight: int8 (n, n), each row of 64 `exact` times 2^shift, rounded; shift: uint8 (n,).
    """

    mean: Reals
    exact: Reals
    weight: npt.NDArray[np.int8]
    shift: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Whitening:
    """SPEC.md section 7. centre: int16 (features,); rows: one entry per head."""

    heads: tuple[Head, ...]
    centre: Features
    rows: tuple[Rows, ...]

    @classmethod
    def of(cls, features: Features, heads: tuple[Head, ...]) -> Whitening:
        """Learnt from (k, features) of normal windows."""
        centre = np.rint(features.mean(axis=0, dtype=np.float64)).astype(np.int16)
        return cls(heads, centre, tuple(_rows(head.gather(features), reach(len(heads))) for head in heads))

    def apply(self, features: Features) -> list[Features]:
        """(k, features) to int16 (k, size) per head, in 1/64 deviation; exactly what the C does."""
        away = features.astype(np.int32) - self.centre
        return [_whitened(head.gather(away), rows) for head, rows in zip(self.heads, self.rows, strict=True)]

    def exact(self, features: Features) -> list[Reals]:
        """The same in deviations and in float64, with nothing rounded or limited."""
        pairs = zip(self.heads, self.rows, strict=True)
        return [(head.gather(features) - rows.mean) @ rows.exact.T for head, rows in pairs]

    @property
    def reach(self) -> int:
        return reach(len(self.heads))

    @property
    def size(self) -> int:
        """Whitened features over all heads."""
        return sum(head.size for head in self.heads)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Tables and what they were rounded from, heads behind one another."""
        runs = [(number, run.first, -1 if run.second is None else run.second, run.count, run.into, run.step)
                for number, head in enumerate(self.heads) for run in head.runs]  # fmt: skip
        return {
            "centre": self.centre,
            "runs": np.array(runs, np.int16),
            "weight": np.concatenate([packed(rows.weight, self.reach) for rows in self.rows]),
            "shift": np.concatenate([rows.shift for rows in self.rows]),
            "mean": np.concatenate([rows.mean for rows in self.rows]),
            "exact": np.concatenate([packed(rows.exact, self.reach) for rows in self.rows]),
        }


def parts(whitened: Sequence[Features]) -> Integers:
    """(k, heads): the mean square of each head in Q12, as integers: SPEC.md section 7."""
    return np.stack([_part(head.astype(np.int64)) for head in whitened], axis=1)


def _part(y: Integers) -> Integers:
    count = y.shape[1]
    part: Integers = np.minimum(count // 2 + np.square(y).sum(axis=1), LARGEST_SUM) // count
    return part


def reach(heads: int) -> int:
    """Weights in a row where there are so many heads: fewer with several, so that three axes stay within 4.9 kB."""
    return REACH if heads == 1 else REACH_OF_SEVERAL


def packed(matrix: npt.NDArray[Any], most: int) -> npt.NDArray[Any]:
    """The weights of a head that count, `most` a row, from the last row to the first: as the C reads them."""
    return np.concatenate([matrix[i, max(0, i - most + 1) : i + 1] for i in reversed(range(len(matrix)))])


def _whitened(away: npt.NDArray[np.int32], rows: Rows) -> Features:
    limited = np.clip(away, -32768, 32767).astype(np.int64)
    half = (np.int64(1) << rows.shift.astype(np.int64)) >> 1
    sums = (limited @ rows.weight.T.astype(np.int64) + half) >> rows.shift.astype(np.int64)
    whitened: Features = np.clip(sums, -32768, 32767).astype(np.int16)
    return whitened


def _rows(values: npt.NDArray[np.int32], most: int) -> Rows:
    """From (k, n) features of one head. Rows whose weights would not fit eight bits are made smaller."""
    scale = Scale.of(values)
    covariance, _ = shrunken_covariance(scale.apply(values))
    exact = _triangle(covariance, most) / scale.deviation
    largest = np.abs(exact).max(axis=1)
    exact *= np.minimum(1.0, LARGEST_WEIGHT / 2.0**UNIT_BITS / largest)[:, None]
    largest = np.minimum(largest, LARGEST_WEIGHT / 2.0**UNIT_BITS)
    shift = np.floor(np.log2(LARGEST_WEIGHT / (largest * 2.0**UNIT_BITS)) + 1e-9).clip(0)
    ideal = exact * np.exp2(UNIT_BITS + shift)[:, None]
    varies = covariance * np.outer(scale.deviation, scale.deviation)
    weight = np.zeros(exact.shape, np.int8)
    for i in range(len(exact)):
        near = slice(max(0, i - most + 1), i + 1)
        weight[i, near] = _rounded(ideal[i, near], varies[near, near])
    return Rows(values.mean(axis=0, dtype=np.float64), exact, weight, shift.astype(np.uint8))


def _triangle(covariance: Reals, most: int) -> Reals:
    """W: row i is what feature i has beyond its best linear guess from those near before it, over its deviation."""
    found = np.zeros(covariance.shape)
    for i in range(len(covariance)):
        near = slice(max(0, i - most + 1), i)
        known = covariance[near, i]
        guess = cho_solve(cho_factor(covariance[near, near]), known) if len(known) else known
        deviation = np.sqrt(covariance[i, i] - guess @ known)
        found[i, near], found[i, i] = -guess / deviation, 1 / deviation
    return found


def _rounded(row: Reals, covariance: Reals) -> npt.NDArray[np.int8]:
    """To whole numbers, so that the error's variance under `covariance` stays small, not that of each weight.

    One weight after the other is rounded, and those still to come make up for its error as well as they can: Babai's
    (1986) nearest plane, in the covariance's metric.
    """
    rest, found = row.copy(), np.zeros(len(row), np.int8)
    upper = cholesky(np.linalg.inv(covariance))
    for k in range(len(row)):
        found[k] = np.clip(np.rint(rest[k]), -LARGEST_WEIGHT, LARGEST_WEIGHT)
        rest[k + 1 :] -= (rest[k] - found[k]) / upper[k, k] * upper[k, k + 1 :]
    return found
