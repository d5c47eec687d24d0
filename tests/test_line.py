"""A serial line that select() cannot wait for: loop:// has no file descriptor, and gives back what it gets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from cyberhans import device as device_room
from cyberhans.device import open_device
from cyberhans.errors import CyberHansError
from cyberhans.line import Line
from cyberhans.messages import Request
from cyberhans.protocol import Packet


@pytest.fixture
def line() -> Iterator[Line]:
    opened = Line("loop://", 115_200, None)
    yield opened
    opened.close()


def test_packets_come_through(line: Line) -> None:
    sent = [Packet(Request.SAMPLES, seq, bytes(range(200))) for seq in range(10)]
    for packet in sent:
        line.write(packet.encode())
    assert [line.take(time.monotonic() + 2) for _ in sent] == sent


def test_waiting_for_nothing_ends_in_time_and_costs_no_work(line: Line) -> None:
    line.take(time.monotonic())  # the zero that a line begins with
    began, worked = time.monotonic(), time.thread_time()
    assert line.take(began + 0.4) is None
    assert 0.4 <= time.monotonic() - began < 2
    assert time.thread_time() - worked < 0.2


def test_nobody_there_is_no_answer_and_no_unplugged_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_room, "ANSWER_SECONDS", (0.1, 0.1))
    with pytest.raises(CyberHansError, match=r"^loop:// does not answer"):
        open_device("loop://")
