"""A cable between two ttys that can be pulled out and plugged in again, each time with other ttys at its ends."""

from __future__ import annotations

import os
import select
import threading
import tty
from pathlib import Path

HOLDS = 1 << 16  # bytes under way, each way


class Cable:
    """`host` and `device` are links to its ends. A pull ends the tty of both; what is under way is lost."""

    def __init__(self, folder: Path) -> None:
        self.host, self.device = folder / "host", folder / "device"
        self._thread: threading.Thread | None = None
        self.plug()

    def plug(self) -> None:
        pairs = [os.openpty(), os.openpty()]
        for link, (_, end) in zip((self.host, self.device), pairs, strict=True):
            tty.setraw(end)
            link.symlink_to(os.ttyname(end))
        self._pulled = threading.Event()
        self._thread = threading.Thread(target=_carry, args=(pairs, self._pulled), daemon=True)
        self._thread.start()

    def pull(self) -> None:
        """Nothing is at its ends any more when this returns."""
        self._pulled.set()
        if self._thread:
            self._thread.join()
        for link in (self.host, self.device):
            link.unlink(missing_ok=True)


def _carry(pairs: list[tuple[int, int]], pulled: threading.Event) -> None:
    (one, _), (other, _) = pairs
    under_way = {one: b"", other: b""}  # by where it goes to
    for end in under_way:
        os.set_blocking(end, False)
    while not pulled.is_set():
        reading = [end for end, to in ((one, other), (other, one)) if len(under_way[to]) < HOLDS]
        writing = [end for end, data in under_way.items() if data]
        readable, writable, _ = select.select(reading, writing, [], 0.02)
        for end in readable:
            under_way[other if end == one else one] += os.read(end, HOLDS)
        for end in writable:
            under_way[end] = under_way[end][os.write(end, under_way[end]) :]
    for end in [end for pair in pairs for end in pair]:
        os.close(end)
