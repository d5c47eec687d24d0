"""Place: where an imported recording lies, and that nothing there is written over."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from cyberhans.errors import CyberHansError
from cyberhans.machine_file import folder_name
from cyberhans.recording import Recording


def imported(out: Path, recording: Recording, source: str) -> Path:
    """OUT/MACHINE/MACHINE-LABEL-TIME.wav, as captures lie; with the name of its source where the time is not known."""
    machine = folder_name(recording.machine)
    begin = f"{machine}-{recording.label}-"
    stamp = _stamp(recording.start_utc) or re.sub(r"[^\w.-]", "_", source).removeprefix(begin)
    return out / machine / f"{begin}{stamp}.wav"


def _stamp(start_utc: str) -> str:
    """20240501T060000Z; "" if the time is not known."""
    try:
        began = datetime.fromisoformat(start_utc)
        return f"{(began.astimezone(UTC) if began.tzinfo else began):%Y%m%dT%H%M%SZ}"
    except (OverflowError, ValueError):  # in UTC it may be of a year that no calendar has
        return ""


def fresh(path: Path) -> Path:
    """The path, which no file has yet."""
    if path.exists():
        raise CyberHansError(f"{path}: is there already; remove it, or choose another --out")
    return path
