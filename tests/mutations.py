"""A corpus for fuzzing: real requests with mutated bodies, most in sound packets, and damaged wire between them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from cyberhans.messages import (
    STOP,
    UNDO,
    Capture,
    Credit,
    Nak,
    Rebaseline,
    Request,
    Samples,
    Start,
    Taken,
    Trace,
    Verdict,
)
from cyberhans.protocol import LARGEST_BODY, Packet

EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
SOUND = 0.7  # of all packets have valid COBS and CRC
WHOLE = 0.3  # of all bodies are what a good host would send


def corpus(rng: random.Random, count: int, channels: int, files: tuple[str, ...]) -> Iterator[bytes]:
    """`count` times bytes for the wire, each with a zero at the end. FILE names no folder but the current one."""
    index = 0
    for _ in range(count):
        kind = rng.choice((*Request, Request.SAMPLES, Request.SAMPLES, Request.START, Request.CREDIT))
        body = _body(rng, kind, index, channels, files)
        if kind == Request.START:
            index = 0
        elif kind == Request.SAMPLES:
            index += (len(body) - 4) // (2 * channels)
        if rng.random() > WHOLE:
            body = mutate(rng, body)
        if kind == Request.FILE:
            body = body.replace(b"/", b"_")
        kind = rng.randrange(256) if rng.random() < 0.05 else kind
        wire = Packet(kind, rng.randrange(256), body[:1100]).encode()
        yield wire if rng.random() < SOUND else damage(rng, wire) + b"\0"


def _body(rng: random.Random, kind: int, index: int, channels: int, files: tuple[str, ...]) -> bytes:
    match kind:
        case Request.START:
            return Start(rng.randrange(4), rng.choice((0, 0, 1, 0xFFFFFFFF))).pack()
        case Request.SAMPLES:
            return Samples(
                index % 2**32, tail=rng.randbytes(2 * channels * rng.randrange(252 // (2 * channels)))
            ).pack()
        case Request.TRACE:
            return Trace(rng.choice(EDGES), rng.randrange(65536), rng.randrange(8), 0).pack()
        case Request.CAPTURE:
            rate, until = rng.choice((0, 1_000, 3_200_000, 100_000_000, 100_000_001)), rng.choice((0, 1_000, 2**31 - 1))
            frames = rng.choice((0, 1, 500, 2**32 - 1))
            return Capture(rng.randrange(3), rate, frames, until, rng.randrange(channels + 2), 0, 0).pack()
        case Request.CREDIT:
            return Credit(rng.randrange(3), rng.choice((1, 5_000, *EDGES))).pack()
        case Request.REBASELINE:
            return Rebaseline(rng.randrange(1, 2**32), rng.choice((UNDO, STOP, 2, 3, 4096, 4097)), 0).pack()
        case Request.FILE:
            return rng.choice(files).encode() + b"\0"
    return b""


def mutate(rng: random.Random, body: bytes) -> bytes:
    """One or more of: cut, longer, a field at its edge, flipped bits, a piece twice, all of it random."""
    bent = bytearray(body)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place = rng.randrange(len(bent) + 1)
        match rng.randrange(6):
            case 0:
                del bent[place:]
            case 1:
                bent += rng.randbytes(rng.choice((1, 2, 3, 4, 100, 250, 300, LARGEST_BODY)))
            case 2:
                width = rng.choice((1, 2, 4))
                bent[place : place + width] = (rng.choice(EDGES) % 256**width).to_bytes(width, "little")
            case 3 if bent:
                bent[place % len(bent)] ^= 1 << rng.randrange(8)
            case 4:
                bent[place:place] = bent[: rng.randrange(64)]
            case _:
                bent = bytearray(rng.randbytes(len(bent)))
    return bytes(bent[:LARGEST_BODY])


def damage(rng: random.Random, wire: bytes) -> bytes:
    """What a line makes of a packet: flipped, lost or added bytes, a cut, mere noise, text."""
    bent = bytearray(wire)
    place = rng.randrange(len(bent))
    match rng.randrange(6):
        case 0:
            bent[place] ^= rng.randrange(1, 256)
        case 1:
            del bent[place : place + rng.randrange(1, 8)]
        case 2:
            bent[place:place] = rng.randbytes(rng.randrange(1, 8))
        case 3:
            del bent[place:]
        case 4:
            bent = bytearray(rng.randbytes(rng.randrange(2500)))
        case _:
            bent = bytearray(rng.choice((b"?\n", b"??\r\n", b"help\n?\n", b"\xff" * 300, b"\1" * 1100, b"\r?")))
    return bytes(bent)


def answers(rng: random.Random, channels: int) -> list[Packet]:
    """What a device may say, each kind once, to be mutated."""
    mean = rng.randbytes(2 * channels)
    return [
        Packet(0x80, rng.randrange(256), Nak(rng.randrange(8), rng.randrange(8), 0, rng.randrange(2**31)).pack()),
        Packet(0x83, rng.randrange(256), Taken(rng.randrange(2**32), 0, 2, 0).pack()),
        Packet(0xC0, rng.randrange(256), Verdict(0, 0, 1, 2, 0, 0, channels, 1, 0, 0, 0, 0, 0, tail=mean).pack()),
    ]
