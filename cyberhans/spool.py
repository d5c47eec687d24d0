"""Spool: the samples of a capture on disk as they come, hidden until the recording is whole."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyberhans import wav
from cyberhans.draft import reserved, unwritable
from cyberhans.errors import CyberHansError

SPARE = 1 << 16  # bytes of samples that are given up where a disk is full, so that the sidecar finds room


class Full(CyberHansError):
    """No more samples can be written; those in the spool can still be kept."""


class Spool:
    """A WAV file that grows as a Draft in the folder where it will be. Raises CyberHansError where it cannot."""

    def __init__(self, folder: Path, name: str, channels: int, rate_hz: float) -> None:
        self._channels, self._rate = channels, max(1, round(rate_hz))
        self._draft = reserved(folder, name)
        self.path, self.frames = self._draft.path, 0
        try:
            self._draft.write(wav.header(channels, self._rate, 0))
        except CyberHansError:
            self.discard()
            raise

    def add(self, samples: NDArray[np.int16]) -> None:
        """int16 (n, channels). Raises Full where they cannot be written; the last SPARE bytes are given up then."""
        try:
            self._draft.write(samples.astype("<i2", copy=False).tobytes())
        except CyberHansError as error:
            self._give_up()
            raise Full(str(error)) from None
        self.frames += len(samples)

    def samples(self) -> NDArray[np.int16]:
        """All so far, int16 (frames, channels), as they are on the disk."""
        shape = self.frames, self._channels
        if not self.frames:
            return np.zeros(shape, np.int16)
        return np.memmap(self._draft.hidden, np.dtype("<i2"), "r", wav.HEADER_BYTES, shape)

    def seal(self) -> str:
        """Complete the draft; gives its SHA-256 in hex."""
        try:
            self._draft.file.seek(0)
        except OSError as error:
            raise unwritable(self._draft.hidden, error) from None
        self._draft.write(wav.header(self._channels, self._rate, self.frames * 2 * self._channels))
        return self._draft.digest()

    def publish(self, sidecar: str) -> Path:
        """Let the sealed recording appear; gives the WAV's path."""
        return self._draft.publish(sidecar)

    def discard(self) -> None:
        """Leave nothing behind, unless it was published."""
        self._draft.discard()

    def _give_up(self) -> None:
        size = 2 * self._channels
        self.frames = max(0, self.frames - -(-SPARE // size))
        with contextlib.suppress(OSError):
            self._draft.file.truncate(wav.HEADER_BYTES + self.frames * size)
