"""Dataset: a folder of recordings with manifest.csv (what each file is) and protocols.csv (who trains, who tests)."""

from __future__ import annotations

import csv
import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyberhans.errors import CyberHansError
from cyberhans.recording import LABELS, RATE_TOLERANCE, Recording, load_recording

ROLES = {"train_normal": "normal", "test_normal": "normal", "test_anomaly": "anomaly"}
PROTOCOL_COLUMNS = ("protocol", "role", "file", "start_s", "end_s")
Row = Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Protocol:
    """Which parts of which recordings train a detector (normal only) and which test it. No role is empty."""

    name: str
    train: tuple[Recording, ...]
    test_normal: tuple[Recording, ...]
    test_anomaly: tuple[Recording, ...]


def protocol_names(folder: str | Path) -> list[str]:
    """In the order of protocols.csv."""
    return list(dict.fromkeys(row["protocol"] for row in _protocol_rows(Path(folder))))


def load_protocol(folder: str | Path, name: str) -> Protocol:
    """Read one protocol's recordings. Each part is labelled by its role; concatenations are cut at segment borders."""
    folder = Path(folder)
    rows = [row for row in _protocol_rows(folder) if row["protocol"] == name]
    if not rows:
        raise _unknown(name, protocol_names(folder), folder / "protocols.csv")
    manifest = {row["file"]: row for row in _rows(folder / "manifest.csv", ("file",))}
    files: dict[str, Recording] = {}
    parts: dict[str, list[Recording]] = {role: [] for role in ROLES}
    for row in rows:
        file, role = row["file"], row["role"]
        if role not in ROLES:
            raise CyberHansError(f"{folder / 'protocols.csv'}: {name}: role {role!r}: choose {', '.join(ROLES)}")
        if file not in manifest:
            raise CyberHansError(f"{folder / 'manifest.csv'}: no row for {file}, which protocol {name} uses; add one")
        if file not in files:
            files[file] = _load(folder, manifest[file])
        if ROLES[role] == "normal" and files[file].label == "anomaly":
            raise CyberHansError(f"{folder / 'protocols.csv'}: {name}: {file} is labelled anomaly, but is {role}:"
                                 " make it test_anomaly, or mend its label")  # fmt: skip
        parts[role].append(dataclasses.replace(_part(files[file], row, folder / "protocols.csv"), label=ROLES[role]))
    for role, found in parts.items():
        if not found:
            raise CyberHansError(f"{folder / 'protocols.csv'}: protocol {name} has no {role} row; add one")
    protocol = Protocol(name, *(tuple(parts[role]) for role in ROLES))
    _refuse_overlap(protocol, folder / "protocols.csv")
    return protocol


def load_listed(folder: str | Path, file: str) -> Recording:
    """One whole file of manifest.csv, as its row describes it."""
    folder = Path(folder)
    row = next((row for row in _rows(folder / "manifest.csv", ("file",)) if row["file"] == file), None)
    if row is None:
        raise CyberHansError(f"{folder / 'manifest.csv'}: no row for {file}; add one, or mend the name")
    return _load(folder, row)


def _refuse_overlap(protocol: Protocol, where: Path) -> None:
    """No sample may both train and test."""
    for test in protocol.test_normal + protocol.test_anomaly:
        for part in protocol.train:
            if test.overlaps(part.sha256, part.first_frame, part.frames):
                raise CyberHansError(f"{where}: protocol {protocol.name}: {part.name} trains and {test.name} tests on"
                                     " the same samples; set start_s and end_s apart")  # fmt: skip


def _part(recording: Recording, row: Row, where: Path) -> Recording:
    """An empty start_s is the recording's beginning, an empty end_s its end."""
    start, end = _number(row, "start_s", where), _number(row, "end_s", where)
    return recording.part(0.0 if start is None else start, recording.duration_s if end is None else end)


def _unknown(name: str, names: list[str], where: Path) -> CyberHansError:
    near = difflib.get_close_matches(name, names, n=4, cutoff=0.4) or [other for other in names if name in other]
    hint = f"did you mean {', '.join(near[:4])}?" if near else f"it has {', '.join(names[:8])}"
    return CyberHansError(f"{where}: no protocol {name!r}; {hint}")


def _load(folder: Path, row: Row) -> Recording:
    """The whole file; the manifest's row wins over a sidecar, but must not contradict the WAV."""
    where, path = folder / "manifest.csv", Path(row["file"])
    if path.is_absolute() or ".." in path.parts:
        raise CyberHansError(f"{where}: {path} lies outside the dataset's folder; move it there")
    recording = load_recording(folder / path)
    actual = {"n_samples": recording.frames, "channels": recording.channels, "rate_hz": recording.rate_hz}
    for column, value in actual.items():
        stated = _number(row, column, where)
        slack = RATE_TOLERANCE * value if column == "rate_hz" else 0  # measured in one, nominal in the other
        if stated is not None and abs(stated - value) > slack:
            raise CyberHansError(
                f"{where}: {row['file']}: {column} is {stated:g}, but the WAV says {value:g}; mend the row"
            )
    if row.get("sha256") and row["sha256"] != recording.sha256:
        raise CyberHansError(f"{where}: {row['file']}: the file is not the one listed (sha256 differs); fetch it again")
    return dataclasses.replace(recording, **_described(row, where))


def _described(row: Row, where: Path) -> dict[str, Any]:
    """Fields of Recording that the row states; empty cells state nothing."""
    fields: dict[str, Any] = {name: row[name] for name in ("machine", "session", "load", "sensor") if row.get(name)}
    numbers = {name: name for name in ("rate_hz", "offset", "speed_rpm", "segment_period_s")}
    numbers["scale"] = "scale_per_lsb"
    fields |= {field: value for field, column in numbers.items() if (value := _number(row, column, where)) is not None}
    if row.get("label"):
        fields["label"] = row["label"] if row["label"] in LABELS else "unknown"  # such as mixed, or off
    if row.get("units"):
        fields["unit"] = row["units"]
    if row.get("axes"):
        fields["axes"] = tuple(row["axes"].split(","))
    if segment := _number(row, "segment_len", where):
        fields["segment_len"] = int(segment)
    return fields


def _number(row: Row, column: str, where: Path) -> float | None:
    text = row.get(column) or ""
    try:
        value = float(text) if text else None
    except ValueError:
        value = math.nan
    if value is not None and not math.isfinite(value):
        raise CyberHansError(f"{where}: {row['file']}: {column} {text!r} is not a number")
    return value


def _protocol_rows(folder: Path) -> list[dict[str, str]]:
    return _rows(folder / "protocols.csv", PROTOCOL_COLUMNS)


def _rows(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in needed if column not in (reader.fieldnames or ())]
            if missing:
                raise CyberHansError(f"{path}: no column {', '.join(missing)}; see recordings/README.md")
            rows = []
            for row in reader:
                if any(row[column] is None for column in needed):
                    raise CyberHansError(f"{path}: line {reader.line_num}: has too few cells; mend the row")
                rows.append(row)
            return rows
    except OSError as error:
        raise CyberHansError(f"{path}: {error.strerror}; a dataset has manifest.csv and protocols.csv") from None
    except (UnicodeDecodeError, csv.Error) as wrong:
        raise CyberHansError(f"{path}: not CSV in UTF-8 ({wrong}); save it as that") from None
