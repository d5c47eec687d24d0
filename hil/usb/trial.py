"""One trial: what the guest is given, and what it ends with."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import numpy as np

from conftest import ROOT
from cyberhans.blank import blank_image
from cyberhans.recording import Recording, save_recording
from hil.usb.kernel import kernel
from hil.usb.machine import run

RATE_HZ, CHANNELS, FRAMES = 40_000, 3, 2_400_000  # longer than the recording made of it: no sample frame stands twice
SECONDS = 150.0


def trial(folder: Path) -> tuple[int, str]:
    """In an empty folder: (exit code, what the guest's console showed). Raises CyberHansError."""
    random = np.random.default_rng(1)
    samples = random.integers(-20_000, 20_000, (FRAMES, CHANNELS), np.int16)
    save_recording(Recording(samples=samples, rate_hz=RATE_HZ, axes=("x", "y", "z")), folder / "source.wav")
    shutil.copy(blank_image("native"), folder / "firmware")
    command = shlex.join([sys.executable, "-m", "hil.usb.guest", "/mnt/firmware", "/mnt"])
    lines = [
        f"cd {shlex.quote(str(ROOT))}",
        "export PYTHONPATH=. PYTHONDONTWRITEBYTECODE=1 HOME=/run TMPDIR=/run XDG_CACHE_HOME=/run",
        f"exec {command}",
    ]
    return run(kernel(), folder, "\n".join(lines), SECONDS)
