"""The suite that ships, unchanged, on every board: every test of it runs, and none fails or is skipped."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from counts import ENDURANCE

from cyberhans.boards import boards
from hil.suite import KINDS, command, learn

BOARDS = [pytest.param(row.name, marks=[pytest.mark.emulator] if row.bare else []) for row in boards()]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("detectors")


learnt = cache(learn)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", BOARDS)
def test_every_test_passes(
    name: str, folder: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    detectors = [learnt(kind, folder) for kind in (KINDS if ENDURANCE else KINDS[:1])]
    line = command([name], detectors, f"--hil-log-dir={tmp_path}", f"--junitxml={tmp_path / 'junit.xml'}")
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout.splitlines()[-1]
    assert (tmp_path / "report.html").read_text().count("<td>") > 0
    record_property(
        "total suite: tests of devices", int(next(arg for arg in line if "--hil-count" in arg).split("=")[1])
    )
