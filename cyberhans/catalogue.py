"""Catalogue: what recordings a folder holds, from sidecars and WAV headers; no sample is read."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

from cyberhans import machine_file, sidecar, wav
from cyberhans.draft import DRAFT, HIDDEN
from cyberhans.errors import CyberHansError
from cyberhans.reason import grade
from cyberhans.recording import header_hz

DETECTOR = {"detector.json", "model.c"}  # files of a folder that train wrote


@dataclass(frozen=True)
class Entry:
    """One recording, or what is wrong with a file.

    file      below the folder that was listed
    seconds   length; None where the WAV cannot be read
    quality   "good", "warning" or "failed"; "" if it was never assessed
    reasons   against it, as its sidecar states them
    problem   one line: why this file is not a recording as it should be; "" if it is
    """

    file: str
    machine: str
    session: str = ""
    label: str = ""
    seconds: float | None = None
    rate_hz: float | None = None
    channels: int = 0
    lost_samples: int = 0
    start_utc: str = ""
    quality: str = ""
    reasons: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Total:
    """A machine's recordings: how many by label and quality, how long together; speed, mounting from machine.toml."""

    machine: str
    recordings: int
    seconds: float
    labels: dict[str, int]
    qualities: dict[str, int]
    problems: int
    speed_rpm: float | None = None
    mounting: str = ""


@dataclass(frozen=True)
class Catalogue:
    """Entries by machine, session, label and file; totals by machine."""

    entries: tuple[Entry, ...]
    totals: tuple[Total, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"recordings": [asdict(row) for row in self.entries], "machines": [asdict(row) for row in self.totals]}


def catalogue(folder: str | Path, *, machine: str = "", label: str = "") -> Catalogue:
    """Everything in a folder and below it, hidden files excepted; only that machine, that label if they are named.

    What is wrong with a file is an entry of its own, whatever label is asked for. Raises CyberHansError if there is no
    such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CyberHansError(f"{folder}: no such folder; name one that holds recordings")
    found: list[Entry] = []
    known: dict[str, machine_file.Machine] = {}
    unread: list[OSError] = []
    for parent, names in _folders(folder, unread):
        entries = list(_entries(folder, parent, names))
        if machine_file.NAME in names:
            found += _read_machine(folder, parent, entries, known)
        found += entries
    found += [Entry(_shown(folder, Path(error.filename)), "", problem=f"{error.strerror}") for error in unread]
    chosen = [row for row in found if machine in ("", row.machine) and (row.problem or label in ("", row.label))]
    chosen.sort(key=lambda row: (row.machine, row.session, row.label, row.start_utc, row.file))
    return Catalogue(tuple(chosen), tuple(_totals(chosen, known)))


def _shown(top: Path, path: Path) -> str:
    """A path below the folder listed, fit to be printed whatever bytes it is made of."""
    return path.relative_to(top).as_posix().encode(errors="surrogateescape").decode(errors="replace")


def _folders(folder: Path, unread: list[OSError]) -> Iterator[tuple[Path, list[str]]]:
    """Each folder that is not hidden, with the names of its files, sorted; errors of those that cannot be read."""
    for parent, folders, names in os.walk(folder, onerror=unread.append):
        folders[:] = sorted(name for name in folders if not name.startswith(HIDDEN))
        yield Path(parent), sorted(names)


def _entries(top: Path, parent: Path, names: Sequence[str]) -> Iterator[Entry]:
    """One for each WAV file, and for each JSON file without one; none in a detector's folder."""
    there = set(names)
    if there >= DETECTOR:
        return
    for name in (name for name in names if not name.startswith(HIDDEN)):
        stem, suffix = os.path.splitext(name)
        file = _shown(top, parent / name)
        owner = PurePath(file).stem if parent == top else PurePath(file).parent.name
        if suffix.lower() == ".wav":
            yield _entry(parent / name, file, owner, described=f"{stem}.json" in there)
        elif suffix == ".json" and not {f"{stem}.wav", f"{stem}.WAV"} & there:
            cut = f"{HIDDEN}{stem}.wav{DRAFT}" in there
            lost = "a capture was cut off here: the next one into this folder completes it"
            yield Entry(file, owner, problem=lost if cut else "no WAV beside it: bring back the WAV, or remove this")


def _entry(path: Path, file: str, owner: str, *, described: bool) -> Entry:
    fields: dict[str, Any] = {}
    problem = "" if described else "no sidecar beside it: label and scale are unknown"
    try:
        fields = sidecar.read(path.with_suffix(".json")) if described else {}
        frames, channels, rate = wav.measure(path)
        if fields.get("channels", channels) != channels or header_hz(fields.get("rate_nominal_hz", rate)) != rate:
            problem = "its sidecar is of another file: channels or rate differ"
    except CyberHansError as error:
        problem = str(error).removeprefix(f"{path.parent}{os.sep}")
        frames, channels, rate = 0, 0, 0
    hertz = fields.get("rate_hz") or rate
    return Entry(
        file, fields.get("machine") or owner, fields.get("session", ""), fields.get("label", "unknown"),
        frames / hertz if frames else None, hertz or None, channels, fields.get("lost_samples", 0),
        fields.get("start_utc", ""), grade(fields["reasons"]) if "reasons" in fields else "",
        tuple(map(str, fields.get("reasons", ()))), problem,
    )  # fmt: skip


def _read_machine(
    top: Path, parent: Path, entries: Sequence[Entry], known: dict[str, machine_file.Machine]
) -> list[Entry]:
    """What machine.toml states, for each machine that has recordings beside it; an entry if it cannot be read."""
    try:
        stated = machine_file.load(parent)
    except CyberHansError as error:
        file = _shown(top, parent / machine_file.NAME)
        return [Entry(file, PurePath(file).parent.name, problem=str(error).removeprefix(f"{parent}{os.sep}"))]
    known.update({row.machine: stated for row in entries})
    return []


def _totals(entries: Sequence[Entry], known: dict[str, machine_file.Machine]) -> Iterator[Total]:
    """entries: sorted by machine."""
    for machine, group in itertools.groupby(entries, key=lambda row: row.machine):
        rows = list(group)
        whole = [row for row in rows if row.seconds is not None]
        stated = known.get(machine, machine_file.Machine())
        yield Total(
            machine, len(whole), sum(row.seconds or 0.0 for row in whole), _counted(row.label for row in whole),
            _counted(row.quality or "not assessed" for row in whole), sum(bool(row.problem) for row in rows),
            stated.speed_rpm, stated.mounting,
        )  # fmt: skip


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
