"""Workshop: where mutants of the firmware are built."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cyberhans.build import build
from cyberhans.core import firmware_dir
from cyberhans.detector import Detector, load_detector
from hil.mutant import Mutant
from hil.subjects import subject

OF_THE_DETECTOR = "detector/"


class Workshop:
    """Where mutants are built: a copy of firmware/ and of each detector's folder, patched for a while, and what a build
    leaves for the next one of the same board and detector, which compiles only what has changed."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch.resolve()
        self._firmware = self._scratch / "firmware"
        shutil.copytree(firmware_dir(), self._firmware)

    def detector(self, name: str) -> Detector:
        """The host's, which no mutant changes."""
        folder = self._scratch / "detectors" / name
        made = load_detector(folder) if folder.exists() else subject(name, folder)
        if not self._patched(name).exists():
            shutil.copytree(folder, self._patched(name))
        return made

    def _patched(self, name: str) -> Path:
        return self._scratch / "patched" / name

    @contextlib.contextmanager
    def seeded(self, mutant: Mutant) -> Iterator[None]:
        """The fault is in its file meanwhile. Raises CyberHansError where it does not apply."""
        detector = self.detector(mutant.detector)
        with contextlib.ExitStack() as stack:
            if mutant.file.startswith(OF_THE_DETECTOR):
                folder, name = self._patched(mutant.detector), mutant.file.removeprefix(OF_THE_DETECTOR)
                text = mutant.patched((folder / name).read_text())
                stack.enter_context(_rewritten(folder / name, text))
                stack.enter_context(_rewritten(folder / "detector.json", _described(detector, folder, name, text)))
            elif mutant.file:
                path = self._firmware / mutant.file
                stack.enter_context(_rewritten(path, mutant.patched(path.read_text())))
            yield

    def image(self, mutant: Mutant) -> Path:
        """Built with the fault in it. Raises CyberHansError."""
        with self.seeded(mutant):
            kept = "-".join((mutant.board, mutant.detector, *mutant.flags)).replace("/", "_")
            work = self._scratch / "work" / kept
            work.mkdir(parents=True, exist_ok=True)
            return build(self._patched(mutant.detector), mutant.board, self._scratch / "out" / mutant.name,
                         firmware=self._firmware, extra_flags=mutant.flags, work=work).image  # fmt: skip


@contextlib.contextmanager
def _rewritten(path: Path, text: str) -> Iterator[None]:
    before = path.read_text()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)


def _described(detector: Detector, folder: Path, name: str, text: str) -> str:
    """detector.json of a folder whose file `name` is another: its digests fit again, or nothing would be built. What a
    device tells of itself stays, for it lies in detector.c: that it is another has to be seen in what it computes."""
    fields = json.loads((folder / "detector.json").read_text())
    fields["files"][name] = hashlib.sha256(text.encode()).hexdigest()
    if name == "model.c":
        other = replace(detector, model=replace(detector.model, text=text))
        fields["digests"] |= {"model": other.model.digest.hex(), "detector": other.digest.hex()}
    return json.dumps(fields)
