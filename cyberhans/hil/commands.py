"""Commands of the map: one that is run to its end, and one that runs as long as its device."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import threading
import weakref
from collections.abc import Mapping
from typing import IO

from cyberhans.errors import CyberHansError
from cyberhans.hil.hil_map import Entry

COMMAND_SECONDS = 120.0
START_SECONDS = 60.0  # until a `start` command has printed its URL
ADDRESS = re.compile(r"(socket://\S+|/dev/\S+)")


def run_command(entry: Entry, command: str, files: Mapping[str, str] | None = None) -> None:
    """To its end; {NAME} in it is the file of that name. Raises CyberHansError: it fails, or takes too long."""
    parts = [re.sub(r"\{(\w+)\}", lambda found: (files or {}).get(found[1], found[0]), part)
             for part in shlex.split(command)]  # fmt: skip
    try:
        done = subprocess.run(parts, capture_output=True, text=True, errors="replace", timeout=COMMAND_SECONDS,
                              cwd=entry.folder)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as wrong:
        raise CyberHansError(f"device {entry.id}: `{command}`: {wrong}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no message"]
        raise CyberHansError(f"device {entry.id}: `{command}` ended with {done.returncode}: {said[-1]}")


class Started:
    """The `start` command of a device, and all that it has started, until close() or the end of this Python. Where that
    is killed the command itself ends too, if the kernel can see to it; what it has started in turn may go on.

    url: what it has printed.
    """

    def __init__(self, entry: Entry) -> None:
        """Raises CyberHansError: it does not run, or prints no URL."""
        where = f"device {entry.id}: `{entry.start}`"
        try:
            child = subprocess.Popen(
                [*_dying_with_parent(), *shlex.split(entry.start)],
                stdout=subprocess.PIPE, stdin=subprocess.PIPE, cwd=entry.folder,
                start_new_session=True,  # a group of its own, which ends as a whole
            )  # fmt: skip
        except OSError as wrong:
            raise CyberHansError(f"{where}: {wrong.strerror}") from None
        self.close = weakref.finalize(self, _end, child)
        assert child.stdout
        told = queue.SimpleQueue[str]()
        threading.Thread(target=_drain, args=(child.stdout, told), daemon=True).start()
        try:
            self.url = told.get(timeout=START_SECONDS)
        except queue.Empty:
            self.close()
            raise CyberHansError(f"{where} has printed no /dev/... or socket://... for {START_SECONDS:g} s") from None
        except BaseException:
            self.close()
            raise
        if not self.url:
            self.close()
            raise CyberHansError(f"{where} ended and printed no /dev/... or socket://...")


def _dying_with_parent() -> list[str]:
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "KILL", "--"] if found else []


def _drain(pipe: IO[bytes], told: queue.SimpleQueue[str]) -> None:
    """The first URL to `told`, or "" where it ends without one; the rest is read lest the pipe fill up."""
    with pipe:
        for line in pipe:
            if found := ADDRESS.search(line.decode(errors="replace")):
                told.put(found[0])
                break
        else:
            told.put("")
        while pipe.read1(65536):  # type: ignore[attr-defined]
            pass


def _end(child: subprocess.Popen[bytes]) -> None:
    """Not waited for before: so the group's number is still its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdin:
        child.stdin.close()
