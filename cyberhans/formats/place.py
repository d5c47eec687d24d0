"""Place: where an imported recording lies, and that nothing there is written over."""

from __future__ import annotations

import re
from pathlib import Path

from cyberhans.errors import CyberHansError
from cyberhans.recording import Recording

MEASURED = re.compile(r"\d{4}-?\d{2}-?\d{2}T\d{2}:?\d{2}:?\d{2}Z")


def imported(out: Path, recording: Recording, source: str) -> Path:
    """OUT/MACHINE/MACHINE-LABEL-TIME.wav, as captures lie; with the name of its source where the time is not known."""
    machine = folder_name(recording.machine)
    known = MEASURED.fullmatch(recording.start_utc)
    stamp = re.sub("[-:]", "", recording.start_utc) if known else re.sub(r"[^\w.-]", "_", source)
    begin = f"{machine}-{recording.label}-"
    return out / machine / f"{begin}{stamp.removeprefix(begin)}.wav"


def folder_name(machine: str) -> str:
    """The machine's name, which must do as the name of a folder."""
    if machine != machine.strip() or machine.startswith(".") or re.search(r'[/\\:*?"<>|\x00-\x1f]', machine):
        raise CyberHansError(f"machine {machine!r}: cannot be a folder's name; use letters, digits, - and _")
    return machine


def fresh(path: Path) -> Path:
    if path.exists():
        raise CyberHansError(f"{path}: is there already; remove it, or choose another --out")
    return path
