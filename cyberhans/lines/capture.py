"""Line capture: a recording from what any firmware prints, one line of numbers for each sample frame."""

from __future__ import annotations

import contextlib
import math
import select
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import serial
from numpy.typing import NDArray

from cyberhans import machine_file
from cyberhans.capture import Captured, View, stopping
from cyberhans.capture.plan import Wish, refuse_unwritable
from cyberhans.clock import Rate
from cyberhans.draft import reserved
from cyberhans.errors import CyberHansError
from cyberhans.lines.arrival import numbered, pace, strays
from cyberhans.lines.decimals import LARGEST, sampled, worth
from cyberhans.lines.format import Columns
from cyberhans.lines.reader import Lines
from cyberhans.quality import assessed, earlier
from cyberhans.reason import Reason
from cyberhans.recording import Gap, Recording, save_recording
from cyberhans.serial_port import obstacle, selectable

BAUD = 115200
WAIT_S = 10.0  # for the first lines
KNOWN_S = 1.0  # of lines tell the rate well enough to show it
QUIET_S = 3.0  # without a line, before a person is told
POLL_S = 0.05
CHUNK = 4096  # bytes
FASTEST_BAUD = 100_000_000
FASTEST_HZ = 1_000_000  # no line brings more
UNLIKELY = 1e30  # times a unit


@dataclass(frozen=True, eq=False)
class Rows:
    """What a view shows: sound lines in the unit, (n, channels)."""

    index: int
    samples: NDArray[np.float64]
    time_s: float


MakeView = Callable[[Sequence[str], float, Path], AbstractContextManager[View[Rows]]]  # axes, rate_hz, file


@dataclass(frozen=True)
class LineWish:
    """unit of the numbers; baud of the port; index: the column, from 1, that counts the lines up by one; scale (unit
    per LSB) and most (range of the sensor, in the unit): see decimals.sampled(). None: there is none, or it is unknown.
    """

    unit: str
    baud: int = BAUD
    index: int | None = None
    scale: float | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        if not self.unit.strip():
            raise CyberHansError("what do the numbers mean? Give --unit g, m/s2, V, ...; --unit counts if nobody knows")
        refuse_unwritable("unit", self.unit)
        for name, value in (("--scale", self.scale), ("--range", self.most)):
            if value is not None and not 0 < value < math.inf:
                raise CyberHansError(f"{name} {value:g}: must be above 0")
            if value is not None and not 1 / UNLIKELY < value < UNLIKELY:
                raise CyberHansError(f"{name} {value:g}: no sensor has this; give it in the unit, {self.unit}")
        if not 1 <= self.baud <= FASTEST_BAUD:
            raise CyberHansError(f"--baud {self.baud}: must be 1 to {FASTEST_BAUD:,}")
        if self.index is not None and self.index < 1:
            raise CyberHansError(f"--index-column {self.index}: columns count from 1")


@dataclass(frozen=True, eq=False)
class CapturedLines(Captured):
    """damaged: lines that were not sound, counted in lost_samples; skipped: a banner before them. rounding: the largest
    error of a sample, in the unit."""

    damaged: int
    skipped: int
    rounding: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        told = super().to_dict() | {"unit": self.recording.unit, "scale": self.recording.scale}
        del told["lost_by_device"]  # it does not tell
        return told | {"rounding": self.rounding, "damaged_lines": self.damaged, "skipped_lines": self.skipped}


def capture_lines(wish: Wish, how: LineWish, url: str, *, view: MakeView | None = None) -> CapturedLines:
    """Record lines from a pyserial URL for wish.seconds into `out`/MACHINE/MACHINE-LABEL-UTC.wav, with its sidecar.

    wish.axes: a name for each column, "-" for one to leave out; wish.rate_hz: what the sketch claims. Ctrl-C, an
    unplugged device and lines that become something else end it early; what came before is kept.
    Raises CyberHansError: the port, no lines of numbers, too few for a rate, a folder that cannot be written.
    """
    if wish.channels is not None:
        raise CyberHansError("--channels does not go with --lines; name the columns with --axes, - leaves one out")
    if not 0 < wish.seconds < math.inf:
        raise CyberHansError(f"--seconds {wish.seconds:g}: must be above 0")
    if wish.rate_hz is not None and not 1 <= wish.rate_hz <= FASTEST_HZ:
        raise CyberHansError(f"--rate {wish.rate_hz:g}: must be 1 to {FASTEST_HZ:,} Hz, or left out")
    if url.startswith("board:"):
        raise CyberHansError(f"{url} sends packets, not lines; leave out --lines")
    folder = wish.folder
    name = f"{wish.machine}-{wish.label}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    lines = Lines()
    with stopping() as stopped, contextlib.ExitStack() as stack:
        port = stack.enter_context(_opened(url, how.baud))
        draft = reserved(folder, name)  # before a person waits: can it be written?
        stack.callback(draft.discard)
        machine_file.ensure(folder)
        shown = _Shown(lines, Columns(wish.axes, how.index), how.scale, view, draft.path, stack)
        why = _listen(port, lines, wish.seconds, shown, stopped)
        made = _captured(lines, wish, how, why)
        whole = assessed(made.recording, earlier(folder, made.recording))
        return replace(made, recording=save_recording(whole, draft))


def _opened(url: str, baud: int) -> serial.SerialBase:
    """Without what had waited in the port: nobody knows since when. Not one that another program has open: each byte
    would come to one of both."""
    if why := obstacle(url):
        raise CyberHansError(f"{url}: cannot be opened: {why}")
    try:
        port = serial.serial_for_url(url, baudrate=baud, timeout=POLL_S, exclusive=True)
        port.reset_input_buffer()
        if selectable(port):
            port.timeout = 0
        return port
    except (serial.SerialException, OSError, ValueError) as error:
        known = obstacle(url, getattr(error, "errno", None)) or getattr(error, "strerror", None)
        raise CyberHansError(f"{url}: cannot be opened: {known or error}; check --device") from None


def _read(port: serial.SerialBase) -> bytes:
    """What has come, or nothing after POLL_S."""
    if port.timeout == 0:
        select.select([port], [], [], POLL_S)
        return bytes(port.read(CHUNK))
    return bytes(port.read(max(1, port.in_waiting)))


class _Shown:
    """What a view has been told; it is made as soon as the rate is roughly known."""

    def __init__(
        self, lines: Lines, columns: Columns, scale: float | None, make: MakeView | None, path: Path,
        stack: contextlib.ExitStack,
    ) -> None:  # fmt: skip
        self._lines, self._columns, self._make, self._path, self._stack = lines, columns, make, path, stack
        self._scale = scale
        self._view: View[Rows] | None = None
        self._count, self._last = 0, math.inf

    def update(self, now: float) -> None:
        lines = self._lines
        if lines.format is None or now - lines.began < KNOWN_S:
            return
        chosen, axes = self._columns.chosen(lines.format)
        if self._make is None:
            return
        if self._view is None:
            self._view = self._stack.enter_context(self._make(axes, lines.frames / (now - lines.began), self._path))
        if lines.frames > self._count:
            values, index, came = lines.latest(self._count)
            self._view.add(Rows(index, values[:, chosen] * worth(lines.format.decimals, self._scale), came))
            self._count, self._last = lines.frames, now
        self._view.note("nothing comes any more" if now - self._last > QUIET_S else "")
        self._view.tick()


def _listen(port: serial.SerialBase, lines: Lines, seconds: float, shown: _Shown, stopped: Callable[[], bool]) -> str:
    """Take lines until it is time; why it ended before that, if it did."""
    begin = time.monotonic()
    while not stopped():
        try:
            data, now = _read(port), time.monotonic()
            lines.feed(data, now)
        except (serial.SerialException, OSError):
            return "the device went away"
        except CyberHansError as error:
            if lines.frames:
                return str(error)
            raise
        if now - lines.began >= seconds:
            break
        if lines.format is None and now - begin > WAIT_S:
            lines.settle()  # of the few that a slow device has printed
        shown.update(now)
    return ""


def _captured(lines: Lines, wish: Wish, how: LineWish, why: str) -> CapturedLines:
    if lines.format is None:
        lines.settle()
    assert lines.format
    columns = Columns(wish.axes, how.index)
    chosen, axes = columns.chosen(lines.format)
    if how.index is not None:
        lines.reject(strays(lines.values[:, how.index - 1]))
    values = lines.values
    rate, gaps = _measured(lines, None if how.index is None else values[:, how.index - 1])
    made = sampled(np.ascontiguousarray(values[:, chosen]), lines.format.decimals, how.scale, how.most)
    begun = datetime.fromtimestamp(time.time() - (time.monotonic() - lines.began), UTC)
    reasons = []
    if why:
        reasons.append(Reason(f"ended after {lines.arrival_s[-1] - lines.began:.1f} of {wish.seconds:g} s: {why}"))
    if made.beyond:
        reasons.append(Reason(f"values up to {made.beyond:g} {how.unit} do not fit 16 bits with --scale {how.scale:g}, "
                              f"and are cut off; give at least {made.beyond / LARGEST:.3g}"))  # fmt: skip
    if made.chosen:
        reasons.append(Reason(f"rounded by up to {made.error:.2g} {how.unit} to a scale of these very values; with "
                              "--range, the most that the sensor can tell, every recording has the same"))  # fmt: skip
    recording = Recording(
        samples=made.samples, scale=made.scale, full_scale=made.full_scale, unit=how.unit, axes=axes,
        rate_hz=rate.rate_hz, rate_uncertainty_hz=rate.uncertainty_hz, rate_nominal_hz=wish.rate_hz or 0.0, gaps=gaps,
        lost_samples=sum(gap.lost for gap in gaps), machine=wish.machine, label=wish.label,
        session=wish.session or f"{begun:%Y-%m-%d}", speed_rpm=wish.speed_rpm, load=wish.load, notes=wish.notes,
        start_utc=begun.isoformat(timespec="milliseconds"), reasons=tuple(reasons),
    )  # fmt: skip
    return CapturedLines(recording, 0, lines.damaged, lines.skipped, made.error)


def _measured(lines: Lines, column: NDArray[np.float64] | None) -> tuple[Rate, tuple[Gap, ...]]:
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
