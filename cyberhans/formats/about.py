"""About: FILE.about beside an exported FILE holds, as a sidecar, what the format itself cannot hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyberhans import sidecar
from cyberhans.formats.signal import stamped
from cyberhans.recording import Recording
from cyberhans.wav import write_whole


def beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.about")


def write(path: Path, recording: Recording) -> None:
    """Everything known about the recording that `path` was exported from."""
    whole = stamped(recording)
    text = sidecar.pack(whole, clipped=sum(whole.clipped))
    write_whole(beside(path), text.encode())


def read(path: Path) -> dict[str, Any]:
    """Checked fields by their name in Recording (and `channels`, `sha256`); none if there is no such file."""
    return sidecar.read(beside(path))
