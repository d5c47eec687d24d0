"""Walk: which points are tried, in which order, and what is found at each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cyberhans.baseline import Baseline
from cyberhans.detector import Detector
from cyberhans.detectors import WITHOUT_CHANCE
from cyberhans.errors import CyberHansError
from cyberhans.search import front
from cyberhans.search.cost import Workbench
from cyberhans.search.fidelity import Fidelity
from cyberhans.search.front import Limits, Row
from cyberhans.search.grid import WINDOWS, Choice, coarse, neighbours, spec_of
from cyberhans.search.material import Gate, Material
from cyberhans.search.yardstick import Auc, Quality, Yardstick, shipped
from cyberhans.spec import MAX_WINDOW, Spec, size_for_ram
from cyberhans.train import train

ENOUGH = 30  # spans of a class, for longer ones than the designed window
MOST_TRIED = 3  # for each point that is wanted, where a board or the recordings refuse many
STEP = 8  # points whose quality is measured before they are built
Note = Callable[[int, int, str], None]


def choose_yardstick(
    material: Material, designed: Mapping[str, Spec | str], kinds: Sequence[str], seed: int
) -> tuple[Yardstick, int]:
    """AUC where there are labelled anomalies, else fidelity; and the length of its spans in sample frames.

    The full-size detector is the first of `kinds` that learns the same with every seed, or the first.
    """
    specs = [spec for spec in designed.values() if isinstance(spec, Spec)]
    if not specs:
        raise CyberHansError(str(next(iter(designed.values()))))
    full = designed["full"] if isinstance(designed["full"], Spec) else specs[-1]
    baseline = Baseline.of(material.learn, full)
    gate = Gate(baseline)
    length = span_length(material, specs, gate)
    if material.anomaly:
        return Auc(material, length, gate), length
    kind = next((kind for kind in kinds if kind in WITHOUT_CHANCE), kinds[0])
    return Fidelity(material, length, baseline, gate, kind, seed), length


def span_length(material: Material, specs: Sequence[Spec], gate: Gate) -> int:
    """The longest window of the grid, so that all windows can be compared, of which each class holds ENOUGH at work.

    But at least the designed window; where there is too little even of that the yardstick refuses.
    """
    lengths = {round(spec.window * factor) for spec in specs for factor in WINDOWS if factor >= 1}
    classes = [part for part in (material.normal, material.anomaly) if part]
    for length in sorted(lengths, reverse=True):
        if length <= MAX_WINDOW and all(_holds(part, length, gate) for part in classes):
            return length
    return min(lengths)


def _holds(recordings: Sequence[Any], length: int, gate: Gate) -> bool:
    return sum(len(gate.at_work(recording, length)) for recording in recordings) >= ENOUGH


class Walk:
    """rows: what was found, in the order tried; a row's number, from 1, is its place."""

    def __init__(
        self, material: Material, bench: Workbench, yardstick: Yardstick, length: int,
        designed: Mapping[str, Spec | str], kinds: Sequence[str], limits: Limits, **settings: Any,
    ) -> None:  # fmt: skip
        """length: of the yardstick's spans. settings: of train(); a point may have too little to keep its limit."""
        self.material, self.bench, self.yardstick, self.length = material, bench, yardstick, length
        self.designed, self.kinds, self.limits, self.settings = designed, kinds, limits, settings
        self.rows: list[Row] = []
        self.choices: dict[int, Choice] = {}
        self.tried: set[Any] = set()
        self.too_long: set[tuple[str, float]] = set()  # sizes and windows; one refusal of each is told

    def steps(self, points: int, note: Note) -> Iterator[list[Row]]:
        """All rows so far, after every one that is new."""
        todo, measured = coarse(self.kinds, size_for_ram(self.bench.board.ram_bytes)), 0
        while todo and measured < points and len(self.rows) < MOST_TRIED * points:
            trained = []
            for row, detector in self._measured(todo, points - measured):
                trained.append((row, detector))
                note(measured + len(trained), points, f"{row['detector']}: quality {row['quality']:.4f}")
            for built in self._built(trained):
                measured += built["reason"] is None
                note(measured, points, f"point {built['number']}: built for {self.bench.board.name}")
                yield self.rows
            yield self.rows  # with what was refused
            todo = self._next()
        note(points, points, "")

    def _measured(self, todo: Sequence[Choice], most: int) -> Iterator[tuple[Row, Detector]]:
        """The new rows of those that can be trained, at most so many."""
        for choice in todo:
            detector = self._try(choice)
            if detector is not None:
                yield self.rows[-1], detector
                most -= 1
            if most == 0:
                return

    def _built(self, trained: Sequence[tuple[Row, Detector]]) -> Iterator[Row]:
        """The same rows with what their images take."""
        figures = self.bench.each([detector for _, detector in trained])
        for (row, _), found in zip(trained, figures, strict=True):
            row |= {"reason": None} | found
            yield row

    def _try(self, choice: Choice) -> Detector | None:
        """Train a point and measure its quality: one row more, unless it was tried under another name."""
        self.tried.add(choice)
        row: Row = {"number": len(self.rows) + 1, "detector": choice.kind, "share": choice.share, "size": choice.size,
               "steps": _steps(choice)}  # fmt: skip
        try:
            spec = spec_of(choice, self.designed)
            if (name := (spec.digest, choice.kind, choice.share)) in self.tried:
                return None
            self.tried.add(name)
            row |= _described(spec)
            detector = self._trained(choice, spec, self.material.learn)
            found = self.yardstick.measure(spec, shipped(detector.core()))
        except CyberHansError as error:
            self.rows.append({**row, "reason": str(error)})
            return None
        measured = {"quality": found.value, "quality_error": found.error, "digest": detector.digest.hex()}
        self.choices[row["number"]] = choice
        self.rows.append({**row, **measured, "reason": "not built yet"})
        return detector

    def _trained(self, choice: Choice, spec: Spec, recordings: Sequence[Any], uncalibrated: bool = True) -> Detector:
        if spec.window > self.length:
            self.too_long.add((choice.size, choice.window))
            rate = spec.rate_hz
            raise CyberHansError(f"a window of {spec.window / rate:.3g} s: the recordings to measure on hold too few"
                                 f" stretches of more than {self.length / rate:.3g} s; record longer")  # fmt: skip
        return train(recordings, kind=choice.kind, spec=spec, share=choice.share,
                     uncalibrated=uncalibrated, **self.settings)  # fmt: skip

    def _next(self) -> list[Choice]:
        """What lies beside the points that matter, STEP or some more, nearest to the recommended first."""
        best = front.best(self.rows, self.limits)
        leads = [*self._as_good()][:1] + ([best] if best else [])
        for rows in (front.front(self.rows), front.whole(self.rows)):
            leads += sorted(rows, key=lambda row: -row["quality"])
        leads = leads or [row for row in self.rows if "needs" in row]
        found: dict[Choice, None] = {}
        for row in leads:
            if len(found) >= STEP:
                break
            beside = neighbours(self.choices[row["number"]], self.kinds)
            found |= dict.fromkeys(choice for choice in beside if choice not in self.tried
                                   and (choice.size, choice.window) not in self.too_long)  # fmt: skip
        return list(found)

    def _as_good(self) -> Iterator[Row]:
        """The points to recommend, best first."""
        if best := front.best(self.rows, self.limits):
            yield from front.as_good(self.rows, self.limits, best["quality"] - margin(self.yardstick, best))

    def taught(self) -> tuple[Detector, Row]:
        """The detector to recommend, taught with all there is, and its row with the figures of its own image.

        Its `lacking` says what is missing for the limit of false alarms; "" where it is kept.
        """
        for row in self._as_good():
            detector, lacking = self._delivered(self.choices[row["number"]])
            figures = {**row, **self.bench.measure(detector), "digest": detector.digest.hex(), "lacking": lacking}
            if figures["reason"] is None and not self.limits.exceeded(figures):
                return detector, figures
        raise CyberHansError("taught with all recordings no point keeps the limits any more; loosen one a little")

    def _delivered(self, choice: Choice) -> tuple[Detector, str]:
        """Calibrated; where the baseline is too little for that as learning, and why."""
        spec, recordings = spec_of(choice, self.designed), self.material.every
        try:
            return self._trained(choice, spec, recordings, uncalibrated=False), ""
        except CyberHansError as error:  # any other reason is raised anew
            return self._trained(choice, spec, recordings), str(error)


def margin(yardstick: Yardstick, best: Row) -> float:
    """How far below the best row's quality one is as good."""
    return yardstick.margin(Quality(best["quality"], best["quality_error"]))


def _steps(choice: Choice) -> dict[str, Any]:
    """How it differs from what was designed."""
    plain = Choice(choice.size, choice.kind)
    return {name: value for name, value in dataclasses.asdict(choice).items()
            if value != getattr(plain, name) and name != "share"}  # fmt: skip


def _described(spec: Spec) -> dict[str, Any]:
    return {
        "window_s": spec.window / spec.rate_hz,
        "frames": [frame.length for frame in spec.frames],
        "bands": [frame.bands for frame in spec.frames],
        "families": spec.to_dict()["families"],
        "features": spec.features,
    }
