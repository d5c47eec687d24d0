"""One running board behind a URL: requests, replies, and the replay of windows."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cyberhans.delivery import Delivery
from cyberhans.detector import Detector
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.exchange import FIRST_EVENT, Exchange, Lost, Refused, Silent
from cyberhans.identity import impossible, require_detector
from cyberhans.judgement import INT16, Gatherer, Judgement, LastVerdicts
from cyberhans.line import Line
from cyberhans.messages import (
    PROTOCOL_VERSION,
    Baseline,
    Event,
    Info,
    Memory,
    Option,
    Rebaseline,
    Request,
    Start,
    Taken,
    Trace,
    Traced,
    Verdicts,
)
from cyberhans.packet_log import PacketLog
from cyberhans.player import start
from cyberhans.protocol import Packet

BAUD = 115_200
VERDICTS_ONLY = Option(0)
ANSWER_SECONDS = (0.3, 0.7, 2.0, 5.0)  # for INFO, asked again and again: a device may still be starting
PATIENCE_SECONDS = 20.0  # without a reply or a verdict, while a device reads a file
PARTING_SECONDS = (0.5, 0.5, 1.0)  # for the reply to RUN at the end
TRIES = 6  # streams in a row that do not bring the next window
FIRST_WINDOWS = range(2**31, 3 * 2**30)  # run mode counts from 0; 2^30 more fit before 2^32
Feed = Callable[[int, int], Iterator[Packet]]  # (first window, its number on the link) -> events of a new stream
__all__ = ["Device", "Refused", "Silent", "open_device", "stream"]


class Device:
    """Made by open_device(). Ends its emulator, if it has one, with close() or the `with` block."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._exchange = Exchange(line)
        self._number = secrets.choice(FIRST_WINDOWS)  # of the next window that is sent; no earlier host's
        self.info = self.ask_info()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hang_up(self) -> None:
        """Leave the line, and the emulator as it is: the device runs on, and another host may open it."""
        self._line.close()

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
        require_detector(self.name, self.info, detector)

    @property
    def missed_events(self) -> int:
        """Events that never came."""
        return self._exchange.missed_events

    @property
    def damaged(self) -> int:
        """What came and was no packet: noise, a damaged one, a line of text."""
        return self._line.decoder.broken

    def request(self, kind: int, body: bytes = b"", waits: Sequence[float] | None = None) -> bytes:
        """Body of the reply; drops events that come before it. It is sent once for each of `waits`, in seconds.

        Raises Refused, or Silent without a reply in time.
        """
        return self._exchange.request(kind, body, waits)

    def send(self, kind: int, body: bytes = b"") -> int:
        """Send a request and do not wait; gives its number, which its reply has."""
        return self._exchange.send(kind, body)

    def write(self, data: bytes) -> None:
        """Bytes as they are, packets or none."""
        self._line.write(data)

    def packet(self, seconds: float) -> Packet | None:
        """The next that comes in so many seconds, whatever its number: events that are repeated or late, too."""
        return self._line.take(time.monotonic() + seconds)

    def arrived(self) -> list[Packet]:
        """The packets that have come by now; never waits."""
        return self._exchange.arrived()

    def take(self, deadline: float) -> Packet | None:
        """The next packet, late events left out; None when time.monotonic() has passed `deadline` without one."""
        return self._exchange.take(deadline)

    def start(self, options: Option = VERDICTS_ONLY, window: int = 0) -> Taken:
        """Take the device out of run mode; its next window has this number, its next sample index is window * hop.

        Raises Lost if the reply is not of this stream: it came late, from an earlier START.
        """
        taken = Taken.unpack(self.request(Request.START, Start(int(options), window % 2**32).pack()))
        self._exchange.forget_events()
        if taken.next != window * self.info.hop % 2**32:
            raise Lost(f"{self.name} begins another stream than window {window % 2**32}, at sample {taken.next}")
        return taken

    def fresh_number(self, windows: int) -> int:
        """Of the first of so many windows that are sent: no host has used them (SPEC.md section 10.2)."""
        number = self._number
        self._number = (number + windows) % 2**32
        return number

    def run(self) -> None:
        """Let it run on its own samples again."""
        self.request(Request.RUN)

    def leave(self) -> None:
        """The same whatever has happened before, as far as it can be done: a device that is gone is no error."""
        with suppress(CyberHansError):
            self._line.write(b"\0")  # ends a packet that was cut short
            self.request(Request.RUN, waits=PARTING_SECONDS)

    def judgements(self, seconds: float = PATIENCE_SECONDS) -> Iterator[Judgement]:
        """In run mode: verdicts as they come, until none has come for `seconds`."""
        gatherer = Gatherer(self.name, VERDICTS_ONLY, self.info.channels)
        while packet := self._exchange.take(time.monotonic() + seconds):
            judgement = gatherer.add(packet) if packet.type == Event.VERDICT else None
            if judgement:
                yield judgement

    def last_verdicts(self) -> LastVerdicts:
        """The last verdicts of run mode, and how many there were that nobody listened to."""
        told = Verdicts.unpack(self.request(Request.VERDICTS))
        return Gatherer(self.name, VERDICTS_ONLY, self.info.channels).last(told)

    def baseline(self) -> Baseline:
        """How the last re-baselining goes or went, in run mode or of the stream under way. Raises Refused."""
        return Baseline.unpack(self.request(Request.BASELINE))

    def rebaseline(self, windows: int, token: int | None = None) -> Baseline:
        """Let it set its baseline by the next `windows`; or UNDO, or STOP.

        token: of the request; one that the device has had is only answered. Raises Refused.
        """
        token = token if token is not None else secrets.randbelow(2**32 - 1) + 1
        return Baseline.unpack(self.request(Request.REBASELINE, Rebaseline(token, windows, 0).pack()))

    def memory(self) -> Memory:
        """Bytes of its work memory and of its stack, and how deep that has been. Raises Refused: older firmware."""
        return Memory.unpack(self.request(Request.MEMORY))

    def replay(
        self, windows: NDArray[np.int16], options: Option = Option.FEATURES, credits: int | None = None,
        *, step: int | None = None, number: int | None = None, goes_on: bool = False,
    ) -> Iterator[Judgement]:  # fmt: skip
        """Send int16 windows (k, window, channels) from sample index 0 on; one judgement each, as they come. What the
        alarm logic remembers begins as built, and again so at a window that was lost and is sent again (`begun`).

        credits: fewer packets under way than the device offers. What is lost is sent again; raises CyberHansError if
        that does not help, or if verdicts come that belong to no window. step: sample frames of a packet, at most,
        for a line that damages long ones. number: that the first window has on the link, in place of one that no host
        has used. goes_on: the stream under way goes on, with the options that it began with.
        """
        begun = not goes_on
        self._number = self._number if number is None else number

        def feed(first: int, number: int) -> Iterator[Packet]:
            nonlocal begun
            if begun:
                self.start(options, number)
            begun = True  # where something was lost, a new one begins
            return self._push(stream(windows[first:], self.info.hop), number, credits or self.info.credits, step)

        yield from self._judged(feed, options, len(windows))

    def replay_file(self, path: Path, windows: int, options: Option = Option.FEATURES) -> Iterator[Judgement]:
        """Let the device read `windows` hops of int16 from a file of this computer: native, or by semihosting."""

        def feed(first: int, number: int) -> Iterator[Packet]:
            self.start(options, number - first)  # it reads the whole file again
            return self._read_file(path, windows)

        for judgement in self._judged(feed, options, windows):
            yield replace(judgement, begun=0)

    def trace(self, window: NDArray[np.int16], position: Trace) -> Traced:
        """What the device's stages give for one int16 window (n, channels)."""
        for _ in range(TRIES):
            number = self._number
            self.request(Request.TRACE, position.pack())
            list(self.replay(window[None], VERDICTS_ONLY))
            traced = Traced.unpack(self.request(Request.TRACED))
            place = Trace(traced.call, traced.offset, traced.stage, traced.reserved)
            if traced.done and (place, traced.window) == (position, number):
                return traced
        raise CyberHansError(f"{self.name}: traced no window; check the line, or build and flash it again")

    def ask_info(self) -> Info:
        """What it says of itself now; `info` is what it said when it was opened."""
        info = Info.unpack(self.request(Request.INFO, waits=ANSWER_SECONDS))
        if info.protocol != PROTOCOL_VERSION:
            raise CyberHansError(f"{self.name} speaks protocol {info.protocol}, this program {PROTOCOL_VERSION}: "
                                 "update the older one")  # fmt: skip
        if wrong := impossible(info):
            raise CyberHansError(f"{self.name}: the device sent an INFO with {wrong}; build and flash it again")
        return info

    def _push(self, samples: NDArray[np.int16], number: int, credits: int, step: int | None = None) -> Iterator[Packet]:
        """Send int16 (frames, channels), the first of window `number`; gives the events."""
        most = (self.info.body_max - 4) // (2 * self.info.channels)
        step = min(step or most, most)
        return Delivery(self._exchange, samples, number * self.info.hop % 2**32, step, credits).events()

    def _read_file(self, path: Path, windows: int) -> Iterator[Packet]:
        """Let the device read a file; gives the events. This request alone must not be repeated: it would go on."""
        verdicts = 0
        seq = self._exchange.send(Request.FILE, str(path).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while packet := self._exchange.take(deadline):
            if self._exchange.answers(packet, Request.FILE, seq):
                return
            verdicts += packet.type == Event.VERDICT
            if packet.type == Event.VERDICT and verdicts <= windows + 1:
                deadline = time.monotonic() + PATIENCE_SECONDS
            elif time.monotonic() > deadline:
                break
            if packet.type >= FIRST_EVENT:
                yield packet
        raise Lost(f"{self.name} sends neither replies nor verdicts")

    def _judged(self, feed: Feed, options: Option, windows: int) -> Iterator[Judgement]:
        """Exactly `windows` judgements in their order; begins a new stream at the first that was lost on the way.

        Each replay has window numbers of its own, so that what comes late from an earlier one, from run mode or from
        another host fits nowhere (SPEC.md section 10.2).
        """
        base, done, failures = self.fresh_number(windows), 0, 0
        while done < windows:
            begin = done
            try:
                for judgement in self._gather(feed(done, (base + done) % 2**32), options, base, done, windows):
                    yield judgement
                    done += 1
            except Lost as error:
                failures = 1 if done > begin else failures + 1
                if failures == TRIES:
                    raise CyberHansError(f"{error}, {TRIES} times at window {done} of {windows}; "
                                         "check the line and repeat") from None  # fmt: skip

    def _gather(
        self, events: Iterator[Packet], options: Option, base: int, count: int, windows: int
    ) -> Iterator[Judgement]:
        """Judgements from window `count` on, each at its place, numbered from 0. Raises Lost where one is missing."""
        gatherer, begun = Gatherer(self.name, options, self.info.channels), count
        for event in events:
            judgement = gatherer.add(event)
            if judgement is None:
                continue
            ahead = (judgement.window - base - count + 2**31) % 2**32 - 2**31
            if ahead < 0:
                continue  # it was in hand already
            if ahead > 0 or judgement.first != judgement.window * self.info.hop % 2**32:
                raise Lost(f"{self.name}: window {count + ahead}, sample {judgement.first} came in place of {count}")
            if count == windows:
                more = f"{count + 1} verdicts for {windows} windows"
                raise CyberHansError(f"{self.name}: {more}; build and flash it again")
            yield replace(judgement, window=count, first=count * self.info.hop % 2**32, begun=begun)
            count += 1
        gatherer.finish()
        if count < windows:
            raise Lost(f"{self.name}: {count} verdicts for {windows} windows")


def stream(windows: NDArray[np.int16], hop: int) -> NDArray[np.int16]:
    """int16 windows (k, n, channels) as sample frames (k * hop, channels); what the device skips is zero."""
    count, length, channels = windows.shape
    padded = np.zeros((count, hop, channels), INT16)
    padded[:, :length] = windows
    return padded.reshape(count * hop, channels)


def open_device(
    url: str, *, image: Path | None = None, counting: bool = False, pump: bool = False, baud: int = BAUD,
    log: PacketLog | None = None,
) -> Device:  # fmt: skip
    """Open a pyserial URL (tty, pty, socket://HOST:PORT), or start `image` on board:NAME, or board:native,SETTINGS.

    counting: let an emulated board's ticks follow its instructions; pump: let native play one where nothing is named.
    log: gets every packet, both ways, and when the port was opened and closed.
    Raises CyberHansError: unknown board, no such port, no answer, another protocol version.
    """
    emulator = None
    if url.startswith("board:"):
        if image is None:
            raise CyberHansError(f"{url} needs an image: give one, or build the detector")
        emulator = start(url.removeprefix("board:"), image, counting=counting, pump=pump)
    try:
        line = Line(emulator.url if emulator else url, baud, emulator, log=log)
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
