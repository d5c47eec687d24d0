"""Tracking: what a device's firmware costs, against the figures of an earlier run, which a file keeps.

hil/baseline.json: board -> detector -> compiler and its version -> figures, and `digest`: of which detector they are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError
from cyberhans.hil.station import Station
from cyberhans.verify import COUNTED_WINDOWS, count_instructions

FIGURES = ("instructions", "flash", "ram", "stack")  # instructions of a window; bytes
TOLERANCE = 0.01  # that a figure may grow by
Key = tuple[str, str, str]  # board, detector, compiler
Figures = dict[str, int]
Row = dict[str, Any]  # of the file: Figures, and "digest"


def costs(station: Station) -> Figures:
    """Of the image that the station has built: those of FIGURES that can be told of this board."""
    made, board = station.build, station.board
    if made is None or board is None:
        return {}
    found = {"flash": made.flash_bytes, "ram": made.ram_bytes}
    if made.stack_bytes is not None:
        found["stack"] = made.stack_bytes
    if station.entry.emulated and board.bare:
        with station.aside(counting=True) as device:
            windows = station.detector.golden[:COUNTED_WINDOWS]
            found["instructions"] = count_instructions(device, board, windows)["total"]
    return {name: found[name] for name in FIGURES if name in found}


def digest_of(detector: Detector) -> str:
    """Of what its costs follow from: kind and Spec. Not of what it has learnt, which may differ in bits where it was
    trained on another computer."""
    return f"{detector.kind} {detector.spec.digest.hex()}"


def worse(found: Figures, before: Row) -> list[str]:
    """What has grown by more than TOLERANCE, a line each, with by how much."""
    told = []
    for name in FIGURES:
        now, then = found.get(name), before.get(name)
        if now is not None and then is not None and now > then * (1 + TOLERANCE):
            told.append(f"{name} {then:,} -> {now:,} (+{100 * (now / then - 1) if then else 100:.1f} %)")
    return told


def load_baseline(path: Path) -> dict[Key, Row]:
    """Empty where there is no file. Raises CyberHansError: one that is none."""
    if not path.exists():
        return {}
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        return {
            (board, detector, compiler): {name: _value(name, value) for name, value in row.items()}
            for board, detectors in tree.items()
            for detector, compilers in detectors.items()
            for compiler, row in compilers.items()
        }
    except (OSError, ValueError, AttributeError, TypeError, OverflowError, RecursionError) as wrong:
        raise CyberHansError(f"{path}: no baseline of figures ({wrong}): delete it, or take it back from your version "
                             "control, then --update-baseline") from None  # fmt: skip


def _value(name: str, value: Any) -> Any:
    return str(value) if name == "digest" else int(value)


def save_baseline(path: Path, rows: Mapping[Key, Mapping[str, Any]]) -> None:
    """All of it or, whatever happens, what was there before."""
    tree: dict[str, Any] = {}
    for (board, detector, compiler), row in sorted(rows.items()):
        tree.setdefault(board, {}).setdefault(detector, {})[compiler] = dict(row)
    fresh = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
        os.replace(fresh, path)
    except OSError as wrong:
        raise CyberHansError(f"{path}: cannot be written: {wrong.strerror}; choose another by --hil-baseline") from None


class Update:
    """With --update-baseline: gathers what the tests found, on the process that reports, and writes it at the end."""

    def __init__(self, path: Path) -> None:
        self.path, self.found, self.failed = path, dict[Key, Row](), ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = dict(report.user_properties)
        if report.when == "call" and "costs" in told:
            row = json.loads(str(told["costs"]))
            self.found[tuple(row["key"])] = row["row"]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        try:
            if self.found:
                save_baseline(self.path, load_baseline(self.path) | self.found)
        except CyberHansError as wrong:
            self.failed, session.exitstatus = str(wrong), pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        none = f"{self.path}: nothing is written: no test of costs has told any"
        told = self.failed or (f"{self.path}: figures of {len(self.found)} rows written" if self.found else none)
        terminalreporter.write_line(told, red=bool(self.failed))
