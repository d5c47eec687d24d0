"""How often a long test repeats itself: fully under `make endurance`, less otherwise."""

from __future__ import annotations

import os

ENDURANCE = bool(os.environ.get("CYBERHANS_ENDURANCE"))


def full(reduced: int, count: int) -> int:
    """`count` with CYBERHANS_ENDURANCE=1, else `reduced`."""
    return count if ENDURANCE else reduced
