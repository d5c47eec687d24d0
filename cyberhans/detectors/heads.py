"""Heads: the groups of features that are judged apart, one per channel, and what the channels have between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cyberhans.spec import Family, Frame, Spec

Wide = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Run:
    """`count` features from `first` on, each less the one as far from `second` on (None: as they are).

    They go to the head's places `into`, `into + step`, … (SPEC.md section 7).
    """

    first: int
    second: int | None
    count: int
    into: int
    step: int = 1


@dataclass(frozen=True)
class Head:
    """What its runs fill, in this order."""

    runs: tuple[Run, ...]

    @property
    def size(self) -> int:
        return sum(run.count for run in self.runs)

    def gather(self, features: npt.NDArray[np.int16] | Wide) -> Wide:
        """(k, features) to (k, size), int32."""
        wide = features.astype(np.int32)
        found = np.zeros((len(wide), self.size), np.int32)
        for run in self.runs:
            values = wide[:, run.first : run.first + run.count]
            if run.second is not None:
                values = values - wide[:, run.second : run.second + run.count]
            found[:, run.into : run.into + run.step * run.count : run.step] = values
        return found


def one_head(features: int) -> tuple[Head, ...]:
    """All features in one."""
    return (Head((Run(0, None, features, 0),)),)


def heads_of(spec: Spec) -> tuple[Head, ...]:
    """One of each channel's own features; then, of two channels and more, one ratio head per frame length.

    A ratio head takes the channels' band means from channel 0's, band by band: a machine that is louder, or that turns
    at another speed, moves all channels alike. Features that are differences stand for it where the Spec has them. A
    frame length of one band has none: a Spec has no more heads than features.
    """
    owns = [_head(_places(spec, f"c{channel}.")) for channel in range(spec.channels)]
    if spec.channels == 1:
        return tuple(owns)
    return (*owns, *(_ratio(spec, frame) for frame in spec.frames if frame.bands > 1))


def _ratio(spec: Spec, frame: Frame) -> Head:
    if Family.DIFFERENCES in spec.families:
        return _head([place for place in _places(spec, "c0-") + _places(spec, "c1-")
                      if f".n{frame.length}." in spec.feature_names[place]])  # fmt: skip
    start = spec.feature_names.index(f"c0.n{frame.length}.b0.mean")
    others = range(1, spec.channels)
    return Head(tuple(Run(start, start + k * frame.bands, frame.bands, k - 1, len(others)) for k in others))


def _places(spec: Spec, prefix: str) -> list[int]:
    return [place for place, name in enumerate(spec.feature_names) if name.startswith(prefix)]


def _head(places: list[int]) -> Head:
    """Neighbours make one run."""
    runs: list[Run] = []
    for into, place in enumerate(places):
        if runs and place == runs[-1].first + runs[-1].count:
            runs[-1] = Run(runs[-1].first, None, runs[-1].count + 1, runs[-1].into)
        else:
            runs.append(Run(place, None, 1, into))
    return Head(tuple(runs))
