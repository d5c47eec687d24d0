"""The bad line itself: each fault is really injected and counted, in the direction asked for, and reproducible."""

from __future__ import annotations

import socket
import threading
import time
from itertools import pairwise

import pytest

from cyberhans.hil.proxy import (
    BIT,
    BYTES,
    DELAY_SECONDS,
    FAULTS,
    FLIP,
    JITTER,
    JITTER_SECONDS,
    WHOLE,
    Faults,
    Proxy,
    proxy,
)
from cyberhans.protocol import Decoder, Packet

SENT = [Packet(3, number % 256, number.to_bytes(2, "little") * 20) for number in range(2000)]


def through(rates: dict[str, float], seed: str = "a") -> tuple[Faults, list[Packet], int]:
    """What 2000 packets become, sent one each millisecond; and how many came damaged."""
    faults, decoder = Faults(rates, seed), Decoder()
    wire = [faults.feed(packet.encode(), number / 1000) for number, packet in enumerate(SENT)]
    wire.append(faults.feed(b"", 1e9))
    return faults, [packet for data in wire for packet in decoder.feed(data)], decoder.broken


def test_a_good_line_changes_nothing() -> None:
    faults, found, broken = through({})
    assert (found, broken) == (SENT, 0)
    assert faults.done == {"packets": 2000}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_happens_as_often_as_its_rate_says(fault: str) -> None:
    faults, _, _ = through({fault: 0.1})
    assert set(faults.done) == {"packets", fault}
    assert 150 < faults.done[fault] < 250


def test_a_dropped_packet_is_gone_and_no_other() -> None:
    faults, found, broken = through({"drop": 0.1})
    assert broken == 0
    assert len(found) == 2000 - faults.done["drop"]
    assert [packet for packet in SENT if packet in found] == found


def test_a_duplicate_comes_right_after_its_packet() -> None:
    faults, found, broken = through({"duplicate": 0.1})
    assert broken == 0
    twins = sum(a == b for a, b in pairwise(found))
    assert twins == faults.done["duplicate"] == len(found) - 2000


def test_a_reordered_packet_comes_after_its_successor() -> None:
    faults, found, broken = through({"reorder": 0.1})
    assert broken == 0
    assert sorted(found, key=SENT.index) == SENT
    swapped = [n for n, (a, b) in enumerate(pairwise(found)) if SENT.index(a) > SENT.index(b)]
    assert len(swapped) == faults.done["reorder"]
    assert all(SENT.index(found[n]) - SENT.index(found[n + 1]) == 1 for n in swapped)


def test_a_delayed_packet_is_overtaken_by_many() -> None:
    faults, found, broken = through({"delay": 0.05})
    assert broken == 0
    assert sorted(found, key=SENT.index) == SENT
    late = [found.index(packet) - number for number, packet in enumerate(SENT)]
    assert max(late) > 100 and max(late) <= DELAY_SECONDS * 1000
    assert sum(n > 10 for n in late) > faults.done["delay"] // 2


@pytest.mark.parametrize("fault", BYTES)
def test_damage_of_bytes_breaks_packets_and_never_makes_one(fault: str) -> None:
    faults, found, broken = through({fault: 0.1})
    assert set(found) <= set(SENT)
    assert broken >= 0.8 * faults.done[fault]  # a lost delimiter breaks two at once
    assert 0.8 * faults.done[fault] <= 2000 - len(found) <= 2 * faults.done[fault]


def test_one_bit_of_a_packet_is_turned() -> None:
    faults, found, broken = through({BIT: 0.1})
    assert 150 < faults.done[BIT] < 250
    assert 0.9 * faults.done[BIT] <= broken and set(found) <= set(SENT)
    wire = SENT[0].encode()
    bent = Faults({BIT: 1.0}, "a").feed(wire + b"\0", 0)[: len(wire)]
    assert sum((a ^ b).bit_count() for a, b in zip(wire, bent, strict=True)) == 1


def test_bits_are_turned_each_by_itself() -> None:
    """One of a thousand: of a packet's 400 bits one is hit as a rule in two packets of five."""
    faults, found, _ = through({FLIP: 0.001})
    bits = 8 * sum(len(packet.encode()) for packet in SENT)
    assert 0.85 * bits < 1000 * faults.done[FLIP] < 1.15 * bits
    assert set(found) <= set(SENT) and 1000 < len(found) < 1700


def test_jitter_delays_and_keeps_the_order() -> None:
    """Packets one each millisecond come up to 50 ms late, and all of them."""
    faults, decoder, late = Faults({JITTER: 0.5}, "a"), Decoder(), []
    for number, packet in enumerate(SENT):
        for came in decoder.feed(faults.feed(packet.encode(), number / 1000)):
            late.append((number, came))
    late += [(len(SENT) + 50, came) for came in decoder.feed(faults.feed(b"", 1e9))]
    assert [came for _, came in late] == SENT
    delays = [number - place for place, (number, _) in enumerate(late)][: len(SENT) - 60]
    assert 30 < max(delays) <= 1000 * JITTER_SECONDS
    assert 900 < faults.done[JITTER] < 1100


def test_the_same_seed_gives_the_same_faults() -> None:
    rates = dict.fromkeys(FAULTS, 0.05)
    first, again, other = through(rates, "a"), through(rates, "a"), through(rates, "b")
    assert (first[0].done, first[1]) == (again[0].done, again[1])
    assert first[1] != other[1]
    assert all(first[0].done[fault] for fault in FAULTS)


def test_faults_do_not_depend_on_how_the_bytes_are_cut() -> None:
    rates = dict.fromkeys((*BYTES, "drop", "duplicate"), 0.1)
    wire = b"".join(packet.encode() for packet in SENT[:200])
    whole, pieces = Faults(rates, "x"), Faults(rates, "x")
    assert whole.feed(wire, 0) == b"".join(pieces.feed(wire[i : i + 7], i) for i in range(0, len(wire), 7))


@pytest.mark.parametrize("direction", ["to_device", "to_host"])
def test_a_direction_has_its_own_faults(direction: str) -> None:
    """An echo behind the proxy: what comes back has passed both directions."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        with proxy(url, **{direction: {"drop": 0.2}}) as line:  # type: ignore[arg-type]
            host, port = line.url.removeprefix("socket://").split(":")
            with socket.create_connection((host, int(port))) as link:
                link.sendall(b"".join(packet.encode() for packet in SENT[:300]))
                decoder, found, end = Decoder(), 0, time.monotonic() + 10
                dropping, other = (line.to_device, line.to_host)[:: 1 if direction == "to_device" else -1]
                while found + dropping.done["drop"] < 300 and time.monotonic() < end:
                    found += len(decoder.feed(link.recv(4096)))
    assert 30 < dropping.done["drop"] == 300 - found < 90
    assert set(other.done) == {"packets"}


def _echo(server: socket.socket) -> None:
    link, _ = server.accept()
    with link:
        while data := link.recv(4096):
            link.sendall(data)


class _Pours:
    """A port with a megabyte to read."""

    def __init__(self) -> None:
        self.left = 1 << 20

    def read(self, most: int) -> bytes:
        count = min(most, self.left)
        self.left -= count
        return bytes(count)

    def write(self, data: bytes) -> None:
        assert not data


@pytest.mark.slow
def test_a_host_that_takes_nothing_for_a_while_is_not_gone() -> None:
    """With sockets that hold little of what it does not take."""
    made = Proxy({}, {}, 0)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as host:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        host.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host.settimeout(5)
        host.connect(server.getsockname())
        with server.accept()[0] as link:
            passing = threading.Thread(target=made._pass_on, args=(link, _Pours()), daemon=True)
            passing.start()
            time.sleep(0.3)
            assert passing.is_alive()
            got = 0
            while got < 1 << 20 and (data := host.recv(1 << 16)):
                got += len(data)
            made.end()
            passing.join(5)
    assert got == 1 << 20


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len(set(FAULTS)) == len(WHOLE) + len(BYTES)
