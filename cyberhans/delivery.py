"""Samples on their way to a device: SAMPLES packets by credits, and again from where the device lost the thread."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cyberhans import exchange as rules
from cyberhans.exchange import FIRST_EVENT, Exchange, Lost, Refused
from cyberhans.messages import Refusal, Request, Samples, Taken
from cyberhans.protocol import Packet


@dataclass(frozen=True)
class Sent:
    """A packet without a reply: its number, and which sample frames it carries, from 0."""

    seq: int
    begin: int
    end: int


class Delivery:
    """int16 samples (frames, channels) for a device in host mode that expects sample index `index`.

    step: sample frames of a packet. credits: packets that may be under way. Each sample frame is taken exactly once, in
    order, because the device takes none but the one it expects, and says which (SPEC.md section 10.2).
    """

    def __init__(self, exchange: Exchange, samples: NDArray[np.int16], index: int, step: int, credits: int) -> None:
        self._exchange, self._samples, self._index = exchange, samples, index
        self._step, self._credits = step, credits
        self._taken = self._next = 0  # frames that the device has; the first one to be sent next
        self._waiting: deque[Sent] = deque()

    def events(self) -> Iterator[Packet]:
        """Send all of it; gives the events as they come. Raises Lost, Refused, or Silent after many repetitions."""
        waits = iter(rules.REPEAT_SECONDS)
        deadline = time.monotonic() + next(waits)
        while self._taken < len(self._samples):
            self._send()
            packet = self._exchange.take(deadline)
            progress = packet is not None and self._answered(packet)
            if progress:
                waits = iter(rules.REPEAT_SECONDS)
            if progress or time.monotonic() > deadline:
                deadline = time.monotonic() + self._patience(waits, progress)
            if packet and packet.type >= FIRST_EVENT:
                yield packet

    def _patience(self, waits: Iterator[float], progress: bool) -> float:
        """Seconds to wait; without progress everything under way counts as lost, and goes out again."""
        seconds = next(waits, None)
        if seconds is None:
            raise self._exchange.silent()
        if not progress:
            self._go_back(self._taken)
        return seconds

    def _send(self) -> None:
        while self._next < len(self._samples) and len(self._waiting) < self._credits:
            begin, end = self._next, min(self._next + self._step, len(self._samples))
            body = Samples((self._index + begin) % 2**32, tail=self._samples[begin:end].tobytes()).pack()
            self._waiting.append(Sent(self._exchange.send(Request.SAMPLES, body), begin, end))
            self._next = end

    def _go_back(self, begin: int) -> None:
        """Send again from here on; replies to what was sent before mean nothing any more."""
        self._taken = self._next = begin
        self._waiting.clear()

    def _answered(self, packet: Packet) -> bool:
        """Whether the device got on: it may answer a packet, or tell that it has or misses what comes before it."""
        sent = next((sent for sent in self._waiting if sent.seq == packet.seq), None)
        if sent is None or packet.type >= FIRST_EVENT:
            return False
        before = self._taken
        try:
            if not self._exchange.answers(packet, Request.SAMPLES, sent.seq):
                return False
            if self._position(Taken.unpack(packet.body).next) != sent.end:
                raise Lost(f"{self._exchange.name} takes samples of another stream")
            self._has(sent.end)
        except Refused as refused:
            self._refused(refused, sent)
        return self._taken > before

    def _refused(self, refused: Refused, sent: Sent) -> None:
        if refused.code == Refusal.MODE:
            raise Lost(f"{self._exchange.name} left host mode")
        if refused.code != Refusal.INDEX:
            raise refused
        expected = self._position(refused.detail)
        if not self._taken <= expected <= self._next:
            raise Lost(f"{self._exchange.name} expects samples of another stream")
        if sent.begin < expected:
            self._has(expected)
        else:
            self._go_back(expected)

    def _has(self, end: int) -> None:
        self._taken = end
        while self._waiting and self._waiting[0].end <= end:
            self._waiting.popleft()

    def _position(self, index: int) -> int:
        return (index - self._index) % 2**32
