"""DCASE: int16 WAV files whose names say what they hold, as the data sets of DCASE's task 2 do; other WAV files too.

MACHINE/train/section_00_source_train_normal_0000_ATTRIBUTES.wav     section_00_0000.wav where the label is secret
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from cyberhans import sidecar
from cyberhans.errors import CyberHansError
from cyberhans.formats.place import fresh
from cyberhans.formats.signal import Asked, Signal
from cyberhans.machine_file import folder_name
from cyberhans.recording import Recording, load_recording, save_recording

SUFFIXES = (".wav",)
LACKS = ""  # a sidecar lies beside each, as with every recording
LABELLED = re.compile(r"section_(\d+)_(source|target)_(train|test)_(normal|anomaly)_(\d+)(?:_(.+))?")
SECRET = re.compile(r"section_(\d+)_(\d+)(?:_(.+))?")
SPLITS = ("train", "test")
SESSION = re.compile(r"section_(\d+)_(source|target)")
ATTRIBUTES = re.compile(r"attributes (\S+)")
UNFIT = re.compile(r"[^\w.-]")  # for a file's name


def read(path: Path, asked: Asked) -> Signal:
    """A sidecar beside it wins over the name; without one the header states the rate, and samples are of full scale."""
    recording = load_recording(path)
    described = sidecar.read(path.with_suffix(".json"))
    for gone in ("sha256", "channels"):
        described.pop(gone, None)
    samples, axes = recording.samples, recording.axes
    for name in asked.channels:
        if name not in axes:
            raise CyberHansError(f"{path}: no channel {name!r}; it has {', '.join(axes)}")
    if asked.channels:
        samples, axes = samples[:, [axes.index(name) for name in asked.channels]], asked.channels
        described["axes"] = axes
    named = "axes" in described
    return Signal(
        values=samples, axes=axes if named else (), rate_hz=recording.rate_hz, unit=recording.unit,
        scale=recording.scale, fields={**_named(path), **described},
    )  # fmt: skip


def write(recording: Recording, folder: Path, number: int, key: str = "") -> Path:
    """Normal recordings for training, the others for testing; section and domain from the session, or 00, source."""
    section, domain = found.groups() if (found := SESSION.fullmatch(recording.session)) else ("00", "source")
    split = "train" if recording.label == "normal" else "test"
    if stated := re.search(r"DCASE (train|test)\b", recording.notes):
        split = stated[1]
    parts = [f"section_{section}", *([domain, split, recording.label] if recording.label != "unknown" else [])]
    name = "_".join([*parts, f"{number:04d}", *_attributes(recording)])
    path = fresh(folder / folder_name(recording.machine) / split / f"{name}.wav")
    save_recording(dataclasses.replace(recording, path=None), path)
    return path


def _attributes(recording: Recording) -> list[str]:
    """Those that the file was imported with; else speed and load."""
    if stated := ATTRIBUTES.search(recording.notes):
        return [stated[1]]
    pairs = {"rpm": f"{recording.speed_rpm:g}" if recording.speed_rpm else "", "load": recording.load}
    return [f"{name}_{UNFIT.sub('-', value)}" for name, value in pairs.items() if value]


def _named(path: Path) -> dict[str, str]:
    """What name and folders say, by field of Recording."""
    fields = {"machine": path.parent.parent.name} if path.parent.name in SPLITS else {}
    if found := LABELLED.fullmatch(path.stem):
        section, domain, split, label, number, attributes = found.groups()
        told = f"DCASE {split} {number}" + (f", attributes {attributes}" if attributes else "")
        return {**fields, "session": f"section_{section}_{domain}", "label": label, "notes": told}
    if found := SECRET.fullmatch(path.stem):
        section, number, attributes = found.groups()
        told = f"DCASE test {number}" + (f", attributes {attributes}" if attributes else "")
        return {**fields, "session": f"section_{section}", "notes": told}
    return fields
