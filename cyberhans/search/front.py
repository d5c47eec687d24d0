"""Which points are worth having: within the limits, on the Pareto front, and the one that is recommended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
COSTS = ("flash_bytes", "instructions_per_s")  # per second, since windows differ in length


@dataclass(frozen=True)
class Limits:
    """Bytes of flash (of which: cost.py), of RAM with the stack, instructions per window, quality; None: no limit."""

    flash: int | None = None
    ram: int | None = None
    instructions: int | None = None
    quality: float | None = None

    def exceeded(self, row: Row) -> list[tuple[str, float]]:
        """In words which limits a whole row does not keep, and by what share of each; by how much of quality."""
        most = (("flash", "flash_bytes", self.flash), ("RAM", "ram_bytes", self.ram),
                ("instructions", "instructions_per_window", self.instructions))  # fmt: skip
        found = [(f"{word} {row[key]:,} of {limit:,}", row[key] / limit - 1) for word, key, limit in most
                 if limit is not None and row[key] > limit]  # fmt: skip
        if self.quality is not None and row["quality"] < self.quality:
            found.append((f"quality {row['quality']:.4f} of {self.quality:g}", self.quality - row["quality"]))
        return found


def whole(rows: Sequence[Row]) -> list[Row]:
    """Those that were measured and built."""
    return [row for row in rows if row["reason"] is None]


def dominates(one: Row, other: Row) -> bool:
    """Nowhere worse in quality, flash and instructions per second (where counted), and better in one."""
    a, b = _figures(one), _figures(other)
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _figures(row: Row) -> tuple[float, ...]:
    """Less is better."""
    return (-row["quality"], *(row[cost] or 0 for cost in COSTS))


def front(rows: Sequence[Row]) -> list[Row]:
    """Of the whole rows those that no other dominates, smallest flash first."""
    found = [row for row in whole(rows) if not any(dominates(other, row) for other in whole(rows))]
    return sorted(found, key=_by_cost)


def _by_cost(row: Row) -> tuple[int, int, float, int]:
    return row["flash_bytes"], row["instructions_per_s"] or 0, -row["quality"], row["number"]


def best(rows: Sequence[Row], limits: Limits) -> Row | None:
    """The best quality within the limits, the smallest of several."""
    kept = [row for row in whole(rows) if not limits.exceeded(row)]
    return min(kept, key=lambda row: (-row["quality"], *_by_cost(row)), default=None)


def as_good(rows: Sequence[Row], limits: Limits, least: float) -> Iterator[Row]:
    """Those within the limits whose quality is at least `least`: smallest flash first, then fewest instructions."""
    kept = [row for row in whole(rows) if not limits.exceeded(row) and row["quality"] >= least]
    yield from sorted(kept, key=_by_cost)


def nearest(rows: Sequence[Row], limits: Limits) -> Row | None:
    """Of whole rows the one that exceeds the limits least, the shares added up."""
    return min(whole(rows), key=lambda row: sum(share for _, share in limits.exceeded(row)), default=None)
