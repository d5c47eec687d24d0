"""Real USB, by Linux's own drivers: found by serial number, captured, unplugged and plugged in three times; and the
suite that ships, on a device that vanishes and comes back with each reset."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from counts import ENDURANCE

from cyberhans.errors import CyberHansError
from hil.usb.kernel import kernel, missing
from hil.usb.trial import TESTS, capture_trial, suite_trial

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def guest() -> None:
    """Skips, or in CI fails, where this computer cannot run it."""
    lacking = missing() or _without_kernel()
    if lacking and os.environ.get("CYBERHANS_REQUIRE"):
        pytest.fail(lacking)
    elif lacking:
        pytest.skip(lacking)


def _without_kernel() -> str | None:
    try:
        kernel()
    except CyberHansError as error:
        return str(error)
    return None


def test_a_plug_that_is_pulled_three_times_loses_nothing_in_silence(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    code, console = capture_trial(tmp_path)
    assert code == 0, console
    figures = re.search(r"^(\d+) sample frames, (\d+) gaps, (\d+) lost, (\d+) wrong$", console, re.MULTILINE)
    assert figures, console
    for name, value in zip(("sample frames", "gaps", "lost, told exactly", "wrong"), figures.groups(), strict=True):
        record_property(f"total USB: {name}", int(value))


@pytest.mark.timeout(900)
def test_the_suite_passes_over_the_cable(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Unchanged, and none skipped: all but the costs of an image, for which the guest has to build it."""
    code, console = suite_trial(tmp_path, whole=ENDURANCE)
    assert code == 0, console
    wanted = TESTS if ENDURANCE else TESTS - 1
    summary = re.search(r"^=+ (\d+ passed.*) in [\d.]+s.*$", console, re.MULTILINE)
    assert summary, console
    assert summary[1].startswith(f"{wanted} passed") and "skipped" not in summary[1]
    log = (tmp_path / "log" / "usb-gaussian.jsonl").read_text()
    assert '"opened", "device": "/dev/ttyACM' in log
    assert (tmp_path / "log" / "report.html").read_text().count("<td>") > 0
    record_property("total USB: tests of the suite", wanted)
