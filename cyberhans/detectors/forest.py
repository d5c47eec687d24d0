"""Isolation forest (Liu, Ting and Zhou 2008) on whitened features: what few random cuts set apart is strange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest

from cyberhans.detectors import Features, Reals, Scale
from cyberhans.detectors.gaussian import shrunken_covariance
from cyberhans.errors import CyberHansError

TREES = 100
SAMPLES = 64
EULER = 0.5772156649015329
LARGEST_WEIGHT = 127
UNIT_BITS = 8  # a whitened feature comes in 1/256 of its deviation, or coarser


@dataclass(frozen=True)
class Whitening:
    """What normal windows make expect of a feature is taken from it, so that a single cut sees what is left.

    y[j] = the int16 nearest to (sum over i of weight[j, i] * (x[i] - centre[i])) >> shift[j], an arithmetic shift.
    weight: int8 (n, n), the inverse square root of the covariance (which of all whitenings changes the features
    least: Kessy, Lewin and Strimmer 2018), each row times the power of two that fills eight bits. shift: uint8 (n,).
    No sum leaves 32 bits: 255 features * 127 * 65535 < 2^31.
    """

    centre: Features
    weight: npt.NDArray[np.int8]
    shift: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, features: Features) -> Whitening:
        scale = Scale.of(features)
        covariance, _ = shrunken_covariance(scale.apply(features))
        variance, axes = np.linalg.eigh(covariance)
        weight = (axes / np.sqrt(variance)) @ axes.T / scale.deviation
        bits = np.floor(np.log2(LARGEST_WEIGHT / np.abs(weight).max(axis=1))).clip(0)
        rounded = np.rint(weight * np.exp2(bits)[:, None]).astype(np.int8)
        return cls(scale.centre, rounded, (bits - UNIT_BITS).clip(0).astype(np.uint8))

    def apply(self, features: Features) -> Features:
        sums = (features.astype(np.int64) - self.centre) @ self.weight.T.astype(np.int64)
        whitened: Features = np.clip(sums >> self.shift, -32768, 32767).astype(np.int16)
        return whitened

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {"centre": self.centre, "weight": self.weight, "shift": self.shift}


@dataclass(frozen=True)
class Forest:
    """`trees` cut whitened features."""

    whitening: Whitening
    trees: IsolationForest

    @property
    def typical_path(self) -> float:
        """c(psi): the mean path of an unsuccessful search among a tree's samples."""
        return float(path_length(np.array([self.trees.max_samples_]))[0])

    def score(self, features: Features) -> Reals:
        strangeness: Reals = -self.trees.score_samples(self.whitening.apply(features))
        return np.log2(strangeness)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All trees behind one another; children count from their tree's `root`, -1 at leaves."""
        trees = [estimator.tree_ for estimator in self.trees.estimators_]
        columns = ("children_left", "children_right", "feature", "threshold", "n_node_samples")
        joined = {name: np.concatenate([getattr(tree, name) for tree in trees]) for name in columns}
        joined |= self.whitening.arrays()
        return joined | {"root": np.cumsum([0, *(tree.node_count for tree in trees[:-1])])}


def fit(features: Features, seed: int, share: float = 1.0) -> Forest:
    """100 trees or a share, each grown from 64 windows or as many as there are. One feature at least must vary."""
    if (features == features[0]).all():
        raise CyberHansError(
            "all windows have the same features, so a forest could never alarm: take gaussian, or record the machine"
            " at work"
        )
    count = max(1, round(TREES * share))
    trees = IsolationForest(n_estimators=count, max_samples=min(SAMPLES, len(features)), random_state=seed)
    whitening = Whitening.of(features)
    return Forest(whitening, trees.fit(whitening.apply(features)))


def path_length(samples: npt.NDArray[Any]) -> Reals:
    """c(n) of Liu, Ting and Zhou: mean path of an unsuccessful search in a binary tree of n samples."""
    n = np.asarray(samples, np.float64)
    many = np.maximum(n, 3.0)
    length = 2.0 * (np.log(many - 1.0) + EULER) - 2.0 * (many - 1.0) / many
    return np.where(n > 2, length, np.where(n == 2, 1.0, 0.0))
