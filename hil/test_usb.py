"""Real USB, by Linux's own drivers: found by serial number, captured, unplugged and plugged in three times."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cyberhans.errors import CyberHansError
from hil.usb.kernel import kernel, missing
from hil.usb.trial import trial


@pytest.mark.slow
def test_a_plug_that_is_pulled_three_times_loses_nothing_in_silence(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    lacking = missing() or _without_kernel()
    if lacking and os.environ.get("CYBERHANS_REQUIRE"):
        pytest.fail(lacking)
    elif lacking:
        pytest.skip(lacking)
    code, console = trial(tmp_path)
    assert code == 0, console
    figures = re.search(r"^(\d+) sample frames, (\d+) gaps, (\d+) lost, (\d+) wrong$", console, re.MULTILINE)
    assert figures, console
    for name, value in zip(("sample frames", "gaps", "lost, told exactly", "wrong"), figures.groups(), strict=True):
        record_property(f"total USB: {name}", int(value))


def _without_kernel() -> str | None:
    try:
        kernel()
    except CyberHansError as error:
        return str(error)
    return None
