"""Small detectors for tests, learnt once: features like those of real windows, and recordings to train from."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from cyberhans import detectors
from cyberhans.detector import Model
from cyberhans.emit import emit
from cyberhans.recording import Recording
from cyberhans.spec import Family, Frame, Spec

SPEC = Spec(16_000_000, 1, 256, 256, Family.LEVEL | Family.STEPS, (Frame(64, (1, 2, 4, 8, 16, 32)),))


def features(count: int = 20, windows: int = 160, seed: int = 0) -> NDArray[np.int16]:
    """Correlated features around some thousands, int16 (windows, count)."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(5, count)) * 40
    level = np.random.default_rng(98).uniform(-500, 6000, count)
    rows = level + random.normal(size=(windows, 5)) @ mixing + random.normal(size=(windows, count)) * 15
    return np.rint(rows).astype(np.int16)


@functools.cache
def fitted(kind: str, count: int = 20) -> detectors.Fitted:
    return detectors.fit(kind, features(count), 0)


@functools.cache
def model(kind: str, count: int = 20, method: str | None = None) -> Model:
    return emit(fitted(kind, count), features(count), method=method)[0]


def recording(
    seed: int = 0, seconds: float = 2.0, label: str = "normal", gain: float = 1.0, **more: object
) -> Recording:
    """Noise with a tone, of one channel at 16 kHz; `gain` makes another machine of it."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * 16000)) / 16000
    signal = random.normal(0, 800 * gain, time.size) + 2000 * np.sin(2 * np.pi * 1000 * gain * time)
    fields: dict[str, object] = {"rate_hz": 16000.0, "machine": "rig", "session": f"day {seed}", "label": label}
    return Recording(np.rint(signal).astype(np.int16)[:, None], **{**fields, **more})  # type: ignore[arg-type]
