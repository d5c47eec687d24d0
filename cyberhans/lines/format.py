"""Line format: what the lines of a sketch look like, learnt from the first of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cyberhans.errors import CyberHansError

# What repeats is possessive (++, *+): else a damaged line is tried in every way in which it can be cut in pieces.
NUMBER = r"[-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?"
LABEL = r"(?:[A-Za-z_][\w./%° -]*+\s*+[:=]\s*+)?"  # x:0.12, acc_x = 0.12
BREAK = r"(?:[ \t]*+[,;][ \t]*+|[ \t]++)"
ALIKE = 0.75  # of the lines learnt from must look the same
FIXED = 2  # decimals or more, the same number on every line, and zeros at the end: printed with a fixed precision
LARGEST = 1e38  # that a 32-bit float holds: no sensor tells more

SKIP = "-"  # in place of an axis: not a channel

_FIELD = re.compile(rf"({LABEL})({NUMBER})")
_LINE = re.compile(rf"[ \t]*+{LABEL}{NUMBER}(?:{BREAK}{LABEL}{NUMBER})*{BREAK}?")


@dataclass(frozen=True)
class LineFormat:
    """Numbers separated by comma, TAB, semicolon or space, perhaps each with a label.

    columns    numbers in a line
    names      of the columns, where every one has a label; else ()
    decimals   printed, at most; None: with an exponent
    """

    columns: int
    names: tuple[str, ...]
    decimals: int | None
    pattern: re.Pattern[str]

    def numbers(self, line: str) -> list[float] | None:
        """What stands in a line, or None if it is damaged: another number of columns, or of decimals where these are
        fixed, another label, a number beyond LARGEST, anything but numbers."""
        found = self.pattern.fullmatch(line)
        numbers = [float(number) for number in found.groups()] if found else []
        return numbers if numbers and all(abs(number) <= LARGEST for number in numbers) else None


@dataclass(frozen=True)
class Columns:
    """axes: a name for each column, "-" for one to leave out, () for the labels in the lines or else c0, c1, ...
    index: the column that counts the lines up by one, from 1; None: there is none."""

    axes: tuple[str, ...] = ()
    index: int | None = None

    def chosen(self, form: LineFormat) -> tuple[list[int], tuple[str, ...]]:
        """Columns that are channels, from 0, and their names. CyberHansError where the lines have others."""
        count = form.columns
        if self.index is not None and not 1 <= self.index <= count:
            raise CyberHansError(f"--index-column {self.index}: a line has {count} numbers")
        free = [column for column in range(count) if column + 1 != self.index]
        if len(self.axes) not in (0, count, len(free)):
            raise CyberHansError(f"{len(self.axes)} axes named, but a line has {count} numbers; - leaves one out")
        names = self.axes or form.names or tuple(f"c{i}" for i in range(len(free)))
        pairs = list(zip(range(count) if len(names) == count else free, names, strict=True))
        kept = [(column, name) for column, name in pairs if column in free and name != SKIP]
        if not kept:
            raise CyberHansError("no column is left for a channel; name one with --axes")
        return [column for column, _ in kept], tuple(name for _, name in kept)


def learn(lines: Sequence[str]) -> LineFormat | None:
    """The format that most of some whole lines have in common; None if they have none."""
    fields = [_FIELD.findall(line) for line in lines if _LINE.fullmatch(line)]
    shapes = Counter(tuple(label for label, _ in row) for row in fields)
    labels, count = shapes.most_common(1)[0] if shapes else ((), 0)
    if count < max(2, ALIKE * len(lines)):
        return None
    rows = [[number for _, number in row] for row in fields if tuple(label for label, _ in row) == labels]
    names = tuple(label.strip(" \t:=") for label in labels)
    return LineFormat(len(labels), names if all(names) and len(set(names)) == len(names) else (), _decimals(rows),
                      _pattern(labels, rows))  # fmt: skip


def count_numbers(line: str) -> int:
    """How many a line has if it holds nothing else; 0 otherwise."""
    return len(_FIELD.findall(line)) if _LINE.fullmatch(line) else 0


def _decimals(rows: Sequence[Sequence[str]]) -> int | None:
    numbers = [number for row in rows for number in row]
    if any("e" in number.lower() for number in numbers):
        return None
    return max(len(number.partition(".")[2]) for number in numbers)


def _pattern(labels: Sequence[str], rows: Sequence[Sequence[str]]) -> re.Pattern[str]:
    """A lost digit leaves a number that looks sound; where the number of decimals is fixed, most of these are found."""
    zeros = any(re.search(r"\.\d+0$", number) for row in rows for number in row)
    parts = []
    for label, column in zip(labels, zip(*rows, strict=True), strict=True):
        places = {len(number.partition(".")[2]) for number in column}
        fixed = zeros and len(places) == 1 and min(places) >= FIXED
        number = rf"[-+]?\d*+\.\d{{{min(places)}}}" if fixed else NUMBER
        parts.append(re.escape(label) + f"({number})")
    return re.compile(r"[ \t]*+" + BREAK.join(parts) + rf"{BREAK}?")
