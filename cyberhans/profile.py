"""Profile: a few figures of one recording, small enough for its sidecar, that later ones are compared with."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

Row = tuple[float, ...]
PER_OCTAVE = 6
HUM_HZ = (50.0, 100.0, 150.0, 250.0, 60.0, 120.0, 180.0, 300.0)
ROWS = ("dc", "level", "kurtosis", "step", "correlation")


@dataclass(frozen=True)
class Profile:
    """What a machine's sensor said on one occasion.

    rate_hz      measured
    unit, axes   as in the recording
    dc, level    mean, and root of the mean square about it, of each channel, in the unit
    kurtosis     of each channel, Pearson's: 3 if normal; 0 if it never changes
    step         LSB between neighbouring codes of each channel, a power of two; 0 if it never changes
    lowest_band  number of the first band: band k holds 2 ** (k / 6) to 2 ** ((k + 1) / 6) Hz
    bands        of each channel, mean power density of each band, dB of unit^2 / Hz
    hum          of each channel, how far 50, 100, 150, 250, 60, 120, 180, 300 Hz stand out around them, dB
    correlation  of each pair of channels (0-1, 0-2, 1-2 if there are three), -1 to 1
    """

    rate_hz: float
    unit: str
    axes: tuple[str, ...]
    dc: Row
    level: Row
    kurtosis: Row
    step: Row
    lowest_band: int
    bands: tuple[Row, ...]
    hum: tuple[Row, ...]
    correlation: Row

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(fields: Any) -> Profile:
        """The Profile that to_dict() has told; ValueError or TypeError if it is none."""
        fields = dict(fields)
        kept: dict[str, Any] = {name: _row(fields.pop(name)) for name in ROWS}
        kept |= {name: tuple(_row(row) for row in fields.pop(name)) for name in ("bands", "hum")}
        axes = tuple(str(axis) for axis in fields.pop("axes"))
        rate, lowest = float(fields.pop("rate_hz")), int(fields.pop("lowest_band"))
        made = Profile(rate_hz=rate, unit=str(fields.pop("unit")), axes=axes, lowest_band=lowest, **kept)
        per_channel = (made.dc, made.level, made.kurtosis, made.step, made.bands, made.hum)
        pairs = len(axes) * (len(axes) - 1) // 2
        if fields or {len(part) for part in per_channel} != {len(axes)} or len(made.correlation) != pairs:
            raise ValueError("its lists do not fit its axes")
        if len({len(row) for row in made.bands}) != 1 or {len(row) for row in made.hum} != {len(HUM_HZ)} or rate <= 0:
            raise ValueError("its rows do not fit each other")
        return made


def _row(values: Any) -> Row:
    row = tuple(float(value) for value in values)
    if not all(map(math.isfinite, row)):
        raise ValueError("not a finite number")
    return row
