"""Foretold: what the host says to a log's requests, in the place of the device."""

from __future__ import annotations

import numpy as np

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
    Verdict,
)
from cyberhans.protocol import Packet
from cyberhans.replay.step import Step
from cyberhans.watch import Watched


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
        request = step.request
        if request is None or step.refused:
            return None, []
        if request.type == Request.INFO and step.answer:
            require_detector(f"{self._log}: its device", Info.unpack(step.answer.body), self._detector)
            self._known = True
        elif request.type == Request.START:
            self._stream = self._begun(request)
        elif request.type == Request.SAMPLES and self._stream:
            return None, self._stream.take(request)
        elif request.type in (Request.REBASELINE, Request.BASELINE) and self._stream:
            return self._baseline(self._stream, request), []
        return None, []

    def _baseline(self, stream: Foretold, request: Packet) -> Packet:
        """A device that grants what the host refuses differs."""
        try:
            return stream.baseline(request)
        except CyberHansError:
            return Packet(NAK, request.seq, Nak(request.type, Refusal.BASELINE, 0, 0).pack())

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
        self._samples = np.zeros((0, self._spec.channels), INT16)  # from the next window's first one on
        self._skip = 0  # sample frames that still belong to the last window's hop
        self._token, self._state = 0, int(State.NORMAL)

    def take(self, request: Packet) -> list[Packet]:
        """The events that these samples cause."""
        tail, channels = Samples.unpack(request.body).tail, self._spec.channels
        new = np.frombuffer(tail, INT16, len(tail) // (2 * channels) * channels).reshape(-1, channels)
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
        """The reply to REBASELINE or BASELINE, once all windows before have been judged."""
        if request.type == Request.REBASELINE:
            wanted = Rebaseline.unpack(request.body)
            if wanted.token != self._token:
                self._rebaseline(wanted.windows)
            self._token = wanted.token
        told = self._watch.baseline()
        alarm = self._detector.alarm
        body = Baseline(
            self._token, told.revision, told.gathered, told.wanted, told.change, alarm.reach if alarm else 0,
            told.outcome, self._state, 0,
        ).pack()  # fmt: skip
        return Packet(request.type | REPLY, request.seq, body)

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
