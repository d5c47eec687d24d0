"""Request: one that a test sends by itself, and what comes before its answer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from cyberhans.device import Device, Refused
from cyberhans.exchange import FIRST_EVENT
from cyberhans.messages import Option, Refusal
from cyberhans.protocol import Packet

ANSWER_SECONDS = 20.0


def asked(device: Device, kind: int, body: bytes) -> tuple[list[Packet], Packet]:
    """Sent once: the events that came before its reply or refusal, and that. Any other answer fails the test, and so
    does silence."""
    seq, events, deadline = device.send(kind, body), list[Packet](), time.monotonic() + ANSWER_SECONDS
    while packet := device.packet(deadline - time.monotonic()):
        if packet.type < FIRST_EVENT:
            assert packet.seq == seq, f"an answer to {packet.seq} where one to {seq} was due"
            return events, packet
        events.append(packet)
    raise AssertionError(f"no answer within {ANSWER_SECONDS:g} s")


@contextlib.contextmanager
def unless_unknown(what: str) -> Iterator[None]:
    """Skips the test where somebody's own firmware, or an older one, does not know a request within."""
    try:
        yield
    except Refused as refused:
        if refused.code != Refusal.UNKNOWN:
            raise
        pytest.skip(f"this firmware does not answer {what}")


def told_of_windows(device: Device) -> Option:
    """All that a stream may tell besides its verdicts: what the work takes only where the firmware has a clock."""
    return Option.FEATURES | (Option.COSTS if device.info.tick_hz else Option(0))
