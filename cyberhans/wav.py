"""WAV: 16-bit PCM read and written with only what the format needs (RIFF, `fmt ` and `data` chunks)."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from cyberhans.errors import CyberHansError

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
HEADER_BYTES = 44  # of the files written here
MOST_CHANNELS = 255  # as many as a device can say it has
HEAD = 4096  # bytes, within which `data` begins
MEND = "convert it to 16-bit PCM, e.g. sox IN.wav -b 16 -e signed-integer OUT.wav"


def read(path: Path) -> tuple[NDArray[np.int16], int, bytes]:
    """Samples int16 (n, channels), the header's rate in Hz, and the file's bytes."""
    try:
        whole = content(path)
    except OSError as error:
        raise CyberHansError(f"{path}: {error.strerror}; give a WAV file") from None
    if not whole:
        raise CyberHansError(f"{path}: the file is empty; record it again")
    if len(whole) < 12 or whole[:4] != b"RIFF" or whole[8:12] != b"WAVE":
        raise CyberHansError(f"{path}: not a WAV file (no RIFF/WAVE header); {MEND}")
    chunks = dict(_chunks(path, whole))
    if b"fmt " not in chunks or b"data" not in chunks:
        raise CyberHansError(f"{path}: truncated: no format or no data in it; copy or record it again")
    channels, rate = _format(path, chunks[b"fmt "])
    data = chunks[b"data"]
    if len(data) % (2 * channels):
        raise CyberHansError(f"{path}: truncated: its data ends within a sample frame; copy or record it again")
    if not data:
        raise CyberHansError(f"{path}: holds no samples; record it again")
    return np.frombuffer(data, "<i2").astype(np.int16, copy=False).reshape(-1, channels), rate, whole


def measure(path: Path) -> tuple[int, int, int]:
    """Sample frames, channels and rate in Hz, from the header alone: no sample is read."""
    try:
        with opened(path) as file:
            beginning, size = file.read(HEAD), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise CyberHansError(f"{path}: {error.strerror}; give a WAV file") from None
    chunks = {name: (at, length) for name, at, length in _headers(beginning)}
    if beginning[:4] != b"RIFF" or beginning[8:12] != b"WAVE" or b"fmt " not in chunks or b"data" not in chunks:
        raise CyberHansError(f"{path}: not a WAV file, or nothing but its beginning; {MEND}")
    at, length = chunks[b"fmt "]
    channels, rate = _format(path, beginning[at : at + length])
    at, length = chunks[b"data"]
    if at + length > size or length % (2 * channels):
        raise CyberHansError(
            f"{path}: truncated: {length} bytes promised, {size - at} are there; copy or record it again"
        )
    return length // (2 * channels), channels, rate


def _headers(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of every chunk up to `data`, as far as the file's beginning tells."""
    at = 12
    while at + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, at)
        yield name, at + 8, length
        if name == b"data":
            return
        at += 8 + length + length % 2


def _chunks(path: Path, content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every chunk up to `data`; chunks are padded to even lengths."""
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        at += 8
        if at + size > len(content):
            raise CyberHansError(
                f"{path}: truncated: {size} bytes promised, {len(content) - at} are there; copy or record it again"
            )
        yield name, content[at : at + size]
        if name == b"data":
            return
        at += size + size % 2


def _format(path: Path, chunk: bytes) -> tuple[int, int]:
    """Channels and rate of a 16-bit PCM format chunk; any other is an error."""
    if len(chunk) < 16:
        raise CyberHansError(f"{path}: damaged format chunk of {len(chunk)} bytes; {MEND}")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == EXTENSIBLE and len(chunk) >= 26:
        tag = struct.unpack_from("<H", chunk, 24)[0]  # the real format leads the 16-byte identifier
    if tag != PCM or bits != 16:
        kind = {PCM: f"{bits}-bit PCM", FLOAT: f"{bits}-bit float"}.get(tag, f"format {tag}")
        raise CyberHansError(f"{path}: is {kind}; {MEND}")
    if not 1 <= channels <= MOST_CHANNELS or rate < 1:
        raise CyberHansError(f"{path}: header says {channels} channels at {rate} Hz; {MEND}")
    return channels, rate


def content(path: Path) -> bytes:
    """All of a regular file. OSError where there is none; a pipe, say, would be waited for without end."""
    with opened(path) as file:
        return file.readall()


def opened(path: Path) -> io.FileIO:
    """A regular file, to be read."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # of a folder the system tells
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    return io.FileIO(path)


def header(channels: int, rate: int, size: int) -> bytes:
    """The 44 bytes before `size` bytes of samples."""
    if not 1 <= channels <= MOST_CHANNELS:
        raise CyberHansError(f"{channels} channels: a recording has 1 to {MOST_CHANNELS}; take some of them")
    if not 1 <= rate <= 0xFFFFFFFF // (2 * channels):
        raise CyberHansError(f"{channels} channels at {rate} Hz do not fit a WAV file's header; state the true rate")
    if size > 0xFFFFFFFF - 36:
        raise CyberHansError(f"{size} bytes of samples do not fit a WAV file (4 GiB); save it in parts")
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, PCM, channels, rate,
                       rate * channels * 2, channels * 2, 16, b"data", size)  # fmt: skip


def pack(samples: NDArray[np.int16], rate: int) -> bytes:
    """The bytes of a WAV file: the header and the samples."""
    return header(samples.shape[1], rate, samples.nbytes) + samples.astype("<i2", copy=False).tobytes()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there completely or not at all, even if the power fails meanwhile."""
    draft = path.with_name(f"{_draft(path)}{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(content)
            settle(file)
        os.replace(draft, path)
        settle_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise CyberHansError(f"{path}: cannot be written: {error.strerror}") from None


def drafts(path: Path) -> list[Path]:
    """What write_whole(path) left where it was killed."""
    return [entry for entry in path.parent.iterdir() if entry.name.startswith(_draft(path))]


def settle(file: BinaryIO) -> None:
    """Wait until all of it is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def settle_folder(folder: Path) -> None:
    """The same for the names in it, where the system can (Windows has no such thing)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _draft(path: Path) -> str:
    return f".{path.name}."
