"""Both ends against packets that are sound and bodies that are not: no crash, no hang, an answer within a second."""

from __future__ import annotations

import dataclasses
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from counts import full
from fake_device import fake_device, info_of
from mutations import answers, corpus, damage, mutate
from sanitized import sanitized_image
from small_detector import noise, small_image

from cyberhans import device as device_room
from cyberhans import exchange as exchange_room
from cyberhans.boards import board
from cyberhans.device import Device, open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.judgement import Gatherer
from cyberhans.messages import MESSAGES, NAK, REPLY, Capture, Event, Info, Option, Refusal, Request
from cyberhans.protocol import Decoder, Packet
from cyberhans.verify import adversarial_windows, verify

FILES = ("samples", "half", "empty", "absent", ".")
Record = Callable[[str, object], None]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the device runs, so that FILE finds nothing but what is made here."""
    (tmp_path / "image").mkdir()
    (tmp_path / "files").mkdir()
    monkeypatch.chdir(tmp_path / "files")
    Path("samples").write_bytes(noise(small_image()[0].spec, 2).tobytes())
    Path("half").write_bytes(bytes(4097))
    Path("empty").write_bytes(b"")
    return tmp_path


def listen(device: Device) -> Counter[object]:
    """Counts what the device says from now on: types of packets, and codes of refusals."""
    said: Counter[object] = Counter()
    take = device._line.take

    def listening(deadline: float) -> Packet | None:
        packet = take(deadline)
        if packet:
            said[packet.type if packet.type != NAK else (NAK, packet.body[1])] += 1
        return packet

    device._line.take = listening  # type: ignore[method-assign]
    return said


def capture(device: Device) -> None:
    """Samples take their time, and whether the corpus leaves a capture any is chance."""
    device.request(Request.CAPTURE, Capture(1, device.info.rate_mhz, 0, 100_000, 1, 0, 0).pack())
    time.sleep(0.3)
    device.request(Request.INFO)


def unchanging(info: Info) -> Info:
    return dataclasses.replace(info, mode=0, broken=0, state=0, revision=0)  # a new baseline is a sound request


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_after_every_packet_a_good_request_is_answered(scratch: Path, record_property: Record) -> None:
    """Native, under sanitizers; at least half of the packets are sound. Then it verifies as if nothing had been."""
    detector, count, sound, worst = small_image()[0], full(5_000, 100_000), 0, 0.0
    stored = ("--store", str(scratch / "store"))
    running = Emulator(board("native"), sanitized_image(scratch / "image"), arguments=stored)
    with running, open_device(running.url) as device:
        said = listen(device)
        for wire in corpus(random.Random(1), count, detector.spec.channels, FILES):
            sound += len(Decoder().feed(wire)) > 0
            began = time.monotonic()
            device._line.write(wire)
            told = Info.unpack(device.request(Request.INFO, waits=(1.0,)))
            worst = max(worst, time.monotonic() - began)
            assert unchanging(told) == unchanging(device.info)
        capture(device)
        windows = adversarial_windows(detector.spec)
        for bulk in (False, True):
            assert verify(detector, windows, device, bulk=bulk).equal
        assert running.ended() is None
        assert told.broken > count // 10
    assert sound >= count / 2
    replies, refusals = {kind | REPLY for kind in Request}, {(NAK, code) for code in Refusal if code != Refusal.CORE}
    assert {*replies, *Event, *refusals} <= set(said), "the corpus does not reach every answer"
    record_property("total fuzz on native, packets", count)
    record_property("total fuzz on native, of these sound packets", sound)
    record_property("worst fuzz on native, seconds until a good request was answered", round(worst, 3))


def test_messages_of_any_bytes_are_read_or_refused_in_one_line() -> None:
    rng = random.Random(2)
    for _ in range(full(5_000, 100_000)):
        body = mutate(rng, rng.randbytes(rng.randrange(160)))
        for message in MESSAGES:
            try:
                message.unpack(body)
            except CyberHansError as error:
                assert "\n" not in str(error)


def test_mutated_events_are_gathered_or_refused_in_one_line() -> None:
    """Real events of a device, bent: nothing but a CyberHansError ever comes out."""
    detector = small_image()[0]
    with open_device("board:native", image=small_image()[1]) as device:
        device.start(Option.FEATURES | Option.COSTS)
        real = list(device._push(noise(detector.spec, 4).reshape(-1, 3), 0, 2))
    rng, gathered, refused = random.Random(3), 0, 0
    for _ in range(full(1_000, 30_000)):
        gatherer = Gatherer("node", Option.FEATURES | Option.COSTS, detector.spec.channels)
        try:
            for event in real:
                body = mutate(rng, event.body) if rng.random() < 0.05 else event.body
                gathered += gatherer.add(Packet(event.type, event.seq, body)) is not None
            gatherer.finish()
        except CyberHansError as error:
            assert "\n" not in str(error)
            refused += 1
    assert gathered > refused > 0


@pytest.mark.slow
def test_a_device_that_talks_nonsense_is_an_error_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_room, "REPEAT_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(device_room, "ANSWER_SECONDS", (0.05, 0.05))
    detector = small_image()[0]
    windows, told = noise(detector.spec, 2), info_of(detector)
    for seed in range(full(8, 300)):
        rng = random.Random(seed)

        def answer(packet: Packet, rng: random.Random = rng) -> list[Packet]:
            if packet.type == Request.INFO:
                return [Packet(packet.type | REPLY, packet.seq, told.pack())]
            made = [dataclasses.replace(one, seq=rng.choice((packet.seq, one.seq))) for one in answers(rng, 3)]
            made.append(Packet(packet.type | REPLY, packet.seq, rng.randbytes(20)))
            return [dataclasses.replace(one, body=mutate(rng, one.body)) for one in rng.sample(made, 2)]

        began = time.monotonic()
        with fake_device(answer) as url, open_device(url) as device, pytest.raises(CyberHansError) as error:
            list(device.replay(windows))
        assert "\n" not in str(error.value)
        assert time.monotonic() - began < 20


def test_the_corpus_holds_what_it_says() -> None:
    wires = list(corpus(random.Random(1), 3000, 3, FILES))
    found = [packet for wire in wires for packet in Decoder().feed(wire)]
    assert len(wires) / 2 < len(found) < len(wires) * 0.9
    assert {packet.type for packet in found} > set(Request)
    files = [packet.body for packet in found if packet.type == Request.FILE]
    assert any(body == b"samples\0" for body in files) and not any(b"/" in body for body in files)
    assert max(len(packet.body) for packet in found) > 1000
    assert any(Decoder().feed(damage(random.Random(seed), wires[0] + b"\0")) == [] for seed in range(9))
    assert not any(packet.type in set(Event) for packet in found[:10])
