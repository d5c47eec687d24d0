"""Foretold: what the host says to a log's requests, in the place of the device."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cyberhans.alarm import Outcome, State
from cyberhans.core import Core
from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError
from cyberhans.identity import require_detector
from cyberhans.judgement import INT16
from cyberhans.messages import (
    NAK,
    REPLY,
    STOP,
    UNDO,
    Baseline,
    Event,
    Features,
    Info,
    Nak,
    Option,
    Rebaseline,
    Refusal,
    Request,
    Samples,
    Start,
    Taken,
    Verdict,
)
from cyberhans.protocol import Packet
from cyberhans.replay.step import Step
from cyberhans.watch import Watched
from cyberhans.wire import form_of

NO_NUMBER, NO_ALARM = -1, -7  # the core's reasons: of windows to gather; nothing to undo, or no alarm logic


class OnHost:
    """The detector's core on this computer."""

    name = "host"
    missed_events = 0

    def __init__(self, detector: Detector, log: str) -> None:
        self._detector, self._log = detector, log
        self._core = detector.core()
        self._stream: Foretold | None = None
        self._known = False

    def take(self, step: Step) -> tuple[Packet | None, list[Packet]]:
        """The answer, where the host can tell it, and the events of one request that the device has taken.

        Raises CyberHansError where the log's device held another detector.
        """
        request, stream = step.request, self._stream
        if request is None:
            return None, []
        if request.type == Request.INFO and step.answer and not step.refused:
            require_detector(f"{self._log}: its device", Info.unpack(step.answer.body), self._detector)
            self._known = True
        elif request.type == Request.START and not step.refused:
            self._stream = self._begun(request)
            return self._stream.taken(request), []
        elif request.type == Request.SAMPLES and stream:
            return stream.take(request)
        elif request.type in (Request.REBASELINE, Request.BASELINE) and stream:
            return stream.baseline(request), []
        elif request.type in (Request.RUN, Request.CAPTURE) and not step.refused:
            self._stream = None
        return None, []

    def _begun(self, request: Packet) -> Foretold:
        if not self._known:
            raise CyberHansError(f"{self._log}: does not tell its device's detector: no INFO came before START; "
                                 "record it with open_device(..., log=...)")  # fmt: skip
        start = Start.unpack(request.body.ljust(8, b"\0"))
        return Foretold(self._detector, self._core, start)


class Foretold:
    """One stream of START: its samples, window by window."""

    def __init__(self, detector: Detector, core: Core, start: Start) -> None:
        self._detector, self._spec, self._watch = detector, detector.spec, core.watch()
        self._number, self._options = start.window, Option(start.options & 3)
        self._next = start.window * self._spec.hop % 2**32
        self._samples = np.zeros((0, self._spec.channels), INT16)  # from the next window's first one on
        self._skip = 0  # sample frames that still belong to the last window's hop
        self._token, self._state = 0, int(State.NORMAL)

    def taken(self, request: Packet) -> Packet:
        """The reply to START and SAMPLES."""
        return Packet(request.type | REPLY, request.seq, Taken(self._next, 0, 0, 0).pack())

    def take(self, request: Packet) -> tuple[Packet, list[Packet]]:
        """The answer to SAMPLES, and the events that these cause."""
        frame = 2 * self._spec.channels
        if len(request.body) < 4 or (len(request.body) - 4) % frame:
            return _nak(request, Refusal.LENGTH, 0), []
        samples = Samples.unpack(request.body)
        if samples.index != self._next:
            return _nak(request, Refusal.INDEX, (self._next + 2**31) % 2**32 - 2**31), []
        self._next = (self._next + len(samples.tail) // frame) % 2**32
        events = self._judge(np.frombuffer(samples.tail, INT16).reshape(-1, self._spec.channels))
        return self.taken(request), events

    def _judge(self, new: NDArray[np.int16]) -> list[Packet]:
        """int16 sample frames (n, channels), the next."""
        skipped = min(self._skip, len(new))
        self._skip -= skipped
        self._samples = np.concatenate((self._samples, new[skipped:]))
        events: list[Packet] = []
        while len(self._samples) >= self._spec.window:
            events += self._events(self._watch.run(self._samples[None, : self._spec.window]))
            self._number = (self._number + 1) % 2**32
            self._skip = max(0, self._spec.hop - len(self._samples))
            self._samples = self._samples[self._spec.hop :]
        return events

    def baseline(self, request: Packet) -> Packet:
        """The answer to REBASELINE or BASELINE, once all windows before have been judged."""
        alarm = self._detector.alarm
        if request.type == Request.REBASELINE and len(request.body) < form_of(Rebaseline).struct.size:
            return _nak(request, Refusal.LENGTH, 0)
        if alarm is None:
            return _nak(request, Refusal.BASELINE, NO_ALARM)
        if request.type == Request.REBASELINE:
            wanted = Rebaseline.unpack(request.body)
            try:
                if wanted.token != self._token:
                    self._rebaseline(wanted.windows)
            except CyberHansError:
                return _nak(request, Refusal.BASELINE, NO_ALARM if wanted.windows == UNDO else NO_NUMBER)
            self._token = wanted.token
        told = self._watch.baseline()
        answer = Baseline(
            self._token,
            told.revision,
            told.gathered,
            told.wanted,
            told.change,
            alarm.reach,
            told.outcome,
            self._state,
            0,
        )
        return Packet(request.type | REPLY, request.seq, answer.pack())

    def _rebaseline(self, windows: int) -> None:
        if windows not in (UNDO, STOP):
            self._watch.rebaseline(windows)
        elif windows == UNDO or self._watch.baseline().outcome == Outcome.UNDER_WAY:
            self._watch.undo()

    def _events(self, judged: Watched) -> list[Packet]:
        """Of one window. FEATURES as one, of any length."""
        detector, number = self._detector, self._number
        self._state = int(judged.state[0])
        verdict = Verdict(
            number, number * self._spec.hop % 2**32, int(judged.score[0]), detector.threshold, int(judged.verdict[0]),
            detector.flags, self._spec.channels, self._state, int(judged.votes[0]), int(judged.reasons[0]), 0,
            int(judged.change[0]), int(judged.rise[0]), tail=judged.mean[0].astype(INT16).tobytes(),
        )  # fmt: skip
        events = [Packet(Event.VERDICT, 0, verdict.pack())]
        if Option.FEATURES in self._options:
            values = judged.features[0].astype(INT16)
            events.append(Packet(Event.FEATURES, 0, Features(number, 0, len(values), tail=values.tobytes()).pack()))
        return events


def _nak(request: Packet, code: Refusal, detail: int) -> Packet:
    return Packet(NAK, request.seq, Nak(request.type, code, 0, detail).pack())
