"""README, "Regression-test your firmware": its figures are those of the code, and its lines work word for word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from counts import ENDURANCE

from conftest import ROOT
from hil.mutant import mutants
from hil.suite import PER_PAIR, PER_SOURCE

SECTION = (ROOT / "README.md").read_text().partition("## Regression-test your firmware\n")[2].partition("\n## ")[0]
DEVICES, SOURCES = 2, 3  # of its example: golden, adversarial, and one recording
TESTS = DEVICES * (PER_PAIR + PER_SOURCE * SOURCES)


def lines() -> str:
    """The first block of commands."""
    found = re.search(r"(?:^    .*\n)+", SECTION, re.MULTILINE)
    assert found
    return re.sub("^    ", "", found[0], flags=re.MULTILINE)


def test_the_numbers_of_tests_and_mutants_are_right() -> None:
    assert f"The {TESTS} tests are" in SECTION
    assert f"builds {len(mutants())} faulty firmwares" in SECTION


def test_its_options_are_those_of_the_plugin() -> None:
    told = subprocess.run([sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, check=True).stdout
    for option in set(re.findall(r"--hil-[a-z-]+", SECTION)):
        assert option in told


if ENDURANCE:  # it takes some minutes

    @pytest.mark.slow
    @pytest.mark.emulator
    @pytest.mark.timeout(1800)
    def test_its_lines_work_in_an_empty_folder(tmp_path: Path) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-ec", lines()], cwd=tmp_path, env=os.environ | {"PATH": path},
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{TESTS} passed" in done.stdout
        assert {"report.html", "junit.xml", "microbit-fan.jsonl"} <= {one.name for one in (tmp_path / "log").iterdir()}
        assert (tmp_path / "hil" / "baseline.json").exists()
