"""Fidelity: how well the order of a small detector's scores follows that of the full-size detector."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cyberhans import detectors
from cyberhans.baseline import Baseline
from cyberhans.core import Core
from cyberhans.detectors.heads import heads_of
from cyberhans.search.material import Gate, Material
from cyberhans.search.yardstick import DRAWS, Clusters, Quality, Reals, Scorer, gather, span_scores
from cyberhans.spec import Spec
from cyberhans.threshold import folds

SPANS = 240  # normal and perturbed ones, about
LARGEST_GAIN_DB = 6.0
MOST_OF_ANOTHER = math.pi / 3  # angle of a mixture: 0 is the span itself, pi/2 the other
STRONGEST_TAP = 0.6


class Fidelity:
    """Spearman's rank correlation (1904) of the scores of a point and of the full-size detector, over spans.

    The full-size detector is design("full") with `kind`, learnt as train() does it, from windows at work and head by
    head, but scored in float64, whatever the board. Spans: normal ones that neither has learnt, and the same perturbed
    (perturbed()). Perturbations only spread the scores, so that there is an order to compare; whether they are detected
    is not asked, since that was measured not to tell a good design.

    Its standard error: 200 draws with replacement of recordings or blocks of spans. The margin is what the full-size
    detector is unlike itself when it learns without one fifth of its recordings: nobody can be nearer to it than that.
    """

    name = "fidelity"

    def __init__(
        self, material: Material, length: int, baseline: Baseline, gate: Gate, kind: str, seed: int
    ) -> None:  # fmt: skip
        """baseline: of material.learn, by the full-size Spec."""
        self.full = f"{kind} of {baseline.spec.features} features"
        part = gather(material.normal, length, "normal left-out", gate)
        chosen = np.unique(np.linspace(0, len(part.spans) - 1, SPANS // 4).astype(int))
        normal, each = part.spans[chosen], max(3, math.ceil(SPANS / len(chosen)) - 1)
        self.spans = np.concatenate([normal, *(perturbed(normal, k) for k in range(each))])
        self.clusters: Clusters = np.tile(part.clusters[chosen], each + 1)
        self.method = f"draws of {part.drawn}; the full-size detector taught without a fifth of its recordings"
        features, heads, core = baseline.features, heads_of(baseline.spec), gate.core
        self.reference = self._scores(core, detectors.fit(kind, features, seed, heads))
        others = [detectors.fit(kind, features[learn], seed, heads) for learn, _ in folds(baseline.session_of)]
        self.to_itself = float(np.mean([spearman(self.reference, self._scores(core, other)) for other in others]))

    def _scores(self, core: Core, fitted: detectors.Fitted) -> Reals:
        return span_scores(core.spec, lambda windows: fitted.score(core.features(windows)), self.spans)

    def measure(self, spec: Spec, score: Scorer) -> Quality:
        """Of a detector with this Spec."""
        scores, random = span_scores(spec, score, self.spans), np.random.default_rng(0)
        members = [np.flatnonzero(self.clusters == k) for k in np.unique(self.clusters)]
        drawn = [np.concatenate([members[k] for k in random.integers(len(members), size=len(members))])
                 for _ in range(DRAWS)]  # fmt: skip
        error = float(np.std([spearman(self.reference[places], scores[places]) for places in drawn]))
        return Quality(spearman(self.reference, scores), error)

    def margin(self, best: Quality) -> float:
        """The larger of its error and of what the full-size detector is unlike itself."""
        return max(best.error, 1 - self.to_itself)


def perturbed(spans: NDArray[np.int16], round_number: int) -> NDArray[np.int16]:
    """Real spans made a little different, (k, length, channels): by turns louder or softer, mixed, filtered.

    Gain: up to 6 dB either way. Mixture: with another of the spans, in equal power. Filter: x[i] + a x[i-1]. How strong
    is drawn anew for each span; the same spans and round give the same samples.
    """
    random = np.random.default_rng([round_number, len(spans)])
    samples = spans.astype(np.float64)
    draw = random.uniform(-1, 1, len(spans))[:, None, None]
    if round_number % 3 == 0:
        changed = samples * 10 ** (draw * LARGEST_GAIN_DB / 20)
    elif round_number % 3 == 1:
        angle = np.abs(draw) * MOST_OF_ANOTHER
        changed = np.cos(angle) * samples + np.sin(angle) * np.roll(samples, 1 + round_number, axis=0)
    else:
        changed = samples + draw * STRONGEST_TAP * np.roll(samples, 1, axis=1)
        changed[:, 0] = samples[:, 0]
    return np.clip(np.rint(changed), -32768, 32767).astype(np.int16)


def spearman(a: Reals, b: Reals) -> float:
    """Rank correlation, ties sharing their mean rank; 0 where one of them does not vary."""
    x, y = _ranks(a), _ranks(b)
    spread = float(np.std(x) * np.std(y))
    return float(np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread else 0.0


def _ranks(values: Reals) -> Reals:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Reals = (np.cumsum(count) - (count + 1) / 2)[place]
    return ranks
