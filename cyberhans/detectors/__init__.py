"""What can be learnt from normal windows: autoencoder, forest, gaussian. The only rooms with scikit-learn."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cyberhans.errors import CyberHansError

KINDS = ("autoencoder", "forest", "gaussian")
WITHOUT_CHANCE = ("gaussian",)  # kinds that learn the same with every seed
SHARES = {"autoencoder": (0.5, 1.0), "forest": (0.25, 0.5, 1.0)}  # of a kind's own size: its cells, its trees
LEAST_WINDOWS = 4
PART_STEP = 2.0**-12  # SPEC.md section 7: a device counts the parts of a score in these
FEATURE_STEP = 2.0  # 1/256 octave; a feature that varies less is taken to vary this much

Features = npt.NDArray[np.int16]
Reals = npt.NDArray[np.float64]


class Fitted(Protocol):
    """A detector as scikit-learn sees it, in float64: the truth that generated C is compared with."""

    def score(self, features: Features) -> Reals:
        """(k, n) features to (k,) scores in octaves; larger is stranger (SPEC.md section 7)."""

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All that was learnt, by name, for the detector folder."""


@dataclass(frozen=True)
class Scale:
    """Where a feature lies and how much it varies: z = (x - centre - rest) / deviation, each array (n,).

    The whole part of the mean is kept apart, so that a device subtracts it exactly, in integers.
    """

    centre: Features
    rest: Reals
    deviation: Reals

    @classmethod
    def of(cls, features: Features) -> Scale:
        mean = features.mean(axis=0, dtype=np.float64)
        centre = np.rint(mean)
        deviation = features.std(axis=0, dtype=np.float64)
        floor = max(FEATURE_STEP, 0.1 * float(np.median(deviation)))
        return cls(centre.astype(np.int16), mean - centre, np.maximum(deviation, floor))

    def apply(self, features: Features) -> Reals:
        return ((features.astype(np.int32) - self.centre) - self.rest) / self.deviation

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {"centre": self.centre, "rest": self.rest, "deviation": self.deviation}


def log2_mean(squares: Reals) -> Reals:
    """(k, parts) squared residuals to (k,) scores in octaves."""
    octaves: Reals = np.log2(mean_part(squares))
    return octaves


def mean_part(squares: Reals) -> Reals:
    """(k, parts) squared residuals to their (k,) means; as on a device, none at all counts as one step of one part."""
    means: Reals = np.maximum(squares.mean(axis=1), PART_STEP / squares.shape[1])
    return means


def fit(kind: str, features: Features, seed: int, share: float = 1.0) -> Fitted:
    """Learn (k, n) int16 features of normal windows. Same features, seed and share give the same result.

    share: of the kind's own size, one of its SHARES; a kind that is not there has one size.

    One thread: with more, sums in the linear algebra come in another order.
    """
    if kind not in KINDS:
        raise CyberHansError(f"detector {kind!r}: choose {', '.join(KINDS)}")
    if len(features) < LEAST_WINDOWS:
        raise CyberHansError(
            f"{len(features)} windows are left to learn from, {LEAST_WINDOWS} are the least: record more"
        )
    if share not in (shares := SHARES.get(kind, (1.0,))):
        raise CyberHansError(f"share {share:g} of {kind}: choose {', '.join(f'{known:g}' for known in shares)}")
    from threadpoolctl import threadpool_limits

    smaller = {} if share == 1.0 else {"share": share}
    with threadpool_limits(1):
        fitted: Fitted = importlib.import_module(f"cyberhans.detectors.{kind}").fit(features, seed, **smaller)
    return fitted
