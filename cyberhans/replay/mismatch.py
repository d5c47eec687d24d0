"""Mismatch: a field in which a message of a log and the same one of a replay differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from cyberhans.errors import CyberHansError
from cyberhans.messages import (
    NAK,
    REPLY,
    Baseline,
    Event,
    Features,
    Info,
    Nak,
    Replayed,
    Request,
    Taken,
    Traced,
    Verdict,
)
from cyberhans.packet_log import type_name
from cyberhans.protocol import Packet
from cyberhans.wire import Message, form_of

BITS = {"b": 8, "B": 8, "h": 16, "H": 16, "i": 32, "I": 32}
FORMS: dict[int, type[Message]] = {
    Request.INFO | REPLY: Info,
    Request.START | REPLY: Taken,
    Request.SAMPLES | REPLY: Taken,
    Request.TRACED | REPLY: Traced,
    Request.FILE | REPLY: Replayed,
    Request.REBASELINE | REPLY: Baseline,
    Request.BASELINE | REPLY: Baseline,
    NAK: Nak,
    Event.VERDICT: Verdict,
    Event.FEATURES: Features,
}
# What may differ from one device, board or time to another; INFO: and from what run mode has seen.
LEFT_OUT: dict[type[Message], tuple[str, ...]] = {
    Info: (
        "lost", "broken", "serial", "credits", "board", "firmware", "body_max", "tick_hz", "mode", "state", "storage",
        "revision",
    ),
    Taken: ("lost", "credits"),
}  # fmt: skip


@dataclass(frozen=True)
class Mismatch:
    """line: of the log. message: its type. window: its number on the link; place: the same, counted from the START of
    its stream; both None where it is of no window. logged, replayed: the values in hexadecimal digits, None where
    there is no such value."""

    line: int
    message: str
    window: int | None
    place: int | None
    field: str
    logged: str | None
    replayed: str | None
    bits: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def mismatches(
    line: int, logged: Packet, replayed: Packet, window: int | None = None, place: int | None = None
) -> list[Mismatch]:
    """Every field in which they differ, in the message's order, but those of LEFT_OUT."""
    name = type_name(logged.type)
    if logged.type != replayed.type:
        bits = (logged.type ^ replayed.type).bit_count()
        return [Mismatch(line, name, window, place, "type", f"0x{logged.type:02x}", f"0x{replayed.type:02x}", bits)]
    ours, theirs = _unpacked(logged, replayed)
    fields = [*_fields(ours, theirs), *_tails(ours, theirs)]
    return [Mismatch(line, name, window, place, *found) for found in fields]


def absent(line: int, packet: Packet, window: int | None, place: int | None, in_log: bool) -> Mismatch:
    """A message that only one side has: the log, or the replay."""
    name, there, bits = type_name(packet.type), f"0x{packet.type:02x}", 8 * len(packet.body)
    one, other = (there, None) if in_log else (None, there)
    return Mismatch(line, name, window, place, "type", one, other, bits)


def _unpacked(one: Packet, other: Packet) -> tuple[Message, Message]:
    form = FORMS.get(one.type, Message)
    try:
        return form.unpack(one.body), form.unpack(other.body)
    except CyberHansError:  # too short for its fields
        return Message(tail=one.body), Message(tail=other.body)


def _fields(ours: Message, theirs: Message) -> Iterator[tuple[str, str, str, int]]:
    form = form_of(type(ours))
    for name, code in zip(form.names, form.codes, strict=True):
        one, other = (_bytes(getattr(side, name), code) for side in (ours, theirs))
        if one != other and name not in LEFT_OUT.get(type(ours), ()):
            yield name, f"0x{one.hex()}", f"0x{other.hex()}", _count(one, other)


def _tails(ours: Message, theirs: Message) -> Iterator[tuple[str, str | None, str | None, int]]:
    size = 2 if isinstance(ours, Verdict | Features) else 1
    for place in range(0, max(len(ours.tail), len(theirs.tail)), size):
        one, other = ours.tail[place : place + size], theirs.tail[place : place + size]
        if one != other:
            bits = _count(one, other) if len(one) == len(other) else 8 * abs(len(one) - len(other))
            yield _item(ours, place // size), _hex(one), _hex(other), bits


def _item(message: Message, place: int) -> str:
    if isinstance(message, Verdict):
        return f"mean of channel {place}"
    return f"feature {message.offset + place}" if isinstance(message, Features) else f"byte {place} of the tail"


def _hex(value: bytes) -> str | None:
    return f"0x{value[::-1].hex()}" if value else None


def _bytes(value: int | str | bytes, code: str) -> bytes:
    """The most significant first, as digits are read; texts and digests as they are."""
    if isinstance(value, int):
        return (value % (1 << BITS[code])).to_bytes(BITS[code] // 8, "big")
    return value.encode("ascii", "replace").ljust(16, b"\0") if isinstance(value, str) else value


def _count(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()
