"""A stream of packets read three ways: as SPEC.md section 10.1 says, by cyberhans.protocol, by the C decoder."""

from __future__ import annotations

import ctypes
import struct
import subprocess
import zlib
from pathlib import Path

from cyberhans import protocol

CORE = Path(__file__).resolve().parent.parent / "firmware" / "core"
HARNESS = Path(__file__).resolve().parent / "c"
SMALLEST_FRAME = 2 + 4

Answers = list[bytes | None]  # of each segment: the frame without its CRC, or None where it was no sound frame


def plain(wire: bytes) -> Answers:
    """SPEC.md, segment by segment: nothing of either decoder is in it."""
    *segments, _unfinished = wire.split(b"\0")
    return [_frame(segment) for segment in segments if segment]


def _frame(segment: bytes) -> bytes | None:
    frame, at = bytearray(), 0
    while at < len(segment):
        code = segment[at]
        block = segment[at + 1 : at + code]
        if len(block) < code - 1:
            return None
        frame += block
        at += code
        if code < 255 and at < len(segment):
            frame.append(0)
    if len(frame) < SMALLEST_FRAME:
        return None
    if len(frame) > protocol.LARGEST_FRAME:
        return None
    if zlib.crc32(frame[:-4]) != int.from_bytes(frame[-4:], "little"):
        return None
    return bytes(frame[:-4])


def by_python(wire: bytes, cuts: list[int]) -> tuple[list[bytes], int]:
    """Frames and the count of broken ones, handed over in portions that end at `cuts`, ascending indices."""
    decoder, frames = protocol.Decoder(), []
    for begin, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        frames += [bytes((packet.type, packet.seq)) + packet.body for packet in decoder.feed(wire[begin:end])]
    return frames, decoder.broken


def cuts_of(wire: bytes) -> list[int]:
    """Where to cut a stream in portions, from single bytes to hundreds: chance, but the same for the same stream."""
    cuts, at, state = [], 0, zlib.crc32(wire)
    while True:
        state = (state * 1103515245 + 12345) % 2**31
        at += 1 + (state >> 16) % (2, 8, 300)[(state >> 8) % 3]
        if at >= len(wire):
            return cuts
        cuts.append(at)


class CDecoder:
    """firmware/core/packet.c as a library, with a room of the largest frame that Python knows."""

    def __init__(self, folder: Path, packet_c: Path = CORE / "packet.c") -> None:
        library = folder.resolve() / "packet_stream.so"
        sources = [HARNESS / "packet_stream.c", packet_c, CORE / "crc.c"]
        subprocess.run(["cc", "-std=c99", "-O2", "-fPIC", "-shared", f"-I{CORE}", f"-I{HARNESS}", *map(str, sources),
                        "-o", str(library)], check=True)  # fmt: skip
        self._stream = ctypes.CDLL(str(library)).packet_stream
        self._stream.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_char_p]
        self._stream.restype = ctypes.c_size_t

    def answers(self, wire: bytes) -> Answers:
        room = ctypes.create_string_buffer(2 * len(wire) + 8)
        size = self._stream(wire, len(wire), protocol.LARGEST_FRAME, room)
        told, answers, at = room.raw[:size], Answers(), 0
        while at < size:
            (frame,) = struct.unpack_from("@i", told, at)
            answers.append(told[at + 4 : at + 4 + frame] if frame > 0 else None)
            at += 4 + max(frame, 0)
        return answers


def compare(wire: bytes, c: CDecoder) -> Answers:
    """All three, and Python's decoder in portions too. AssertionError where they differ; else what they say."""
    answers = plain(wire)
    frames = [answer for answer in answers if answer is not None]
    assert c.answers(wire) == answers, "C"
    for cuts in ([], cuts_of(wire)):
        assert by_python(wire, cuts) == (frames, len(answers) - len(frames)), f"Python, cut at {cuts}"
    return answers
