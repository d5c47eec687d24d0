"""Flash: what the images of detectors that differ in their model alone take of a board, with a single link."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cyberhans.boards import board, compiler, toolchain_missing
from cyberhans.build import Build, build, image_sizes
from cyberhans.core import firmware_dir
from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError

FLAGS = ("-O2", "-std=c99", "-w", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections")  # as the firmware's


class Flash:
    """For detectors of one Spec and kind. The first is built; of another its model is compiled and put in the place
    of the first one's, in numbers: nothing else in the image differs but the threshold and the waveform's values."""

    def __init__(self, board_name: str) -> None:
        self.board = board(board_name)
        self.reason = toolchain_missing(self.board)
        self.linked: Build | None = None
        self.first = 0

    def measure(self, detector: Detector) -> dict[str, Any]:
        """flash_bytes of the whole image and model_bytes within it; or None, and the flash_reason why."""
        if self.reason:
            return _unknown(self.reason)
        try:
            size = self._compiled(detector.model.text)
            if self.linked is None:
                with tempfile.TemporaryDirectory() as scratch:
                    folder = detector.save(Path(scratch) / "detector").folder
                    assert folder is not None
                    self.linked, self.first = build(folder, self.board.name, Path(scratch) / "image"), size
        except CyberHansError as error:
            return _unknown(str(error))
        grown = size - self.first
        sizes = {"flash_bytes": self.linked.flash_bytes + grown, "model_bytes": self.linked.shares["model"] + grown}
        return {**sizes, "flash_reason": None}

    def _compiled(self, text: str) -> int:
        """Bytes that a model.c becomes."""
        with tempfile.TemporaryDirectory() as scratch:
            source, made = Path(scratch) / "model.c", Path(scratch) / "model.o"
            source.write_text(text)
            command = [*compiler(self.board), *self.board.cpu, *FLAGS, f"-I{firmware_dir() / 'core'}", "-c",
                       str(source), "-o", str(made)]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise CyberHansError(f"model.c does not compile for {self.board.name}: {done.stderr.strip()[:200]}")
            return image_sizes(made)[0]


def _unknown(reason: str) -> dict[str, Any]:
    return {"flash_bytes": None, "model_bytes": None, "flash_reason": reason}
