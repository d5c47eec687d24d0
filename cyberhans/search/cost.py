"""Cost: what a detector's image takes of a board, really built, and its instructions, counted where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyberhans.boards import board, emulator_missing, toolchain_missing
from cyberhans.build import TooLargeError, build
from cyberhans.detector import Detector
from cyberhans.device import open_device
from cyberhans.errors import CyberHansError
from cyberhans.verify import count_instructions

COUNTED_SAMPLES = 24_000  # of golden windows, about; at least one window: sending them is what takes long


class Workbench:
    """Builds one detector after the other for a board in a folder of its own, where the core stays compiled."""

    def __init__(self, board_name: str, folder: Path) -> None:
        self.board = board(board_name)
        if lacking := toolchain_missing(self.board):
            raise CyberHansError(f"cannot build for {board_name}: {lacking}")
        self.folder, self.image, self.work = (folder / name for name in ("detector", "image", "work"))
        self.work.mkdir()

    @property
    def not_counted(self) -> str:
        """Why no instructions are counted; "" where they are."""
        if not self.board.bare:
            return f"{self.board.name} counts no instructions"
        return emulator_missing(self.board) or ""

    def measure(self, detector: Detector) -> dict[str, Any]:
        """flash_bytes, model_bytes of it, ram_bytes with the stack (stack_bytes, None on native),
        instructions_per_window (None where not counted); or `reason` why not, with `needs` where it does not fit."""
        saved = detector.save(self.folder)
        try:
            built = build(self.folder, self.board.name, self.image, work=self.work)
        except TooLargeError as error:
            return {"reason": str(error), "needs": {"memory": error.memory, "needed": error.needed,
                                                    "there": error.there}}  # fmt: skip
        except CyberHansError as error:
            return {"reason": str(error)}
        return {
            "flash_bytes": built.flash_bytes,
            "model_bytes": built.shares["model"],
            "ram_bytes": built.ram_bytes + (built.stack_bytes or 0),
            "stack_bytes": built.stack_bytes,
            "instructions_per_window": None if self.not_counted else self._counted(saved, built.image),
        }

    def _counted(self, detector: Detector, image: Path) -> int:
        """The median over a few golden windows."""
        size = detector.spec.window * detector.spec.channels
        windows = detector.golden[: max(1, COUNTED_SAMPLES // size)]
        with open_device(f"board:{self.board.name}", image=image, counting=True) as device:
            return count_instructions(device, self.board, windows)["total"]
