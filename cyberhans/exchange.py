"""Requests and their replies over a line, by number; a request without a reply is sent again."""

from __future__ import annotations

import time
from collections.abc import Sequence

from cyberhans.errors import CyberHansError
from cyberhans.line import Line
from cyberhans.messages import NAK, REPLY, Event, Nak, Refusal
from cyberhans.protocol import Packet

REPEAT_SECONDS = (1.0, 2.0, 4.0, 13.0)  # that each sending of a request waits for its reply
FIRST_EVENT = 0xC0
REFUSALS = {
    Refusal.UNKNOWN: "it does not know this request: its firmware is older than this program",
    Refusal.LENGTH: "the request has a wrong length",
    Refusal.MODE: "it is in another mode: START, or CAPTURE, comes first",
    Refusal.INDEX: "samples were lost: it expects sample index {detail}",
    Refusal.FILE: "it cannot read files of this computer (a board without an emulator cannot): leave out bulk",
    Refusal.CORE: "its core refuses (error {detail})",
    Refusal.RATE: "its sensor has no such rate, or the line does not carry it; the nearest is {detail} / 1000 Hz",
    Refusal.CHANNELS: "its sensor has {detail} channels: ask for 1 to {detail}",
    Refusal.BASELINE: "no baseline is set or set back (error {detail}): it has no alarm logic, nothing to undo, or was "
    "asked for other than 2 to 4096 windows",
}


class Silent(CyberHansError):
    """No answer in time."""


class Lost(CyberHansError):
    """Something did not come through, though the device is there: the same once more may succeed."""


class Refused(CyberHansError):
    """A NAK."""

    def __init__(self, name: str, nak: Nak) -> None:
        self.code, self.detail = nak.code, nak.detail
        words = REFUSALS[Refusal(nak.code)] if nak.code in set(Refusal) else "code {code}"
        super().__init__(f"{name} refused request {nak.request}: {words.format(detail=nak.detail, code=nak.code)}")


class Exchange:
    """Speaks the link's rules of SPEC.md section 10.1 over a line.

    `missed_events` counts events that never came; one that comes twice or late is dropped.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self.missed_events = 0
        self._seq = 0
        self._event_seq: int | None = None
        self._data: list[Packet] = []  # DATA that came while a reply was waited for

    @property
    def name(self) -> str:
        return self.line.name

    def send(self, kind: int, body: bytes = b"") -> int:
        """Send a new request; returns its number."""
        seq = self._new_seq()
        self.line.write(Packet(int(kind), seq, body).encode())
        return seq

    def arrived(self) -> list[Packet]:
        """The packets that have come by now, with no DATA dropped by request(), in their order; never waits."""
        before, self._data = self._data, []
        return before + self.line.arrived()

    def take(self, deadline: float) -> Packet | None:
        """The next packet; None when time.monotonic() has passed `deadline`, also while late events come in."""
        while packet := self.line.take(deadline):
            if packet.type < FIRST_EVENT or self._counts(packet.seq):
                return packet
            if time.monotonic() > deadline:
                break
        return None

    def request(self, kind: int, body: bytes = b"", waits: Sequence[float] | None = None) -> bytes:
        """Body of the reply; drops events that come before it, but for DATA, which
        arrived() has. It is sent once for each of `waits`, in seconds.

        Raises Refused, or Silent without a reply in time.
        """
        seq = self._new_seq()
        wire = Packet(int(kind), seq, body).encode()
        for seconds in waits or REPEAT_SECONDS:
            self.line.write(wire)
            if (reply := self._reply(kind, seq, seconds)) is not None:
                return reply
            self.line.write(b"\0")  # ends what was cut short, or noise
        raise self.silent()

    def answers(self, packet: Packet, kind: int, seq: int) -> bool:
        """Whether this is the reply to that request. Raises Refused."""
        if packet.seq != seq:
            return False
        if packet.type == NAK and (nak := Nak.unpack(packet.body)).request == kind:
            raise Refused(self.name, nak)
        return packet.type == kind | REPLY

    def forget_events(self) -> None:
        """The next event may have any number: the device, or its stream, begins anew."""
        self._event_seq = None

    def silent(self) -> Silent:
        cause = "" if self.line.emulator else "; check the cable, the baud rate and that it runs Cyber-Hans"
        return Silent(f"{self.name} does not answer{cause}")

    def _new_seq(self) -> int:
        self._seq = (self._seq + 1) % 256
        return self._seq

    def _reply(self, kind: int, seq: int, seconds: float) -> bytes | None:
        deadline = time.monotonic() + seconds  # in run mode events never end
        while packet := self.take(deadline):
            if self.answers(packet, kind, seq):
                return packet.body
            if packet.type == Event.DATA:
                self._data.append(packet)
            if time.monotonic() > deadline:
                break
        return None

    def _counts(self, seq: int) -> bool:
        """Whether an event is a new one: up to 128 ahead of the last. Counts those between."""
        ahead = 0 if self._event_seq is None else (seq - self._event_seq - 1) % 256
        if ahead >= 128:
            return False
        self.missed_events += ahead
        self._event_seq = seq
        return True
