"""Step: a request of a log with what the device did about it, in the order in which the device took the requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cyberhans.exchange import FIRST_EVENT
from cyberhans.messages import NAK, REPLY, Event, Info, Nak, Refusal, Request, Samples, Taken
from cyberhans.packet_log import HOST, Happening, Log
from cyberhans.protocol import Packet
from cyberhans.replay.tally import Tally

Line = tuple[int, Packet]  # with its number in the log


@dataclass(frozen=True)
class Step:
    """line       of the request, else of what there is
    request    None: the log, or what a port has seen, ends with these events
    answer     None: the log has none, yet the device took the request
    events     that came since the answer before
    happening  in place of all that
    doubt      whether samples that were sent before may have been taken before or after it, or never
    """

    line: int
    request: Packet | None = None
    answer: Packet | None = None
    events: tuple[Line, ...] = ()
    happening: Happening | None = None
    doubt: bool = False

    @property
    def refused(self) -> bool:
        return self.answer is not None and self.answer.type == NAK


class Steps:
    """Iterate over it once. A device answers one request after the other, so the order of the answers is that of its
    work; of what was sent and never answered, samples were taken where the next answer proves it."""

    def __init__(self, log: Log, tally: Tally) -> None:
        self._log, self._tally = log, tally
        self._waiting: list[Line] = []
        self._events: list[Line] = []
        self._expected: int | None = None  # sample index

    def __iter__(self) -> Iterator[Step]:
        for entry in self._log:
            if isinstance(entry.what, Happening):
                yield from self._end()
                yield Step(entry.line, happening=entry.what)
            if not self._tally.counts(entry) or not isinstance(entry.what, Packet):
                continue
            if entry.sender == HOST:
                self._ask(entry.line, entry.what)
            elif entry.what.type >= FIRST_EVENT:
                self._events.append((entry.line, entry.what))
            else:
                yield from self._answered(entry.what)
        yield from self._end()

    def _ask(self, line: int, request: Packet) -> None:
        """One that is sent again does the same once more; another with its number takes its place."""
        if all(request != before for _, before in self._waiting):
            kept = [pair for pair in self._waiting if pair[1].seq != request.seq]
            self._tally.unanswered += len(self._waiting) - len(kept)
            self._waiting = [*kept, (line, request)]

    def _answered(self, answer: Packet) -> Iterator[Step]:
        place = next((i for i, (_, request) in enumerate(self._waiting) if answers(answer, request)), None)
        if place is None:
            return  # it came twice
        line, request = self._waiting.pop(place)
        taken = self._taken(self._waiting[:place], _index(request, answer))
        self._waiting = [pair for pair in self._waiting if pair not in taken]
        doubt = any(packet.type == Request.SAMPLES for _, packet in self._waiting[: place - len(taken)])
        self._learn(request, answer)
        yield from (Step(number, packet) for number, packet in taken)
        yield Step(line, request, answer, self._come(), doubt=doubt)

    def _come(self) -> tuple[Line, ...]:
        events, self._events = tuple(self._events), []
        return events

    def _end(self) -> Iterator[Step]:
        """Nothing more is answered. Verdicts may tell that samples were taken."""
        events = self._come()
        if any(packet.type == Event.VERDICT for _, packet in events):
            taken = self._taken(self._waiting, None)
            yield from (Step(number, packet) for number, packet in taken)
        self._tally.unanswered += len(self._waiting)
        self._tally.ended_early |= bool(self._waiting)
        self._waiting, self._expected = [], None
        if events:
            yield Step(events[0][0], events=events)

    def _taken(self, unanswered: list[Line], index: int | None) -> list[Line]:
        """Those SAMPLES, in turn, that bring the device to sample index `index`; None: as far as they go."""
        found: list[Line] = []
        info = self._tally.info
        if info is None or not info.channels or (index is None and not unanswered):
            return found
        for line, packet in unanswered:
            whole = packet.type == Request.SAMPLES and len(packet.body) >= 4
            if whole and self._expected != index and Samples.unpack(packet.body).index == self._expected:
                found.append((line, packet))
                self._expected = (self._expected + (len(packet.body) - 4) // (2 * info.channels)) % 2**32
        return found

    def _learn(self, request: Packet, answer: Packet) -> None:
        if answer.type == Request.INFO | REPLY:
            self._tally.info = Info.unpack(answer.body)
        elif answer.type in (Request.START | REPLY, Request.SAMPLES | REPLY):
            self._expected = Taken.unpack(answer.body).next
        elif answer.type == NAK and (index := _index(request, answer)) is not None:
            self._expected = index


def answers(answer: Packet, request: Packet) -> bool:
    """Whether it is the reply to that request, or its refusal."""
    if answer.seq != request.seq:
        return False
    if answer.type == NAK:
        return len(answer.body) >= 8 and Nak.unpack(answer.body).request == request.type
    return answer.type == request.type | REPLY


def _index(request: Packet, answer: Packet) -> int | None:
    """The sample index that the device expected before this request, where the answer tells it."""
    if request.type != Request.SAMPLES:
        return None
    if answer.type == NAK:
        nak = Nak.unpack(answer.body)
        return nak.detail % 2**32 if nak.code == Refusal.INDEX else None
    return Samples.unpack(request.body).index
