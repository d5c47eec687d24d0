"""Alarm: the settings by which the core turns verdicts into a machine's state (SPEC.md section 7.1)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyberhans.errors import CyberHansError

NEVER_IDLE = -(2**15)
ARRAYS = ("centre", "limit")
_PACKED = struct.Struct("<5BxHHhHHII3h")


class State(enum.IntEnum):
    """What the core says of a machine, window by window."""

    LEARNING = 0
    NORMAL = 1
    SUSPICIOUS = 2
    ALARM = 3
    IDLE = 4
    MOVED = 5
    FAULT = 6


class Cause(enum.IntFlag):
    """Why: enum hans_reason."""

    BY_SCORE = 1
    BY_RISE = 2
    STUCK = 4
    CLIPPED = 8
    TILTED = 16
    OFF = 32
    GATHERING = 64
    FEW_WINDOWS = 128


class Reset(enum.IntEnum):
    """How much a reset leaves: enum hans_reset."""

    AS_BUILT = 0
    KEEP_BASELINE = 1
    BASELINE_ASIDE = 2


class Outcome(enum.IntEnum):
    """How the last re-baselining went: enum hans_outcome."""

    NONE = 0
    UNDER_WAY = 1
    DONE = 2
    TOO_FAR = 3
    UNDONE = 4
    STOPPED = 5


@dataclass(frozen=True, eq=False)
class Alarm:
    """struct hans_alarm of hans.h, which says what each setting means; features, levels and rises in 1/256 octave.

    of, raise_at, clear_at  the last n judged windows vote, k raise an alarm, so few end it
    fast, slow              shifts of the fast mean and of the tracked baseline; slow 0: no tracking
    change, rise            what an alarm by score needs besides, and what alarms alone (0: never)
    idle, full_scale, clipped, reach   NEVER_IDLE and full_scale 0 switch off
    moved, gravity          sin^2 in Q20 (0: never) and LSB
    centre, limit           int16 (features,)
    """

    of: int
    raise_at: int
    clear_at: int
    fast: int
    slow: int
    change: int
    rise: int
    idle: int
    full_scale: int
    reach: int
    clipped: int
    moved: int
    gravity: tuple[int, int, int]
    centre: NDArray[np.int16]
    limit: NDArray[np.int16]

    def pack(self) -> bytes:
        """As the detector's digest takes it (SPEC.md section 8)."""
        numbers = (getattr(self, field.name) for field in fields(self) if field.name not in (*ARRAYS, "gravity"))
        arrays = (getattr(self, name).astype("<i2").tobytes() for name in ARRAYS)
        return _PACKED.pack(*numbers, *self.gravity) + b"".join(arrays)

    def to_dict(self) -> dict[str, Any]:
        """All but the arrays, ready for JSON."""
        named = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ARRAYS}
        return named | {"gravity": list(self.gravity)}

    @classmethod
    def from_dict(cls, described: Mapping[str, Any], centre: NDArray[np.int16], limit: NDArray[np.int16]) -> Alarm:
        """Raises CyberHansError if a field is missing, strange, or out of its bounds."""
        named = dict(described)
        try:
            alarm = cls(**named | {"gravity": tuple(named["gravity"])}, centre=centre, limit=limit)
            alarm.check()
        except (KeyError, TypeError, ValueError, struct.error) as wrong:
            raise CyberHansError(f"alarm settings: {wrong}") from None
        return alarm

    def check(self) -> None:
        """Raise CyberHansError if a setting breaks a bound of SPEC.md section 7.1, struct.error if it does not fit."""
        self.pack()
        if not (1 <= self.of <= 32 and self.clear_at < self.raise_at <= self.of):
            raise CyberHansError(
                f"alarm of {self.raise_at} of {self.of} votes, cleared at {self.clear_at}: no such vote"
            )
        if self.fast > 7 or self.slow > 14 or self.moved > 2**20:
            raise CyberHansError("alarm settings: fast is at most 7, slow 14, moved 2^20")
        arrays = self.centre, self.limit
        whole = all(array.ndim == 1 and array.dtype == np.int16 for array in arrays)
        if not whole or len(self.centre) != len(self.limit) or self.limit.min(initial=0) < 0:
            raise CyberHansError("alarm settings: centre and limit take one number per feature, limit none below 0")
