"""Small regression trees, each guessing one whitened feature from the others of its head: what is left is strange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.tree import DecisionTreeRegressor

from cyberhans.detectors import Features, Reals, log2_mean
from cyberhans.detectors.heads import Head
from cyberhans.detectors.whitening import UNIT_BITS, Whitening

DEPTH = 2
LEAST_LEAF = 3  # windows, and a tenth of all
LOOKED_AT = 8  # features, drawn anew for each cut


@dataclass(frozen=True)
class Trees:
    """One tree per whitened feature, heads behind one another; None where no cut helps: its guess is 0.

    A tree's features count within its head, its own left out.
    """

    whitening: Whitening
    trees: tuple[DecisionTreeRegressor | None, ...]

    def squares(self, features: Features) -> Reals:
        """(k, heads): mean squares of what the trees did not guess, in deviations."""
        found, trees = [], iter(self.trees)
        for head in self.whitening.apply(features):
            rest = head.astype(np.float64)
            for place in range(head.shape[1]):
                if tree := next(trees):
                    rest[:, place] -= tree.predict(_without(head, place))
            found.append(np.square(rest * 2.0**-UNIT_BITS).mean(axis=1))
        return np.stack(found, axis=1)

    def score(self, features: Features) -> Reals:
        return log2_mean(self.squares(features))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All trees behind one another; children count from their tree's `root`, which is -1 where there is no tree."""
        grown = [tree.tree_ for tree in self.trees if tree]
        columns = ("children_left", "children_right", "feature", "threshold")
        joined = {name: np.concatenate([np.zeros(0), *(getattr(tree, name) for tree in grown)]) for name in columns}
        joined["value"] = np.concatenate([np.zeros(0), *(tree.value.ravel() for tree in grown)])
        ends = iter(np.cumsum([0, *(tree.node_count for tree in grown)]))
        return self.whitening.arrays() | joined | {"root": np.array([next(ends) if t else -1 for t in self.trees])}


def fit(features: Features, seed: int, heads: tuple[Head, ...]) -> Trees:
    """Learnt from (k, features); the same seed draws the same."""
    whitening = Whitening.of(features, heads)
    random = np.random.RandomState(seed)
    trees = [_tree(head, place, random) for head in whitening.apply(features) for place in range(head.shape[1])]
    return Trees(whitening, tuple(trees))


def _tree(head: Features, place: int, random: np.random.RandomState) -> DecisionTreeRegressor | None:
    if head.shape[1] == 1:
        return None
    tree = DecisionTreeRegressor(
        max_depth=DEPTH, min_samples_leaf=max(LEAST_LEAF, len(head) // 10),
        max_features=min(LOOKED_AT, head.shape[1] - 1), random_state=random,
    )  # fmt: skip
    tree.fit(_without(head, place), head[:, place].astype(np.float64))
    return tree if tree.tree_.node_count > 1 else None


def _without(head: Features, place: int) -> npt.NDArray[np.float32]:
    """(k, n - 1): a head without one of its features."""
    return np.delete(head, place, axis=1).astype(np.float32)
