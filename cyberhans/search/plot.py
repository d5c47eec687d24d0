"""The plot of a search: quality over flash, as SVG that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from cyberhans.search import front

WIDTH, HEIGHT = 760, 480
LEFT, RIGHT, TOP, BOTTOM = 78, 20, 54, 58  # margins
COLOURS = ("#0b6fb8", "#c2410c", "#3f7d20", "#7e3ff2", "#a16207", "#be185d")
TICKS = 6
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"
Row = dict[str, Any]


class Scale:
    """From figures, none above `most`, to places from `start` to `end`; ticks are at multiples of 1, 2 or 5."""

    def __init__(self, values: Sequence[float], start: float, end: float, most: float = math.inf) -> None:
        low, high = min(values, default=0.0), max(values, default=1.0)
        rough = max((high - low) / TICKS, abs(high) * 1e-4, 1e-6)
        power = 10 ** math.floor(math.log10(rough))
        self.step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
        self.low, self.high = (
            math.floor(low / self.step - 0.5),
            math.ceil(min(high / self.step + 0.5, most / self.step)),
        )
        self.start, self.end = start, end

    def place(self, value: float) -> float:
        share = (value / self.step - self.low) / (self.high - self.low)
        return round(float(self.start + share * (self.end - self.start)), 1)

    @property
    def ticks(self) -> list[float]:
        return [k * self.step for k in range(self.low, self.high + 1)]


def plot(found: dict[str, Any]) -> str:
    """Every built point as a mark in the colour and shape of its detector; filled: on the Pareto front, whose steps are
    drawn; ringed: recommended; pale: outside the limits."""
    rows = front.whole(found["rows"])
    kinds = list(dict.fromkeys(row["detector"] for row in rows))
    x = Scale([row["flash_bytes"] / 1000 for row in rows], LEFT, WIDTH - RIGHT)
    y = Scale([row["quality"] for row in rows], HEIGHT - BOTTOM, TOP, most=1.0)
    marks = sorted(rows, key=lambda row: bool(row["front"]))  # the front on top
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' height='{HEIGHT}'>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>", *_axes(found, x, y), *_steps(rows, x, y),
        *(_point(row, found, kinds, x, y) for row in marks), *_legend(kinds), "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f"<text x='{x}' y='{y}' {FONT} font-size='12' fill='#222' {more}>{escape(words)}</text>"


def _axes(found: dict[str, Any], x: Scale, y: Scale) -> list[str]:
    name = f"AUC of {found['span_s']:.3g} s"
    if found["quality"] == "fidelity":
        name = "fidelity to the full-size detector"
    parts = []
    for value in x.ticks:
        parts += [_line(x.place(value), TOP, x.place(value), HEIGHT - BOTTOM, "#e5e5e5"),
                  _text(x.place(value), HEIGHT - BOTTOM + 18, f"{value:g}", "text-anchor='middle'")]  # fmt: skip
    for value in y.ticks:
        parts += [_line(LEFT, y.place(value), WIDTH - RIGHT, y.place(value), "#e5e5e5"),
                  _text(LEFT - 8, y.place(value) + 4, f"{value:.6g}", "text-anchor='end'")]  # fmt: skip
    middle = (LEFT + WIDTH - RIGHT) / 2
    flash = f"flash on {found['board']} without the stored waveform, 1,000 bytes"
    return [*parts, _text(middle, HEIGHT - 14, flash, "text-anchor='middle'"),
            _text(16, HEIGHT / 2, name, f"text-anchor='middle' transform='rotate(-90 16 {HEIGHT / 2})'")]  # fmt: skip


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f"<line x1='{x1}' y1='{y1}' x2='{x2}' y2='{y2}' stroke='{colour}'/>"


def _steps(rows: Sequence[Row], x: Scale, y: Scale) -> list[str]:
    """The best quality up to each size of flash."""
    path, best = "", -math.inf
    for row in sorted(rows, key=lambda row: (row["flash_bytes"], -row["quality"])):
        if row["quality"] > best:
            best = row["quality"]
            across, up = x.place(row["flash_bytes"] / 1000), y.place(best)
            path += f"H{across}V{up}" if path else f"M{across} {up}"
    return [f"<path d='{path}H{WIDTH - RIGHT}' fill='none' stroke='#888' stroke-dasharray='4 3'/>"] if path else []


def _point(row: Row, found: dict[str, Any], kinds: Sequence[str], x: Scale, y: Scale) -> str:
    across, up = x.place(row["flash_bytes"] / 1000), y.place(row["quality"])
    pale = " opacity='0.35'" if row["exceeds"] else ""
    ring = ""
    if row["number"] == found["recommended"]:
        ring = f"<circle cx='{across}' cy='{up}' r='11' fill='none' stroke='#111' stroke-width='1.5'/>"
    told = (f"{row['number']}: {row['detector']}, {row['features']} features, {row['quality']:.4f},"
            f" {row['flash_bytes']:,} B")  # fmt: skip
    mark = _mark(kinds.index(row["detector"]), across, up, filled=row["front"])
    return f"<g{pale}><title>{escape(told)}</title>{ring}{mark}</g>"


def _mark(kind: int, x: float, y: float, *, filled: bool) -> str:
    """A circle, square, triangle or diamond, by turns."""
    colour = COLOURS[kind % len(COLOURS)]
    look = f"fill='{colour if filled else 'white'}' stroke='{colour}' stroke-width='1.5'"
    shapes = ((), ((-5, -5), (5, -5), (5, 5), (-5, 5)), ((0, -6), (6, 5), (-6, 5)), ((0, -7), (7, 0), (0, 7), (-7, 0)))
    corners = shapes[kind % len(shapes)]
    if not corners:
        return f"<circle cx='{x}' cy='{y}' r='5' {look}/>"
    points = " ".join(f"{round(x + dx, 1)},{round(y + dy, 1)}" for dx, dy in corners)
    return f"<polygon points='{points}' {look}/>"


def _legend(kinds: Sequence[str]) -> list[str]:
    parts, across = [], float(LEFT)
    for number, kind in enumerate(kinds):
        parts += [_mark(number, across + 5, 22, filled=True), _text(across + 16, 26, kind)]
        across += 40 + 8 * len(kind)
    told = "filled: on the front   ringed: recommended   pale: outside the limits"
    return [*parts, _text(LEFT, 44, told, "opacity='0.7'")]
