"""Comparison: what a log's device said, beside what a replay says to the same requests."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from cyberhans.errors import CyberHansError
from cyberhans.messages import Event, Features, Request, Start
from cyberhans.packet_log import type_name
from cyberhans.protocol import Packet
from cyberhans.replay.mismatch import Mismatch, absent, mismatches
from cyberhans.replay.step import ENDS, Step
from cyberhans.replay.tally import Tally
from cyberhans.wire import form_of

# What a device says to these depends on when it is asked, or on the board: its sensor, its clock, its memory.
LIVE = (Request.SENSOR, Request.CAPTURE, Request.CREDIT, Request.VERDICTS, Request.MEMORY)
OF_A_STREAM = (Request.REBASELINE, Request.BASELINE)  # else of run mode, whose baseline is nobody else's
OF_NO_START = "run mode"
FOREIGN = 2**30  # windows further on than any stream goes: those of run mode are (SPEC.md section 10.2)
Key = tuple[int, int]  # type and window
Line = tuple[int, Packet]


class Player(Protocol):
    """Who plays the part of the log's device."""

    @property
    def name(self) -> str: ...

    @property
    def missed_events(self) -> int: ...

    def take(self, step: Step) -> tuple[Packet | None, list[Packet]]: ...


class Events:
    """VERDICT and FEATURES of one side that the other has not had yet; FEATURES once all their parts are there."""

    def __init__(self) -> None:
        self.waiting: dict[Key, Line] = {}
        self._parts: tuple[int, int, bytes] = (-1, 0, b"")  # window, total, features so far

    def add(self, line: int, event: Packet) -> Key | None:
        """The key under which it waits, if it is whole and of a window."""
        if event.type == Event.FEATURES and len(event.body) >= form_of(Features).struct.size:
            whole = self._joined(Features.unpack(event.body))
            if whole is None:
                return None
            event = Packet(event.type, 0, whole.pack())
        elif event.type != Event.VERDICT:
            return None
        key = (event.type, window_of(event))
        self.waiting[key] = (line, event)
        return key

    def _joined(self, part: Features) -> Features | None:
        window, _, before = self._parts if part.offset else (part.window, 0, b"")
        if window != part.window or 2 * part.offset != len(before):
            return None  # one of them was lost
        self._parts = (window, part.total, before + part.tail)
        tail = self._parts[2]
        return Features(window, 0, part.total, tail=tail) if len(tail) >= 2 * part.total else None


class Comparison:
    """Takes step after step; then end().

    windows         whose VERDICT was compared; answers: replies and refusals that were
    first           the Mismatch at the first line of the log; bits and fields: how many differ
    not_comparable  VERDICTs of the log of which nobody else can know, by their reason
    left_out        requests that are not played, by their type
    unheard         windows whose VERDICT the log has lost
    """

    def __init__(self, player: Player, tally: Tally) -> None:
        self._player, self._tally = player, tally
        self.windows = self.answers = self.bits = self.fields = self.unheard = 0
        self.first: Mismatch | None = None
        self.not_comparable: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self._start: int | None = None  # number of the stream's first window
        self._refused = False  # whether samples were, as they are where some were lost
        self._unknown = ""  # why the stream's windows are not comparable
        self._logged, self._played = Events(), Events()

    def take(self, step: Step) -> None:
        """Raises CyberHansError as the player does."""
        lossy = self._refused or not self._tally.clean
        if self._start is not None and step.doubt and lossy and _matters(step):
            self._forget("packets were lost around what changes them")
        answer, events = (None, list[Packet]()) if self._leaves_out(step) else self._player.take(step)
        for line, event in step.events:
            self._add(self._logged, self._played, line, event)
        for event in events:
            self._add(self._played, self._logged, step.line, event)
        if answer and step.answer:
            self.answers += 1
            self._note(mismatches(step.line, step.answer, answer))
        self._go_on(step)

    def end(self) -> None:
        """The log stops here, perhaps in the midst of what its device was saying of a window."""
        if self._played.waiting:
            newest = max((window for _, window in self._played.waiting), key=self._place)
            for key in [key for key in self._played.waiting if key[1] == newest]:
                del self._played.waiting[key]
        self._end_stream()

    def _end_stream(self) -> None:
        """What one side alone has had is a difference, unless the log has lost it."""
        alone = list(self._logged.waiting.items())
        if alone and self._player.missed_events:
            raise CyberHansError(f"{self._player.name}: {self._player.missed_events} events were lost on its line now; "
                                 "check the line and repeat")  # fmt: skip
        for (_, window), (line, event) in alone:
            self._note([absent(line, event, window, self._place(window), in_log=True)])
        for (kind, window), (line, event) in self._played.waiting.items():
            if self._tally.whole:
                self._note([absent(line, event, window, self._place(window), in_log=False)])
            self.unheard += kind == Event.VERDICT
        self._logged, self._played = Events(), Events()

    def _leaves_out(self, step: Step) -> bool:
        if step.request is None:
            return False
        kind = step.request.type
        lone = kind in OF_A_STREAM and self._start is None
        of_unknown = bool(self._unknown) and kind in (*OF_A_STREAM, Request.SAMPLES)
        if not (kind in LIVE or kind == Request.FILE or lone or of_unknown):
            return False
        self.left_out[type_name(kind)] += 1
        return True

    def _add(self, mine: Events, other: Events, line: int, event: Packet) -> None:
        why = self._why_not(event)
        if why is not None:
            self.not_comparable[why] += mine is self._logged and event.type == Event.VERDICT
            return
        key = mine.add(line, event)
        if key is None or key not in other.waiting:
            return
        (number, ours), (_, theirs) = self._logged.waiting.pop(key), self._played.waiting.pop(key)
        self.windows += key[0] == Event.VERDICT
        self._note(mismatches(number, ours, theirs, key[1], self._place(key[1])))

    def _why_not(self, event: Packet) -> str | None:
        """An event of a capture, and COSTS, are compared by nobody."""
        if event.type not in (Event.VERDICT, Event.FEATURES) or self._start is None:
            return OF_NO_START
        if len(event.body) < 4 or self._place(window_of(event)) >= FOREIGN:
            return "another stream"
        return self._unknown or None

    def _place(self, window: int) -> int:
        return (window - (self._start or 0)) % 2**32

    def _go_on(self, step: Step) -> None:
        """What the next step meets."""
        self._refused |= step.refused and _matters(step)
        kind = step.request.type if step.request else None
        if step.happening or (kind in ENDS and not step.refused):
            self._end_stream()
            self._start, self._unknown = None, ""
        if kind == Request.START and not step.refused and step.request:
            self._start = Start.unpack(step.request.body.ljust(8, b"\0")).window
        if kind == Request.FILE and not step.refused and self._start is not None:
            self._forget("read from a file")

    def _forget(self, why: str) -> None:
        self.not_comparable[why] += sum(kind == Event.VERDICT for kind, _ in self._logged.waiting)
        self._unknown = why
        self._logged, self._played = Events(), Events()

    def _note(self, found: list[Mismatch]) -> None:
        self.fields += len(found)
        self.bits += sum(mismatch.bits for mismatch in found)
        for mismatch in found:
            if self.first is None or mismatch.line < self.first.line:
                self.first = mismatch


def _matters(step: Step) -> bool:
    """Whether what comes after it depends on the samples before it."""
    return step.request is not None and step.request.type in (Request.SAMPLES, Request.REBASELINE)


def window_of(event: Packet) -> int:
    """Its number, with which VERDICT, FEATURES and COSTS begin."""
    return int.from_bytes(event.body[:4], "little")
