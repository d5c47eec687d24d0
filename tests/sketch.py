"""A sketch on a board that prints a line for each sample: a process of its own behind a pseudo-terminal.

python tests/sketch.py '{"rate_hz": 1040, "burst_s": 0.016}' prints the terminal's name, then lives until it is killed
or `lines` are printed. A line is due when it was sampled; what is due is written every burst_s, as USB delivers it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PERIOD = 20_000  # lines until channel 0 begins anew


def values(k: int) -> tuple[int, int, int]:
    """Of line k, in thousandths: the first tells which line it is."""
    k %= PERIOD
    return k, -((7 * k) % 3001), (k * k) % 501


def line(k: int, form: str) -> str:
    x, y, z = (value / 1000 for value in values(k))
    return form.format(x=x, y=y, z=z, k=k, k8=k % 256)


def main(options: dict[str, Any]) -> None:
    """lost: [[first, end], ...] lines never printed. damaged: lines of which the middle is missing. odd: [[line, form],
    ...]: has another form. stalls: [[line, s], ...]: the output hangs for so long when that line is due."""
    rate, burst = options["rate_hz"], options.get("burst_s", 0.0)
    form, end = options.get("form", "{x:.3f},{y:.3f},{z:.3f}\r\n"), options.get("lines", 10**9)
    lost = {k for first, stop in options.get("lost", ()) for k in range(first, stop)}
    damaged, stalls = set(options.get("damaged", ())), dict(options.get("stalls", ()))
    odd = dict(options.get("odd", ()))
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    name = os.ttyname(theirs)
    os.close(theirs)  # it is for one other program
    print(name, flush=True)
    time.sleep(options.get("wait_s", 0.0))
    began, done = time.monotonic(), 0
    _write(ours, options.get("banner", ""))
    while done < end:
        due = min(end, int((time.monotonic() - began) * rate) + 1)
        text = ""
        for k in range(done, due):
            whole = line(k, odd.get(k, form))
            text += "" if k in lost else whole[:4] + whole[9:] if k in damaged else whole
            if k in stalls:
                time.sleep(stalls[k])
        done = due
        _write(ours, text)
        now = time.monotonic() - began
        time.sleep(max(0.0, (int(now / burst) + 1) * burst - now if burst else done / rate - now))
    time.sleep(options.get("linger_s", 1.0))


def _write(file: int, text: str) -> None:
    """What does not fit is lost, as on a board."""
    with contextlib.suppress(BlockingIOError):
        os.write(file, text.encode())


@contextlib.contextmanager
def running(**options: Any) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Name of its terminal, and the process."""
    command = [sys.executable, str(Path(__file__)), json.dumps(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
