"""Quality of a point: AUC where there are labelled anomalies, else fidelity to the full-size detector.

Both judge stretches of time of one length, spans, so that short windows and long ones can be compared: a span's score
is the mean of the scores of its windows. A span in which the machine is off is not judged (material.Gate). Injected
faults rank nothing: measured, they do not tell which design is good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cyberhans.core import Core
from cyberhans.errors import CyberHansError
from cyberhans.recording import Recording
from cyberhans.search.material import Gate, Material, spans
from cyberhans.spec import Spec

LEAST_SPANS = 8  # of a class: fewer say nothing
SEVERAL = 4  # recordings, from which on they are what is drawn
BLOCKS = 10  # of a class with fewer recordings, at least, as far as it has spans
DRAWS = 200

Reals = NDArray[np.float64]
Clusters = NDArray[np.intp]
Scorer = Callable[[NDArray[np.int16]], Reals]  # windows (k, n, channels) to scores (k,)


@dataclass(frozen=True)
class Quality:
    """value: larger is better, 1 is perfect. error: its standard error."""

    value: float
    error: float


class Yardstick(Protocol):
    """name: "AUC" or "fidelity". method: how the error was found, in words."""

    name: str
    method: str

    def measure(self, spec: Spec, score: Scorer) -> Quality:
        """Of a detector with this Spec."""

    def margin(self, best: Quality) -> float:
        """How far below the best a point is still as good as it."""


class Auc:
    """Area under the ROC curve: the chance that an anomalous span scores above a normal one, ties counting half.

    Its standard error: 200 draws with replacement from each class (Efron 1979), of whole recordings where a class has
    four or more, else of blocks of spans that follow one another; but at least that of as many spans that know nothing
    of each other (least_error()), so that a perfect AUC of few is not taken for a certainty.
    """

    name = "AUC"

    def __init__(self, material: Material, length: int, gate: Gate) -> None:
        self.parts = [gather(part, length, label, gate) for part, label in
                      ((material.normal, "normal"), (material.anomaly, "anomalous"))]  # fmt: skip
        self.method = " and ".join(dict.fromkeys(f"draws of {part.drawn}" for part in self.parts))

    def measure(self, spec: Spec, score: Scorer) -> Quality:
        normal, anomaly = (span_scores(spec, score, part.spans) for part in self.parts)
        above = (anomaly[:, None] > normal) + 0.5 * (anomaly[:, None] == normal)
        rows, columns = (_indicator(part.clusters) for part in reversed(self.parts))
        sums, sizes = rows @ above @ columns.T, np.outer(rows.sum(axis=1), columns.sum(axis=1))
        random = np.random.default_rng(0)
        drawn = [_drawn(random, len(rows)) @ np.stack([sums, sizes]) @ _drawn(random, len(columns))
                 for _ in range(DRAWS)]  # fmt: skip
        value, error = float(above.mean()), float(np.std([total / pairs for total, pairs in drawn]))
        return Quality(value, max(error, least_error(value, *above.shape)))

    def margin(self, best: Quality) -> float:
        return best.error


@dataclass(frozen=True)
class Part:
    """Spans with the cluster of each: what is drawn together."""

    spans: NDArray[np.int16]
    clusters: Clusters
    drawn: str


def gather(recordings: Sequence[Recording], length: int, label: str, gate: Gate) -> Part:
    """The spans in which the machine runs; fewer than LEAST_SPANS are an error that says how much to record."""
    cut = [gate.at_work(recording, length) for recording in recordings]
    counts = [len(part) for part in cut]
    if sum(counts) < LEAST_SPANS:
        seconds = length / recordings[0].rate_hz
        idle = sum(len(spans(recording, length)) for recording in recordings) - sum(counts)
        off = f" ({idle} more, in which the machine is off, do not count)" if idle else ""
        raise CyberHansError(
            f"{sum(counts)} {label} stretches of {seconds:.3g} s to measure on{off}, {LEAST_SPANS} are the least:"
            f" record about {(LEAST_SPANS - sum(counts)) * seconds:.3g} s more"
        )
    whole, blocks = clusters(recordings, counts)
    return Part(np.concatenate(cut), blocks, "recordings" if whole else "blocks")


def least_error(auc: float, anomalies: int, normals: int) -> float:
    """Hanley and McNeil's (1982) standard error of an AUC of so many spans, more than one in each class.

    Theirs is 0 for an AUC of 1; it is taken no nearer to 1 than the one of which about a third of all samples of this
    size show no mistake, 1 - ln 3 / (k ln m), k the smaller and m the larger number. Which class is the one of extreme
    values in their model is not known here: the larger of the two errors.
    """
    few, many = sorted((anomalies, normals))
    a = min(auc, 1 - math.log(3) / (few * math.log(many)))
    one, two = a / (2 - a), 2 * a * a / (1 + a)
    variance = a * (1 - a) + (few - 1) * (one - a * a) + (many - 1) * (two - a * a)
    return math.sqrt(variance / (anomalies * normals))


def clusters(recordings: Sequence[Recording], counts: Sequence[int]) -> tuple[bool, Clusters]:
    """Whether whole recordings are the clusters of the spans, and each span's cluster, from 0."""
    files: dict[object, int] = {}
    file_of = np.repeat([files.setdefault(r.sha256 or k, len(files)) for k, r in enumerate(recordings)], counts)
    if len(np.unique(file_of)) >= SEVERAL:
        return True, np.unique(file_of, return_inverse=True)[1]
    each = math.ceil(BLOCKS / len([count for count in counts if count]))
    within = np.concatenate([np.arange(count) * min(each, count) // max(count, 1) for count in counts])
    part_of = np.repeat(np.arange(len(counts)), counts)
    return False, np.unique(part_of * each + within, return_inverse=True)[1]


def span_scores(spec: Spec, score: Scorer, spans: NDArray[np.int16]) -> Reals:
    """(k,) means of the scores of the windows in each of (k, length, channels)."""
    count = 1 + (spans.shape[1] - spec.window) // spec.hop
    windows = [spans[:, k * spec.hop : k * spec.hop + spec.window] for k in range(count)]
    means: Reals = np.mean([score(np.ascontiguousarray(part)) for part in windows], axis=0)
    return means


def shipped(core: Core) -> Scorer:
    """Scores of the C that ships, in 1/65536 octave."""
    return lambda windows: core.run(windows).score.astype(np.float64)


def _indicator(clusters: Clusters) -> Reals:
    """(clusters, spans): 1 where a span belongs."""
    belongs: Reals = (np.arange(clusters.max() + 1)[:, None] == clusters).astype(np.float64)
    return belongs


def _drawn(random: np.random.Generator, count: int) -> Reals:
    """How often each of `count` was drawn, with replacement."""
    return np.bincount(random.integers(count, size=count), minlength=count).astype(np.float64)
