"""A native image without a detector that plays given samples, and how its clocks go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from receiver import Received

from cyberhans.blank import blank_image
from cyberhans.boards import board
from cyberhans.emulator import Emulator

Samples = NDArray[np.int16]


def noise(frames: int, channels: int = 3) -> Samples:
    """Every int16 may come, so that a sample at a wrong place is seen."""
    return np.random.default_rng(5).integers(-(2**15), 2**15, (frames, channels), np.int16)


def arguments(path: Path, samples: Samples, rate_hz: float) -> list[str]:
    """To play them from the file `path`, which is written."""
    path.write_bytes(samples.tobytes())
    return ["--play", str(path), "--channels", str(samples.shape[1]), "--rate-mhz", str(round(rate_hz * 1000))]


def playing(path: Path, samples: Samples, rate_hz: float, *more: str, image: Path | None = None) -> Emulator:
    """A process that plays them; `more` arguments."""
    given = [*arguments(path, samples, rate_hz), *more]
    return Emulator(board("native"), image or blank_image("native"), arguments=given)


def clock(received: Received, rate_hz: float) -> tuple[float, float]:
    """The sample clock against the time stamps: its rate's error as a share, and the scatter of the stamps, seconds
    (root of the mean square)."""
    index = np.array([data.index for data in received.data], float)
    ticks = np.array([data.ticks for data in received.data], float) / 1e9
    time = np.unwrap(ticks - index / rate_hz, period=2**32 / 1e9) + index / rate_hz
    slope, begin = np.polyfit(index, time, 1)
    return 1 / slope / rate_hz - 1, float(np.std(time - slope * index - begin))
