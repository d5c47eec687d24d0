"""Squared Mahalanobis distance of each head from normal windows, in integers; the score is their mean log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cyberhans.detectors import PART_STEP, Features, Reals, log2_mean
from cyberhans.detectors.heads import Head
from cyberhans.detectors.whitening import Integers, Whitening, parts


@dataclass(frozen=True)
class Gaussian:
    """A head's part is the mean square of its whitened features."""

    whitening: Whitening

    def parts(self, features: Features) -> Integers:
        """(k, heads) in Q12: the C gives these very numbers."""
        return parts(self.whitening.apply(features))

    def squares(self, features: Features) -> Reals:
        """(k, heads): the same before any rounding."""
        heads = self.whitening.exact(features)
        squares: Reals = np.stack([np.square(head).mean(axis=1) for head in heads], axis=1)
        return squares

    def score(self, features: Features) -> Reals:
        """By the integers that ship."""
        return log2_mean(self.parts(features).astype(np.float64) * PART_STEP)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return self.whitening.arrays()


def fit(features: Features, seed: int, heads: tuple[Head, ...]) -> Gaussian:
    """`seed` is not needed: there is one answer."""
    return Gaussian(Whitening.of(features, heads))
