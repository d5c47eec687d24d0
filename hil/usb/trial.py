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

RATE_HZ, CHANNELS, FRAMES = 16_000, 3, 1_000_000  # longer than what is recorded: no part of it stands twice
SECONDS = 150.0


def trial(folder: Path) -> tuple[int, str]:
    """In an empty folder: (exit code, what the guest's console showed). Raises CyberHansError."""
    folder = folder.resolve()
    random = np.random.default_rng(1)
    samples = random.integers(-20_000, 20_000, (FRAMES, CHANNELS), np.int16)
    save_recording(Recording(samples=samples, rate_hz=RATE_HZ, axes=("x", "y", "z")), folder / "source.wav")
    shutil.copy(blank_image("native"), folder / "firmware")
    quoted = shlex.quote(str(folder))
    program = (
        f"cd {shlex.quote(str(ROOT))} && export PYTHONPATH=. PYTHONDONTWRITEBYTECODE=1 HOME={quoted} TMPDIR={quoted}\n"
        f"exec {shlex.quote(sys.executable)} -m hil.usb.guest {quoted}\n"
    )
    return run(kernel(), folder, program, SECONDS)
