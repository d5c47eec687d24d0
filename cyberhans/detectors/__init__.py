"""What can be learnt from normal windows: autoencoder, forest, gaussian, trees. The only rooms with scikit-learn."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cyberhans.detectors.heads import Head, one_head
from cyberhans.errors import CyberHansError

KINDS = ("autoencoder", "forest", "gaussian", "trees")
DEFAULT = "gaussian"  # what wins on all real protocols at hand, and the smallest
WITHOUT_CHANCE = ("gaussian",)  # kinds that learn the same with every seed
SHARES = {"autoencoder": (0.5, 1.0), "forest": (0.25, 0.5, 1.0)}  # of a kind's own size: its cells, its trees
LEAST_WINDOWS = 4
# Octaves of score: healthy machines vary at least so much, whatever few recordings show. A forest's scores are those of
# isolation, which squeezes all distances into less than an octave.
LEAST_SPREAD = {"autoencoder": 0.15, "forest": 0.01, "gaussian": 0.15, "trees": 0.15}
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
    """Where a feature lies and how much it varies: z = (x - mean) / deviation, each array (n,)."""

    mean: Reals
    deviation: Reals

    @classmethod
    def of(cls, features: npt.NDArray[Any]) -> Scale:
        deviation = features.std(axis=0, dtype=np.float64)
        floor = max(FEATURE_STEP, 0.1 * float(np.median(deviation)))
        return cls(features.mean(axis=0, dtype=np.float64), np.maximum(deviation, floor))

    def apply(self, features: npt.NDArray[Any]) -> Reals:
        z: Reals = (features.astype(np.float64) - self.mean) / self.deviation
        return z


def log2_mean(squares: Reals) -> Reals:
    """(k, heads) mean squares to (k,) scores in octaves: the mean of their logs; the least is one step of a part."""
    octaves: Reals = np.log2(np.maximum(squares, PART_STEP)).mean(axis=1)
    return octaves


def fit(
    kind: str, features: Features, seed: int, heads: tuple[Head, ...] | None = None, share: float = 1.0
) -> Fitted:  # fmt: skip
    """Learn (k, n) int16 features of normal windows. Same features, heads, seed and share give the same result.

    heads: heads_of(spec); None: all features are one head. share: of the kind's own size, one of its SHARES; a kind
    that is not there has one size.

    One thread: with more, sums in the linear algebra come in another order.
    """
    if kind not in KINDS:
        raise CyberHansError(f"detector {kind!r}: choose {', '.join(KINDS)}")
    if len(features) < LEAST_WINDOWS:
        raise CyberHansError(
            f"{len(features)} windows are left to learn from, {LEAST_WINDOWS} are the least: record more"
        )
    heads = one_head(features.shape[1]) if heads is None else heads
    if share not in (shares := SHARES.get(kind, (1.0,))):
        raise CyberHansError(f"share {share:g} of {kind}: choose {', '.join(f'{known:g}' for known in shares)}")
    from threadpoolctl import threadpool_limits

    smaller = {} if share == 1.0 else {"share": share}
    with threadpool_limits(1):
        fitted: Fitted = importlib.import_module(f"cyberhans.detectors.{kind}").fit(features, seed, heads, **smaller)
    return fitted
