"""One running board behind a URL: requests, replies, and the replay of windows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cyberhans.boards import board
from cyberhans.detector import Detector
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.judgement import INT16, Gatherer, Judgement
from cyberhans.line import Line
from cyberhans.messages import (
    NAK,
    PROTOCOL_VERSION,
    REPLY,
    Event,
    Info,
    Nak,
    Option,
    Refusal,
    Request,
    Samples,
    Start,
    Taken,
    Trace,
    Traced,
)
from cyberhans.protocol import Packet
from cyberhans.spec import ARITHMETIC_VERSION
from cyberhans.tables import INTERFACE_VERSION

BAUD = 115_200
SHAPE = ("channels", "features", "window", "hop", "rate_mhz")  # INFO has these fields of a Spec
VERDICTS_ONLY = Option(0)
ANSWER_SECONDS = (0.3, 0.7, 2.0, 5.0)  # for INFO, asked again and again: a device may still be starting
PATIENCE_SECONDS = 20.0  # without a reply or a verdict, while a device works
PARTING_SECONDS = 2.0  # for the reply to RUN at the end
SMALLEST_BODY = 256  # body_max of SPEC.md section 10.1
REFUSALS = {
    Refusal.UNKNOWN: "it does not know this request: its firmware is older than this program",
    Refusal.LENGTH: "the request has a wrong length",
    Refusal.MODE: "it is in run mode: START comes first",
    Refusal.INDEX: "samples were lost: it expects sample index {detail}",
    Refusal.FILE: "it cannot read files of this computer (a board without an emulator cannot): leave out bulk",
    Refusal.CORE: "its core refuses (error {detail})",
}


class Refused(CyberHansError):
    """A NAK."""

    def __init__(self, name: str, nak: Nak) -> None:
        self.code, self.detail = nak.code, nak.detail
        words = REFUSALS[Refusal(nak.code)] if nak.code in set(Refusal) else "code {code}"
        super().__init__(f"{name} refused request {nak.request}: {words.format(detail=nak.detail, code=nak.code)}")


class Device:
    """Made by open_device(). Ends its emulator, if it has one, with close() or the `with` block."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._seq = 0
        self._event_seq: int | None = None
        self.missed_events = 0
        self.info = self._ask_info()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._line.close()
        if self._line.emulator:
            self._line.emulator.close()

    @property
    def name(self) -> str:
        return self._line.name

    @property
    def emulator(self) -> Emulator | None:
        return self._line.emulator

    def require(self, detector: Detector) -> None:
        """Raise CyberHansError, naming what differs, unless the device holds exactly this detector."""
        info, spec = self.info, detector.spec
        pairs: tuple[tuple[str, int | bytes, int | bytes], ...] = (
            ("arithmetic", info.arithmetic, ARITHMETIC_VERSION),
            ("interface", info.interface, INTERFACE_VERSION),
            ("spec digest", info.spec, spec.digest),
            ("model digest", info.model, detector.model.digest),
            ("detector digest", info.detector, detector.digest),
            *((name, getattr(info, name), getattr(spec, name)) for name in SHAPE),
            ("flags", info.flags, detector.flags),
        )
        for what, found, expected in pairs:
            if found != expected:
                raise CyberHansError(f"{self.name} holds another detector: {what} {_short(found)} differs from "
                                     f"{_short(expected)}; build and flash this detector again")  # fmt: skip
        if self.info.status != 0:
            raise CyberHansError(f"{self.name}: its core refuses the detector (error {self.info.status}); build again")

    def request(self, kind: int, body: bytes = b"", seconds: float = PATIENCE_SECONDS) -> bytes:
        """Body of the reply; drops events that come before it. Raises Refused, or Silent without a reply in time."""
        seq = self._send(kind, body)
        deadline = time.monotonic() + seconds  # in run mode events never end
        for packet in self._packets(seconds):
            if self._answers(packet, kind, seq):
                return packet.body
            if time.monotonic() > deadline:
                break
        raise self._silent()

    def start(self, options: Option = VERDICTS_ONLY) -> Taken:
        """Take the device out of run mode; its next sample index is 0."""
        return Taken.unpack(self.request(Request.START, Start(int(options)).pack()))

    def run(self) -> None:
        """Let it run on its own samples again."""
        self.request(Request.RUN)

    def leave(self) -> None:
        """The same whatever has happened before, as far as it can be done: a device that is gone is no error."""
        with suppress(CyberHansError):
            self._line.write(b"\0")  # ends a packet that was cut short
            self.request(Request.RUN, seconds=PARTING_SECONDS)

    def judgements(self, seconds: float = PATIENCE_SECONDS) -> Iterator[Judgement]:
        """In run mode: verdicts as they come, until none has come for `seconds`."""
        gatherer = Gatherer(self.name, VERDICTS_ONLY, self.info.channels)
        for packet in self._packets(seconds):
            judgement = gatherer.add(packet) if packet.type >= 0xC0 else None
            if judgement:
                yield judgement

    def replay(
        self, windows: NDArray[np.int16], options: Option = Option.FEATURES, credits: int | None = None
    ) -> Iterator[Judgement]:
        """Send int16 windows (k, window, channels) from sample index 0 on; one judgement each, as they come.

        credits: fewer packets under way than the device offers. Raises CyberHansError if any is missing or too many.
        """
        self.start(options)
        samples = stream(windows, self.info.hop)
        yield from self._gather(self._push(samples, credits or self.info.credits), options, len(windows))

    def replay_file(self, path: Path, windows: int, options: Option = Option.FEATURES) -> Iterator[Judgement]:
        """Let the device read `windows` hops of int16 from a file of this computer: native, or by semihosting."""
        self.start(options)
        seq = self._send(Request.FILE, str(path).encode() + b"\0")
        yield from self._gather(self._until(Request.FILE, deque([seq])), options, windows)

    def trace(self, window: NDArray[np.int16], position: Trace) -> Traced:
        """What the device's stages give for one int16 window (n, channels)."""
        self.request(Request.TRACE, position.pack())
        list(self.replay(window[None], VERDICTS_ONLY))
        traced = Traced.unpack(self.request(Request.TRACED))
        if not traced.done:
            raise CyberHansError(f"{self.name}: traced no window; build and flash its firmware again")
        return traced

    def send_samples(self, index: int, samples: NDArray[np.int16]) -> Taken:
        """One SAMPLES packet of int16 (frames, channels); events are dropped."""
        return Taken.unpack(self.request(Request.SAMPLES, Samples(index, tail=samples.astype("<i2").tobytes()).pack()))

    def _ask_info(self) -> Info:
        for seconds in ANSWER_SECONDS:
            try:
                info = Info.unpack(self.request(Request.INFO, seconds=seconds))
            except Silent:
                continue
            if info.protocol != PROTOCOL_VERSION:
                raise CyberHansError(f"{self.name} speaks protocol {info.protocol}, this program {PROTOCOL_VERSION}: "
                                     "update the older one")  # fmt: skip
            if impossible := _impossible(info):
                raise CyberHansError(
                    f"{self.name}: the device sent an INFO with {impossible}; build and flash it again"
                )
            return info
        raise self._silent()

    def _silent(self) -> Silent:
        cause = "" if self.emulator else "; check the cable, the baud rate and that it runs Cyber-Hans"
        return Silent(f"{self.name} does not answer{cause}")

    def _send(self, kind: int, body: bytes) -> int:
        self._seq = (self._seq + 1) % 256
        self._line.write(Packet(int(kind), self._seq, body).encode())
        return self._seq

    def _packets(self, seconds: float) -> Iterator[Packet]:
        """Packets as they come, until none has come for `seconds`. Counts events that were lost."""
        while packet := self._line.take(time.monotonic() + seconds):
            if packet.type >= 0xC0:
                if self._event_seq is not None:
                    self.missed_events += (packet.seq - self._event_seq - 1) % 256
                self._event_seq = packet.seq
            yield packet

    def _answers(self, packet: Packet, kind: int, seq: int) -> bool:
        """Whether this is the reply to that request. Raises Refused."""
        if packet.seq != seq:
            return False
        if packet.type == NAK and (nak := Nak.unpack(packet.body)).request == kind:
            raise Refused(self.name, nak)
        return packet.type == kind | REPLY

    def _until(self, kind: int, waiting: deque[int], most: int = 0) -> Iterator[Packet]:
        """Events, until only `most` of the requests are without a reply. Events other than verdicts are no progress."""
        packets = self._packets(PATIENCE_SECONDS)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(waiting) > most:
            packet = next(packets, None)
            if packet is None:
                raise self._silent()
            answered = self._answers(packet, kind, waiting[0])
            if answered:
                waiting.popleft()
            if answered or packet.type == Event.VERDICT:
                deadline = time.monotonic() + PATIENCE_SECONDS
            elif time.monotonic() > deadline:
                raise Silent(f"{self.name} sends neither replies nor verdicts; build and flash its firmware again")
            if packet.type >= 0xC0:
                yield packet

    def _push(self, samples: NDArray[np.int16], credits: int) -> Iterator[Packet]:
        """Send int16 (frames, channels) by credits; gives the events."""
        waiting: deque[int] = deque()
        step = (self.info.body_max - 4) // (2 * self.info.channels)
        for index in range(0, len(samples), step):
            body = Samples(index % 2**32, tail=samples[index : index + step].tobytes()).pack()
            waiting.append(self._send(Request.SAMPLES, body))
            yield from self._until(Request.SAMPLES, waiting, credits - 1)
        yield from self._until(Request.SAMPLES, waiting)

    def _gather(self, events: Iterator[Packet], options: Option, windows: int) -> Iterator[Judgement]:
        """Judgements in their order: exactly `windows`, each at its place."""
        gatherer, missed, count = Gatherer(self.name, options, self.info.channels), self.missed_events, 0
        for event in events:
            judgement = gatherer.add(event)
            if judgement is None:
                continue
            if judgement.window != count or judgement.first != count * self.info.hop % 2**32:
                raise CyberHansError(f"{self.name}: window {judgement.window}, sample {judgement.first} came "
                                     f"in place of window {count}; check the line and repeat")  # fmt: skip
            count += 1
            if count > windows:
                break
            yield judgement
        gatherer.finish()
        if count != windows or self.missed_events != missed:
            raise CyberHansError(f"{self.name}: {count} verdicts for {windows} windows, "
                                 f"{self.missed_events - missed} packets lost; check the line and repeat")  # fmt: skip


class Silent(CyberHansError):
    """No answer in time."""


def _impossible(info: Info) -> str | None:
    """What no device can say of itself, in a few words."""
    smallest = max(SMALLEST_BODY, 4 + 2 * info.channels)  # one sample frame
    if info.body_max < smallest:
        return f"body_max {info.body_max}, less than {smallest}"
    if info.hop < info.window:
        return f"hop {info.hop} below window {info.window}"
    return next(
        (f"{name} 0" for name in ("channels", "features", "window", "credits") if not getattr(info, name)), None
    )


def _short(value: int | bytes) -> str:
    return f"{value.hex()[:8]}.." if isinstance(value, bytes) else str(value)


def stream(windows: NDArray[np.int16], hop: int) -> NDArray[np.int16]:
    """int16 windows (k, n, channels) as sample frames (k * hop, channels); what the device skips is zero."""
    count, length, channels = windows.shape
    padded = np.zeros((count, hop, channels), INT16)
    padded[:, :length] = windows
    return padded.reshape(count * hop, channels)


def open_device(url: str, *, image: Path | None = None, counting: bool = False, baud: int = BAUD) -> Device:
    """Open a pyserial URL (tty, pty, socket://HOST:PORT), or start `image` on board:NAME.

    counting: let an emulated board's ticks follow its instructions. Raises CyberHansError: unknown board, no such port,
    no answer, another protocol version.
    """
    emulator = None
    if url.startswith("board:"):
        if image is None:
            raise CyberHansError(f"{url} needs an image: give one, or build the detector")
        emulator = Emulator(board(url.removeprefix("board:")), image, counting)
    try:
        line = Line(emulator.url if emulator else url, baud, emulator)
        try:
            return Device(line)
        except BaseException:
            line.close()
            raise
    except BaseException as error:
        if emulator is None:
            raise
        ended = emulator.ended()
        emulator.close()
        if isinstance(error, CyberHansError) and (ended or isinstance(error, Silent)):
            raise CyberHansError(f"{image}: does not run on {emulator.board.name}: {ended or error}; make it by: "
                                 f"cyberhans build DETECTOR --board {emulator.board.name}") from None  # fmt: skip
        raise
