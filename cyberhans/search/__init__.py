"""Search: the smallest detector for a board that is as good as the best; every point is trained, built and counted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cyberhans.detectors import KINDS
from cyberhans.errors import CyberHansError
from cyberhans.limit import Limit
from cyberhans.promise import Promise
from cyberhans.search import front
from cyberhans.search.cost import Workbench
from cyberhans.search.front import Limits, Row
from cyberhans.search.grid import designs
from cyberhans.search.material import Material, of_protocol, of_recordings
from cyberhans.search.report import Report
from cyberhans.search.walk import Walk, choose_yardstick
from cyberhans.threshold import windows_needed

__all__ = ["Limits", "Material", "of_protocol", "of_recordings", "search"]
POINTS, QUICK = 36, 12
Note = Callable[[int, int, str], None]


def search(
    material: Material, board_name: str, *, kinds: Sequence[str] = KINDS, limits: Limits = Limits(),
    points: int = POINTS, seed: int = 0, promise: Promise | None = None, false_alarm_rate: float | None = None,
    accept: str = "", out: str | Path | None = None, note: Note = lambda done, of, what: None,
) -> dict[str, Any]:  # fmt: skip
    """Walk the grid of grid.py from coarse to fine until so many `points` are built, and recommend one.

    First every kind at every size as design() has it, the board's own size first; then, over and over, what lies one
    step beside the point that would be recommended, the best, and the front. A point is trained as train() does it, its
    quality measured on the host with the C that ships (yardstick.py says how), its image built for the board and run on
    the emulator, which counts. What the Spec, the recordings or the board refuse is a row with its `reason`, and none
    of the `points`; but no more than three times as many are tried.

    Recommended: of the points within the limits the smallest in flash, then in instructions, whose quality is at
    least the best one's less its margin. It learns material.every and lies in `out`/detector; its figures, which must
    keep the limits too, are `detector`. It keeps `promise`, one false alarm a month unless told otherwise, or instead
    false_alarm_rate, as train() does; where the baseline is too little for that it is delivered as learning, which
    never alarms, and the first of `warnings` says what is missing. Its quality is a choice among many: expect a little
    less on new recordings.

    out: there search.json and pareto.svg are written anew, each whole, with every row that is done. The same inputs
    give the same rows, but for a few instructions where a tick fell into the work.

    Raises CyberHansError: nothing could be measured, no point fits the board, or none keeps the limits.
    """
    _check(kinds, points)
    asked = _asked(promise, false_alarm_rate)
    designed = designs(material.learn)
    with tempfile.TemporaryDirectory(prefix="cyberhans-search-") as scratch:
        bench = Workbench(board_name, Path(scratch))
        if limits.instructions is not None and bench.not_counted:
            raise CyberHansError(f"{bench.not_counted}: leave --max-instructions out, or name a board that is emulated")
        yardstick, length = choose_yardstick(material, designed, kinds, seed)
        report = Report(out, material, yardstick, length, board_name, limits, bench.not_counted)
        walk = Walk(material, bench, yardstick, length, designed, kinds, limits, seed=seed, accept=accept,
                    **asked)  # fmt: skip
        for rows in walk.steps(points, note):
            report.update(rows)
        _refuse_nothing(walk.rows, limits, board_name)
        detector, figures = walk.taught()
        return report.finish(detector, figures)


def _check(kinds: Sequence[str], points: int) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise CyberHansError(f"detector {kind!r}: choose {', '.join(KINDS)}")
    if points < 1 or not kinds:
        raise CyberHansError(f"{points} points of {len(kinds)} detectors: give 1 or more of each")


def _asked(promise: Promise | None, rate: float | None) -> dict[str, Any]:
    """The limit of false alarms, for train(); what cannot be asked for is refused before any work is done."""
    if promise is None and rate is None:
        promise = Promise(1.0)
    Limit(promise, rate)
    if rate is not None:
        windows_needed(rate)
    return {"promise": promise, "false_alarm_rate": rate}


def _refuse_nothing(rows: Sequence[Row], limits: Limits, board_name: str) -> None:
    """Raise with what comes nearest, unless there is something to recommend."""
    if not front.whole(rows):
        tight = [row for row in rows if "needs" in row]
        if not tight:
            raise CyberHansError(f"no point could be measured: {rows[0]['reason'] if rows else 'there is none'}")
        row = min(tight, key=lambda row: row["needs"]["needed"] / row["needs"]["there"])
        raise CyberHansError(f"no point fits {board_name}: the smallest, number {row['number']} ({row['detector']},"
                             f" {row['features']} features), needs {row['needs']['needed']:,} bytes of"
                             f" {row['needs']['memory']}, the board has {row['needs']['there']:,}; take a larger"
                             " board, or walk more --points")  # fmt: skip
    if front.best(rows, limits) is None:
        near = front.nearest(rows, limits)
        assert near is not None
        told = "; ".join(words for words, _ in limits.exceeded(near))
        asked = ", ".join(f"{name} {limit:g}" for name, limit in asdict(limits).items() if limit is not None)
        raise CyberHansError(f"no point keeps the limits ({asked}): the nearest, number {near['number']}"
                             f" ({near['detector']}, {near['features']} features), has {told}; loosen one, or walk"
                             " more --points")  # fmt: skip
