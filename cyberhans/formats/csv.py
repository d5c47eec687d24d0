"""CSV: a column per channel, perhaps one of time, under a header such as `time [s],x [g],y [g]`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyberhans.errors import CyberHansError
from cyberhans.formats import about, timeline
from cyberhans.formats.place import fresh
from cyberhans.formats.signal import Asked, Signal
from cyberhans.recording import Recording
from cyberhans.wav import write_whole

SUFFIXES = (".csv", ".tsv", ".txt")
LACKS = "the label, the session and what else is known"
LARGEST = 1 << 30  # bytes of text: about 20 million sample frames of three channels
TIMES = ("time", "timestamp", "seconds", "elapsed")
SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def read(path: Path, asked: Asked) -> Signal:
    """Comma, semicolon or TAB between columns, decimal points, UTF-8; units in brackets or parentheses."""
    lines, delimiter = _lines(path)
    names = [cell.strip().strip('"') for cell in lines[0].split(delimiter)]
    headed = not all(_is_number(name) for name in names)
    columns = _columns(names if headed else [str(k + 1) for k in range(len(names))], headed, asked, path)
    rows = lines[1:] if headed else lines
    described = about.read(path)
    timed = _time_column(names) if headed and not asked.rate_hz and "rate_hz" not in described else None
    wanted = [*columns, *([timed] if timed is not None else [])]
    units = {_split(names[k])[1] for k in columns} if headed else {""}
    if len(units) > 1 and not asked.unit and "unit" not in described:
        raise CyberHansError(f"{path}: its channels have units {', '.join(sorted(units))}; take those of one unit with"
                             " --channels")  # fmt: skip
    table = _table(rows, delimiter, wanted, path, first=1 + headed)
    fields = _timed(table[:, -1], names[timed], _finest(rows, delimiter, timed), path) if timed is not None else {}
    return Signal(
        values=table[:, : len(columns)], rate_hz=fields.pop("rate_hz", None), unit=units.pop(),
        axes=tuple(_split(names[k])[0] for k in columns) if headed else (),
        fields={**fields, **described}, exact="sha256" in described,
    )  # fmt: skip


def write(recording: Recording, folder: Path, number: int, key: str = "") -> Path:
    """NAME.csv: seconds and values in the unit, the shortest decimals that give the same floats; and NAME.csv.about."""
    path = fresh(folder / f"{recording.path.stem if recording.path else recording.machine}.csv")
    lost = np.zeros(recording.frames)
    for gap in recording.gaps:
        lost[gap.at :] += gap.lost
    times = [f"{t:.9f}" for t in ((np.arange(recording.frames) + lost) / recording.rate_hz).tolist()]
    header = ",".join(["time [s]", *(f"{axis} [{recording.unit}]" for axis in recording.axes)])
    rows = map(",".join, zip(times, *texts(recording), strict=True))
    about.write(path, recording)
    write_whole(path, "\n".join([header, *rows, ""]).encode())
    return path


def texts(recording: Recording) -> list[list[str]]:
    """Each channel's values in the unit as decimals; each count is written out once only."""
    counts, where = np.unique(recording.samples, return_inverse=True)
    table = [repr(value) for value in (counts * recording.scale + recording.offset).tolist()]
    return [[table[k] for k in column] for column in where.reshape(recording.samples.shape).T]


def _lines(path: Path) -> tuple[list[str], str]:
    if path.stat().st_size > LARGEST:
        raise CyberHansError(f"{path}: {path.stat().st_size >> 20} MiB of text are too many; split it into parts")
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise CyberHansError(
            f"{path}: not text in UTF-8 ({error.reason} at byte {error.start}); save it as that"
        ) from None
    if len(lines) < 2:
        raise CyberHansError(f"{path}: holds no samples; export it again")
    delimiter = next((sign for sign in "\t;" if sign in lines[0]), ",")
    width = lines[0].count(delimiter)
    for number, line in enumerate(lines, 1):
        if number > 1 and delimiter != "," and "," in line:
            raise CyberHansError(f"{path}: line {number} has decimal commas; write points: sed 's/,/./g' IN > OUT")
        if line.count(delimiter) != width:
            commas = "; are these decimal commas? Write points" if line.count(",") == 2 * width + 1 else ""
            raise CyberHansError(f"{path}: line {number} has {line.count(delimiter) + 1} columns, the first has"
                                 f" {width + 1}{commas}; mend the file")  # fmt: skip
    return lines, delimiter


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _split(name: str) -> tuple[str, str]:
    """`x [g]` or `x (g)` is axis x in unit g."""
    found = re.fullmatch(r"(.*?)\s*[\[(]([^\[\]()]*)[\])]", name)
    return (found[1], found[2].strip()) if found else (name, "")


def _time_column(names: list[str]) -> int | None:
    return next((k for k, name in enumerate(names) if _is_time(name)), None)


def _is_time(name: str) -> bool:
    """`t [°C]` is a temperature."""
    first, *others = _words(name)
    return first in TIMES or (first == "t" and (not others or _second(name) is not None))


def _second(name: str) -> float | None:
    """The unit of time that a column's name states, in seconds: of `Time (ms)`, `time_ms`, `seconds`."""
    return next((SECONDS[word] for word in _words(name) if word in SECONDS), None)


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[_\s\[\]()]+", name.lower()) if word] or [""]


def _columns(names: list[str], headed: bool, asked: Asked, path: Path) -> list[int]:
    """Which columns are channels: those asked for, else all but that of time."""
    if not asked.channels:
        if not headed:
            raise CyberHansError(f"{path}: has no header line; name its channels by number: --channels 1,2,3")
        timed = _time_column(names)
        return [k for k in range(len(names)) if k != timed]
    return [_column(name, names, path) for name in asked.channels]


def _column(wanted: str, names: list[str], path: Path) -> int:
    """The one of that full name, or of that name without its unit."""
    whole = [k for k, name in enumerate(names) if name == wanted]
    found = whole or [k for k, name in enumerate(names) if _split(name)[0] == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        told = ", ".join(names[k] for k in found)
        raise CyberHansError(
            f"{path}: {len(found)} columns are called {wanted!r} ({told}); name one in full, or rename it"
        )
    raise CyberHansError(f"{path}: no column {wanted!r}; it has {', '.join(names)}")


def _table(rows: list[str], delimiter: str, columns: list[int], path: Path, first: int) -> NDArray[np.float64]:
    if not columns:
        raise CyberHansError(f"{path}: has no channel beside its time; export it again")
    try:
        return np.loadtxt(rows, delimiter=delimiter, usecols=columns, comments=None, quotechar='"', ndmin=2)
    except ValueError:
        for number, row in enumerate(rows, first):
            for cell in (row.split(delimiter)[k].strip().strip('"') for k in columns):
                if not _is_number(cell):
                    raise CyberHansError(f"{path}: line {number}: {cell!r} is not a number; mend it, or name the"
                                         " columns to take with --channels") from None  # fmt: skip
        raise CyberHansError(f"{path}: not a table of numbers; export it again") from None


def _finest(rows: list[str], delimiter: str, column: int) -> float:
    """What the last digit of a number in that column is worth, from the first hundred."""
    cells = [row.split(delimiter)[column].strip().strip('"') for row in rows[:100]]
    return float(10.0 ** -max(len(cell.partition(".")[2]) for cell in cells))


def _timed(stamps: NDArray[np.float64], name: str, finest: float, path: Path) -> dict[str, Any]:
    second = _second(name)
    if second is None:
        raise CyberHansError(f"{path}: does not say the unit of its column {name!r}; call it 'time [s]' or 'time [ms]',"
                             " or give --rate HZ")  # fmt: skip
    return timeline.measured(stamps * second, finest * second, path)
