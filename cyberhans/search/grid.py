"""The grid of points: what may be chosen, which Spec that gives, and a point's neighbours on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cyberhans.detectors import SHARES
from cyberhans.errors import CyberHansError
from cyberhans.recording import Recording
from cyberhans.spec import SIZES, Family, Frame, Spec, design

# Each from small to large; a neighbour is one step away on one of them.
WINDOWS = (0.5, 1.0, 2.0)  # times design()'s
FRAMES = ("short", "half", "long", "designed")  # the shorter length alone, the longer halved, the longer, as designed
BANDS = (0.25, 0.5, 1.0)  # times design()'s
FAMILIES = ("none", "level", "designed", "spread")  # spread: beside the designed ones


@dataclass(frozen=True)
class Choice:
    """A point of the grid: design() of `size`, altered; a detector's kind and its share (detectors.SHARES)."""

    size: str
    kind: str
    window: float = 1.0
    frames: str = "designed"
    bands: float = 1.0
    families: str = "designed"
    share: float = 1.0


def designs(recordings: Sequence[Recording]) -> dict[str, Spec | str]:
    """For each of spec.SIZES what design() gives for these recordings, or in a line why it gives none."""
    first, segment = recordings[0], min(recording.segment_len for recording in recordings)
    found: dict[str, Spec | str] = {}
    for size in SIZES:
        try:
            found[size] = design(size, first.rate_hz, first.channels, segment)
        except CyberHansError as error:
            found[size] = str(error)
    return found


def coarse(kinds: Sequence[str], first: str) -> list[Choice]:
    """Every kind at every size as designed: the size `first`, then the largest of the others."""
    sizes = dict.fromkeys([first, *reversed(SIZES)])
    return [Choice(size, kind) for size in sizes for kind in kinds]


def neighbours(choice: Choice, kinds: Sequence[str]) -> Iterator[Choice]:
    """One step away on one axis, those that make a smaller detector first; then the other kinds, each in full."""
    axes: dict[str, Sequence[Any]] = {
        "size": SIZES, "window": WINDOWS, "frames": FRAMES, "bands": BANDS, "families": FAMILIES,
        "share": SHARES.get(choice.kind, (1.0,)),
    }  # fmt: skip
    for step in (-1, 1):
        for axis, options in axes.items():
            place = options.index(getattr(choice, axis)) + step
            if 0 <= place < len(options):
                changed: dict[str, Any] = {axis: options[place]}
                yield dataclasses.replace(choice, **changed)
    yield from (dataclasses.replace(choice, kind=kind, share=1.0) for kind in kinds if kind != choice.kind)


def spec_of(choice: Choice, designed: Mapping[str, Spec | str]) -> Spec:
    """The Spec of a choice; raises CyberHansError where SPEC.md section 2 allows none."""
    base = designed[choice.size]
    if isinstance(base, str):
        raise CyberHansError(base)
    window = round(base.window * choice.window)
    frames = tuple(_frame(frame, length, choice.bands) for frame, length in _lengths(base, choice.frames))
    return Spec(base.rate_mhz, base.channels, window, window, _families(base, choice.families), frames)


def _lengths(base: Spec, frames: str) -> list[tuple[Frame, int]]:
    """The designed frames that are taken, and how long each is to be."""
    if frames == "designed":
        return [(frame, frame.length) for frame in base.frames]
    frame = base.frames[0] if frames == "short" else base.frames[-1]
    return [(frame, frame.length // 2 if frames == "half" else frame.length)]


def _frame(frame: Frame, length: int, share: float) -> Frame:
    """`share` of a frame's bands, on the scale that its edges are on, for frames of another length."""
    top = length // 2
    bands = max(1, min(round(frame.bands * share), length // 4))
    places = np.linspace(0, frame.bands + 1, bands + 2)
    ideal = np.interp(places, np.arange(frame.bands + 2), frame.edges) * length / frame.length
    edges: list[int] = []
    for k, place in enumerate(ideal):
        latest = top - (bands + 1 - k)  # leaves room for the edges still to come
        edges.append(min(max(round(float(place)), edges[-1] + 1 if edges else 1), latest))
    return Frame(length, tuple(edges))


def _families(base: Spec, families: str) -> Family:
    if families == "none":
        return Family(0)
    if families == "level":
        return Family.LEVEL & base.families
    return base.families | Family.SPREAD if families == "spread" else base.families
