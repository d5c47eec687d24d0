"""Requests and replies by number, over a fake line: what is sent again, what is dropped, what is counted."""

from __future__ import annotations

import time
from collections import deque

import pytest

from cyberhans.errors import CyberHansError
from cyberhans.exchange import Exchange, Refused, Silent
from cyberhans.messages import NAK, REPLY, Event, Nak, Refusal, Request
from cyberhans.protocol import Decoder, Packet


class FakeLine:
    """Keeps what is written; gives, after each writing, what the test has laid ready for it."""

    name, emulator = "node", None

    def __init__(self, *answers: list[Packet]) -> None:
        self.written, self._answers, self._arrived = b"", deque(answers), deque[Packet]()

    def write(self, data: bytes) -> None:
        self.written += data
        if data != b"\0" and self._answers:
            self._arrived.extend(self._answers.popleft())

    def take(self, deadline: float) -> Packet | None:
        if self._arrived:
            return self._arrived.popleft()
        time.sleep(max(0.0, deadline - time.monotonic()) + 0.001)
        return None


def over(*answers: list[Packet]) -> tuple[Exchange, FakeLine]:
    line = FakeLine(*answers)
    return Exchange(line), line  # type: ignore[arg-type]


def events(*seqs: int) -> list[Packet]:
    return [Packet(Event.COSTS, seq) for seq in seqs]


def reply(seq: int, body: bytes = b"") -> Packet:
    return Packet(Request.INFO | REPLY, seq, body)


def test_the_reply_is_the_one_with_the_number_and_the_type() -> None:
    others = [reply(7, b"late"), Packet(Request.START | REPLY, 1), *events(0), Packet(NAK, 1, Nak(9, 1, 0, 0).pack())]
    exchange, _ = over([*others, reply(1, b"right"), reply(1, b"twice")])
    assert exchange.request(Request.INFO) == b"right"


def test_a_request_is_sent_again_as_it_was_with_a_zero_before() -> None:
    exchange, line = over([], [], [reply(1, b"at last")])
    assert exchange.request(Request.INFO, b"x", waits=(0.01, 0.01, 1.0)) == b"at last"
    wire = Packet(Request.INFO, 1, b"x").encode()
    assert line.written == wire + b"\0" + wire + b"\0" + wire
    assert Decoder().feed(line.written) == [Packet(Request.INFO, 1, b"x")] * 3


def test_no_reply_at_all_is_silence_after_the_last_wait() -> None:
    exchange, line = over()
    with pytest.raises(Silent, match=r"^node does not answer; check the cable"):
        exchange.request(Request.INFO, waits=(0.01, 0.02))
    assert len(Decoder().feed(line.written)) == 2


def test_events_without_end_are_no_reply() -> None:
    exchange, line = over()
    line.take = lambda deadline: Packet(Event.COSTS, int(time.monotonic() * 1e4) % 256)  # type: ignore
    began = time.monotonic()
    with pytest.raises(Silent):
        exchange.request(Request.INFO, waits=(0.05, 0.05))
    assert time.monotonic() - began < 2


def test_a_refusal_names_the_request() -> None:
    exchange, _ = over([Packet(NAK, 1, Nak(Request.FILE, Refusal.INDEX, 0, 42).pack())])
    with pytest.raises(Refused, match="refused request 6: samples were lost: it expects sample index 42") as error:
        exchange.request(Request.FILE)
    assert (error.value.code, error.value.detail) == (Refusal.INDEX, 42)
    assert isinstance(error.value, CyberHansError)


@pytest.mark.parametrize(
    ("sent", "given", "missed"),
    [((5, 6, 7), (5, 6, 7), 0), ((5, 6, 6, 7), (5, 6, 7), 0), ((5, 7), (5, 7), 1), ((255, 0, 3), (255, 0, 3), 2),
     ((5, 7, 6, 8), (5, 7, 8), 1), ((200, 100), (200,), 0), ((9, 137), (9, 137), 127),
     ((9, 138), (9,), 0)],
)  # fmt: skip
def test_events_that_come_twice_or_late_are_dropped_and_lost_ones_counted(
    sent: tuple[int, ...], given: tuple[int, ...], missed: int
) -> None:
    exchange, line = over(events(*sent))
    line.write(b"anything")
    found = [exchange.take(time.monotonic() + 0.2) for _ in given]
    assert [packet.seq for packet in found if packet] == list(given)
    assert exchange.take(time.monotonic()) is None
    assert exchange.missed_events == missed


def test_late_events_without_end_are_nothing() -> None:
    exchange, line = over(events(5, *[4] * 200_000))
    line.write(b"anything")
    assert exchange.take(time.monotonic() + 1) == events(5)[0]
    before = time.monotonic()
    assert exchange.take(before + 0.01) is None
    assert time.monotonic() < before + 5 and line.take(0) is not None  # it gave up with more to come


def test_a_new_stream_may_number_its_events_anew() -> None:
    exchange, line = over(events(200), events(3))
    line.write(b"anything")
    assert exchange.take(time.monotonic()) == events(200)[0]
    exchange.forget_events()
    line.write(b"anything")
    assert exchange.take(time.monotonic()) == events(3)[0]
    assert exchange.missed_events == 0
