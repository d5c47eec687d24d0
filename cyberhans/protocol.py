"""Packets of the link (SPEC.md section 10), without any I/O: type, sequence number and body <-> bytes on the wire."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from cobs import cobs

LARGEST_BODY = 1024  # bytes, of any board
LARGEST_FRAME = 2 + LARGEST_BODY + 4
LARGEST_WIRE = LARGEST_FRAME + 1 + LARGEST_FRAME // 254  # as COBS, without its delimiter


@dataclass(frozen=True)
class Packet:
    """A frame without its CRC: type, sequence number, body."""

    type: int
    seq: int
    body: bytes = b""

    def encode(self) -> bytes:
        """The bytes for the wire, with the delimiter at the end."""
        frame = bytes((self.type, self.seq)) + self.body
        return bytes(cobs.encode(frame + struct.pack("<I", zlib.crc32(frame)))) + b"\0"


@dataclass(frozen=True)
class Broken:
    """What stood between two zeros and was no packet: its first LARGEST_WIRE + 1 bytes at most, and how many it had."""

    data: bytes
    length: int


class Decoder:
    """Bytes in, packets out, in any portions. `broken` counts what was no packet: damage, noise, a banner."""

    def __init__(self) -> None:
        self.broken = 0
        self._rest = bytearray()
        self._length = 0  # of the bytes since the last zero, those too that `_rest` has no room for

    def feed(self, data: bytes) -> list[Packet]:
        """Every whole packet that `data` completes."""
        return [item for item in self.items(data) if isinstance(item, Packet)]

    def items(self, data: bytes) -> list[Packet | Broken]:
        """The same, and in its place what was no packet."""
        *ended, rest = data.split(b"\0")
        found: list[Packet | Broken] = []
        for part in ended:
            self._add(part)
            found += self.end()
        self._add(rest)
        return found

    def end(self) -> list[Packet | Broken]:
        """What there is since the last zero, as if one came now: one item, or none."""
        if not self._length:
            return []
        segment, length = bytes(self._rest), self._length
        self._rest.clear()
        self._length = 0
        packet = _packet(segment)
        self.broken += packet is None
        return [packet or Broken(segment, length)]

    def _add(self, part: bytes) -> None:
        """Noise must not grow, and what is longer than LARGEST_WIRE is no packet already."""
        self._length += len(part)
        self._rest += part[: LARGEST_WIRE + 1 - len(self._rest)]


def _packet(segment: bytes) -> Packet | None:
    if len(segment) > LARGEST_WIRE:
        return None
    try:
        frame = cobs.decode(segment)
    except cobs.DecodeError:
        return None
    if not 6 <= len(frame) <= LARGEST_FRAME or zlib.crc32(frame[:-4]) != int.from_bytes(frame[-4:], "little"):
        return None
    return Packet(frame[0], frame[1], frame[2:-4])
