"""Lines: numbers that any firmware prints, one sample frame a line, as they come in. No I/O.

A line has neither checksum nor number. What is no line of the format is damaged: counted, never taken for samples.
"""

from __future__ import annotations

import itertools
import math
import re
from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cyberhans.errors import CyberHansError
from cyberhans.lines.format import LineFormat, count_numbers, learn

LEARN = 16  # lines from which the format is learnt
CHANGED = 50  # damaged lines one after another: what comes now is something else
LONGEST = 4096  # bytes without a line's end: no text
SHOWN = 40  # characters of a line that a message shows


class Lines:
    """format: what lines look like, None until it has been learnt. skipped: lines before the first one of it."""

    def __init__(self) -> None:
        self.format: LineFormat | None = None
        self.skipped = self.damaged = 0
        self._rest = b""
        self._early: list[tuple[str, float]] = []
        self._started = False  # the first piece may be half a line
        self._arrival, self._weight, self._values = array("d"), array("q"), array("d")
        self._sound = array("q")  # where in them the sound lines are
        self._length = 0.0
        self._strange = 0  # damaged lines in a row

    def feed(self, data: bytes, now: float) -> None:
        """Take bytes that came at `now`, in seconds. CyberHansError if the lines become something else, or no text."""
        *whole, self._rest = re.split(rb"[\r\n]", self._rest + data)
        for line in whole:
            if line and self._started:
                self._take(line.decode("ascii", "replace"), now)
            self._started = True
        if len(self._rest) > LONGEST:
            self._rest, self._started = b"", False
            self._take("?", now)

    def settle(self) -> None:
        """Learn the format from the lines there are; CyberHansError if they have none in common."""
        self.format = learn([line for line, _ in self._early[-LEARN:]])
        if self.format is None:
            raise CyberHansError(_strange(self._early[-LEARN:]))
        early, self._early = self._early, []
        for line, now in early:
            self._take(line, now)

    @property
    def began(self) -> float:
        """When the first sound line came."""
        return self._arrival[0] if self._arrival else math.inf

    @property
    def frames(self) -> int:
        """Sound lines."""
        return len(self._sound)

    @property
    def values(self) -> NDArray[np.float64]:
        """(frames, columns), of the sound lines."""
        return np.array(self._values).reshape(-1, self.format.columns if self.format else 1)

    @property
    def arrival_s(self) -> NDArray[np.float64]:
        """(n,): when each line came, damaged ones too."""
        return np.array(self._arrival)

    @property
    def weight(self) -> NDArray[np.int64]:
        """(n,): 0 for a sound line; for a damaged one the lines that it once was, at least 1."""
        return np.array(self._weight, np.int64)

    def latest(self, first: int) -> tuple[NDArray[np.float64], int, float]:
        """Sound lines from number `first` on, of which there is one at least: (n, columns), the number of the first one
        among all lines, and when it came."""
        assert self.format
        values = np.array(self._values[first * self.format.columns :]).reshape(-1, self.format.columns)
        return values, self._sound[first], self._arrival[self._sound[first]]

    def reject(self, which: NDArray[np.bool_]) -> None:
        """which (frames,): sound lines that turn out to be damaged."""
        kept = self.values[~which]
        for row in np.flatnonzero(which).tolist():
            self._weight[self._sound[row]] = 1
        self.damaged += int(np.count_nonzero(which))
        self._sound = array("q", itertools.compress(self._sound, (~which).tolist()))
        self._values = array("d", kept.ravel())

    def _take(self, line: str, now: float) -> None:
        if self.format is None:
            self._early.append((line, now))
            if len(self._early) >= LEARN and learn([early for early, _ in self._early[-LEARN:]]):
                self.settle()
            return
        numbers = self.format.numbers(line)
        if numbers is None and not self._arrival:
            self.skipped += 1
        elif numbers is None:
            self._damage(line, now)
        else:
            self._sound.append(len(self._arrival))
            self._add(now, 0)
            self._values.extend(numbers)
            self._length += (len(line) - self._length) / min(self.frames, 100)
            self._strange = 0

    def _damage(self, line: str, now: float) -> None:
        self.damaged += 1
        self._strange += 1
        self._add(now, max(1, round(len(line) / self._length)))
        if self._strange < CHANGED:
            return
        assert self.format
        for numbers in (self._arrival, self._weight):
            del numbers[-CHANGED:]
        self.damaged -= CHANGED
        count = count_numbers(line)
        what = f"{count} numbers a line now, not {self.format.columns}" if count else f"no numbers now: {_shown(line)}"
        raise CyberHansError(f"the lines have changed: {what}; let the sketch print the same all the time")

    def _add(self, now: float, weight: int) -> None:
        self._arrival.append(now)
        self._weight.append(weight)


def _strange(lines: Sequence[tuple[str, float]]) -> str:
    mend = "check --baud, and let the sketch print one line for each sample: numbers, separated by comma or TAB"
    if not lines:
        return f"no line came; {mend}"
    counts = sorted({count_numbers(line) for line, _ in lines})
    if len(counts) > 1 and counts[0]:
        return f"lines have {', '.join(map(str, counts[:-1]))} and {counts[-1]} numbers; let each have the same"
    odd = next((line for line, _ in lines if not count_numbers(line)), lines[0][0])
    return f"no lines of numbers, but {_shown(odd)}; {mend}"


def _shown(line: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in line)
    return f"'{text[:SHOWN]}{'...' if len(text) > SHOWN else ''}'"
