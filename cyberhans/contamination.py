"""Contamination: a part of a baseline that does not belong to the rest, such as a fault that was there while learning.

A machine's sessions differ, so that a recording is unlike another is no sign of anything. The sign is a gap: a minority
that is much farther from the majority than members of the majority, each left out in turn, are from the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cyberhans.detectors import FEATURE_STEP, Features, Reals

LEAST_SHARE, MOST_SHARE = 0.1, 0.45  # of all windows: less does not spoil a baseline, more is no minority
LEAST_REST = 4  # recordings that must agree with one another before others are called strange
BLOCKS = 10  # of each recording, for what happens within
LEAST_BLOCK = 2  # windows
WHOLE_GAP, WITHIN_GAP = 2.5, 1.5  # octaves of squared distance; see suspects()
SHRINKAGE, NOISE_SHRINKAGE = 0.05, 0.1  # least
MOST_FOLDS = 8

Numbers = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Suspects:
    """windows: (k,) which. whole: whole recordings, else stretches that are unlike the rest of their own recordings.
    gap: octaves of squared distance by which they lie farther from the rest than the rest from itself."""

    windows: Mask
    whole: bool
    gap: float

    @property
    def share(self) -> float:
        return float(self.windows.mean())


def suspects(features: Features, recording_of: Numbers) -> list[Suspects]:
    """What in the (k, n) features of a baseline is clearly apart; recording_of: (k,) the recording of each window.

    Looked for among whole recordings (at least LEAST_REST must remain), then among blocks of all recordings, each
    centred on its own median. Candidates are the clusters of a minority's size in Ward's (1963) tree of the means,
    whitened by how windows differ from the next. Their gap: median of their log squared Mahalanobis distance to the
    rest, less the largest (of many: the 90 % point) of the rest's own, each by a Gaussian that did not learn it.
    WHOLE_GAP and WITHIN_GAP were chosen by the means over real and simulated baselines, clean and spoilt.
    """
    values = features.astype(np.float64)
    _, recording = np.unique(recording_of, return_inverse=True)
    blocks, owner = _blocks(recording)
    centred = values.copy()
    for r in range(recording.max() + 1):
        centred[recording == r] -= np.median(values[recording == r], axis=0)
    single = len(np.unique(owner)) == 1
    folds = np.arange(len(owner)) * MOST_FOLDS // len(owner) if single else owner % MOST_FOLDS
    tries = [(centred, blocks, folds, False, WITHIN_GAP)]
    if recording.max() + 1 > LEAST_REST:
        tries.insert(0, (values, recording, np.arange(recording.max() + 1) % MOST_FOLDS, True, WHOLE_GAP))
    found = []
    for x, unit, fold, whole, limit in tries:
        gap, chosen = _farthest(x, unit, fold, _noise(values, recording), LEAST_REST if whole else 2)
        if gap >= limit:
            found.append(Suspects(chosen[unit], whole, gap))
    return found


def _blocks(recording: Numbers) -> tuple[Numbers, Numbers]:
    """Each window's block, numbered over all recordings, and each block's recording."""
    block = np.zeros(len(recording), np.intp)
    owner: list[int] = []
    for r in range(recording.max() + 1):
        places = np.flatnonzero(recording == r)
        count = max(1, min(BLOCKS, len(places) // LEAST_BLOCK))
        block[places] = len(owner) + np.arange(len(places)) * count // len(places)
        owner += [r] * count
    return block, np.array(owner)


def _noise(values: Reals, recording: Numbers) -> Reals:
    """(n, n) that whitens how a window differs from the next one, which no cluster has a part in."""
    steps = np.diff(values, axis=0)[np.diff(recording) == 0]
    if len(steps) == 0:
        steps = values - values.mean(axis=0)
    deviation = np.maximum(steps.std(axis=0), FEATURE_STEP)
    covariance = np.cov((steps / deviation).T, bias=True).reshape(len(deviation), -1)
    target = np.trace(covariance) / len(covariance)
    shrunk = (1 - NOISE_SHRINKAGE) * covariance + NOISE_SHRINKAGE * max(target, 0.1) * np.eye(len(covariance))
    variance, axes = np.linalg.eigh(shrunk)
    whitening: Reals = (axes / np.sqrt(variance)) @ axes.T / deviation
    return whitening.T


def _farthest(values: Reals, unit: Numbers, fold: Numbers, whitening: Reals, least_rest: int) -> tuple[float, Mask]:
    """The largest gap of all candidates, and which units make it; no candidate: -infinity."""
    moments = _Moments.of(values, unit)
    best, chosen = -np.inf, np.zeros(len(fold), np.bool_)
    for candidate in _clusters(moments.means @ whitening, moments.counts):
        if (~candidate).sum() >= least_rest and (gap := _gap(moments, candidate, fold)) > best:
            best, chosen = gap, candidate
    return best, chosen


def _clusters(means: Reals, counts: Reals) -> list[Mask]:
    """The clusters of Ward's tree that hold a minority of the windows."""
    from scipy.cluster.hierarchy import linkage

    if len(means) < 2:
        return []
    members = [{place} for place in range(len(means))]
    for left, right, *_ in linkage(means, "ward"):
        members.append(members[int(left)] | members[int(right)])
    masks = [np.isin(np.arange(len(means)), list(group)) for group in members]
    return [mask for mask in masks if LEAST_SHARE <= counts[mask].sum() / counts.sum() <= MOST_SHARE]


@dataclass(frozen=True)
class _Moments:
    """Of u units of windows: how many (u,), their means (u, n) and sums of outer products (u, n, n)."""

    counts: Reals
    means: Reals
    products: Reals

    @classmethod
    def of(cls, values: Reals, unit: Numbers) -> _Moments:
        parts = [values[unit == u] for u in range(unit.max() + 1)]
        counts = np.array([len(part) for part in parts], np.float64)
        return cls(counts, np.array([part.mean(axis=0) for part in parts]), np.array([part.T @ part for part in parts]))

    def distances(self, learn: Mask) -> Reals:
        """(u,) log2 of the mean squared whitened feature of every unit's mean, by a Gaussian of the units `learn`.

        Its covariance is shrunk towards the mean variance by the oracle-approximating amount (Chen, Wiesel, Eldar and
        Hero 2010), which needs no windows, at least by SHRINKAGE.
        """
        count = float(self.counts[learn].sum())
        mean = self.counts[learn] @ self.means[learn] / count
        covariance = self.products[learn].sum(axis=0) / count - np.outer(mean, mean)
        spread = np.sqrt(np.maximum(np.diagonal(covariance), 0))
        deviation = np.maximum(spread, max(FEATURE_STEP, 0.1 * float(np.median(spread))))
        z, c = (self.means - mean) / deviation, covariance / np.outer(deviation, deviation)
        n, square = len(c), float((c**2).mean())
        variance = max(float(np.trace(c)) / n, 0.1)
        excess = (count + 1) * (square - variance**2 / n)
        shrinkage = max(min((square + variance**2) / excess, 1.0) if excess > 0 else 1.0, SHRINKAGE)
        shrunk = (1 - shrinkage) * c + shrinkage * variance * np.eye(n)
        squares = np.einsum("ui,iu->u", z, np.linalg.solve(shrunk, z.T)) / n
        octaves: Reals = np.log2(np.maximum(squares, 2.0**-12))
        return octaves


def _gap(moments: _Moments, candidate: Mask, fold: Numbers) -> float:
    """See suspects(). Each fold of the rest is left out in turn; the candidate's distance is the mean over these."""
    rest = ~candidate
    own = np.full(len(fold), np.nan)
    far = []
    for f in np.unique(fold[rest]):
        learn = rest & (fold != f)
        if learn.sum() < 2:
            continue
        distances = moments.distances(learn)
        own[rest & (fold == f)] = distances[rest & (fold == f)]
        far.append(distances[candidate])
    own = own[np.isfinite(own)]
    if len(far) < 2 or len(own) == 0:
        return -np.inf
    limit = np.percentile(own, 90) if len(own) > 10 else own.max()
    return float(np.median(np.mean(far, axis=0)) - limit)
