"""Intake: DATA packets as they come in, sample frames in their order out; what is missing is known exactly. No I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cyberhans.clock import Stamps
from cyberhans.errors import CyberHansError
from cyberhans.messages import Data
from cyberhans.recording import Gap

HOLD_SECONDS = 0.25  # that a packet waits for another one, before it, which it overtook
SETTLED_SECONDS = 1.0  # of stamps, after which they foretell the next one better than the nominal rate does
CONTRADICTION = "counts of overruns that contradict the index"
INT16 = np.dtype("<i2")


@dataclass(frozen=True, eq=False)
class Block:
    """Sample frames without a gap among them.

    index     of the first frame in the recording: counts from 0, the lost ones too
    samples   int16 (n, channels)
    time_s    when the first frame was taken, by the device's clock; two streams have no common zero
    overruns  sample frames that the device had lost before it
    """

    index: int
    samples: NDArray[np.int16]
    time_s: float
    overruns: int


@dataclass(frozen=True)
class _Piece:
    """One DATA: its index in the recording, its frames, until when it waits for what is missing before it."""

    index: int
    frames: int
    data: Data
    until: float


@dataclass
class Stream:
    """One CAPTURE of a device. base: where its frame 0 stands in the recording."""

    number: int
    base: int
    overruns: int = 0
    stamps: Stamps = field(default_factory=Stamps)  # (index in the recording, s of the device's clock)
    first: tuple[int, int] | None = None  # (index, ticks) of its first packet; ticks are unwrapped
    last: tuple[int, int] = (0, 0)  # and of its latest


class Intake:
    """The sample frames of one recording: from one stream of a device or, where it was unplugged, from several.

    next      index of the frame that comes next: all before it have been handed on, or are lost
    received  frames handed on
    seen      index after the last frame that has come, handed on or not
    granted   index below which the device may send
    gaps      where frames are missing; those before the very first one are in `lost` alone
    faults    what no sound device sends, and how often: told, never mended
    """

    def __init__(self, channels: int, rate_hz: float, tick_hz: int) -> None:
        self.channels, self.rate_hz, self.tick_hz = channels, rate_hz, tick_hz
        self.next = self.received = self.granted = self.seen = 0
        self.gaps: list[Gap] = []
        self.faults: Counter[str] = Counter()
        self.streams: list[Stream] = []
        self._held: dict[int, _Piece] = {}
        self._ready: list[tuple[_Piece, float, int]] = []  # with its time and the overruns before it

    @property
    def lost(self) -> int:
        """Frames before `next` that are not in the recording."""
        return self.next - self.received

    @property
    def overruns(self) -> int:
        """Those of the lost frames that the device counted itself."""
        return sum(stream.overruns for stream in self.streams)

    @property
    def stream(self) -> Stream:
        """The one under way."""
        return self.streams[-1]

    def begin(self, number: int, base: int = 0) -> None:
        """From now on this stream counts; its frame 0 is the recording's frame `base`, at least `next`: an estimate
        unless it is the first."""
        assert base >= self.next
        self.streams.append(Stream(number, base))
        self._held.clear()
        self.granted = self.seen = base

    def grant(self, until: int) -> None:
        """The device may send frames below this index of the recording."""
        self.granted = max(self.granted, until)

    def on_wire(self, index: int) -> int:
        """An index of the recording as the stream counts it, modulo 2^32."""
        return (index - self.stream.base) % 2**32

    def index_of(self, wire: int) -> int:
        """And back: the one nearest to what has been seen."""
        return self.seen + _signed(wire + self.stream.base - self.seen)

    def add(self, body: bytes, now: float) -> bool:
        """Take a DATA's body, which came at `now`, in seconds of any steady clock; whether it is of this stream.

        Whatever is no sound part of it is dropped. What comes a second time is too: so does what comes too late, which
        is counted as lost.
        """
        try:
            data = Data.unpack(body)
        except CyberHansError:
            self.faults["packets of an impossible length or index"] += 1
            return False
        if not self.streams or data.stream != self.stream.number:
            return False
        index = self.index_of(data.index)
        frames, odd = divmod(len(data.tail), 2 * self.channels)
        if odd or not frames or index + frames > self.granted:
            self.faults["packets of an impossible length or index"] += 1
        elif index >= self.next and index not in self._held:
            self._held[index] = _Piece(index, frames, data, now + HOLD_SECONDS)
            self.seen = max(self.seen, index + frames)
        elif index < self.next and self._is_newer(data):
            self.faults["packets whose index goes back"] += 1
        return True

    def _is_newer(self, data: Data) -> bool:
        """Than the last one handed on, by the device's clock; what only a line repeated or delayed is not."""
        return self.stream.first is not None and _signed(data.ticks - self.stream.last[1]) > 0

    def take(self, now: float) -> list[Block]:
        """What can be handed on by now, in as few blocks as there are stretches. Add all that has come before: after a
        stall, what is missing may be there already."""
        self._release(now)
        ready, self._ready = self._ready, []
        borders = [
            i for i in range(1, len(ready)) if ready[i][0].index != ready[i - 1][0].index + ready[i - 1][0].frames
        ]
        return [self._block(ready[i:j]) for i, j in zip([0, *borders], [*borders, len(ready)], strict=True) if i < j]

    def count_overruns(self, overruns: int) -> None:
        """What the device itself has counted in the stream under way, after its last packet too."""
        self.stream.overruns = max(self.stream.overruns, overruns)
        if self.overruns > self.lost:
            self.faults[CONTRADICTION] += 1

    def end(self, index: int, *, counted: bool = True) -> list[Block]:
        """No more will come: what is left, without waiting; frames from there on up to `index` are lost."""
        blocks = self.take(float("inf"))
        if index > self.next:
            self._miss(index - self.next, counted)
            self.next = index
        return blocks

    def _release(self, now: float) -> None:
        """Hand on what follows, what misses only frames that the device says it lost, and what waited long enough."""
        for index in sorted(self._held):
            piece = self._held[index]
            missing = piece.index - self.next
            if missing > 0 and missing != piece.data.overruns - self.stream.overruns and now < piece.until:
                return
            del self._held[index]
            if missing < 0:
                self.faults["packets that overlap"] += 1
            else:
                self._hand_on(piece, missing)

    def _hand_on(self, piece: _Piece, missing: int) -> None:
        stream, overruns = self.stream, piece.data.overruns
        if not 0 <= overruns - stream.overruns <= missing:
            self.faults[CONTRADICTION] += 1
        if missing:
            self._miss(missing, counted=stream.base == 0 or stream.first is not None)
        self._stamp(piece)
        stream.overruns = max(overruns, stream.overruns)
        self.next = piece.index + piece.frames
        self.received += piece.frames
        self._ready.append((piece, stream.last[1] / self.tick_hz, self.overruns))

    def _miss(self, lost: int, counted: bool) -> None:
        if self.received:
            self.gaps.append(Gap(self.received, lost, counted))

    def _stamp(self, piece: _Piece) -> None:
        """Ticks wrap modulo 2^32; the index, with the rate seen so far, tells how often they did."""
        stream, ticks = self.stream, piece.data.ticks
        if stream.first is None:
            stream.first = piece.index, ticks
        else:
            guess = stream.last[1] + round((piece.index - stream.last[0]) * self._ticks_per_frame(stream.first))
            ticks = guess + _signed(ticks - guess)
        stream.last = piece.index, ticks
        stream.stamps.add(piece.index, ticks / self.tick_hz)

    def _ticks_per_frame(self, first: tuple[int, int]) -> float:
        frames, ticks = (after - before for after, before in zip(self.stream.last, first, strict=True))
        return ticks / frames if ticks > SETTLED_SECONDS * self.tick_hz else self.tick_hz / self.rate_hz

    def _block(self, ready: list[tuple[_Piece, float, int]]) -> Block:
        (first, time_s, overruns), *_ = ready
        samples = np.frombuffer(b"".join(piece.data.tail for piece, *_ in ready), INT16)
        return Block(first.index, samples.reshape(-1, self.channels), time_s, overruns)


def _signed(difference: int) -> int:
    """Of two numbers modulo 2^32: between -2^31 and 2^31 - 1."""
    return (difference + 2**31) % 2**32 - 2**31
