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


class Decoder:
    """Bytes in, packets out, in any portions. `broken` counts what was no packet: damage, noise, a banner."""

    def __init__(self) -> None:
        self.broken = 0
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Packet]:
        """Every whole packet that `data` completes."""
        self._rest += data
        *segments, self._rest = self._rest.split(b"\0")
        packets = [_packet(bytes(segment)) for segment in segments if segment]
        self.broken += packets.count(None)
        del self._rest[LARGEST_WIRE + 1 :]  # noise: it must not grow, and is too long for a packet already
        return [packet for packet in packets if packet]


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
