"""Source: where the windows come from that a device is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError
from cyberhans.hil.floats import has_floats, tipping_windows
from cyberhans.recording import RATE_TOLERANCE, Recording, load_recording
from cyberhans.spec import Spec
from cyberhans.verify import adversarial_windows, gather_windows


@dataclass(frozen=True)
class Source:
    """golden: the detector's own; adversarial: those that strain the arithmetic; floats: those that strain a model's
    (cyberhans.hil.floats); else a recording's, `most` of them."""

    name: str
    path: Path | None = None
    most: int | None = None

    def windows(self, detector: Detector) -> NDArray[np.int16]:
        """int16 (k, window, channels). Raises CyberHansError on a recording that has failed its checks."""
        if self.path:
            return gather_windows([load_recording(self.path)], detector.spec, self.most)
        if self.name == "floats":
            return tipping_windows(detector)
        return detector.golden if self.name == "golden" else adversarial_windows(detector.spec)


def sources(detector: Detector, recordings: str | None, most: int) -> list[Source]:
    """golden, adversarial, floats if its model has some, and each WAV of a file or folder that has the Spec's rate and
    channels; of a folder not what is hidden, as a recording is that still grows.

    Raises CyberHansError: nothing there, or none that fits.
    """
    spec, made = detector.spec, [Source("golden"), Source("adversarial")]
    made += [Source("floats")] if has_floats(detector) else []
    if recordings is None:
        return made
    root = Path(recordings)
    files = sorted(_visible(root)) if root.is_dir() else [root]
    fitting = [path for path in files if _fits(load_recording(path), spec)]
    if not fitting:
        raise CyberHansError(f"{root}: {len(files)} WAV files, none of {spec.channels} channels at "
                             f"{spec.rate_hz:g} Hz with {spec.window} samples, which the detector wants")  # fmt: skip
    return made + [Source(_name(path, root), path, most) for path in fitting]


def _visible(root: Path) -> Iterator[Path]:
    for path in root.rglob("*.wav"):
        if not any(part.startswith(".") for part in path.relative_to(root).parts):
            yield path


def _fits(recording: Recording, spec: Spec) -> bool:
    near = abs(recording.rate_hz / spec.rate_hz - 1) <= RATE_TOLERANCE
    return near and recording.channels == spec.channels and recording.frames >= spec.window


def _name(path: Path, root: Path) -> str:
    """Its path below the folder; tests are named after it."""
    inside = path.relative_to(root) if path != root else Path(path.name)
    return re.sub(r"[^\w./]+", "_", str(inside.with_suffix("")))
