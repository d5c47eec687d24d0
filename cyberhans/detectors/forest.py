"""Isolation forest (Liu, Ting and Zhou 2008) on whitened features: what few random cuts set apart is strange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest

from cyberhans.detectors import Features, Reals
from cyberhans.detectors.heads import Head
from cyberhans.detectors.whitening import Whitening
from cyberhans.errors import CyberHansError

TREES = 100
SAMPLES = 64
EULER = 0.5772156649015329


@dataclass(frozen=True)
class Forest:
    """`trees` cut the whitened features of all heads, in integers."""

    whitening: Whitening
    trees: IsolationForest

    def inputs(self, features: Features) -> Features:
        """(k, features) to int16 (k, whitened features of all heads)."""
        return np.concatenate(self.whitening.apply(features), axis=1)

    @property
    def typical_path(self) -> float:
        """c(psi): the mean path of an unsuccessful search among a tree's samples."""
        return float(path_length(np.array([self.trees.max_samples_]))[0])

    def score(self, features: Features) -> Reals:
        strangeness: Reals = -self.trees.score_samples(self.inputs(features))
        return np.log2(strangeness)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All trees behind one another; children count from their tree's `root`, -1 at leaves."""
        trees = [estimator.tree_ for estimator in self.trees.estimators_]
        columns = ("children_left", "children_right", "feature", "threshold", "n_node_samples")
        joined = {name: np.concatenate([getattr(tree, name) for tree in trees]) for name in columns}
        joined |= self.whitening.arrays()
        return joined | {"root": np.cumsum([0, *(tree.node_count for tree in trees[:-1])])}


def fit(features: Features, seed: int, heads: tuple[Head, ...], share: float = 1.0) -> Forest:
    """100 trees or a share, each grown from 64 windows or as many as there are. One feature at least must vary."""
    if (features == features[0]).all():
        raise CyberHansError(
            "all windows have the same features, so a forest could never alarm: take gaussian, or record the machine"
            " at work"
        )
    count = max(1, round(TREES * share))
    trees = IsolationForest(n_estimators=count, max_samples=min(SAMPLES, len(features)), random_state=seed)
    forest = Forest(Whitening.of(features, heads), trees)
    trees.fit(forest.inputs(features))
    return forest


def path_length(samples: npt.NDArray[Any]) -> Reals:
    """c(n) of Liu, Ting and Zhou: mean path of an unsuccessful search in a binary tree of n samples."""
    n = np.asarray(samples, np.float64)
    many = np.maximum(n, 3.0)
    length = 2.0 * (np.log(many - 1.0) + EULER) - 2.0 * (many - 1.0) / many
    return np.where(n > 2, length, np.where(n == 2, 1.0, 0.0))
