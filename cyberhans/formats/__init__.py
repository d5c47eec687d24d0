"""Formats: recordings of other programs, both ways; a module each, chosen by name or by a file's suffix."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

from cyberhans import machine_file, quality
from cyberhans.draft import sweep
from cyberhans.errors import CyberHansError
from cyberhans.formats import csv, dcase, edge_impulse, matlab, place
from cyberhans.formats.signal import Asked, assemble
from cyberhans.recording import Recording, save_recording

FORMATS: dict[str, ModuleType] = {"csv": csv, "dcase": dcase, "matlab": matlab, "edge-impulse": edge_impulse}


def format_named(name: str) -> ModuleType:
    if name not in FORMATS:
        raise CyberHansError(f"format {name!r}: choose {', '.join(FORMATS)}")
    return FORMATS[name]


def sources(paths: list[Path], name: str = "") -> list[Path]:
    """The files named, and those of the format (by name; else all of known suffix) in folders named, sorted."""
    known = [suffix for row in FORMATS.values() for suffix in row.SUFFIXES if suffix != ".txt"]  # that may be prose
    wanted = format_named(name).SUFFIXES if name else tuple(known)
    found: list[Path] = []
    for path in paths:
        inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in wanted) if path.is_dir() else [path]
        inside = [file for file in inside if not file.name.startswith(".")]
        inside = [file for file in inside if file.suffix != ".json" or not file.with_suffix(".wav").exists()]
        if not inside:
            raise CyberHansError(f"{path}: no {', '.join(wanted)} file is in it; name another folder")
        found += inside
    return found


def load_foreign(path: Path, asked: Asked, name: str = "") -> tuple[Recording, float, tuple[str, ...]]:
    """The recording in a foreign file, its largest rounding error in the unit (0: lossless), and what to tell of it."""
    chosen = format_named(name) if name else _by_suffix(path)
    if not path.is_file():
        raise CyberHansError(f"{path}: no such file; name one of {', '.join(chosen.SUFFIXES)}")
    signal = chosen.read(path, asked)
    recording, error = assemble(signal, asked, path)
    return recording, error, signal.notes


def import_recording(path: Path, out: Path, asked: Asked, name: str = "") -> dict[str, Any]:
    """Write a foreign file as a recording into OUT/MACHINE/, whole or not at all; gives a row that tells of it."""
    recording, error, notes = load_foreign(path, asked, name)
    sweep(place.imported(out, recording, "").parent)
    target = place.fresh(place.imported(out, recording, _plain(path, recording)))
    place.fresh(target.with_suffix(".json"))
    known = machine_file.load(target.parent).axes
    if known and len(known) == recording.channels and recording.axes == tuple(f"c{c}" for c in range(len(known))):
        recording = dataclasses.replace(recording, axes=known)
    if not recording.profile:
        before = quality.earlier(target.parent, recording) if recording.start_utc else []
        recording = quality.assessed(recording, before)
    saved = save_recording(recording, target)
    machine_file.ensure(target.parent)
    row = {name: getattr(saved, name) for name in ("machine", "session", "label", "rate_hz", "unit", "scale")}
    return {
        "source": str(path), "file": str(target), **row, "samples": saved.frames, "channels": list(saved.axes),
        "lost_samples": saved.lost_samples, "lossless": error == 0, "rounding": error,
        "quality": quality.grade(saved.reasons), "reasons": list(saved.reasons), "notes": list(notes),
    }  # fmt: skip


def export_recording(recording: Recording, out: Path, name: str, number: int = 0, key: str = "") -> dict[str, Any]:
    """Write a recording as a foreign file into `out`, whole or not at all; gives a row that tells of it."""
    chosen = format_named(name)
    if key and chosen is not edge_impulse:
        raise CyberHansError(f"format {name} is not signed; leave out --key")
    path: Path = chosen.write(recording, out, number, key)
    note = f"{name} does not hold {chosen.LACKS}: keep {path.name}.about beside it" if chosen.LACKS else ""
    return {"source": recording.name, "file": str(path), "samples": recording.frames, "notes": [note] if note else []}


def _by_suffix(path: Path) -> ModuleType:
    for chosen in FORMATS.values():
        if path.suffix.lower() in chosen.SUFFIXES:
            return chosen
    raise CyberHansError(f"{path}: which format is it? Give --format: {', '.join(FORMATS)}")


def _plain(path: Path, recording: Recording) -> str:
    """The file's name without suffix and, as Edge Impulse has it, label in front."""
    return path.stem.removeprefix(f"{recording.label}.")
