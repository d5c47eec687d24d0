"""The HTML page of a run: which test on which device, the first difference, and nothing from outside."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cyberhans.difference import Difference
from cyberhans.hil.report import Report, page, worst

BEGAN = datetime(2026, 11, 28, tzinfo=UTC)
TEST = "cyberhans/hil/suite/test_parity.py::test_every_stage_has_the_hosts_bits"


def reported(
    device: str, outcome: str, when: str = "call", told: tuple[tuple[str, Any], ...] = (), longrepr: Any = ""
) -> Any:
    parameters = [("hil_device", device), ("hil_detector", "fan"), ("hil_recording", "golden")]
    return SimpleNamespace(
        nodeid=f"{TEST}[{device}-fan-golden]", outcome=outcome, when=when, passed=outcome == "passed",
        failed=outcome == "failed", duration=1.25,
        user_properties=[*parameters, *told], longrepr=longrepr,
    )  # fmt: skip


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return Report(tmp_path)


def test_a_table_of_devices_and_tests(report: Report) -> None:
    report.pytest_runtest_logreport(reported("left", "passed", told=(("windows", 3),)))
    report.pytest_runtest_logreport(reported("right", "skipped", "setup", longrepr=("file", 3, "Skipped: no reset")))
    report.pytest_runtest_logreport(reported("left", "passed", "teardown"))  # told of its call already
    text = page(report.results, BEGAN)
    assert "<td>parity: every stage has the hosts bits</td>" in text
    assert text.count('<td class="passed">passed</td>') == 2  # in the table, and among the figures
    assert "1 passed" in text and "0 failed" in text and "1 skipped" in text
    assert "windows 3" in text and "no reset" in text and "Skipped:" not in text


def test_a_test_of_no_device_is_not_told(report: Report) -> None:
    report.pytest_runtest_logreport(SimpleNamespace(user_properties=[], when="call", passed=True, failed=False))  # type: ignore[arg-type]
    assert report.results == []


def test_what_failed_shows_the_first_difference_and_the_links_last_packets(report: Report) -> None:
    first = Difference(4, "bands", 2, 17, 0x7FFF, 0x7EFF, "band 17 of frame 2").to_dict()
    told = (("difference", json.dumps(first)), ("link", '{"from": "device", "type": "<VERDICT>"}'))
    report.pytest_runtest_logreport(reported("left", "failed", told=told, longrepr="assert found is None"))
    text = page(report.results, BEGAN)
    assert "stage <b>bands</b>, band 17 of frame 2 of window 4" in " ".join(text.split())
    assert "<code>0x7fff</code>" in text and "<code>0x7eff</code>" in text and "+3.01 dB" in text
    assert "&lt;VERDICT&gt;" in text and "<VERDICT>" not in text
    assert "assert found is None" in text


def test_a_failure_counts_more_than_what_passed_beside_it(report: Report) -> None:
    for outcome in ("passed", "failed", "skipped"):
        report.pytest_runtest_logreport(reported("left", outcome))
    assert worst(report.results) == "failed"
    assert worst(report.results[:1]) == "passed" and worst([]) == ""
    assert "failed (1/3)" in page(report.results, BEGAN)


def test_the_page_needs_nothing_beside_it(report: Report) -> None:
    report.pytest_runtest_logreport(reported("left", "passed"))
    report.pytest_sessionfinish(SimpleNamespace(exitstatus=0))  # type: ignore[arg-type]
    text = report.path.read_text()
    assert text.startswith("<!doctype html>")
    assert not re.search(r"<(script|link|img|iframe)|https?://|@import|url\(", text)
    assert [one.name for one in report.path.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize(("stage", "what", "device", "host", "db"), [
    ("samples", "sample 3 of frame 0", 200, 100, 6.0206),
    ("samples", "sample 3 of frame 0", -200, 100, None),
    ("spectrum", "bin 3 of frame 0", 200, 100, 3.0103),
    ("spectrum", "bin 3 of frame 0", 0, 100, None),
    ("bands", "band 1 of frame 0", -256, 0, -3.0103),
    ("features", "feature level", 1, 0, 0.01176),
    ("score", "score", 65536, 0, 3.0103),
    ("verdict", "verdict", 1, 0, None),
    ("alarm", "state", 3, 1, None),
    ("alarm", "rise", 128, 0, 1.50515),
    ("bands", "band 1 of frame 0", None, 0, None),
])  # fmt: skip
def test_a_difference_is_told_in_decibels(
    stage: str, what: str, device: int | None, host: int, db: float | None
) -> None:
    found = Difference(0, stage, 0, 0, device, host, what).decibels
    assert found == (None if db is None else pytest.approx(db, abs=1e-4))


@pytest.mark.parametrize(("stage", "what", "value", "db"), [
    ("samples", "sample 3 of frame 0", -1000, 60.0),
    ("samples", "sample 3 of frame 0", 0, None),
    ("spectrum", "bin 3 of frame 0", 1000, 30.0),
    ("bands", "band 1 of frame 0", 256, 3.0103),
    ("verdict", "mean of channel 0", 12, None),
    ("alarm", "reasons", 4, None),
    ("alarm", "change", -256, -3.0103),
    ("score", "score", None, None),
])  # fmt: skip
def test_each_side_of_a_difference_is_told_in_decibels(
    stage: str, what: str, value: int | None, db: float | None
) -> None:
    told = Difference(0, stage, 0, 0, value, 7, what).to_dict()
    assert told["device_db"] == (None if db is None else pytest.approx(db, abs=1e-4))


def test_the_page_tells_both_values_in_decibels(report: Report) -> None:
    found = Difference(3, "bands", 0, 1, 512, 256, "band 1 of frame 0")
    report.pytest_runtest_logreport(reported("left", "failed", told=(("difference", json.dumps(found.to_dict())),)))
    text = page(report.results, BEGAN)
    assert re.search(r"<code>0x0200</code> \(6\.0206 dB\),\s+host <code>0x0100</code> \(3\.0103 dB\)", text)
    assert "difference +3.01 dB" in text


def test_what_was_tested_and_what_could_not_be_collected_stand_at_the_top(tmp_path: Path) -> None:
    """A run in which nothing ran does not look like a good one."""
    report = Report(tmp_path, ["left-fan: board:native, gaussian 0123"])
    report.pytest_collectreport(SimpleNamespace(failed=False))  # type: ignore[arg-type]
    failed = SimpleNamespace(failed=True, nodeid="suite", longrepr="Traceback\nModuleNotFoundError: No module 'x'")
    report.pytest_collectreport(failed)  # type: ignore[arg-type]
    report.pytest_sessionfinish(SimpleNamespace(exitstatus=2))  # type: ignore[arg-type]
    text = report.path.read_text()
    assert "<li>left-fan: board:native, gaussian 0123</li>" in text
    assert "in place of some of them" in text and "cut short after 0 tests" in text
    assert "suite: ModuleNotFoundError: No module &#39;x&#39;" in text


@pytest.mark.parametrize(("nodeid", "told"), [
    ("a/test_parity.py::test_every_bit[left-fan-golden]", "parity: every bit"),
    ("a/test_parity.py::test_every_bit[left-fan-day-1]", "parity: every bit"),
    ("a/test_bad_line.py::test_a_packet[left-fan-crc_zero]", "bad line: a packet (crc zero)"),
    ("a/test_bad_line.py::test_a_packet[crc-left-fan]", "bad line: a packet (crc)"),
])  # fmt: skip
def test_a_test_is_told_by_its_own_parameters(nodeid: str, told: str, report: Report) -> None:
    made = reported("left", "passed")
    made.nodeid = nodeid
    source = {"golden": "golden", "day-1": "day-1"}.get(nodeid.split("left-fan-")[-1].rstrip("]"))
    made.user_properties = [
        ("hil_device", "left"),
        ("hil_detector", "fan"),
        *([("hil_recording", source)] if source else []),
    ]
    report.pytest_runtest_logreport(made)
    assert report.results[0].test == told
