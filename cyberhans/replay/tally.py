"""Tally: what of a log counts, and what it has lost."""

from __future__ import annotations

from collections import Counter

from cyberhans.exchange import FIRST_EVENT
from cyberhans.messages import Info
from cyberhans.packet_log import DEVICE, Entry, Happening, Log
from cyberhans.protocol import Broken, Packet


class Tally:
    """Counts while a log is read.

    packets  sound ones, both ways
    lost     events that the log's host never got, by their numbers
    late     events that came again, or after later ones: they are left out
    broken   by their sender: what was no packet
    unanswered   requests; ended_early: whether some were when the log, or what a port has seen, ended
    twice        answers to what was answered before, or never asked
    """

    def __init__(self, log: Log) -> None:
        self.log = log
        self.packets = self.lost = self.late = self.unanswered = self.twice = 0
        self.ended_early = False
        self.broken: Counter[str] = Counter()
        self.info: Info | None = None  # the last that the log's device told
        self._seq: int | None = None  # of the last event

    @property
    def whole(self) -> bool:
        """Whether all that the log's device sent so far is in the log."""
        return not (self.lost or self.late or self.broken[DEVICE] or self.ended_early)

    @property
    def clean(self) -> bool:
        """Whether nothing at all has happened to the log's packets on their way."""
        return self.whole and not (self.broken or self.unanswered or self.twice)

    def counts(self, entry: Entry) -> bool:
        """Whether it is a packet that is neither broken nor a late event."""
        if isinstance(entry.what, Happening):
            self._seq = None  # a device that was started again counts its events from 0
        elif isinstance(entry.what, Broken):
            self.broken[entry.sender] += 1
        else:
            self.packets += 1
            return entry.sender != DEVICE or entry.what.type < FIRST_EVENT or self._in_turn(entry.what)
        return False

    def _in_turn(self, event: Packet) -> bool:
        ahead = 0 if self._seq is None else (event.seq - self._seq - 1) % 256
        if ahead >= 128:
            self.late += 1
            return False
        self.lost += ahead
        self._seq = event.seq
        return True
