"""How features vary together, shrunk towards their mean variance so that there always is an inverse."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.covariance import ledoit_wolf_shrinkage, shrunk_covariance

LEAST_SHRINKAGE = 0.05
LEAST_VARIANCE = 0.1  # mean variance of the standardised features that is taken at least, where all stand still


def shrunken_covariance(z: npt.NDArray[np.float64]) -> tuple[npt.NDArray[Any], float]:
    """Of (k, n) standardised features: (n, n), which always has an inverse, and how far it was shrunk.

    By Ledoit and Wolf's (2004) amount, at least LEAST_SHRINKAGE, towards the mean variance, at least LEAST_VARIANCE.
    """
    shrinkage = max(float(ledoit_wolf_shrinkage(z)), LEAST_SHRINKAGE)
    covariance = np.atleast_2d(np.cov(z, rowvar=False, bias=True))
    missing = max(0.0, LEAST_VARIANCE - float(np.trace(covariance)) / len(covariance))
    return shrunk_covariance(covariance, shrinkage) + shrinkage * missing * np.eye(len(covariance)), shrinkage
