"""Whatever comes over the line: what is damaged is dropped and counted, what cannot be done is refused with the reason,
and afterwards every bit is right."""

from __future__ import annotations

import dataclasses
import random
import time
import zlib

import numpy as np
import pytest
from cobs import cobs

from cyberhans.device import Device, stream
from cyberhans.hil.agreement import agree
from cyberhans.hil.plugin import Record
from cyberhans.hil.request import asked, unless_unknown
from cyberhans.hil.station import Station
from cyberhans.messages import NAK, REPLY, Info, Mode, Nak, Refusal, Request, Samples, Start, Taken
from cyberhans.protocol import LARGEST_BODY, Packet
from cyberhans.verify import verify

ANSWER_SECONDS = 5.0
QUIET_SECONDS = 0.3  # after which nothing more is expected
NOISE_BYTES = 4000
ASKED = 200  # times INFO, without waiting
WAYS = ("crc", "crc_zero", "crc_swapped", "bit", "short", "long", "excess", "cut", "odd")
UNKNOWN = sorted(set(range(1, 0x20)) - {int(kind) for kind in Request} - {0x0A, 0x0D})  # which are line ends
SHORT = [Request.START, Request.SAMPLES, Request.TRACE, Request.CAPTURE, Request.CREDIT, Request.REBASELINE]


def _answers(device: Device, seconds: float = ANSWER_SECONDS) -> list[Packet]:
    """Replies and refusals, up to that to an INFO which is asked now; no events."""
    seq, found = device.send(Request.INFO), list[Packet]()
    deadline = time.monotonic() + seconds
    while packet := device.packet(deadline - time.monotonic()):
        if (packet.type, packet.seq) == (Request.INFO | REPLY, seq):
            return found
        found += [packet] if packet.type < 0xC0 else []
    raise AssertionError(f"no reply to INFO within {seconds:g} s")


def _refusal(device: Device, kind: int, body: bytes = b"") -> Nak:
    """Of a request that must be refused, once and by its number."""
    seq = device.send(kind, body)
    (answer,) = _answers(device)
    assert (answer.type, answer.seq) == (NAK, seq), f"request {kind:#x} is not refused"
    nak = Nak.unpack(answer.body)
    assert nak.request == kind
    return nak


def _still_right(station: Station, count: int = 1) -> None:
    """Every bit of the next windows."""
    outcome = verify(station.detector, station.detector.golden[:count], station.device())
    assert outcome.equal, outcome.to_dict()


def _damaged(way: str, body_max: int) -> bytes:
    """A packet that no device may take, without its delimiter. excess: the largest that it takes, and more after it."""
    frame = bytes((Request.START, 99)) + Start(0, 1).pack()
    crc = zlib.crc32(frame)
    sound = bytes(cobs.encode(frame + crc.to_bytes(4, "little")))
    long = frame + bytes(range(1, 200)) * (2 + body_max // 100)
    largest = bytes((Request.INFO, 99)) + bytes(1 + place % 255 for place in range(body_max))
    ways = {
        "crc": cobs.encode(frame + (crc ^ 0x100).to_bytes(4, "little")),
        "crc_zero": cobs.encode(frame + bytes(4)),
        "crc_swapped": cobs.encode(frame + crc.to_bytes(4, "big")),
        "bit": sound[:4] + bytes((sound[4] ^ 2 or 4,)) + sound[5:],
        "short": cobs.encode(frame[:2] + b"\1\1\1"),
        "long": cobs.encode(long + zlib.crc32(long).to_bytes(4, "little")),
        "excess": cobs.encode(largest + zlib.crc32(largest).to_bytes(4, "little") + b"and so on"),
        "cut": sound[:-3],
        "odd": b"\x80\xff\xfe\x01\x80",
    }
    return bytes(ways[way])


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_packet_is_dropped_and_counted(hil_station: Station, way: str) -> None:
    """Three of them: the device answers none, counts each, and stays in its mode."""
    device = hil_station.device()
    device.run()
    before = device.ask_info()
    for _ in range(3):
        device.write(_damaged(way, device.info.body_max) + b"\0")
    assert _answers(device) == []
    after = device.ask_info()
    assert after.broken == before.broken + 3
    assert (after.mode, after.lost) == (Mode.RUN, before.lost)


def test_delimiters_alone_are_nothing(hil_station: Station) -> None:
    device = hil_station.device()
    before = device.ask_info().broken
    device.write(bytes(50))
    assert _answers(device) == []
    assert device.ask_info().broken == before


def test_an_unknown_request_is_refused(hil_station: Station) -> None:
    for kind in UNKNOWN:
        assert _refusal(hil_station.device(), kind, b"\1\2\3\4\5").code == Refusal.UNKNOWN, f"request {kind:#x}"


def test_a_request_that_is_too_short_is_refused_and_changes_nothing(hil_station: Station) -> None:
    device = hil_station.device()
    device.start(window=device.fresh_number(0))
    for kind in SHORT:
        assert _refusal(device, kind, b"\1\2\3").code == Refusal.LENGTH, kind.name
        assert device.ask_info().mode == Mode.HOST, kind.name


def test_a_request_may_be_longer_than_known(hil_station: Station) -> None:
    """Bodies grow at their ends."""
    device = hil_station.device()
    number = device.fresh_number(1)
    assert Info.unpack(device.request(Request.INFO, b"\1\2\3")).protocol == device.info.protocol
    told = Taken.unpack(device.request(Request.START, Start(0, number).pack() + b"\1\2\3\4"))
    assert told.next == number * device.info.hop % 2**32


def test_samples_need_a_stream_of_the_host(hil_station: Station) -> None:
    device = hil_station.device()
    device.run()
    for kind in (Request.SAMPLES, Request.FILE):
        assert _refusal(device, kind, Samples(0, tail=bytes(2 * device.info.channels)).pack()).code == Refusal.MODE
    assert device.ask_info().mode == Mode.RUN


def test_samples_at_a_wrong_place_are_refused_with_the_right_one(hil_station: Station) -> None:
    """And so are parts of a sample frame; none is taken."""
    device = hil_station.device()
    expected = device.start(window=device.fresh_number(1)).next
    frame = bytes(2 * device.info.channels)
    for away in (1, -1, 2**16, 2**24, 2**31):
        nak = _refusal(device, Request.SAMPLES, Samples((expected + away) % 2**32, tail=frame).pack())
        assert (nak.code, nak.detail % 2**32) == (Refusal.INDEX, expected), f"{away} from the right place"
    assert _refusal(device, Request.SAMPLES, Samples(expected, tail=frame[:-1]).pack()).code == Refusal.LENGTH
    assert Taken.unpack(device.request(Request.SAMPLES, Samples(expected, tail=frame).pack())).next == expected + 1


def test_samples_that_come_twice_give_no_second_window(hil_station: Station) -> None:
    """Each packet of a window twice: the second is refused, and where to go on is told."""
    device, detector = hil_station.device(), hil_station.detector
    number = device.fresh_number(1)
    index, step = device.start(window=number).next, (device.info.body_max - 4) // (2 * detector.spec.channels)
    frames, verdicts = stream(detector.golden[:1], detector.spec.hop), 0
    for begin in range(0, len(frames), step):
        body = Samples((index + begin) % 2**32, tail=frames[begin : begin + step].tobytes()).pack()
        end = (index + min(begin + step, len(frames))) % 2**32
        came, first = asked(device, Request.SAMPLES, body)
        more, again = asked(device, Request.SAMPLES, body)
        assert Taken.unpack(first.body).next == end
        assert (again.type, Nak.unpack(again.body).code, Nak.unpack(again.body).detail % 2**32) == (
            NAK, Refusal.INDEX, end)  # fmt: skip
        assert more == []
        verdicts += len(came)
    assert verdicts == 1


def test_a_person_is_answered_with_one_line(hil_station: Station) -> None:
    """`?` at a terminal, between packets; other text is no packet, no damage and no question."""
    device = hil_station.device()
    device.start()
    before, broken = device.damaged, device.ask_info().broken
    device.write(b"hello there\r\nAT+GMR\n")
    assert (_answers(device), device.damaged) == ([], before)
    device.write(b"?\r\n")
    assert (_answers(device), device.damaged) == ([], before + 1)
    device.write(b"what?\n")
    assert (_answers(device), device.damaged) == ([], before + 1)
    assert device.ask_info().broken == broken


def test_half_a_packet_and_silence_harm_no_other(hil_station: Station) -> None:
    device = hil_station.device()
    device.start()
    broken = device.ask_info().broken
    half = Packet(Request.START, 7, Start(0, 5).pack()).encode()[:-4]
    for _ in range(2):
        device.write(half)
        time.sleep(QUIET_SECONDS)
        device.write(b"\0")
        assert _answers(device) == []
    assert device.ask_info().broken == broken + 2
    _still_right(hil_station)


def test_a_flood_of_noise_does_no_harm(hil_station: Station, hil_record: Record) -> None:
    device, chance = hil_station.device(), random.Random(6)
    device.start()
    before = device.ask_info()
    for _ in range(4):
        device.write(b"\0" + bytes(chance.randrange(256) for _ in range(NOISE_BYTES // 4)) + b"\0")
        device.ask_info()
    device.write(b"\0" + bytes([255] * (2 * LARGEST_BODY)) + b"\0")
    after = device.ask_info()
    assert after.broken > before.broken and after.mode == Mode.HOST
    hil_record("dropped", after.broken - before.broken)
    hil_record("overruns", after.lost - before.lost)
    _still_right(hil_station)


def test_a_flood_of_requests_is_answered_or_its_loss_is_told(hil_station: Station, hil_record: Record) -> None:
    """Hundreds of INFO without waiting: no more replies than requests, each of a number that was asked, in order; all
    of them where the device has lost no byte."""
    device = hil_station.device()
    device.start()
    before = device.ask_info()
    asked = [device.send(Request.INFO) for _ in range(ASKED)]
    answers = []
    while packet := device.packet(1.0):
        answers += [packet.seq] if packet.type == Request.INFO | REPLY else []
    unasked = iter(asked)
    assert all(seq in unasked for seq in answers), "replies out of order, or to nothing"
    lost = device.ask_info().lost - before.lost
    hil_record("requests", ASKED)
    hil_record("replies", len(answers))
    assert len(answers) == ASKED or lost > 0
    assert answers
    _still_right(hil_station)


def test_a_host_that_goes_in_the_midst_of_a_stream_may_come_back(hil_station: Station) -> None:
    """It says nothing, and a second one finds the device in host mode, starts anew, and gets every bit."""
    device = hil_station.device()
    index = device.start(window=device.fresh_number(1)).next
    device.send(Request.SAMPLES, Samples(index, tail=bytes(40 * device.info.channels)).pack())
    device.write(Packet(Request.SAMPLES, 1, bytes(20)).encode()[:-5])  # and a half
    with hil_station.line() as url, hil_station.another(url) as second:
        assert second.ask_info().mode == Mode.HOST
        outcome = verify(hil_station.detector, hil_station.detector.golden[:1], second)
        assert outcome.equal, outcome.to_dict()
    assert hil_station.device().ask_info().mode == Mode.RUN
    _still_right(hil_station)


def test_run_mode_begins_anew_after_a_host(hil_station: Station) -> None:
    """RUN is taken, and its windows count from 0."""
    device = hil_station.device()
    device.start()
    device.run()
    with unless_unknown("VERDICTS"):
        told = device.last_verdicts()
    assert device.ask_info().mode == Mode.RUN
    assert [judgement.window for judgement in told.last] == list(range(told.windows - len(told.last), told.windows))
    assert told.windows < 100


def _edges(hop: int) -> list[int]:
    """Window numbers at which a number on the link wraps: window and sample index, at 2^16 and at 2^32."""
    return sorted({2**32 - 1, 2**16 - 1, (2**32 - 1) // hop, (2**16 - 1) // hop})


def test_numbers_wrap_without_a_trace(hil_station: Station, hil_record: Record) -> None:
    """Windows across each edge have the bits that they have elsewhere, and their own numbers."""
    detector, device = hil_station.detector, hil_station.device()
    windows = np.concatenate((detector.golden, detector.golden))[:2]
    expected = hil_station.core.watch().run(windows)
    for number in _edges(detector.spec.hop):
        assert len(agree(hil_station, device.replay(windows, number=number), expected, hil_record)) == len(windows)
    hil_record("edges", len(_edges(detector.spec.hop)))


def test_a_start_tells_its_first_sample(hil_station: Station) -> None:
    """window * hop, modulo 2^32."""
    device, hop = hil_station.device(), hil_station.detector.spec.hop
    for window in (0, 1, 2**16 - 1, 2**16, 2**31 + 3, 2**32 - 1):
        assert device.start(window=window).next == window * hop % 2**32


def test_the_same_request_twice_is_answered_twice(hil_station: Station) -> None:
    """A host whose reply was lost sends it again, with the same number."""
    device = hil_station.device()
    device.start()
    info = dataclasses.replace(device.ask_info(), tail=b"")
    for _ in range(2):
        device.write(Packet(Request.INFO, 77).encode())
    first, second = _answers(device)
    assert first == second and first.seq == 77
    assert dataclasses.replace(Info.unpack(first.body), tail=b"") == info
