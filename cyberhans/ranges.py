"""Ranges: what the numbers and texts of a recording may be, whoever states them."""

from __future__ import annotations

WIDE = 1e12  # seconds, or Hz of a clock that lies: far off, and yet its square and its quotients are numbers
RANGES: dict[str, tuple[float, float]] = {
    "scale": (1e-30, 1e30),  # of its magnitude
    "offset": (-1e30, 1e30),
    "rate_hz": (1e-6, WIDE),
    "rate_nominal_hz": (1e-6, 1e8),  # a WAV header holds it
    "rate_uncertainty_hz": (0.0, WIDE),
    "jitter_s": (0.0, WIDE),
    "segment_period_s": (0.0, WIDE),
    "speed_rpm": (0.0, 1e9),
}


def outside(name: str, value: float) -> str:
    """What the number must be, if it is not; "" if it is."""
    low, high = RANGES[name]
    if low <= (abs(value) if name == "scale" else value) <= high:
        return ""
    return f"must be {low:g} to {high:g}{', in magnitude' if name == 'scale' else ''}"


def writable(text: str) -> bool:
    """Whether UTF-8 holds it: no half of a surrogate pair, which is what a command line makes of other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
