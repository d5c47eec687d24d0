"""Flash: what the images of detectors that differ in their model alone take of a board, with a single link."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyberhans.boards import board, toolchain_missing
from cyberhans.build import Build, build, compile_part, image_sizes
from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError


class Flash:
    """For detectors of one Spec and kind. The first is built; of another its model is compiled and put in the place
    of the first one's, in numbers: nothing else in the image differs but the threshold and the waveform's values.

    work: an empty folder that stays as long as this does.
    """

    def __init__(self, board_name: str, work: Path) -> None:
        self.board = board(board_name)
        self.reason = toolchain_missing(self.board)
        self.folder, self.image, self.parts = (work / name for name in ("detector", "image", "parts"))
        self.linked: Build | None = None
        self.first = 0

    def measure(self, detector: Detector) -> dict[str, Any]:
        """flash_bytes of the whole image and model_bytes within it; or None, and the flash_reason why."""
        if self.reason:
            return _unknown(self.reason)
        try:
            linked, grown = self._measured(detector)
        except CyberHansError as error:
            return _unknown(str(error))
        sizes = {"flash_bytes": linked.flash_bytes + grown, "model_bytes": linked.shares["model"] + grown}
        return {**sizes, "flash_reason": None}

    def _measured(self, detector: Detector) -> tuple[Build, int]:
        """The first one's image, and how many bytes longer this one's model is."""
        if self.linked is None:
            detector.save(self.folder)
            self.linked = build(self.folder, self.board.name, self.image)
            return self.linked, 0
        self.first = self.first or self._compiled()  # the folder is still the first one's
        detector.save(self.folder)
        return self.linked, self._compiled() - self.first

    def _compiled(self) -> int:
        """Bytes that the folder's model becomes."""
        self.parts.mkdir(exist_ok=True)
        return sum(image_sizes(made)[0] for made in compile_part(self.folder, self.board.name, "model", self.parts))


def _unknown(reason: str) -> dict[str, Any]:
    return {"flash_bytes": None, "model_bytes": None, "flash_reason": reason}
