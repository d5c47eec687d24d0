"""What every test may ask for: the demo set, the real recordings, and the tools that emulated boards need."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cyberhans import boards

ROOT = Path(__file__).resolve().parent
PROMISED_WINDOWS, PROMISED_ELSEWHERE, PROMISED_PAIRS = {"native": 10_000}, 500, 10


if os.environ.get("CYBERHANS_ENDURANCE"):  # examples of every property test that does not name its own number
    import hypothesis

    hypothesis.settings.register_profile("endurance", max_examples=2000, deadline=None)
    hypothesis.settings.load_profile("endurance")


def needs(tool: str) -> None:
    """Skip the test, visibly, where a program is not installed; in CI fail it."""
    if shutil.which(tool):
        return
    if os.environ.get("CYBERHANS_REQUIRE"):
        pytest.fail(f"{tool} is required here")
    pytest.skip(f"not installed: {tool}")


def missing_for(item: pytest.Item) -> str | None:
    """What this machine lacks for the boards and the compiler among the test's parameters; without one: microbit."""
    parameters = getattr(item, "callspec", None)
    values = [value for value in parameters.params.values() if isinstance(value, str)] if parameters else []
    named = [row for row in boards.boards() if row.name in values] or [boards.board("microbit")]
    compilers = [name for name in boards.COMPILERS if name in values] or ["gcc"]
    found = [boards.missing(row, name) for row in named for name in compilers]
    return next((lacking for lacking in found if lacking), None)


def real_recordings() -> Path:
    """Where the real recordings lie: $CYBERHANS_RECORDINGS, else ../shared/recordings beside the checkout."""
    return Path(os.environ.get("CYBERHANS_RECORDINGS", ROOT.parent / "shared" / "recordings"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip, visibly, what this machine cannot run; in CI (CYBERHANS_REQUIRE=1) nothing is skipped: it fails."""
    if os.environ.get("CYBERHANS_REQUIRE"):
        return
    absent = not (real_recordings() / "manifest.csv").exists()
    for item in items:
        if item.get_closest_marker("emulator") and (lacking := missing_for(item)):
            item.add_marker(pytest.mark.skip(reason=lacking))
        if absent and item.get_closest_marker("recordings"):
            item.add_marker(pytest.mark.skip(reason="real recordings absent: set CYBERHANS_RECORDINGS"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With full counts the parity tests must have compared what is promised, or the run has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CYBERHANS_ENDURANCE") and reporter and (short := too_few(_told(reporter))):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nparity compared too little: {short}")


def too_few(told: list[list[tuple[str, Any]]]) -> str:
    """What the parity tests, if any ran, fell short of: windows of a board, or pairs of a board and a compiler."""
    rows = [row for row in map(dict, told) if "parity_pair" in row]
    windows: Counter[str] = Counter()
    for row in rows:
        windows[row["parity_pair"][0]] += row["parity_windows"]
    pairs = len({tuple(row["parity_pair"]) for row in rows})
    few = [f"{count} windows on {board}" for board, count in windows.items()
           if count < PROMISED_WINDOWS.get(board, PROMISED_ELSEWHERE)]  # fmt: skip
    return ", ".join(few + [f"{pairs} pairs of board and compiler"] * (0 < pairs < PROMISED_PAIRS))


def _told(terminalreporter: pytest.TerminalReporter) -> list[list[tuple[str, Any]]]:
    """What each test that ran has recorded."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    return [report.user_properties for report in reports if report.when == "call"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures that tests recorded: of the parity tests a table, by board and compiler; of others a line each."""
    told = _told(terminalreporter)
    _tell_parity(terminalreporter, [dict(properties) for properties in told])
    _tell_figures(terminalreporter, [item for properties in told for item in properties])


def _tell_parity(terminalreporter: pytest.TerminalReporter, told: list[dict[str, Any]]) -> None:
    windows: Counter[tuple[str, str, str]] = Counter()
    bits: Counter[tuple[str, str]] = Counter()
    for row in told:
        if "parity_pair" in row:
            board, compiler = row["parity_pair"]
            windows[board, compiler, row["parity_way"]] += row["parity_windows"]
            bits[board, compiler] += row["parity_differing_bits"]
    if bits:
        terminalreporter.write_line("")
        terminalreporter.write_line("| board | compiler | windows from a file | over the link | differing bits |")
        terminalreporter.write_line("|---|---|---:|---:|---:|")
    for board, compiler in bits:
        counts = " | ".join(f"{windows[board, compiler, way]:,}" for way in ("file", "link"))
        terminalreporter.write_line(f"| {board} | {compiler} | {counts} | {bits[board, compiler]} |")


def _tell_figures(terminalreporter: pytest.TerminalReporter, told: list[tuple[str, Any]]) -> None:
    """What tests recorded as `total NAME` is added up over all of them; of `worst NAME` the largest is told."""
    figures: dict[str, float] = {}
    for name, value in told:
        kind, _, what = name.partition(" ")
        if kind in ("total", "worst") and what:
            before = figures.get(what, 0)
            figures[what] = before + value if kind == "total" else max(before, value)
    for what, value in sorted(figures.items()):
        terminalreporter.write_line(f"{what}: {value}")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings; only for tests marked `recordings`."""
    folder = real_recordings()
    if not (folder / "manifest.csv").exists():
        if os.environ.get("CYBERHANS_REQUIRE"):
            pytest.fail(f"{folder}: real recordings are required here")
        pytest.skip("real recordings absent: set CYBERHANS_RECORDINGS")
    return folder


@pytest.fixture(scope="session")
def demo() -> Path:
    """The synthetic demo set."""
    return ROOT / "recordings" / "demo"
