"""Line capture: a recording from what any firmware prints, one line of numbers for each sample frame."""

from __future__ import annotations

import contextlib
import select
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import serial
from numpy.typing import NDArray

from cyberhans.arrival import numbered, pace
from cyberhans.decimals import sampled
from cyberhans.errors import CyberHansError
from cyberhans.lines import Lines
from cyberhans.recording import Gap, Recording
from cyberhans.serial_port import obstacle

BAUD = 115200
WAIT_S = 10.0  # for the first lines
KNOWN_S = 1.0  # of lines tell the rate well enough to show it
POLL_S = 0.05
CHUNK = 4096  # bytes
SKIP = "-"  # in place of an axis: not a channel


@dataclass(frozen=True, eq=False)
class Rows:
    """What a view shows: sound lines in the unit, (n, channels)."""

    index: int
    samples: NDArray[np.float64]
    time_s: float


class View(Protocol):
    """live.Live, as far as it is needed here."""

    def add(self, piece: Rows) -> None: ...
    def tick(self) -> None: ...
    def note(self, text: str) -> None: ...


Opened = Callable[[Sequence[str], float], AbstractContextManager[View]]  # axes, rate_hz → a view


@dataclass(frozen=True)
class Columns:
    """axes: a name for each column, "-" for one to leave out, () for the labels in the lines or else c0, c1, ...
    index: the column that counts the lines up by one, from 1; None: there is none."""

    axes: tuple[str, ...] = ()
    index: int | None = None

    def chosen(self, lines: Lines) -> tuple[list[int], tuple[str, ...]]:
        """Columns that are channels, from 0, and their names. CyberHansError where the lines have others."""
        assert lines.format
        count = lines.format.columns
        if self.index is not None and not 1 <= self.index <= count:
            raise CyberHansError(f"--index-column {self.index}: a line has {count} numbers")
        free = [column for column in range(count) if column + 1 != self.index]
        if len(self.axes) not in (0, count, len(free)):
            raise CyberHansError(f"{len(self.axes)} axes named, but a line has {count} numbers; - leaves one out")
        names = self.axes or lines.format.names or tuple(f"c{i}" for i in range(len(free)))
        pairs = list(zip(range(count) if len(names) == count else free, names, strict=True))
        kept = [(column, name) for column, name in pairs if column in free and name != SKIP]
        if not kept:
            raise CyberHansError("no column is left for a channel; name one with --axes")
        return [column for column, _ in kept], tuple(name for _, name in kept)


@dataclass(frozen=True)
class LineCapture:
    """recording: without file. damaged: lines that were not sound, counted in lost_samples; skipped: a banner before
    them. rounding: the largest error of a sample, in the unit; notes: what a person should know."""

    recording: Recording
    damaged: int
    skipped: int
    rounding: float
    notes: tuple[str, ...]


def record_lines(
    url: str,
    *,
    unit: str,
    seconds: float | None,
    baud: int = BAUD,
    columns: Columns = Columns(),
    scale: float | None = None,
    most: float | None = None,
    view: Opened | None = None,
    stopped: Callable[[], bool] = lambda: False,
    **known: Any,
) -> LineCapture:
    """Read lines for so many seconds (None: until it is stopped) from a pyserial URL. `stopped`, an unplugged device
    and lines that become something else end it early; what came before is kept.

    unit of the numbers; scale (unit per LSB) and most (the sensor's range, in the unit): see decimals.sampled().
    known: further fields of the Recording. CyberHansError: the port, no lines of numbers, too few for a rate.
    """
    if not unit.strip():
        raise CyberHansError("what do the numbers mean? Give --unit g, m/s2, V, ...; --unit counts if nobody knows")
    if url.startswith("board:"):
        raise CyberHansError(f"{url} sends packets, not lines; leave out --lines")
    lines = Lines()
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(_opened(url, baud))
        why = _listen(port, lines, seconds, columns, view, stopped, stack)
    if lines.format is None:
        lines.settle()
    return _recorded(lines, columns, why, unit=unit, scale=scale, most=most, **known)


def _opened(url: str, baud: int) -> serial.SerialBase:
    """Without what had waited in the port: nobody knows since when."""
    try:
        port = serial.serial_for_url(url, baudrate=baud, timeout=POLL_S)
        port.reset_input_buffer()
        if _selectable(port):
            port.timeout = 0
        return port
    except (serial.SerialException, OSError, ValueError) as error:
        why = obstacle(url, getattr(error, "errno", None)) or getattr(error, "strerror", None) or error
        raise CyberHansError(f"{url}: cannot be opened: {why}; check --device") from None


def _selectable(port: serial.SerialBase) -> bool:
    """Whether select() can wait for it: pyserial's loop:// and rfc2217:// have no file descriptor."""
    try:
        return int(port.fileno()) >= 0
    except (AttributeError, OSError):
        return False


def _read(port: serial.SerialBase) -> bytes:
    """What has come, or nothing after POLL_S."""
    if port.timeout == 0:
        select.select([port], [], [], POLL_S)
        return bytes(port.read(CHUNK))
    return bytes(port.read(max(1, port.in_waiting)))


def _listen(
    port: serial.SerialBase,
    lines: Lines,
    seconds: float | None,
    columns: Columns,
    opened: Opened | None,
    stopped: Callable[[], bool],
    stack: contextlib.ExitStack,
) -> str:
    """Take lines until it is time; why it ended before that, if it did."""
    begin = time.monotonic()
    shown, view = 0, None
    while True:
        try:
            data, now = _read(port), time.monotonic()
            lines.feed(data, now)
        except (serial.SerialException, OSError):
            return f"the device went away after {time.monotonic() - begin:.1f} s"
        except CyberHansError as error:
            if lines.frames:
                return str(error)
            raise
        if stopped() or (seconds is not None and now - lines.began >= seconds):
            return ""
        if not lines.frames and now - begin > WAIT_S:
            lines.settle()
        if view is None and opened and lines.frames and now - lines.began >= KNOWN_S:
            view = stack.enter_context(_view(lines, columns, now, opened))
        if view:
            shown = _show(view, lines, columns, shown, now)


def _view(lines: Lines, columns: Columns, now: float, opened: Opened) -> AbstractContextManager[View]:
    return opened(columns.chosen(lines)[1], lines.frames / (now - lines.began))


def _show(view: View, lines: Lines, columns: Columns, shown: int, now: float) -> int:
    """Lines from number `shown` on; how many have been shown then."""
    fresh = lines.latest(shown)
    if len(fresh):
        view.add(Rows(shown + lines.damaged, fresh[:, columns.chosen(lines)[0]], now))
    view.tick()
    return shown + len(fresh)


def _recorded(
    lines: Lines,
    columns: Columns,
    why: str,
    *,
    unit: str,
    scale: float | None,
    most: float | None,
    **known: Any,
) -> LineCapture:
    chosen, axes = columns.chosen(lines)
    assert lines.format
    values = lines.values
    rate, gaps = _measured(lines, None if columns.index is None else values[:, columns.index - 1])
    made = sampled(np.ascontiguousarray(values[:, chosen]), lines.format.decimals, scale, most)
    begun = datetime.now(UTC).timestamp() - (time.monotonic() - lines.began)
    recording = Recording(
        samples=made.samples, scale=made.scale, full_scale=made.full_scale, unit=unit, axes=axes,
        rate_hz=rate.rate_hz, rate_uncertainty_hz=rate.uncertainty_hz, gaps=gaps,
        lost_samples=sum(gap.lost for gap in gaps),
        **{"start_utc": datetime.fromtimestamp(begun, UTC).isoformat(timespec="milliseconds"), **known},
    )  # fmt: skip
    rounded = f"values are rounded by up to {made.error:.2g} {unit}" if made.error else ""
    if made.chosen:
        rounded += "; give --range, what the sensor can tell, so that every recording gets the same scale"
    return LineCapture(recording, lines.damaged, lines.skipped, made.error, tuple(filter(None, (why, rounded))))


def _measured(lines: Lines, column: NDArray[np.float64] | None) -> tuple[Any, tuple[Gap, ...]]:
    """The rate, and where lines are missing: exactly with a column that counts them, else by the clock."""
    weight = lines.weight
    sound = weight == 0
    if column is not None:
        found, counted = numbered(lines.arrival_s[sound], column)
        at, lost = np.arange(len(column)), found.missing
    else:
        index = np.cumsum(np.where(sound, 1, weight))
        found = pace(lines.arrival_s, index - index[0], ~sound)
        at, lost, counted = np.cumsum(sound) - sound, found.missing + weight, np.zeros(len(sound), np.int64)
    places: Counter[int] = Counter()
    for place, count in zip(at[lost > 0].tolist(), lost[lost > 0].tolist(), strict=True):
        places[place] += count
    exact = {int(place) for place in at[counted > 0]}
    return found.rate, tuple(Gap(place, places[place], place in exact) for place in sorted(places))
