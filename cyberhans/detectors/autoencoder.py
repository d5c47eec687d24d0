"""A small relu net that is taught to repeat whitened normal windows; what it cannot repeat is strange."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from cyberhans.detectors import Features, Reals, log2_mean
from cyberhans.detectors.heads import Head
from cyberhans.detectors.whitening import UNIT_BITS, Whitening

SEEDS = 5
ROUNDS = 40
DECAY = 1.0  # of the weights: what no linear guess explains (whitening) is mostly noise, which is not to be learnt


@dataclass(frozen=True)
class Autoencoder:
    """Whiten in integers, repeat, compare: a head's part is the mean squared difference, in deviations."""

    whitening: Whitening
    net: MLPRegressor

    def squares(self, features: Features) -> Reals:
        """(k, heads)."""
        z = _inputs(self.whitening, features)
        repeated = self.net.predict(z).reshape(z.shape)  # of one feature it has one dimension
        ends = np.cumsum([head.size for head in self.whitening.heads])[:-1]
        heads = np.split(np.square(repeated - z), ends, axis=1)
        return np.stack([head.mean(axis=1) for head in heads], axis=1)

    def score(self, features: Features) -> Reals:
        return log2_mean(self.squares(features))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        weights = {f"weights_{layer}": matrix for layer, matrix in enumerate(self.net.coefs_)}
        biases = {f"biases_{layer}": vector for layer, vector in enumerate(self.net.intercepts_)}
        return self.whitening.arrays() | weights | biases


def fit(features: Features, seed: int, heads: tuple[Head, ...], share: float = 1.0) -> Autoencoder:
    """The best of several random starts on the last fifth of the windows, which they did not see; then taught all."""
    held = max(1, len(features) // 5)
    whitening = Whitening.of(features[:-held], heads)
    seeds = range(seed * SEEDS, (seed + 1) * SEEDS)
    losses = [_teach(whitening, features[:-held], s, share).score(features[-held:]).mean() for s in seeds]
    return _teach(Whitening.of(features, heads), features, seeds[int(np.argmin(losses))], share)


def hidden_size(inputs: int, share: float = 1.0) -> int:
    """One layer of an eighth as many cells as inputs, 4 to 24; or a share of them, at least 2."""
    return max(2, round(min(24, max(4, inputs // 8)) * share))


def _inputs(whitening: Whitening, features: Features) -> Reals:
    return np.concatenate(whitening.apply(features), axis=1).astype(np.float64) * 2.0**-UNIT_BITS


def _teach(whitening: Whitening, features: Features, seed: int, share: float) -> Autoencoder:
    z = _inputs(whitening, features)
    net = MLPRegressor(
        hidden_layer_sizes=(hidden_size(z.shape[1], share),), activation="relu", batch_size=min(32, len(z)),
        learning_rate_init=0.01, alpha=DECAY, max_iter=ROUNDS, random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of rounds is the bound
        net.fit(z, z if z.shape[1] > 1 else z.ravel())
    return Autoencoder(whitening, net)
