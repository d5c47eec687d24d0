"""Ten minutes of three channels at 26,667 Hz over a pty, with the live view: nothing lost, a host hardly busy."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from counts import full
from source import playing, source, wrong

RATE_HZ = 26_667.0
BUSIEST = 0.20  # of one core


def reading(terminal: int) -> None:
    """A terminal that takes what it is sent."""
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:
        return


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_minutes_lose_nothing(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    played, seconds = source(tmp_path, RATE_HZ), full(15, 600)
    master, slave = pty.openpty()
    threading.Thread(target=reading, args=(master,), daemon=True).start()
    with playing(played, clock_error=0.04, jitter=0.001) as on:
        command = [sys.executable, "-m", "cyberhans.cli", "capture", "--device", on.url, "--machine", "m", "--label",
                   "normal", "--seconds", str(seconds), "--out", str(tmp_path / "out"), "--live", "--json"]  # fmt: skip
        begun = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave, env={**os.environ, "TERM": "xterm"})
        assert child.stdout
        out = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        busy = (used.ru_utime + used.ru_stime) / (time.monotonic() - begun)
    child.returncode = os.waitstatus_to_exitcode(status)
    os.close(slave)
    row = json.loads(out)
    assert child.returncode == 0 and row["lost_samples"] == 0 and row["samples"] == round(seconds * RATE_HZ)
    assert wrong(row["file"], played) == 0
    assert abs(row["rate_hz"] / (RATE_HZ * 1.04) - 1) < 1e-4
    assert busy < BUSIEST
    record_property("total samples of three channels at 26,667 Hz captured, none lost", 3 * row["samples"])
    record_property("worst share of a core that such a capture takes, live view included", round(busy, 3))
