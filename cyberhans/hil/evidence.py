"""Evidence: what is kept of a run beside its outcome: figures, packets, how many tests ran."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from cyberhans.hil.options import baseline, entries, log_dir, pairs, tested


def register(config: pytest.Config) -> None:
    """What gathers reports, on the one process that has them all; logs of an earlier run in the same folder go."""
    if (expected := config.getoption("hil_count")) is not None:
        config.pluginmanager.register(Count(expected), "hil-count")
    if not entries(config) or config.option.collectonly:
        return
    from cyberhans.hil.report import Report
    from cyberhans.hil.tracking import Update

    if folder := log_dir(config):
        for name in pairs(config):
            _forget_logs(folder, name)
        config.pluginmanager.register(Report(folder, tested(config)), "hil-report")
    if config.getoption("update_baseline"):
        config.pluginmanager.register(Update(baseline(config)), "hil-update")


def _forget_logs(folder: Path, name: str) -> None:
    for old in (folder / f"{name}.jsonl", *folder.glob(f"{name}+*.jsonl")):
        with contextlib.suppress(OSError):  # none there; or a folder, beside which the log gets another name
            old.unlink()


def log_path(folder: Path, name: str) -> Path:
    """NAME.jsonl; NAME+2.jsonl and so on where there is one: what a process that has crashed wrote stays."""
    path, number = folder / f"{name}.jsonl", 1
    while path.exists():
        number += 1
        path = folder / f"{name}+{number}.jsonl"  # no name of a device or of a detector has a plus
    return path


def last_packets(log: Path, lines: int = 40, width: int = 160) -> str:
    """The end of a packet log, each line cut."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - lines * 4096))
        rows = file.read().decode("ascii", "replace").splitlines()[-lines:]
    return "\n".join(row if len(row) <= width else row[:width] + " ..." for row in rows)


def plain(value: object) -> Any:
    """A figure as what every process and file can hold: NumPy's numbers as Python's, what is no number as its text."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return plain(value.item()) if type(value.item()) is not type(value) else str(value)
    for kind in (int, float):  # enumerations too
        if isinstance(value, kind):
            return kind(value)
    return str(value)


class Count:
    """How many tests of devices ran: on the process that reports."""

    def __init__(self, expected: int) -> None:
        self.expected, self.ran = expected, 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and "hil_device" in dict(report.user_properties) and not report.skipped:
            self.ran += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.ran != self.expected:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.ran != self.expected:
            terminalreporter.write_line(f"{self.ran} tests of devices ran, --hil-count {self.expected}", red=True)
