"""The suite that ships, unchanged, on every board: every test of it runs, and none fails or is skipped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from counts import ENDURANCE, full

from conftest import ROOT
from cyberhans.boards import boards
from hil.suite import KINDS, command, learn

BOARDS = [pytest.param(row.name, marks=[pytest.mark.emulator] if row.bare else []) for row in boards()]
SOAKS = [("native", full(2_000, 100_000)), pytest.param("netduinoplus2", full(100, 5_000), marks=pytest.mark.emulator)]
NATIVE_SECONDS = 60.0  # of the suite with one detector
SHORT_WINDOW = 512  # of the soak: so that there may be many
Record = Callable[[str, object], None]
pytestmark = pytest.mark.slow
learnt = cache(learn)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("detectors")


def passed(line: list[str], folder: Path) -> str:
    """What a run printed that must have passed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def figures_of(junit: Path) -> dict[str | None, str | None]:
    """Of all tests, by their names."""
    return {row.get("name"): row.get("value") for row in ElementTree.parse(junit).getroot().iter("property")}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", BOARDS)
def test_every_test_passes(name: str, folder: Path, tmp_path: Path, record_property: Record) -> None:
    detectors = [learnt(kind, folder) for kind in (KINDS if ENDURANCE else KINDS[:1])]
    line = command([name], detectors, f"--hil-log-dir={tmp_path}", f"--hil-soak={full(20, 200)}")
    began = time.monotonic()
    told = passed(line, tmp_path)
    if name == "native":
        assert time.monotonic() - began < NATIVE_SECONDS * len(detectors)
    assert "skipped" not in told.splitlines()[-1] and "failed" not in told.splitlines()[-1]
    assert 'class="passed"' in (tmp_path / "report.html").read_text()
    record_property("total suite: tests of devices", int(next(part for part in line if "--hil-count" in part)[12:]))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "windows"), SOAKS)
def test_soak(name: str, windows: int, folder: Path, tmp_path: Path, record_property: Record) -> None:
    detector = learnt("gaussian", folder / "short", SHORT_WINDOW)
    xml = tmp_path / "junit.xml"
    passed([
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "cyberhans.hil.suite.test_soak",
        f"--device=board:{name}", f"--detector={detector.folder}", f"--hil-soak={windows}", "--hil-count=1",
        f"--junitxml={xml}", "--timeout=0",
    ], tmp_path)  # fmt: skip
    figures = figures_of(xml)
    assert (figures["windows"], figures["differing_bits"], figures["lost_packets"]) == (str(windows), "0", "0")
    record_property(f"total soak on {name}, windows", windows)
    record_property(f"total soak on {name}, differing bits and lost packets", 0)


def test_a_bad_line_at_its_full_rates(folder: Path, tmp_path: Path, record_property: Record) -> None:
    """1 % of the packets lost, 0.1 % of the bits flipped, 50 ms of jitter, all at once: where windows are short."""
    detector = learnt("gaussian", folder / "short", SHORT_WINDOW)
    xml = tmp_path / "junit.xml"
    passed([
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "cyberhans.hil.suite.test_bad_line",
        "--device=board:native", f"--detector={detector.folder}", "--hil-require", "--hil-count=3",
        f"--junitxml={xml}",
    ], tmp_path)  # fmt: skip
    figures = figures_of(xml)
    assert float(figures["flipped_bits_of_all"] or 0) == 0.001
    for fault in ("drop", "flip", "jitter"):
        record_property(f"total bad line: {fault}", int(figures[fault] or 0))
