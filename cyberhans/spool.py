"""Spool: the samples of a capture on disk as they come, hidden until the recording is whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyberhans import wav
from cyberhans.errors import CyberHansError

HIDDEN, DRAFT = ".", ".draft"
PORTION = 1 << 20  # bytes
SPARE = 1 << 16  # bytes of samples that are given up where a disk is full, so that the sidecar finds room
NAMES = 100  # recordings of one machine that may begin within a second


class Full(CyberHansError):
    """No more samples can be written; those in the spool can still be kept."""


class Spool:
    """A WAV file that grows, under a hidden name in the folder where it will be: `folder`/.NAME.wav.draft.

    Killed at any moment, it leaves at most that draft, or the sidecar and the draft, which the next Spool in the folder
    removes, or makes whole where the sidecar is there (it appears last before the WAV, when all is on the disk).
    Raises CyberHansError where nothing can be written.
    """

    def __init__(self, folder: Path, name: str, channels: int, rate_hz: float) -> None:
        self._channels, self._rate = channels, max(1, round(rate_hz))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder)
            self.path, self._draft, self._file = _create(folder, name)
        except OSError as error:
            raise _unwritable(folder, error) from None
        try:
            self._write(wav.header(channels, self._rate, 0))
        except OSError as error:
            self.discard()
            raise _unwritable(folder, error) from None
        self.frames = 0

    def add(self, samples: NDArray[np.int16]) -> None:
        """int16 (n, channels). Raises Full where they cannot be written; the last SPARE bytes are given up then."""
        try:
            self._write(samples.astype("<i2", copy=False).tobytes())
        except OSError as error:
            self._give_up()
            raise Full(str(_unwritable(self._draft, error))) from None
        self.frames += len(samples)

    def samples(self) -> NDArray[np.int16]:
        """All so far, int16 (frames, channels), as they are on the disk."""
        shape = self.frames, self._channels
        return np.memmap(self._draft, np.dtype("<i2"), "r", wav.HEADER_BYTES, shape) if self.frames else _none(shape)

    def seal(self) -> str:
        """Complete the draft, and bring it to the disk; gives its SHA-256 in hex."""
        try:
            self._file.seek(0)
            self._write(wav.header(self._channels, self._rate, self.frames * 2 * self._channels))
            os.fsync(self._file.fileno())
            digest = hashlib.sha256()
            self._file.seek(0)
            while part := self._file.read(PORTION):
                digest.update(part)
        except OSError as error:
            raise _unwritable(self._draft, error) from None
        return digest.hexdigest()

    def publish(self, sidecar: str) -> Path:
        """Let the sealed recording appear: its sidecar, then the WAV; gives the WAV's path."""
        wav.write_whole(self.path.with_suffix(".json"), sidecar.encode())
        try:
            os.replace(self._draft, self.path)
            wav.settle_folder(self.path.parent)
        except OSError as error:
            raise _unwritable(self.path, error) from None
        self._file.close()
        return self.path

    def discard(self) -> None:
        """Leave nothing behind, unless it was published, or was interrupted when its sidecar was there already."""
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self._file.close()
            with contextlib.suppress(OSError):
                _tidy(self._draft)

    def _write(self, data: bytes) -> None:
        """All of it: nothing waits in a buffer, so that closing the file writes nothing."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _give_up(self) -> None:
        size = 2 * self._channels
        self.frames = max(0, self.frames - -(-SPARE // size))
        with contextlib.suppress(OSError):
            self._file.truncate(wav.HEADER_BYTES + self.frames * size)


def sweep(folder: Path) -> None:
    """Finish or remove what captures left that were killed; those that still run keep theirs."""
    for draft in folder.glob(f"{HIDDEN}*.wav{DRAFT}"):
        with contextlib.suppress(OSError), draft.open("r+b", buffering=0) as file:
            if _lock(file):
                _tidy(draft)


def _tidy(draft: Path) -> None:
    """Make whole a draft whose sidecar is there, which appears when all samples are on the disk; remove another."""
    path = draft.with_name(draft.name.removeprefix(HIDDEN).removesuffix(DRAFT))
    for sidecar in wav.drafts(path.with_suffix(".json")):
        sidecar.unlink()
    if path.with_suffix(".json").exists() and not path.exists():
        os.replace(draft, path)
    else:
        draft.unlink()


def _create(folder: Path, name: str) -> tuple[Path, Path, FileIO]:
    """A free name, its draft, and the draft's file, which is locked while this process lives."""
    for number in range(1, NAMES):
        path = folder / f"{name}{f'-{number}' if number > 1 else ''}.wav"
        draft = folder / f"{HIDDEN}{path.name}{DRAFT}"
        if path.exists() or path.with_suffix(".json").exists():
            continue
        with contextlib.suppress(FileExistsError):
            file = draft.open("x+b", buffering=0)
            if _lock(file) and draft.exists():  # else another capture swept it away before it was locked
                return path, draft, file
            file.close()
    raise CyberHansError(f"{folder / name}.wav: there are {NAMES} of that name; wait a second and repeat")


def _lock(file: FileIO) -> bool:
    """Whether no other process has this file locked; it is then, until it is closed or its process ends."""
    if sys.platform == "win32":
        return True  # there a file that is open cannot be renamed or removed
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _none(shape: tuple[int, int]) -> NDArray[np.int16]:
    return np.zeros(shape, np.int16)


def _unwritable(path: Path, error: OSError) -> CyberHansError:
    return CyberHansError(f"{path}: cannot be written: {error.strerror}; mend that or choose another --out")
