"""Live view of a capture: on a terminal, four times a second, also over SSH; elsewhere a line of text now and then."""

from __future__ import annotations

import io
import math
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
import rich.live
from numpy.typing import NDArray
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cyberhans.meter import SPECTRUM, Meter, Piece, Reading

REFRESH_S = 0.25
PLAIN_S = 10.0  # between two lines, where there is no terminal
BLOCKS, ASCII = " ▁▂▃▄▅▆▇█", " .:-=+*%#"
SPAN_DB = 48.0  # from an empty column of a spectrum to a full one, which is its strongest
ROWS = 12  # channels that are shown; a terminal has 24 lines
WIDTHS = (6, 13, 6, 5, 7)  # of a channel's name and figures, in columns of the terminal
FIGURES = sum(WIDTHS) + len(WIDTHS)  # with the space after each; the rest is for the spectrum


class Live:
    """with Live(...) as view: view.add(block) for every block, view.note(text) where something happens.

    axes: one name per channel. A sample is worth `scale` of `unit`; the sensor saturates at full_scale LSB (None:
    unknown). rate_hz: nominal; not `claimed`: a first measurement. seconds: how long it is to last, None: until it is
    ended. plain: lines even on a terminal; quiet: of those only the notes.
    """

    def __init__(
        self,
        machine: str,
        axes: Sequence[str],
        unit: str,
        scale: float,
        full_scale: float | None,
        rate_hz: float,
        seconds: float | None = None,
        *,
        claimed: bool = True,
        file: str = "",
        plain: bool = False,
        quiet: bool = False,
        console: Console | None = None,
    ) -> None:
        self.machine, self.axes, self.unit, self.scale, self.file = machine, tuple(axes), unit, scale, file
        self.full_scale, self.rate_hz, self.seconds, self.claimed = full_scale, rate_hz, seconds, claimed
        self.meter = Meter(len(self.axes), full_scale or math.inf, rate_hz)
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._plain, self._quiet = plain or not self._console.is_terminal, quiet
        self._live = None if self._plain else rich.live.Live(
            self, console=self._console, auto_refresh=False, transient=True, redirect_stdout=False
        )  # fmt: skip
        self._note, self._due = "", 0.0

    def __enter__(self) -> Self:
        self._due = time.monotonic() + (PLAIN_S if self._plain else 0.0)
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def add(self, piece: Piece) -> None:
        """Cheap: a thousand a second cost next to nothing. The pieces come in the order of their index."""
        self.meter.add(piece)
        self.tick()

    def tick(self) -> None:
        """Call it while nothing comes: time goes on."""
        if time.monotonic() >= self._due:
            self._show()

    def note(self, text: str) -> None:
        """Say what happens (unplugged, waiting, ...), at once; "": nothing any more."""
        if text != self._note:
            self._note = text
            if self._live:
                self._show()
            elif text:
                self._console.print(text, soft_wrap=True, markup=False)

    def _show(self) -> None:
        """Late is late: a slow terminal gets fewer views, not a queue of them."""
        if self._live:
            self._live.refresh()
        elif not self._quiet:
            self._console.print(self._line(), soft_wrap=True, markup=False)
        self._due = time.monotonic() + (PLAIN_S if self._plain else REFRESH_S)

    def __rich__(self) -> RenderableType:
        """The view as it is now, at most 80 columns wide on a terminal of 80."""
        plain = self._console.options.ascii_only
        head = Table.grid(expand=True)
        head.add_column(no_wrap=True, overflow="ellipsis")
        head.add_column(justify="right", no_wrap=True, overflow="ellipsis")
        head.add_row(Text(self.machine, style="bold"), Text(self.file))
        head.add_row(self._clock(plain), self._losses())
        head.add_row(self._rates(), f"samples {self.meter.frames:,}")
        note = [Text(self._note, style="yellow", no_wrap=True, overflow="ellipsis")] if self._note else []
        return Group(head, Text(), self._channels(plain), *note)

    @property
    def _elapsed(self) -> float:
        return self.meter.end / (self.meter.rate_hz or self.rate_hz)

    def _clock(self, plain: bool) -> Text:
        if self.seconds is None:
            return Text(f"{_time(self._elapsed)}, Ctrl-C ends it")
        done = min(1.0, self._elapsed / self.seconds)
        bar = ("#", "-") if plain else ("━", "─")
        filled = round(16 * done)
        left = f" {_time(self.seconds - self._elapsed)} left of {_time(self.seconds)}"
        return Text.assemble((bar[0] * filled, "green"), bar[1] * (16 - filled), left)

    def _losses(self) -> Text:
        lost, gaps = self.meter.lost, self.meter.gaps
        if not lost:
            return Text("nothing lost", "green")
        return Text(f"lost {lost:,} in {gaps:,} gap{'s' * (gaps != 1)}", "bold red")

    def _rates(self) -> str:
        """Digits of the measured rate come with time: it is no more than first against last."""
        rate = self.meter.rate_hz
        if not self.claimed:
            return f"{rate or self.rate_hz:,.1f} Hz measured"
        if rate is None:
            return f"{self.rate_hz:,.6g} Hz nominal"
        off = round(100 * (rate / self.rate_hz - 1), 2) + 0.0  # no -0.00
        return f"{self.rate_hz:,.6g} Hz nominal, {rate:,.1f} measured ({off:+.2f} %)"

    def _channels(self, plain: bool) -> Table:
        columns = max(8, min(self._console.width, 120) - FIGURES)
        edges = np.geomspace(1 / SPECTRUM, 0.5, columns + 1)
        readings = self.meter.read()
        powers = [self.meter.spectrum(c, edges) for c in range(min(len(readings), ROWS))]
        table = Table.grid(padding=(0, 1))
        for number, width in enumerate(WIDTHS):
            table.add_column(width=width, justify="right" if number else "left", no_wrap=True, overflow="crop")
        table.add_column(width=columns, no_wrap=True, overflow="crop")
        table.add_row("", "level", "dBFS", "crest", "clipped", _axis(self.rate_hz, columns), style="dim")
        for axis, reading, power in zip(self.axes, readings, powers, strict=False):
            table.add_row(axis, *self._figures(reading), Text(_drawn(power, ASCII if plain else BLOCKS), "cyan"))
        if len(self.axes) > ROWS:
            table.add_row(f"and {len(self.axes) - ROWS}")
        return table

    def _figures(self, reading: Reading) -> tuple[Text, str, str, Text]:
        dbfs = f"{20 * math.log10(reading.level / self.full_scale):.1f}" if reading.level and self.full_scale else "-"
        clipped = f"{reading.clipped:,}" if self.full_scale else "-"
        return (
            Text(f"{reading.level * self.scale:.4g} {self.unit}"),
            dbfs,
            f"{reading.crest:.2f}" if reading.crest else "-",
            Text(clipped, style="bold red" if reading.clipped else ""),
        )

    def _line(self) -> str:
        of = f" of {_time(self.seconds)}" if self.seconds is not None else ""
        levels = ", ".join(
            f"{axis} {reading.level * self.scale:.4g}"
            for axis, reading in zip(self.axes, self.meter.read(), strict=False)
        )
        clipped = sum(reading.clipped for reading in self.meter.read())
        return (
            f"{_time(self._elapsed)}{of}: {self.meter.frames:,} samples, {self.meter.lost:,} lost, {clipped:,} clipped,"
            f" level ({self.unit}): {levels}"
        )


def _drawn(power: NDArray[np.float64], shades: str) -> str:
    """One character for each band: full for the strongest, empty SPAN_DB below it."""
    if not power.any():
        return shades[0] * len(power)
    share = 1 + 10 * np.log10(np.maximum(power / power.max(), 1e-30)) / SPAN_DB
    return "".join(shades[h] for h in np.clip(np.ceil(share * (len(shades) - 1)), 0, len(shades) - 1).astype(int))


def _axis(rate_hz: float, columns: int) -> str:
    """What the first and the last column of a spectrum mean."""
    low, high = f"{_hertz(rate_hz / SPECTRUM)}Hz", f"{_hertz(rate_hz / 2)}Hz"
    middle = " log " if columns - len(low) - len(high) >= 5 else " "
    return f"{low}{middle:{'-'}^{max(1, columns - len(low) - len(high))}}{high}"


def _hertz(value: float) -> str:
    return f"{value / 1000:.3g}k" if value >= 1000 else f"{value:.3g}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(max(0.0, seconds), 60)
    return f"{int(minutes)}:{rest:04.1f}" if minutes else f"{rest:.1f} s"


def picture(view: Live, width: int = 80) -> str:
    """SVG of the view as it is now: the same view gives the same text."""
    canvas = Console(width=width, file=io.StringIO(), record=True, force_terminal=True, color_system="truecolor")
    shown, view._console = view._console, canvas
    canvas.print(view)
    view._console = shown
    return canvas.export_svg(title="cyberhans capture", unique_id="cyberhans")
