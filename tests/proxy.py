"""A bad line between a host and a device: loses, damages, doubles, swaps, delays, adds, reproducibly, and counts it."""

from __future__ import annotations

import heapq
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count

import serial

# What happens to a packet, by name: first what befalls it as a whole, then its bytes.
WHOLE = ("drop", "duplicate", "reorder", "delay")
BYTES = ("corrupt", "lose_byte", "insert")
FAULTS = (*WHOLE, *BYTES)
REORDER_SECONDS = 0.03  # at most, that a packet waits for another one to overtake it
DELAY_SECONDS = 0.2  # at most; what comes after it overtakes it


class Faults:
    """One direction. rates: probability of each fault, for each packet; the same seed gives the same faults."""

    def __init__(self, rates: Mapping[str, float], seed: str) -> None:
        assert set(rates) <= set(FAULTS)
        self.rates = dict(rates)
        self.done: Counter[str] = Counter()  # "packets", and each fault by its name
        self._random = random.Random(seed)
        self._rest = b""
        self._later: list[tuple[float, int, bytes]] = []
        self._order = count()
        self._held: tuple[float, bytes] | None = None  # until when, at the latest

    def feed(self, data: bytes, now: float) -> bytes:
        """What goes on at once of `data`, which came at time `now`, in seconds, and of what was put aside before."""
        *packets, self._rest = (self._rest + data).split(b"\0")
        return b"".join([self._one(packet + b"\0", now) for packet in packets]) + self._due(now)

    def _one(self, packet: bytes, now: float) -> bytes:
        hit = {fault: self._random.random() < self.rates.get(fault, 0.0) for fault in FAULTS}
        place, value = self._random.random(), self._random.randrange(1, 256)
        hit["reorder"] &= self._held is None
        self.done["packets"] += 1
        self.done.update(fault for fault in FAULTS if hit[fault])
        packet = _bend(packet, hit, int(place * len(packet)), value)
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
        with serial.serial_for_url(device, timeout=0) as port:
            while not self._ended.is_set():
                try:
                    link, _ = server.accept()
                except TimeoutError:
                    continue
                with link:
                    self._pass_on(link, port)

    def _pass_on(self, link: socket.socket, port: serial.SerialBase) -> None:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.settimeout(0.001)
        try:
            while not self._ended.is_set():
                try:
                    data = link.recv(4096)
                except TimeoutError:
                    data = None
                if data == b"":
                    return
                now = time.monotonic()
                port.write(self.to_device.feed(data or b"", now))
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
    """A proxy in front of the URL of a device, which may be a pty or socket://HOST:PORT."""
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
            assert not thread.is_alive()
