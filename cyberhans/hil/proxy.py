"""A bad line between a host and a device: loses, damages, doubles, swaps, delays, adds, reproducibly, and counts it."""

from __future__ import annotations

import heapq
import random
import select
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count

import serial

from cyberhans.device import BAUD

# What happens to a packet, by name: first what befalls it as a whole, then its bytes.
WHOLE = ("drop", "duplicate", "reorder", "delay")
BYTES = ("corrupt", "lose_byte", "insert")
FAULTS = (*WHOLE, *BYTES)
BIT, FLIP, JITTER = "bit", "flip", "jitter"  # one bit of a packet; each bit by itself; a delay that keeps the order
JITTER_SECONDS = 0.05  # at most
REORDER_SECONDS = 0.03  # at most, that a packet waits for another one to overtake it
SEND_SECONDS = 2.0  # that a host may take nothing; after that it counts as gone
DELAY_SECONDS = 0.2  # at most; what comes after it overtakes it


class Faults:
    """One direction. rates: probability of each fault, for each packet, but of `flip` for each bit; the same seed gives
    the same faults."""

    def __init__(self, rates: Mapping[str, float], seed: str) -> None:
        assert set(rates) <= {*FAULTS, BIT, FLIP, JITTER}
        self.rates = dict(rates)
        self.done: Counter[str] = Counter()  # "packets", and each fault by its name
        self._random = random.Random(seed)
        self._rest = b""
        self._later: list[tuple[float, int, bytes]] = []
        self._order = count()
        self._held: tuple[float, bytes] | None = None  # until when, at the latest
        self._queue: deque[tuple[float, bytes]] = deque()  # what jitter keeps back, in order, and until when

    def feed(self, data: bytes, now: float) -> bytes:
        """What goes on at once of `data`, which came at time `now`, in seconds, and of what was put aside before."""
        *packets, self._rest = (self._rest + data).split(b"\0")
        passed = [self._one(packet + b"\0", now) for packet in packets]
        if not self._queue and not self.rates.get(JITTER):
            return b"".join(passed) + self._due(now)
        for packet in (*passed, self._due(now)):
            self._keep_back(packet, now)
        return self._in_time(now)

    def _keep_back(self, packet: bytes, now: float) -> None:
        """No packet overtakes one that waits."""
        if not packet:
            return
        late = self._random.random() < self.rates.get(JITTER, 0.0)
        until = now + late * self._random.random() * JITTER_SECONDS
        self.done[JITTER] += late
        self._queue.append((max(until, self._queue[-1][0]) if self._queue else until, packet))

    def _in_time(self, now: float) -> bytes:
        due = b""
        while self._queue and self._queue[0][0] <= now:
            due += self._queue.popleft()[1]
        return due

    def _one(self, packet: bytes, now: float) -> bytes:
        hit = {fault: self._random.random() < self.rates.get(fault, 0.0) for fault in FAULTS}
        place, value = self._random.random(), self._random.randrange(1, 256)
        hit["reorder"] &= self._held is None
        self.done["packets"] += 1
        self.done.update(fault for fault in FAULTS if hit[fault])
        packet = self._flip(_bend(packet, hit, int(place * len(packet)), value))
        if hit["drop"]:
            return b""
        copies = 1 + hit["duplicate"]
        if hit["delay"]:
            copies -= 1  # of two, one comes in time
            heapq.heappush(self._later, (now + place * DELAY_SECONDS, next(self._order), packet))
        if hit["reorder"]:
            self._held = (now + REORDER_SECONDS, packet * copies)
            return b""
        return packet * copies + self._let_go()

    def _flip(self, packet: bytes) -> bytes:
        """Single bits, where such faults are asked for."""
        if not packet or not (self.rates.get(FLIP) or self.rates.get(BIT)):
            return packet
        bits = [place for place in range(8 * len(packet)) if self._random.random() < self.rates.get(FLIP, 0.0)]
        self.done[FLIP] += len(bits)
        if self._random.random() < self.rates.get(BIT, 0.0):
            bits.append(self._random.randrange(8 * len(packet)))
            self.done[BIT] += 1
        bent = bytearray(packet)
        for place in bits:
            bent[place // 8] ^= 1 << place % 8
        return bytes(bent)

    def _due(self, now: float) -> bytes:
        due = b""
        while self._later and self._later[0][0] <= now:
            due += heapq.heappop(self._later)[2]
        return due + (self._let_go() if self._held and self._held[0] <= now else b"")

    def _let_go(self) -> bytes:
        held, self._held = self._held, None
        return held[1] if held else b""


def _bend(packet: bytes, hit: Mapping[str, bool], place: int, value: int) -> bytes:
    """Its delimiter is as much in danger as every other byte."""
    bent = bytearray(packet)
    if hit["corrupt"]:
        bent[place] ^= value
    if hit["insert"]:
        bent.insert(place, value)
    if hit["lose_byte"]:
        del bent[place]
    return bytes(bent)


class Proxy:
    """Made by proxy(). `to_device` and `to_host` are its directions; clear() makes it a good line."""

    def __init__(self, to_device: Mapping[str, float], to_host: Mapping[str, float], seed: int) -> None:
        self.to_device, self.to_host = Faults(to_device, f"{seed} to device"), Faults(to_host, f"{seed} to host")
        self.url = ""
        self._ended = threading.Event()

    def clear(self) -> None:
        for direction in (self.to_device, self.to_host):
            direction.rates = {}

    def end(self) -> None:
        self._ended.set()

    def serve(self, server: socket.socket, device: str) -> None:
        """One host after the other, until end()."""
        server.settimeout(0.05)
        with serial.serial_for_url(device, baudrate=BAUD, timeout=0) as port:
            while not self._ended.is_set():
                try:
                    link, _ = server.accept()
                except TimeoutError:
                    continue
                with link:
                    self._pass_on(link, port)

    def _pass_on(self, link: socket.socket, port: serial.SerialBase) -> None:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.settimeout(SEND_SECONDS)
        try:
            while not self._ended.is_set():
                data = b""
                if select.select([link], [], [], 0.001)[0] and not (data := link.recv(4096)):
                    return
                now = time.monotonic()
                port.write(self.to_device.feed(data, now))
                link.sendall(self.to_host.feed(port.read(4096), now))
        except OSError:
            return  # the host has gone


@contextmanager
def proxy(
    device: str,
    *,
    to_device: Mapping[str, float] | None = None,
    to_host: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Iterator[Proxy]:
    """A proxy in front of the URL of a device: a port, a pty or socket://HOST:PORT."""
    made = Proxy(to_device or {}, to_host or {}, seed)
    with socket.create_server(("127.0.0.1", 0)) as server:
        made.url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        thread = threading.Thread(target=made.serve, args=(server, device), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.end()
            thread.join(5)
