"""Mahalanobis distance with a shrunken covariance: the yardstick that the others have to reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.covariance import EllipticEnvelope, ledoit_wolf_shrinkage, shrunk_covariance

from cyberhans.detectors import Features, Reals, Scale, log2_mean

LEAST_SHRINKAGE = 0.05
LEAST_VARIANCE = 0.1  # mean variance of the standardised features that is taken at least, where all stand still


@dataclass(frozen=True)
class Gaussian:
    """`envelope` measures what is left of a window when the whole part of the mean is subtracted."""

    scale: Scale
    envelope: EllipticEnvelope
    shrinkage: float

    def squares(self, features: Features) -> Reals:
        """(k, 1): squared Mahalanobis distance over the number of features."""
        centred = features.astype(np.float64) - self.scale.centre
        parts: Reals = self.envelope.mahalanobis(centred)[:, None] / features.shape[1]
        return parts

    def score(self, features: Features) -> Reals:
        return log2_mean(self.squares(features))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return self.scale.arrays() | {"precision": self.envelope.get_precision()}


def fit(features: Features, seed: int) -> Gaussian:
    """Covariance of the standardised features, shrunk by Ledoit and Wolf's (2004) amount.

    The target is their mean variance, at least LEAST_VARIANCE, times the unit matrix: so there always is an inverse.
    `seed` is not needed: there is one answer.
    """
    scale = Scale.of(features)
    covariance, shrinkage = shrunken_covariance(scale.apply(features))
    return Gaussian(scale, _envelope(scale, np.linalg.inv(covariance)), shrinkage)


def shrunken_covariance(z: Reals) -> tuple[npt.NDArray[Any], float]:
    """Of (k, n) standardised features: (n, n), which always has an inverse, and how far it was shrunk."""
    shrinkage = max(float(ledoit_wolf_shrinkage(z)), LEAST_SHRINKAGE)
    covariance = np.atleast_2d(np.cov(z, rowvar=False, bias=True))
    missing = max(0.0, LEAST_VARIANCE - float(np.trace(covariance)) / len(covariance))
    return shrunk_covariance(covariance, shrinkage) + shrinkage * missing * np.eye(len(covariance)), shrinkage


def _envelope(scale: Scale, precision: Reals) -> EllipticEnvelope:
    """An EllipticEnvelope that was not fitted robustly but told what to be, in units of the features."""
    envelope = EllipticEnvelope()
    envelope.location_ = scale.rest
    envelope.precision_ = precision / np.outer(scale.deviation, scale.deviation)
    envelope.covariance_ = np.linalg.inv(envelope.precision_)
    envelope.offset_ = 0.0
    return envelope
