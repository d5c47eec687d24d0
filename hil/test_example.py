"""The example project: built as its README says, and tested by the plugin with its own main loop in the emulator."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_detector import small_detector, small_spec

from conftest import needs

EXAMPLE = Path(__file__).parent / "example"
SUITE = ["--pyargs", "cyberhans.hil.suite.test_identity", "cyberhans.hil.suite.test_parity"]
OURS, IDENTITY, WINDOWS = 2, 4, 3  # tests that run
SKIPPED = 3  # two of stages, for it answers no TRACE; that of the board, for it is none of ours

pytestmark = [pytest.mark.emulator, pytest.mark.slow]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with a detector in it, built."""
    for tool in ("make", "arm-none-eabi-gcc", "qemu-system-arm"):
        needs(tool)
    folder = tmp_path_factory.mktemp("example") / "pump"
    shutil.copytree(EXAMPLE, folder)
    small_detector(folder / "detector", small_spec(2, "tiny", 8000, 1024))
    run(folder, "make", f"PYTHON={sys.executable}")
    return folder


def run(folder: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(EXAMPLE.parent.parent)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_plugin_tests_it(project: Path) -> None:
    told = run(
        project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hil-map", "devices.toml",
        "--detector", "detector", "--hil-count", str(OURS + IDENTITY + WINDOWS), "test_pump.py", *SUITE,
    )  # fmt: skip
    assert f"{OURS + IDENTITY + WINDOWS} passed, {SKIPPED} skipped" in told
