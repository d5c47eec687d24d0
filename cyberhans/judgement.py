"""Judgement: all that a device tells about one window, put together from its events."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cyberhans.errors import CyberHansError
from cyberhans.exchange import Lost
from cyberhans.messages import Costs, Event, Features, Option, Verdict, Verdicts
from cyberhans.protocol import Packet

INT16 = np.dtype("<i2")


@dataclass(frozen=True, eq=False)
class Judgement:
    """One window: the VERDICT's fields, int16 mean (channels,), and where asked for features int16 (f,) and costs.

    begun: the window with which its stream began: so far back reaches what the alarm logic remembers
    """

    window: int
    first: int
    score: int
    threshold: int
    anomaly: int
    flags: int
    state: int
    votes: int
    reasons: int
    change: int
    rise: int
    mean: NDArray[np.int16]
    features: NDArray[np.int16] | None = None
    costs: Costs | None = None
    begun: int = 0


@dataclass(frozen=True, eq=False)
class LastVerdicts:
    """Of run mode since it began: how many windows were judged, how many of these verdicts were not sent because
    nobody listened, and the last of them all, the oldest first."""

    windows: int
    unsent: int
    last: list[Judgement]


class Gatherer:
    """Events in, judgements out. A missing piece is Lost: nothing is lost silently."""

    def __init__(self, name: str, options: Option, channels: int) -> None:
        self._name = name
        self._options = options
        self._channels = channels
        self._under_way: Judgement | None = None

    def add(self, event: Packet) -> Judgement | None:
        """The judgement that this event completes, if any."""
        if event.type == Event.VERDICT:
            self.finish()
            self._under_way = self._judgement(Verdict.unpack(event.body))
        elif event.type == Event.FEATURES:
            self._add_features(Features.unpack(event.body))
        elif event.type == Event.COSTS:
            costs = Costs.unpack(event.body)
            self._under_way = replace(self._of(costs.window), costs=costs)
        return self._complete()

    def last(self, told: Verdicts) -> LastVerdicts:
        """The reply to VERDICTS."""
        if told.count * told.size != len(told.tail):
            raise self._malformed(f"{told.count} verdicts of {told.size} bytes in {len(told.tail)}")
        bodies = [told.tail[place * told.size : (place + 1) * told.size] for place in range(told.count)]
        return LastVerdicts(told.windows, told.unsent, [self._judgement(Verdict.unpack(body)) for body in bodies])

    def finish(self) -> None:
        """No more will come: an unfinished window is an error."""
        if self._under_way:
            raise Lost(f"{self._name}: window {self._under_way.window} came in part only")

    def _of(self, window: int) -> Judgement:
        if not self._under_way or self._under_way.window != window:
            raise Lost(f"{self._name}: window {window} came without its verdict")
        return self._under_way

    def _add_features(self, part: Features) -> None:
        judgement = self._of(part.window)
        before = judgement.features if judgement.features is not None else np.zeros(0, np.int16)
        if not part.tail or len(part.tail) % 2 or part.offset + len(part.tail) // 2 > part.total:
            raise self._malformed(f"FEATURES of {part.total} with {len(part.tail)} bytes from {part.offset} on")
        values = np.frombuffer(part.tail, INT16)
        if part.offset != len(before):
            raise Lost(f"{self._name}: features of window {part.window} have a gap")
        self._total = part.total
        self._under_way = replace(judgement, features=np.concatenate((before, values)))

    def _complete(self) -> Judgement | None:
        judgement = self._under_way
        if judgement is None:
            return None
        if Option.FEATURES in self._options and (judgement.features is None or len(judgement.features) < self._total):
            return None
        if Option.COSTS in self._options and judgement.costs is None:
            return None
        self._under_way = None
        return judgement

    def _judgement(self, verdict: Verdict) -> Judgement:
        if verdict.channels != self._channels or len(verdict.tail) != 2 * self._channels:
            raise self._malformed(f"a VERDICT of {verdict.channels} channels with {len(verdict.tail)} bytes of means "
                                  f"where INFO says {self._channels} channels")  # fmt: skip
        return Judgement(
            verdict.window, verdict.first, verdict.score, verdict.threshold, verdict.anomaly, verdict.flags,
            verdict.state, verdict.votes, verdict.reasons, verdict.change, verdict.rise,
            np.frombuffer(verdict.tail, INT16),
        )  # fmt: skip

    def _malformed(self, what: str) -> CyberHansError:
        return CyberHansError(f"{self._name}: the device sent {what}; build and flash it again")
