"""Spool: the samples of a capture on disk as they come, hidden until the recording is whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyberhans import wav
from cyberhans.draft import reserved, unwritable


class Spool:
    """A WAV file that grows as a Draft in the folder where it will be. Raises CyberHansError where it cannot."""

    def __init__(self, folder: Path, name: str, channels: int, rate_hz: float) -> None:
        self._channels, self._rate = channels, max(1, round(rate_hz))
        self._draft = reserved(folder, name)
        self._draft.write(wav.header(channels, self._rate, 0))
        self.path, self.frames = self._draft.path, 0

    def add(self, samples: NDArray[np.int16]) -> None:
        """int16 (n, channels)."""
        self._draft.write(samples.astype("<i2", copy=False).tobytes())
        self.frames += len(samples)

    def samples(self) -> NDArray[np.int16]:
        """All so far, int16 (frames, channels), as they are on the disk."""
        shape = self.frames, self._channels
        if not self.frames:
            return np.zeros(shape, np.int16)
        self._draft.file.flush()
        return np.memmap(self._draft.hidden, np.dtype("<i2"), "r", wav.HEADER_BYTES, shape)

    def seal(self) -> str:
        """Complete the draft; gives its SHA-256 in hex."""
        try:
            self._draft.file.flush()
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
