"""A small relu net that is taught to repeat normal windows; what it cannot repeat is strange."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from cyberhans.detectors import Features, Reals, Scale, log2_mean

SEEDS = 5
ROUNDS = 40


@dataclass(frozen=True)
class Autoencoder:
    """Standardise, repeat, compare: the parts of a score are the squared differences, in units of each feature."""

    scale: Scale
    net: MLPRegressor

    def squares(self, features: Features) -> Reals:
        """(k, n) squared residuals."""
        z = self.scale.apply(features)
        repeated: Reals = self.net.predict(z).reshape(z.shape)  # of one feature it has one dimension
        return np.square(repeated - z)

    def score(self, features: Features) -> Reals:
        return log2_mean(self.squares(features))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        weights = {f"weights_{layer}": matrix for layer, matrix in enumerate(self.net.coefs_)}
        biases = {f"biases_{layer}": vector for layer, vector in enumerate(self.net.intercepts_)}
        return self.scale.arrays() | weights | biases


def fit(features: Features, seed: int, share: float = 1.0) -> Autoencoder:
    """The best of several random starts on the last fifth of the windows, which they did not see; then taught all."""
    held = max(1, len(features) // 5)
    seeds = range(seed * SEEDS, (seed + 1) * SEEDS)
    losses = [_teach(features[:-held], s, share).score(features[-held:]).mean() for s in seeds]
    return _teach(features, seeds[int(np.argmin(losses))], share)


def hidden_sizes(features: int, share: float = 1.0) -> tuple[int, int, int]:
    """Half as many cells as features (8 to 48), in the middle an eighth (4 to 12); or a share of both."""
    outer = min(48, max(8, features // 2))
    inner = min(12, max(4, features // 8))
    outer, inner = max(4, round(outer * share)), max(2, round(inner * share))
    return outer, inner, outer


def _teach(features: Features, seed: int, share: float) -> Autoencoder:
    scale = Scale.of(features)
    z = scale.apply(features)
    net = MLPRegressor(
        hidden_layer_sizes=hidden_sizes(z.shape[1], share), activation="relu", batch_size=min(32, len(z)),
        learning_rate_init=0.01, alpha=0.01, max_iter=ROUNDS, random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of rounds is the bound
        net.fit(z, z if z.shape[1] > 1 else z.ravel())
    return Autoencoder(scale, net)
