"""Cost: what a detector's image takes of a board, really built, and its instructions, counted where it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from cyberhans.boards import board, emulator_missing, toolchain_missing
from cyberhans.build import TooLargeError, build
from cyberhans.detector import Detector
from cyberhans.device import open_device
from cyberhans.errors import CyberHansError
from cyberhans.verify import count_instructions

PLACES = 2
COUNTED_SAMPLES = 24_000  # of golden windows, about; at least one window: sending them is what takes long


class Workbench:
    """Builds detectors for a board, PLACES at a time, each in a folder of its own where the core stays compiled."""

    def __init__(self, board_name: str, folder: Path) -> None:
        self.board = board(board_name)
        if lacking := toolchain_missing(self.board):
            raise CyberHansError(f"cannot build for {board_name}: {lacking}")
        self.places: SimpleQueue[Path] = SimpleQueue()
        for number in range(PLACES):
            (folder / str(number) / "work").mkdir(parents=True)
            self.places.put(folder / str(number))

    @property
    def not_counted(self) -> str:
        """Why no instructions are counted; "" where they are."""
        if not self.board.bare:
            return f"{self.board.name} counts no instructions"
        return emulator_missing(self.board) or ""

    def each(self, detectors: Sequence[Detector]) -> Iterator[dict[str, Any]]:
        """measure() of each, in their order."""
        pool = ThreadPoolExecutor(PLACES)  # they wait for compilers and emulators, which are processes
        try:
            yield from pool.map(self.measure, detectors)
        finally:
            pool.shutdown(cancel_futures=True)

    def measure(self, detector: Detector) -> dict[str, Any]:
        """What its image takes; or the `reason` why there is none, with `needs` where it does not fit.

        image_bytes: all that lies in flash. flash_bytes: the same without the stored waveform, whose place a sensor's
        driver takes: it grows with the window, up to a bound, and would make short windows look small. model_bytes:
        the model's share. ram_bytes: with the stack, stack_bytes of it (None on native). instructions_per_window and
        instructions_per_s, None where not counted.
        """
        place = self.places.get()
        try:
            saved = detector.save(place / "detector")
            built = build(place / "detector", self.board.name, place / "image", work=place / "work")
            counted = None if self.not_counted else self._counted(saved, built.image)
        except TooLargeError as error:
            told = f"needs {error.needed:,} bytes of {error.memory}, {self.board.name} has {error.there:,}"
            return {"reason": told, "needs": {"memory": error.memory, "needed": error.needed, "there": error.there}}
        except CyberHansError as error:
            return {"reason": str(error)}
        finally:
            self.places.put(place)
        spec = detector.spec
        return {
            "image_bytes": built.flash_bytes,
            "flash_bytes": built.flash_bytes - built.shares["waveform"],
            "model_bytes": built.shares["model"],
            "ram_bytes": built.ram_bytes + (built.stack_bytes or 0),
            "stack_bytes": built.stack_bytes,
            "instructions_per_window": counted,
            "instructions_per_s": counted and round(counted * spec.rate_hz / spec.hop),
        }

    def _counted(self, detector: Detector, image: Path) -> int:
        """The median over a few golden windows."""
        size = detector.spec.window * detector.spec.channels
        windows = detector.golden[: max(1, COUNTED_SAMPLES // size)]
        with open_device(f"board:{self.board.name}", image=image, counting=True) as device:
            return count_instructions(device, self.board, windows)["total"]
