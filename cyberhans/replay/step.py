"""Step: a request of a log with what the device did about it, in the order in which the device took the requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cyberhans.exchange import FIRST_EVENT
from cyberhans.messages import NAK, REPLY, Event, Info, Nak, Refusal, Request, Samples, Taken
from cyberhans.packet_log import HOST, Happening, Log
from cyberhans.protocol import Packet
from cyberhans.replay.mismatch import FORMS
from cyberhans.replay.tally import Tally
from cyberhans.wire import Message, form_of

Line = tuple[int, Packet]  # with its number in the log
ENDS = (Request.START, Request.RUN, Request.CAPTURE)  # a stream


@dataclass(frozen=True)
class Step:
    """line       of the request, else of what there is
    request    None: the log, or what a port has seen, ends with these events
    answer     None: the log has none, yet the device took the request
    events     that came since the answer before
    happening  in place of all that
    doubt      whether it is unknown which of the samples the device had taken before it
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
        self._assumed: set[bytes] = set()  # bodies of the stream's SAMPLES that were taken, though none said so

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
            self._tally.twice += 1
            return
        line, request = self._waiting.pop(place)
        if answer.type == Request.SAMPLES | REPLY and request.body in self._assumed:
            self._tally.twice += 1  # the same samples have been counted already: its answer comes late
            return
        taken, doubt = self._before(request, answer, line)
        self._learn(request, answer)
        yield from taken
        yield Step(line, request, answer, self._come(), doubt=doubt)

    def _before(self, request: Packet, answer: Packet, line: int) -> tuple[list[Step], bool]:
        """The samples without an answer that were taken before that request, and whether that is in doubt."""
        if request.type in ENDS:
            return self._taken(self._judged()), False
        if request.type != Request.SAMPLES:
            return [], any(packet.type == Request.SAMPLES and sent < line for sent, packet in self._waiting)
        index = _index(request, answer)
        taken = self._taken(index)
        return taken, index is not None and self._expected != index

    def _come(self) -> tuple[Line, ...]:
        events, self._events = tuple(self._events), []
        return events

    def _end(self) -> Iterator[Step]:
        """Nothing more is answered. Verdicts may tell that samples were taken."""
        taken = self._taken(self._judged())
        events = self._come()
        yield from taken
        self._tally.unanswered += len(self._waiting)
        self._tally.ended_early |= bool(self._waiting)
        self._waiting, self._expected = [], None
        self._assumed.clear()
        if events:
            yield Step(events[0][0], events=events)

    def _judged(self) -> int | None:
        """The sample index that the device must have reached for the last window of which events wait."""
        info = self._tally.info
        windows = [packet for _, packet in self._events if packet.type in (Event.VERDICT, Event.FEATURES)]
        if info is None or not windows:
            return None
        return (int.from_bytes(windows[-1].body[:4], "little") * info.hop + info.window) % 2**32

    def _taken(self, index: int | None) -> list[Step]:
        """Those SAMPLES without an answer that, one after the other, bring the device up to sample index `index`."""
        found: list[Line] = []
        waiting = {_start(packet): (line, packet) for line, packet in reversed(self._waiting)}
        while self._tally.info and self._tally.info.channels and self._is_behind(index) and self._expected in waiting:
            line, packet = waiting.pop(self._expected)
            found.append((line, packet))
            frames = (len(packet.body) - 4) // (2 * self._tally.info.channels)
            self._expected = ((self._expected or 0) + frames) % 2**32
        self._waiting = [pair for pair in self._waiting if pair not in found]
        self._assumed.update(packet.body for _, packet in found)
        return [Step(line, packet) for line, packet in found]

    def _is_behind(self, index: int | None) -> bool:
        return index is not None and self._expected is not None and (index - self._expected - 1) % 2**32 < 2**31

    def _learn(self, request: Packet, answer: Packet) -> None:
        if len(answer.body) < form_of(FORMS.get(answer.type, Message)).struct.size:
            return  # damaged, though its CRC is sound
        if answer.type == Request.INFO | REPLY:
            self._tally.info = Info.unpack(answer.body)
        elif answer.type in (Request.RUN | REPLY, Request.CAPTURE | REPLY):
            self._expected = None
            self._assumed.clear()
        elif answer.type in (Request.START | REPLY, Request.SAMPLES | REPLY):
            self._expected = Taken.unpack(answer.body).next
            if request.type == Request.START:
                self._assumed.clear()
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
    return _start(request)


def _start(packet: Packet) -> int | None:
    """The sample index of SAMPLES."""
    samples = packet.type == Request.SAMPLES and len(packet.body) >= 4
    return Samples.unpack(packet.body).index if samples else None
