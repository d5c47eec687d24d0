"""A deployed detector's baseline, set anew on the device by a session known to be healthy, or set back."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyberhans.alarm import Outcome, State
from cyberhans.device import Device
from cyberhans.errors import CyberHansError
from cyberhans.messages import STOP, UNDO, Baseline, Mode, Storage

LOG = Path("baselines.jsonl")
DB = 10 * math.log10(2) / 256  # of 1/256 octave of power
POLL_SECONDS = (0.1, 2.0)  # least and most, between two questions how it goes
PATIENCE_SECONDS, PATIENCE_WINDOWS = 5.0, 4  # without a window that counts; the longer of the two
UNFIT = {
    State.IDLE: "the machine is off: let it run as it does when healthy, and repeat",
    State.FAULT: "the sensor is stuck, dead or clips: check its cable, mounting and range, and repeat",
}
FORGETS = "the device has no storage that works: after a reset it judges as built again, so repeat this then"
Note = Callable[[Baseline], None]


@dataclass(frozen=True)
class Change:
    """What happened to a device's baseline: a line of the log.

    action     rebaseline or undo
    outcome    done, too_far, stopped or undone
    revision   of the baseline after it
    windows    that it was set by
    change_db  how far these lie from the trained baseline: mean over the bands, without sign
    limit_db   the most that is taken
    kept       whether the baseline outlives a reset: the device has stored it
    """

    time: str
    serial: str
    board: str
    detector: str
    action: str
    outcome: str
    revision: int
    windows: int
    change_db: float
    limit_db: float
    kept: bool

    @property
    def warnings(self) -> list[str]:
        """What to know, one line each."""
        return [] if self.kept else [FORGETS]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def rebaseline(device: Device, windows: int, log: Path = LOG, note: Note = lambda told: None) -> Change:
    """Let the device take its next `windows` (2 to 4096) windows of run mode as healthy, and judge by them then.

    note: is told how it goes. A line is added to `log` whether it is taken or is too far. Raises CyberHansError: too
    far from the trained baseline, machine off, sensor at fault, not in run mode; then nothing has changed.
    """
    if not 2 <= windows <= 4096:
        raise CyberHansError(f"{windows} windows: a baseline is set by 2 to 4096")
    _require_watching(device)
    _require_writable(log)
    _require_fit(device, device.baseline())
    told = device.rebaseline(windows)
    try:
        told = _await(device, told, note)
    except BaseException:
        _stop(device, told.token)
        raise
    change = _record(device, "rebaseline", told, log)
    if told.outcome == Outcome.TOO_FAR:
        raise CyberHansError(f"{device.name}: too far from its trained baseline: {change.change_db:.1f} dB in the mean "
                             f"over the bands, {change.limit_db:.1f} at most; nothing is changed. Look at the machine, "
                             "or record it and train again")  # fmt: skip
    return change


def undo(device: Device, log: Path = LOG) -> Change:
    """Set the baseline back to the one before; once more sets it forth again. Raises CyberHansError as rebaseline()."""
    _require_watching(device)
    _require_writable(log)
    told = device.baseline()
    if told.revision == 0 and told.outcome != Outcome.UNDER_WAY:
        raise CyberHansError(f"{device.name}: nothing to undo: its baseline is as built")
    return _record(device, "undo", device.rebaseline(UNDO), log)


def _require_watching(device: Device) -> None:
    info = device.ask_info()
    if info.status != 0:
        raise CyberHansError(f"{device.name}: runs no detector (error {info.status}); build one in and flash it")
    if info.mode != Mode.RUN:
        mode = Mode(info.mode).name.lower() if info.mode in set(Mode) else info.mode
        raise CyberHansError(f"{device.name}: is in {mode} mode and does not watch its machine; end what uses it, or "
                             "wait two minutes")  # fmt: skip


def _require_writable(log: Path) -> None:
    place = log if log.exists() else log.parent
    if log.is_dir() or not os.access(place, os.W_OK):
        raise CyberHansError(f"{log}: cannot be written; choose another --log")


def _require_fit(device: Device, told: Baseline) -> None:
    if why := UNFIT.get(told.state):  # type: ignore[call-overload]
        raise CyberHansError(f"{device.name}: {why}")


def _await(device: Device, begun: Baseline, note: Note) -> Baseline:
    """Ask until all windows are gathered."""
    window_s = device.info.hop * 1000 / device.info.rate_mhz
    patience = max(PATIENCE_SECONDS, PATIENCE_WINDOWS * window_s)
    told, since = begun, time.monotonic()
    while told.outcome == Outcome.UNDER_WAY:
        note(told)
        time.sleep(min(max(POLL_SECONDS[0], window_s / 2), POLL_SECONDS[1]))
        before, told = told, device.baseline()
        if told.token != begun.token:
            raise CyberHansError(f"{device.name}: was reset, or another host came between; repeat")
        if told.gathered != before.gathered:
            since = time.monotonic()
        elif time.monotonic() - since > patience:
            _require_fit(device, told)
            raise CyberHansError(f"{device.name}: no window in {patience:.0f} s; check its sensor and repeat")
    note(told)
    return told


def _stop(device: Device, token: int) -> None:
    """As far as it can be done, and only what this program has begun."""
    with suppress(CyberHansError):
        if device.baseline().token == token:
            device.rebaseline(STOP)


def _record(device: Device, action: str, told: Baseline, log: Path) -> Change:
    """Add a line to the log."""
    info = device.ask_info()
    outcome = Outcome(told.outcome).name.lower() if told.outcome in set(Outcome) else str(told.outcome)
    change = Change(
        datetime.now(UTC).isoformat(timespec="seconds"), info.serial, info.board, info.detector.hex(), action, outcome,
        told.revision, told.gathered, round(told.change * DB, 2), round(told.reach * DB, 2),
        info.storage not in (Storage.NONE, Storage.FAILED),
    )  # fmt: skip
    try:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(change.to_dict()) + "\n")
    except OSError as error:
        text = json.dumps(change.to_dict())
        raise CyberHansError(
            f"{log}: {error.strerror}: not written down, but done (--undo takes it back): {text}"
        ) from None
    return change
