"""Thousands of round trips over each board's link: none is lost, and every reply says what it has to."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from counts import ENDURANCE, full
from small_detector import noise, small_detector, small_spec

from cyberhans.boards import board, boards
from cyberhans.build import build
from cyberhans.core import Results
from cyberhans.detector import Detector
from cyberhans.device import BAUD
from cyberhans.emulator import Emulator
from cyberhans.exchange import FIRST_EVENT, Exchange
from cyberhans.judgement import Gatherer, Judgement
from cyberhans.line import Line
from cyberhans.messages import REPLY, Event, Info, Mode, Option, Request, Samples, Start, Taken
from cyberhans.protocol import Packet

ANSWER_SECONDS = 20.0
LONGEST_PAUSE = 0.005  # seconds, between the pieces of a request that is written in pieces
ORDINARY = ("native", "netduinoplus2", "microbit", "virt-rv32imac")  # one of each port; the suite takes all
BOARDS = [pytest.param(row.name, marks=[pytest.mark.emulator] if row.bare else []) for row in boards()
          if ENDURANCE or row.name in ORDINARY]  # fmt: skip
Record = Callable[[str, object], None]
pytestmark = pytest.mark.slow


@cache
def learn(folder: Path) -> Detector:
    """Spec `tiny`, for the smallest board, on two channels; a window is a few packets long."""
    return small_detector(folder, small_spec(2, "tiny", 8000, 1024))


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return learn(tmp_path_factory.mktemp("link") / "detector")


class Soak:
    """One request at a time; all that the device says in between is gathered and compared."""

    def __init__(self, line: Line, detector: Detector, seed: int) -> None:
        self.random = random.Random(seed)
        self.exchange, self.spec = Exchange(line), detector.spec
        windows = noise(detector.spec, 16, seed)
        self.expected: Results = detector.core().run(windows)
        self.samples = windows.reshape(-1, detector.spec.channels)  # over and over again
        self.gatherer = Gatherer(line.name, Option.FEATURES, detector.spec.channels)
        self.index = self.windows = self.bytes = self.seq = 0
        self.ask_info()  # until it is there: START must not come twice
        self.exchange.request(Request.START, Start(Option.FEATURES, 0).pack())
        self.info = self.ask_info()
        assert self.info.mode == Mode.HOST

    def ask_info(self) -> Info:
        return Info.unpack(self.exchange.request(Request.INFO))

    def info_trip(self) -> None:
        assert Info.unpack(self._trip(Request.INFO, b"")) == self.info

    def samples_trip(self, frames: int) -> None:
        at = np.arange(self.index, self.index + frames) % len(self.samples)
        self.index += frames
        body = Samples((self.index - frames) % 2**32, tail=self.samples[at].tobytes()).pack()
        reply = self._trip(Request.SAMPLES, body)
        assert reply == Taken(self.index % 2**32, self.info.lost, self.info.credits, 0).pack()
        assert self.windows == self.index // self.spec.hop

    def _trip(self, kind: Request, body: bytes) -> bytes:
        """The reply to one request, the first packet that is no event."""
        self.seq = (self.seq + 1) % 256
        wire = Packet(kind, self.seq, body).encode()
        for piece in self._pieces(wire):
            self.exchange.line.write(piece)
        self.bytes += len(wire)
        deadline = time.monotonic() + ANSWER_SECONDS
        while packet := self.exchange.take(deadline):
            if packet.type < FIRST_EVENT:
                assert (packet.type, packet.seq) == (kind | REPLY, self.seq)
                return packet.body
            self._event(packet)
        pytest.fail(f"no reply to {kind.name} with {len(body)} bytes within {ANSWER_SECONDS} s")

    def _pieces(self, wire: bytes) -> Iterator[bytes]:
        """Now and then a request comes in pieces, with pauses between them."""
        if self.random.random() < 0.8:
            yield wire
            return
        rest = iter(wire)
        while piece := bytes(islice(rest, self.random.choice((1, 2, 31, 32, 33, 64, 500)))):
            yield piece
            if self.random.random() < 0.2:
                time.sleep(self.random.random() * LONGEST_PAUSE)

    def _event(self, event: Packet) -> None:
        assert event.type in (Event.VERDICT, Event.FEATURES)
        if judgement := self.gatherer.add(event):
            self._check(judgement)
            self.windows += 1

    def _check(self, judgement: Judgement) -> None:
        number = self.windows % len(self.expected.score)
        assert (judgement.window, judgement.first) == (self.windows, self.windows * self.spec.hop % 2**32)
        assert judgement.score == self.expected.score[number]
        assert judgement.anomaly == self.expected.verdict[number]
        assert judgement.features is not None and (judgement.features == self.expected.features[number]).all()
        assert (judgement.mean == self.expected.mean[number]).all()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", BOARDS)
def test_round_trips(name: str, detector: Detector, tmp_path: Path, record_property: Record) -> None:
    """INFO and SAMPLES, bodies of every size up to the largest; verdicts and features in between, bit for bit."""
    assert detector.folder
    trips = full(500, 20_000) if name == "native" else full(300, 2_000)
    image = build(detector.folder, name, tmp_path).image
    with Emulator(board(name), image) as running, closing(Line(running.url, BAUD, running)) as line:
        soak = Soak(line, detector, seed=1)
        most = (soak.info.body_max - 4) // (2 * detector.spec.channels)
        for number in range(trips):
            if number % 4 == 0:
                soak.info_trip()
            else:
                soak.samples_trip(most if number % 8 == 1 else soak.random.randrange(most + 1))
        after, missed = soak.ask_info(), soak.exchange.missed_events
        assert (after.lost, after.broken, missed) == (soak.info.lost, soak.info.broken, 0)
        assert line.decoder.broken == 0
    record_property(f"total link on {name}, round trips", trips)
    record_property(f"total link on {name}, packets and events lost", missed + after.broken)
    record_property(f"total link on {name}, windows with all bits right", soak.windows)
    record_property(f"total link on {name}, bytes of requests", soak.bytes)
    assert soak.windows > trips // 60
