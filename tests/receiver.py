"""A capture by the link's rules alone, without the host's own: what a device sends, and whether it is the waveform."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from cyberhans.core import firmware_dir
from cyberhans.device import Device
from cyberhans.messages import Capture, Capturing, Credit, Data, Event, Request, Sensor


@cache
def waveform() -> NDArray[np.int16]:
    """Of an image without a detector: int16 (n, 3)."""
    text = (firmware_dir() / "blank" / "waveform.c").read_text()
    found = re.search(r"hans_waveform\[\] = \{([^}]*)\}", text)
    assert found
    return np.array([int(word) for word in found[1].split(",")], np.int16).reshape(-1, 3)


@dataclass
class Received:
    """The DATA of one capture, in the order that they came."""

    stream: int
    channels: int
    wave: NDArray[np.int16]  # (n, channels): what is played in a loop
    data: list[Data] = field(default_factory=list)
    last: Capturing | None = None

    @property
    def frames(self) -> int:
        """Sample frames that came."""
        return sum(len(data.tail) for data in self.data) // (2 * self.channels)

    @property
    def gaps(self) -> int:
        """Sample frames missing before or between them, by their index; each tells its own overruns alike."""
        expected = missing = 0
        for data in self.data:
            missing += data.index - expected
            assert data.overruns == missing
            expected = data.index + len(data.tail) // (2 * self.channels)
        return missing

    def wrong(self) -> int:
        """Samples that are not the waveform's."""
        count = 0
        for data in self.data:
            samples = np.frombuffer(data.tail, np.int16).reshape(-1, self.channels)
            at = (data.index + np.arange(len(samples))) % len(self.wave)
            count += int((samples != self.wave[at]).sum())
        return count


class Receiver:
    """CAPTURE, CREDIT, DATA over a device's line; `wave`: what it plays."""

    def __init__(self, device: Device, wave: NDArray[np.int16] | None = None) -> None:
        self.device = device
        self.wave = waveform() if wave is None else wave
        self.sensor = Sensor.unpack(device.request(Request.SENSOR))

    def begin(self, rate_hz: float, frames: int, channels: int = 3, until: int = 0) -> Received:
        stream = secrets.randbits(32)
        wanted = Capture(stream, round(rate_hz * 1000), frames, until, channels, 0, 0)
        self.device.request(Request.CAPTURE, wanted.pack())
        return Received(stream, channels, self.wave[:, :channels])

    def credit(self, received: Received, until: int) -> Capturing:
        """What comes before the reply counts too."""
        exchange = self.device._exchange
        for _ in range(5):
            seq = exchange.send(Request.CREDIT, Credit(received.stream, until % 2**32).pack())
            deadline = time.monotonic() + 2
            while packet := exchange.take(deadline):
                if packet.type == Event.DATA:
                    self._add(received, packet.body)
                elif exchange.answers(packet, Request.CREDIT, seq):
                    received.last = Capturing.unpack(packet.body)
                    return received.last
        raise AssertionError("no reply to CREDIT")

    def receive(self, received: Received, seconds: float) -> int:
        """Take what comes for so long."""
        deadline, before = time.monotonic() + seconds, received.frames
        while time.monotonic() < deadline and (packet := self.device._exchange.take(deadline)):
            if packet.type == Event.DATA:
                self._add(received, packet.body)
        return received.frames - before

    def whole(self, rate_hz: float, frames: int, channels: int = 3, ahead_s: float = 2.0) -> Received:
        """A capture with credits for `ahead_s` more than has been sent, until all of it was sent or lost."""
        received = self.begin(rate_hz, frames, channels)
        ahead = max(2000, round(rate_hz * ahead_s))
        patience = time.monotonic() + 2 * frames / rate_hz + 20
        while (told := self.credit(received, min(frames, self._next(received) + ahead))).next < frames:
            assert time.monotonic() < patience, told
            self.receive(received, min(ahead_s / 4, 0.2))
        return received

    def _next(self, received: Received) -> int:
        return received.last.next if received.last else 0

    def _add(self, received: Received, body: bytes) -> None:
        data = Data.unpack(body)
        if data.stream == received.stream:
            received.data.append(data)
