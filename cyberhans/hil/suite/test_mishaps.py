"""What goes wrong seldom: a packet with more behind it than there is room for, a store that holds something else."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

from cobs import cobs

from cyberhans.alarm import State
from cyberhans.hil.station import Station
from cyberhans.messages import Request, Storage
from cyberhans.verify import verify

MEMORY_BYTES, FEATURE_BYTES, RECORD_BYTES = 88, 12, 8  # of what is stored (SPEC.md section 7.7)
FINE = (Storage.NONE, Storage.EMPTY, Storage.RESUMED)


def test_a_packet_with_more_behind_it_than_fits_is_dropped(hil_station: Station) -> None:
    """A sound INFO with the largest body, and four bytes: cut where the room ends it would be sound."""
    device = hil_station.device()
    device.start()
    before = device.ask_info()
    frame = bytes((Request.INFO, 99)) + bytes(range(1, 251)) * 5
    frame = frame[: 2 + before.body_max]
    device._line.write(cobs.encode(frame + zlib.crc32(frame).to_bytes(4, "little") + b"\1\2\3\4") + b"\0")
    after = device.ask_info()
    assert after.broken == before.broken + 1
    assert not [packet for packet in device.arrived() if packet.seq == 99]


def test_a_store_that_holds_no_record_is_told_of(hil_station: Station, tmp_path: Path) -> None:
    """Zeros where a record should be, of its size: the device says so, and begins as built. Where the store is no file
    of this computer's, what it says of its own store is that it holds."""
    detector = hil_station.detector
    if hil_station.entry.url != "board:native" or detector.alarm is None:
        assert hil_station.device().ask_info().storage in FINE
        return
    store = tmp_path / "state"
    store.write_bytes(bytes(MEMORY_BYTES + -(-detector.spec.features * FEATURE_BYTES // 8) * 8 + RECORD_BYTES))
    with hil_station.aside(lambda entry: replace(entry, url=f"board:native,store={store}")) as device:
        info = device.ask_info()
        assert (info.storage, info.revision, info.status) == (Storage.REFUSED, 0, 0)
        assert info.state in (State.NORMAL, State.LEARNING)
        outcome = verify(detector, detector.golden[:1], device)
        assert outcome.equal, outcome.to_dict()
