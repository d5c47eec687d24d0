"""The native firmware of the small detector under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

from small_detector import small_image

from cyberhans.core import firmware_dir

FLAGS = ("-std=gnu99", "-O1", "-g", "-ffp-contract=off", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
         "-Wall", "-Wextra", "-Werror", "-DHANS_BODY_MAX=256")  # fmt: skip


def sanitized_image(folder: Path) -> Path:
    """Compile it into `folder`; packets as small as on the smallest board."""
    firmware, detector = firmware_dir(), small_image()[0].folder
    assert detector
    (folder / "waveform.c").write_text(
        "#include <stdint.h>\nextern const int16_t hans_waveform[]; extern const uint32_t hans_waveform_frames;\n"
        "const int16_t hans_waveform[] = {1, 2, 3, -4, -5, -6}; const uint32_t hans_waveform_frames = 2;\n"
    )
    sources = [path for room in ("core", "app", "boards/native") for path in sorted((firmware / room).glob("*.c"))]
    sources += [detector / name for name in ("tables.c", "model.c", "detector.c")] + [folder / "waveform.c"]
    include = [f"-I{path}" for path in (firmware / "core", firmware / "app", detector)]
    subprocess.run(["gcc", *FLAGS, *include, *map(str, sources), "-o", str(folder / "image")], check=True)
    return folder / "image"
