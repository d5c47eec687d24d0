"""Report: one HTML page of a run, which needs nothing beside it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import cyberhans

HIDDEN = ("hil_device", "hil_detector", "hil_recording", "difference", "link", "costs")  # not among the figures


@dataclass
class Result:
    """One test on one device: what it is named after, how it ended, what it told."""

    test: str
    device: str
    detector: str
    source: str
    outcome: str
    seconds: float
    message: str
    figures: dict[str, Any] = field(default_factory=dict)
    difference: dict[str, Any] | None = None
    link: str = ""


class Report:
    """Gathers what tests of devices have told, on the process that reports, and writes DIR/report.html at the end."""

    def __init__(self, folder: Path, tested: Sequence[str] = ()) -> None:
        """tested: a line for each device with each detector."""
        self.path, self.tested = folder / "report.html", tested
        self.results: list[Result] = []
        self.broken: list[str] = []  # why tests could not be collected
        self.failed = ""
        self._began = datetime.now(UTC)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = dict(report.user_properties)
        if "hil_device" in told and (report.when == "call" or not report.passed):
            self.results.append(_result(report, told))
        elif report.failed and "hil_device" not in told:  # a worker has crashed, or it is none of ours
            self.broken.append(f"{report.nodeid}: {_message(report)}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken.append(f"{report.nodeid}: {str(report.longrepr).strip().splitlines()[-1]}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR):
            self.broken.append(f"the run was cut short after {len(self.results)} tests of devices")
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            fresh.write_text(
                page(self.results, self._began, self.tested, self.broken), encoding="utf-8", errors="backslashreplace"
            )
            os.replace(fresh, self.path)
        except OSError as wrong:
            self.failed = f"{self.path}: cannot be written: {wrong.strerror}; choose another --hil-log-dir"
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(self.failed or f"report: {self.path}", red=bool(self.failed))


def page(results: list[Result], began: datetime, tested: Sequence[str] = (), broken: Sequence[str] = ()) -> str:
    """HTML: a table of devices x tests, what failed with the first difference and the link's last packets, figures."""
    from jinja2 import Environment

    columns = list(dict.fromkeys((row.device, row.detector) for row in results))
    tests = list(dict.fromkeys(row.test for row in results))
    cells: dict[tuple[str, str, str], list[Result]] = {}
    for row in results:
        cells.setdefault((row.test, row.device, row.detector), []).append(row)
    template = resources.files("cyberhans.hil").joinpath("report.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template).render(
        version=cyberhans.__version__, began=began.strftime("%Y-%m-%d %H:%M:%S UTC"), columns=columns, tests=tests,
        cells=cells, worst=worst, counts=Counter(row.outcome for row in results),
        failed=[row for row in results if row.outcome == "failed"], results=results,
        tested=tested, broken=broken,
    )  # fmt: skip


def worst(rows: list[Result]) -> str:
    """Of one cell: failed before skipped before passed; empty where the test did not run there."""
    outcomes = {row.outcome for row in rows}
    return next((name for name in ("failed", "skipped", "passed") if name in outcomes), "")


def _result(report: pytest.TestReport, told: dict[str, Any]) -> Result:
    difference = told.get("difference")
    figures = {name: value for name, value in told.items() if name not in HIDDEN}
    return Result(
        _test(report.nodeid, told),
        str(told["hil_device"]), str(told["hil_detector"]), str(told.get("hil_recording", "")),
        report.outcome, report.duration, _message(report), figures,
        json.loads(str(difference)) if difference else None, str(told.get("link", "")),
    )  # fmt: skip


def _test(nodeid: str, told: dict[str, Any]) -> str:
    """Its file's and its own name as words, and what it has for parameters beside device, detector and windows:
    `robustness: a damaged packet is dropped and counted (crc)`."""
    path, _, name = nodeid.partition("::")
    function, _, parameters = name.removesuffix("]").partition("[")
    pair = f"{told['hil_device']}-{told['hil_detector']}"
    rest = "-".join(part for part in (pair, told.get("hil_recording")) if part)
    own = parameters.removeprefix(rest).removesuffix(rest).strip("-")
    words = f"{function} ({own})" if own else function
    return f"{Path(path).stem.removeprefix('test_').replace('_', ' ')}: {words.removeprefix('test_').replace('_', ' ')}"


def _message(report: pytest.TestReport) -> str:
    """Why it failed or was skipped: of a traceback its end."""
    told = report.longrepr
    if isinstance(told, tuple):
        return str(told[2]).removeprefix("Skipped: ")
    crash = getattr(told, "reprcrash", None)
    return str(crash.message if crash else told or "")[:2000]
