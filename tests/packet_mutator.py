"""Streams of packets bent so that most of what a fuzzer tries has sound COBS and CRC. In C: c/packet_mutator.c."""

from __future__ import annotations

import random
from collections.abc import Callable
from zlib import crc32

from cobs import cobs

from cyberhans.protocol import LARGEST_FRAME

Bend = Callable[[bytes, int], bytes]  # bytes and their largest size -> other bytes: the fuzzer's own mutations

MOST_FRAMES = 8
LARGEST = LARGEST_FRAME - 4  # without CRC
SIZES = (
    0,
    1,
    2,
    3,
    249,
    250,
    251,
    253,
    254,
    255,
    504,
    508,
    509,
    758,
    762,
    1016,
    1017,
    LARGEST - 1,
    LARGEST,
    LARGEST + 1,
)


def mutate(wire: bytes, max_size: int, seed: int, bend: Bend) -> bytes:
    """Take the frames out, bend one, seal all again; damage the wire of every fourth stream."""
    rng = random.Random(seed)
    frames = bend_one([unpack(segment) for segment in wire.split(b"\0") if segment][:MOST_FRAMES], rng, bend)
    sealed = b""
    for frame in frames:
        packet = seal(frame if len(frame) >= 2 or rng.random() < 0.2 else frame.ljust(2, b"\1"))
        sealed += packet if len(sealed) + len(packet) <= max_size else b""
    return sealed if rng.random() < 0.75 else damage(sealed, max_size, rng, bend)


def unpack(segment: bytes) -> bytes:
    """Whatever a segment decodes to, sound or not, less four bytes for its CRC."""
    frame, at = b"", 0
    while at < len(segment):
        frame += segment[at + 1 : at + segment[at]] + (b"\0" if segment[at] < 255 else b"")
        at += segment[at]
    return frame[: len(frame) - (1 if at and segment[-1:] != b"\xff" else 0)][:-4][: LARGEST + 4]


def seal(frame: bytes) -> bytes:
    return bytes(cobs.encode(frame + crc32(frame).to_bytes(4, "little"))) + b"\0"


def bend_one(frames: list[bytes], rng: random.Random, bend: Bend) -> list[bytes]:
    """One frame resized, filled in part, dropped, doubled or bent by the fuzzer."""
    if not frames:
        return [rng.randbytes(rng.choice(SIZES))]
    which = rng.randrange(len(frames))
    frame = frames[which]
    match rng.randrange(8):
        case 0:
            size = rng.choice(SIZES)
            frame = frame[:size] + bytes(rng.randrange(1, 256) for _ in range(size - len(frame)))
        case 1:
            begin, end = sorted((rng.randrange(len(frame) + 1), rng.randrange(len(frame) + 1)))
            frame = frame[:begin] + bytes([rng.choice((0, rng.randrange(256)))]) * (end - begin) + frame[end:]
        case 2:
            return frames[:which] + frames[which + 1 :]
        case 3 if len(frames) < MOST_FRAMES:
            return [*frames, frame]
        case _:
            frame = bend(frame, LARGEST + 4)
    return [*frames[:which], frame, *frames[which + 1 :]]


def damage(wire: bytes, max_size: int, rng: random.Random, bend: Bend) -> bytes:
    """A bit flipped, a byte lost, a cut, an empty block at the end, a zero too many, or what the fuzzer does."""
    at = rng.randrange(len(wire) + 1)
    match rng.randrange(6):
        case 0 if at < len(wire):
            bent = wire[:at] + bytes([wire[at] ^ 1 << rng.randrange(8)]) + wire[at + 1 :]
        case 1:
            bent = wire[:at] + wire[at + 1 :]
        case 2:
            bent = wire[:at]
        case 3:
            bent = wire[:-1] + b"\1\0"
        case 4:
            bent = wire[:at] + b"\0" + wire[at:]
        case _:
            bent = bend(wire, max_size)
    return bent[:max_size]
