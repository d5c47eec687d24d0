"""Suspects: windows of a baseline that do not belong to the rest, such as those with a fault that was there already.

A machine's sessions differ, so that one recording is unlike another is no sign of anything. The sign is a gap: a
minority that is much farther from the majority than members of the majority, each left out in turn, are from
the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cyberhans.detectors import FEATURE_STEP, Features, Reals

LEAST_SHARE, MOST_SHARE = 0.1, 0.45  # of all windows: less does not spoil a baseline, more is no minority
LEAST_REST = 4  # recordings that must agree with one another before others are called strange
BLOCKS, FEW_BLOCKS, ALL_BLOCKS = 10, 3, 200  # of each recording, for what happens within; of many recordings; in all
LEAST_BLOCK = 2  # windows
# Octaves of squared distance, of whole recordings and within them; see suspects().
RISING_GAP, OTHER_GAP, STATE_GAP = (1.7, 1.0), (2.5, 1.5), (2.5, 4.0)
LEAST_RISE, MOST_COMMON = 0.4, 0.2 * 256  # see may_be_state(); the latter in 1/256 octave
SHRINKAGE, NOISE_SHRINKAGE = 0.05, 0.1  # least
MOST_FOLDS = 8

Numbers = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Suspects:
    """windows: (k,) which. whole: whole recordings, else stretches that are unlike the rest of their own recordings.
    gap: octaves of squared distance by which they lie farther from the rest than the rest from itself. state: another
    speed or load of a healthy machine might sound so too."""

    windows: Mask
    whole: bool
    gap: float
    state: bool

    @property
    def share(self) -> float:
        return float(self.windows.mean())


def suspects(features: Features, recording_of: Numbers, bands: Mask | None = None) -> list[Suspects]:
    """What in the (k, n) features of a baseline is clearly apart; recording_of: (k,) the recording of each window;
    bands: (n,) which features are band means (None: all).

    Looked for among whole recordings (at least LEAST_REST must remain), then among blocks of all recordings, each
    centred on its own median. Candidates are the clusters of a minority's size in Ward's (1963) tree of the means,
    whitened by how windows differ from the next. Their gap: median of their log squared Mahalanobis distance to the
    rest, less the largest (of many: the 90 % point) of the rest's own, each by a Gaussian that did not learn it.
    What rises as a fault does (rise()) is named soonest, what another speed may be (may_be_state()) last; whole
    recordings that do not rise so may be at another speed, whatever else they are. The limits were chosen by the means
    over real and simulated baselines, clean and spoilt.
    """
    values = features.astype(np.float64)
    recording = np.unique(recording_of, return_inverse=True)[1]
    count = int(recording.max()) + 1
    whitening = _noise(values, recording)
    bands = np.ones(values.shape[1], np.bool_) if bands is None else bands
    found: list[Suspects] = []
    if count > LEAST_REST:
        units = _Units.of(values, recording, np.arange(count) % MOST_FOLDS)
        found += _apart(units, units.candidates(whitening, LEAST_REST), bands, whole=True)
    for r in range(count):
        values[recording == r] -= np.median(values[recording == r], axis=0)
    blocks, owner = _blocks(recording)
    folds = owner % MOST_FOLDS if count > 1 else np.arange(len(owner)) * MOST_FOLDS // len(owner)
    units = _Units.of(values, blocks, folds)
    return found + _apart(units, units.candidates(whitening, 2), bands, whole=False)


def may_be_state(change: Reals) -> bool:
    """Whether a healthy machine at another speed or load might change (n,) bands so, in 1/256 octave.

    It moves all of them, and tones from one band to the next. What a fault adds takes nothing from most bands: it
    leaves them as they are, or rises in some beyond what all rise.
    """
    common = float(np.median(change))
    return common < -MOST_COMMON or (common > MOST_COMMON and rise(change) < LEAST_RISE)


def rise(change: Reals) -> float:
    """-1 to 1: do (n,) bands rise or fall beyond their common change (their median), by the sums of squares."""
    beyond = change - np.median(change)
    total = float((beyond**2).sum())
    return float((beyond * np.abs(beyond)).sum()) / total if total else 0.0


def _apart(units: _Units, candidates: list[Mask], bands: Mask, whole: bool) -> list[Suspects]:
    """The candidate that is farthest over its limit, if there is one."""
    found: list[tuple[float, Suspects]] = []
    for candidate in candidates:
        change = (units.mean(candidate) - units.mean(~candidate))[bands]
        rising = rise(change) >= LEAST_RISE
        state = may_be_state(change) or (whole and not rising)
        limits = STATE_GAP if state else RISING_GAP if rising else OTHER_GAP
        gap = units.gap(candidate)
        found.append((gap - limits[not whole], Suspects(candidate[units.number], whole, gap, state)))
    over, farthest = max(found, key=lambda entry: entry[0], default=(-1.0, None))
    return [farthest] if farthest and over >= 0 else []


def _blocks(recording: Numbers) -> tuple[Numbers, Numbers]:
    """Each window's block, numbered over all recordings, and each block's recording."""
    block = np.zeros(len(recording), np.intp)
    owner: list[int] = []
    recordings = int(recording.max()) + 1
    most = min(BLOCKS, max(FEW_BLOCKS, ALL_BLOCKS // recordings))
    for r in range(recordings):
        places = np.flatnonzero(recording == r)
        count = max(1, min(most, len(places) // LEAST_BLOCK))
        block[places] = len(owner) + np.arange(len(places)) * count // len(places)
        owner += [r] * count
    return block, np.array(owner)


def _noise(values: Reals, recording: Numbers) -> Reals:
    """(n, n) that whitens how a window differs from the next one, in which no cluster has a part."""
    steps = np.diff(values, axis=0)[np.diff(recording) == 0]
    if len(steps) == 0:
        steps = values - values.mean(axis=0)
    deviation = np.maximum(steps.std(axis=0), FEATURE_STEP)
    covariance = np.atleast_2d(np.cov((steps / deviation).T, bias=True))
    usual = max(float(np.trace(covariance)) / len(covariance), 0.1)
    shrunk = (1 - NOISE_SHRINKAGE) * covariance + NOISE_SHRINKAGE * usual * np.eye(len(covariance))
    variance, axes = np.linalg.eigh(shrunk)
    whitening: Reals = ((axes / np.sqrt(variance)) @ axes.T / deviation).T
    return whitening


@dataclass(frozen=True)
class _Units:
    """Of u units, recordings or blocks: each window's unit, (k,); each unit's fold, (u,); how many windows, (u,); their
    means (u, n) and sums of outer products (u, n, n)."""

    number: Numbers
    fold: Numbers
    counts: Reals
    means: Reals
    products: Reals

    @classmethod
    def of(cls, values: Reals, number: Numbers, fold: Numbers) -> _Units:
        parts = [values[number == u] for u in range(len(fold))]
        means, products = np.array([part.mean(axis=0) for part in parts]), np.array([part.T @ part for part in parts])
        return cls(number, fold, np.bincount(number).astype(np.float64), means, products)

    def mean(self, units: Mask) -> Reals:
        mean: Reals = self.counts[units] @ self.means[units] / self.counts[units].sum()
        return mean

    def candidates(self, whitening: Reals, least_rest: int) -> list[Mask]:
        """The clusters of Ward's tree that hold a minority of the windows, and leave so many units."""
        from scipy.cluster.hierarchy import linkage

        if len(self.means) < 2:
            return []
        members = [{place} for place in range(len(self.means))]
        for left, right, *_ in linkage(self.means @ whitening, "ward"):
            members.append(members[int(left)] | members[int(right)])
        masks = [np.isin(np.arange(len(self.means)), list(group)) for group in members]
        shares = [self.counts[mask].sum() / self.counts.sum() for mask in masks]
        return [mask for mask, share in zip(masks, shares, strict=True)
                if LEAST_SHARE <= share <= MOST_SHARE and (~mask).sum() >= least_rest]  # fmt: skip

    def gap(self, candidate: Mask) -> float:
        """See suspects(). Each fold of the rest is left out in turn; the candidate's distance is a mean over these."""
        own, far = np.full(len(self.fold), np.nan), []
        for f in np.unique(self.fold[~candidate]):
            learn, out = ~candidate & (self.fold != f), ~candidate & (self.fold == f)
            if learn.sum() >= 2:
                distances = self._distances(learn)
                own[out] = distances[out]
                far.append(distances[candidate])
        own = own[np.isfinite(own)]
        if len(far) < 2:
            return -np.inf
        limit = np.percentile(own, 90) if len(own) > 10 else own.max()
        return float(np.median(np.mean(far, axis=0)) - limit)

    def _distances(self, learn: Mask) -> Reals:
        """(u,) log2 of the mean squared whitened feature of every unit's mean, by a Gaussian of the units `learn`.

        Its covariance is shrunk towards the mean variance by the oracle-approximating amount (Chen, Wiesel, Eldar and
        Hero 2010), which needs no windows, at least by SHRINKAGE.
        """
        count, mean = float(self.counts[learn].sum()), self.mean(learn)
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
