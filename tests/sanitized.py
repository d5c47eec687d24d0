"""The native firmware of the small detector under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from small_detector import small_image

from cyberhans.core import firmware_dir
from cyberhans.waveform import Meaning, waveform_source

FLAGS = ("-std=gnu99", "-O1", "-g", "-ffp-contract=off", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
         "-Wall", "-Wextra", "-Werror", "-DHANS_BODY_MAX=256")  # fmt: skip
WAVEFORM = np.array([[1, 2, 3], [-4, -5, -6]], np.int16)


def sanitized_image(folder: Path) -> Path:
    """Compile it into `folder`; packets as small as on the smallest board."""
    firmware, detector = firmware_dir(), small_image()[0].folder
    assert detector
    (folder / "waveform.c").write_text(waveform_source(WAVEFORM, 20_000_000, Meaning()))
    sources = [path for room in ("core", "app", "boards/native") for path in sorted((firmware / room).glob("*.c"))]
    sources += [detector / name for name in ("tables.c", "model.c", "detector.c")] + [folder / "waveform.c"]
    include = [f"-I{path}" for path in (firmware / "core", firmware / "app", detector)]
    subprocess.run(["gcc", *FLAGS, *include, *map(str, sources), "-o", str(folder / "image")], check=True)
    return folder / "image"
