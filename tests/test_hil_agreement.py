"""What the suite compares: all that a device tells of a window, its stack, and the answers to single requests."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_detector import noise, small_image

from cyberhans.difference import ALARM_VALUES, differing_bits, seen_difference
from cyberhans.exchange import Refused
from cyberhans.hil.agreement import agree, within_the_promise
from cyberhans.hil.request import asked, unless_unknown
from cyberhans.judgement import Judgement
from cyberhans.messages import REPLY, Event, Memory, Nak, Refusal, Request
from cyberhans.protocol import Packet
from cyberhans.watch import Watched

DETECTOR = small_image()[0]
NAMES = DETECTOR.spec.feature_names
STATION: Any = SimpleNamespace(detector=DETECTOR, build=None)
ONE_BIT = {  # what is changed of a judgement → stage, index, what
    "features": ("features", 2, f"feature {NAMES[2]}"), "score": ("score", 0, "score"),
    "anomaly": ("verdict", 0, "verdict"), "mean": ("verdict", 2, "mean of channel 1"),
    **{name: ("alarm", place, name) for place, name in enumerate(ALARM_VALUES)},
}  # fmt: skip


@cache
def foretold() -> Watched:
    return DETECTOR.core().watch().run(noise(DETECTOR.spec, 3))


def told(at: int, **other: Any) -> Judgement:
    """Of window `at`, just as it is foretold but for some fields."""
    host = foretold()
    alarm = {name: int(getattr(host, name)[at]) for name in ALARM_VALUES}
    made = Judgement(at, 0, int(host.score[at]), DETECTOR.threshold, int(host.verdict[at]), 0, mean=host.mean[at],
                     features=host.features[at], **alarm)  # fmt: skip
    return replace(made, **other)


def one_bit(name: str, at: int) -> Any:
    """The field's value with one bit turned."""
    value = getattr(told(at), name)
    if isinstance(value, np.ndarray):
        changed = value.copy()
        changed[ONE_BIT[name][1] - (name == "mean")] ^= 4
        return changed
    return value ^ 1


@pytest.mark.parametrize("name", ONE_BIT)
def test_one_bit_of_any_value_is_found_and_named(name: str) -> None:
    other = told(1, **{name: one_bit(name, 1)})
    found = seen_difference(other, foretold(), 1, 41, NAMES)
    assert found and (found.window, found.stage, found.index, found.what) == (41, *ONE_BIT[name])
    bits = differing_bits(other, foretold(), 1)
    assert bits.pop(found.stage) == 1 and not any(bits.values())


def test_what_agrees_differs_nowhere_whether_features_are_told_or_not() -> None:
    for features in (foretold().features[2], None):
        same = told(2, features=features)
        assert seen_difference(same, foretold(), 2, 2, NAMES) is None
        assert not any(differing_bits(same, foretold(), 2).values())


def test_a_test_fails_at_the_first_difference_and_keeps_it() -> None:
    kept: dict[str, Any] = {}
    judged = [told(0), told(1, score=told(1).score + 5), told(2, state=6)]
    with pytest.raises(AssertionError, match="score of window 1: device"):
        agree(STATION, judged, foretold(), kept.__setitem__)
    first = json.loads(kept["difference"])
    assert (first["window"], first["stage"], first["device"] - first["host"]) == (1, "score", 5)


def test_a_window_that_was_sent_again_fails() -> None:
    kept: dict[str, Any] = {}
    assert len(agree(STATION, [told(1), told(2)], foretold(), kept.__setitem__, first=1)) == 2
    with pytest.raises(AssertionError, match="window 1 was lost"):
        agree(STATION, [told(0), told(1, begun=1)], foretold(), kept.__setitem__)
    assert kept == {}


@pytest.mark.parametrize(("built", "used", "good"), [
    (True, 936, True), (True, 937, False), (False, 999, True), (False, 1000, False),
])  # fmt: skip
def test_the_stack_is_held_against_what_the_build_found(built: bool, used: int, good: bool) -> None:
    station: Any = SimpleNamespace(build=object() if built else None)
    memory = Memory(500, 1000, used)
    if good:
        within_the_promise(station, memory)
        return
    with pytest.raises(AssertionError, match="bytes of stack used"):
        within_the_promise(station, memory)
    within_the_promise(station, Memory(500, 0, used))


class Script:
    """A device that sends these packets, whatever it is asked."""

    def __init__(self, *packets: Packet) -> None:
        self._packets = list(packets)

    def send(self, kind: int, body: bytes) -> int:
        return 9

    def packet(self, seconds: float) -> Packet | None:
        return self._packets.pop(0) if self._packets else None


def test_what_comes_before_an_answer_is_told_apart_from_it() -> None:
    event, reply = Packet(Event.VERDICT, 3), Packet(Request.INFO | REPLY, 9)
    device: Any = Script(event, event, reply)
    assert asked(device, Request.INFO, b"") == ([event, event], reply)


@pytest.mark.parametrize("packets", [(), (Packet(Request.INFO | REPLY, 8),)])
def test_silence_and_another_answer_fail(packets: tuple[Packet, ...]) -> None:
    device: Any = Script(*packets)
    with pytest.raises(AssertionError, match="answer"):
        asked(device, Request.INFO, b"")


def test_only_an_unknown_request_skips() -> None:
    with pytest.raises(pytest.skip.Exception, match="does not answer MEMORY"), unless_unknown("MEMORY"):
        raise Refused("device", Nak(Request.MEMORY, Refusal.UNKNOWN, 0, 0))
    with pytest.raises(Refused), unless_unknown("MEMORY"):
        raise Refused("device", Nak(Request.MEMORY, Refusal.LENGTH, 0, 0))
