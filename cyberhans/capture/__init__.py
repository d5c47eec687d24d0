"""Capture: a machine's samples from a device to a recording that says what it is worth."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cyberhans.capture.intake import Block
from cyberhans.capture.plan import Plan, Wish
from cyberhans.capture.recorder import Again, Recorder, View
from cyberhans.device import Device
from cyberhans.messages import Sensor
from cyberhans.reason import grade
from cyberhans.recording import Recording

__all__ = ["Again", "Captured", "MakeView", "Open", "View", "Wish", "capture", "stopping"]
Open = Callable[[], Device]
MakeView = Callable[[Plan, Sensor, Path], contextlib.AbstractContextManager[View[Block]]]


@dataclass(frozen=True, eq=False)
class Captured:
    """A recording on disk. overruns: those of its lost samples that the device counted; the line lost the others."""

    recording: Recording
    overruns: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON. rate_uncertainty, jitter_s: null where they could not be measured."""
        one = self.recording
        return {
            "file": str(one.path), "samples": one.frames, "duration_s": one.duration_s, "rate_hz": one.rate_hz,
            "rate_uncertainty": one.rate_uncertainty_hz or None, "rate_nominal_hz": one.rate_nominal_hz,
            "jitter_s": one.jitter_s, "lost_samples": one.lost_samples, "lost_by_device": self.overruns,
            "gaps": [asdict(gap) for gap in one.gaps], "clipped_samples": sum(one.clipped),
            "quality": grade(one.reasons), "reasons": list(one.reasons),
        }  # fmt: skip


def capture(
    wish: Wish, open_device: Open, again: Again | None = None, *, view: MakeView, patience_s: float = 60.0
) -> Captured:
    """Record what `wish` asks for into `out`/MACHINE/MACHINE-LABEL-UTC.wav, with its sidecar.

    again: finds a device that went away; it is waited for up to `patience_s` seconds, and the gap is marked. view: made
    when the capture begins, of what is captured, by which sensor, into which file. Ctrl-C, SIGTERM and SIGHUP end it
    and keep what was captured; a second one leaves nothing.
    Raises CyberHansError: no device, an impossible wish, nothing captured, a folder that cannot be written.
    """
    with stopping() as stopped, contextlib.closing(Recorder(wish, open_device(), again, patience_s)) as recorder:
        path = recorder.prepare()
        with view(recorder.plan, recorder.sensor, path) as shown:
            recorder.run(shown, stopped)
        return Captured(recorder.save(), recorder.overruns)


@contextlib.contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Within it the first SIGINT, SIGTERM or SIGHUP is only noted; the second one interrupts."""
    asked: list[int] = []

    def note(number: int, _: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        names = []  # signals are the main thread's
    before = {getattr(signal, name): signal.signal(getattr(signal, name), note) for name in names}
    try:
        yield lambda: bool(asked)
    finally:
        for number, old in before.items():
            signal.signal(number, old)
