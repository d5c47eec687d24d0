"""A packet with more behind it than a device has room for."""

from __future__ import annotations

import zlib

from cobs import cobs

from cyberhans.hil.station import Station
from cyberhans.messages import Request


def test_a_packet_with_more_behind_it_than_fits_is_dropped(hil_station: Station) -> None:
    """A sound INFO with the largest body, and four bytes: cut where the room ends it would be sound."""
    device = hil_station.device()
    device.start()
    before = device.ask_info()
    frame = (bytes((Request.INFO, 99)) + bytes(range(1, 251)) * 5)[: 2 + before.body_max]
    device._line.write(cobs.encode(frame + zlib.crc32(frame).to_bytes(4, "little") + b"\1\2\3\4") + b"\0")
    after = device.ask_info()
    assert after.broken == before.broken + 1
    assert not [packet for packet in device.arrived() if packet.seq == 99]
