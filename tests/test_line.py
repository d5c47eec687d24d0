"""A serial line that select() cannot wait for: loop:// has no file descriptor, and gives back what it gets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from cyberhans import device as device_room
from cyberhans import line as line_room
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


def test_two_ends_that_both_write_do_not_wait_for_each_other() -> None:
    """The other end reads nothing before it has sent all: more than the line between them holds."""
    flood, got = b"".join(Packet(Request.INFO, seq % 256, bytes(range(1, 200))).encode() for seq in range(8_000)), 0

    def talk(server: socket.socket) -> None:
        nonlocal got
        link, _ = server.accept()
        with link:
            got += len(link.recv(1))  # the port is open: pyserial drops what comes before
            link.sendall(flood)
            while data := link.recv(1 << 16):
                got += len(data)

    with socket.create_server(("127.0.0.1", 0)) as server:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            server.setsockopt(socket.SOL_SOCKET, option, 16_384)
        thread = threading.Thread(target=talk, args=(server,), daemon=True)
        thread.start()
        line = Line(f"socket://127.0.0.1:{server.getsockname()[1]}", 115_200, None)
        line._port._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)  # else it holds megabytes
        line.write(flood)
        deadline = time.monotonic() + 60
        packets = sum(line.take(deadline) is not None for _ in range(8_000))
        line.close()
        thread.join(10)
    assert packets == 8_000
    assert got == len(flood) + 1  # the zero that a line begins with


def test_an_end_that_takes_no_bytes_is_one_line_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_room, "WRITE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = Line(f"socket://127.0.0.1:{server.getsockname()[1]}", 115_200, None)
        began = time.monotonic()
        with pytest.raises(CyberHansError, match="takes no bytes any more; restart it and repeat"):
            line.write(bytes(1 << 23))
        assert time.monotonic() - began < 5
        line.close()
