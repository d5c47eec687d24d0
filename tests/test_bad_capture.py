"""A capture over a bad line, from the real firmware: what was lost is told to the sample, and nothing wrong is kept."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from cobs import cobs
from counts import full
from source import playing, source, wrong
from test_capture import Watching, record

from cyberhans.hil.proxy import FAULTS, Faults, Proxy, proxy
from cyberhans.messages import Data, Event

RATE_HZ, SECONDS, CHANNELS = 26_667.0, 0.3, 3
ASKED = round(RATE_HZ * SECONDS)
pytestmark = pytest.mark.slow


class Tap(Faults):
    """The direction to the host. arrived: the frames of each stream in the packets that it let through undamaged."""

    def __init__(self, rates: dict[str, float], seed: str) -> None:
        super().__init__(rates, seed)
        self.arrived: dict[int, set[int]] = {}
        self._tail = b""

    def feed(self, data: bytes, now: float) -> bytes:
        passed = super().feed(data, now)
        *segments, self._tail = (self._tail + passed).split(b"\0")
        for segment in segments:
            self._count(segment)
        return passed

    def _count(self, segment: bytes) -> None:
        try:
            frame = cobs.decode(segment)
        except cobs.DecodeError:
            return
        if len(frame) > 22 and frame[0] == Event.DATA and zlib.crc32(frame[:-4]).to_bytes(4, "little") == frame[-4:]:
            data = Data.unpack(frame[2:-4])
            count = len(data.tail) // (2 * CHANNELS)
            self.arrived.setdefault(data.stream, set()).update(range(data.index, data.index + count))


class Trial(Watching):
    """A line that is bad from the beginning of a capture to its end, and a host that may stall."""

    def __init__(self, line: Proxy, seed: int) -> None:
        chance = random.Random(seed)
        super().__init__(chance.choice((-1, ASKED // 3)), lambda: time.sleep(chance.uniform(0, 0.4)))
        some = chance.sample(FAULTS, chance.randint(1, len(FAULTS)))
        self.line, self.tap = line, Tap({fault: chance.uniform(0, 0.15) for fault in some}, f"{seed} to host")
        self.back = {fault: chance.uniform(0, 0.15) for fault in some}

    def __enter__(self) -> Trial:
        self.line.to_host, self.line.to_device.rates = self.tap, self.back
        return self

    def __exit__(self, *_: object) -> None:
        self.line.clear()


@pytest.mark.timeout(3600)
def test_what_is_lost_is_counted_exactly_and_nothing_wrong_is_kept(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    played = source(tmp_path, RATE_HZ, CHANNELS)
    trials, lost = full(30, 1000), 0
    with playing(played) as on, proxy(on.url) as line:
        for seed in range(trials):
            trial = Trial(line, seed)
            row = record(line.url, tmp_path / "out", SECONDS, trial).to_dict()
            (arrived,) = trial.tap.arrived.values()
            assert row["lost_samples"] == ASKED - len(arrived), seed
            assert row["samples"] == len(arrived), seed
            assert wrong(row["file"], played) == 0, seed
            assert row["lost_by_device"] == 0 and not any("overruns" in reason for reason in row["reasons"]), seed
            lost += row["lost_samples"]
    assert lost > trials * ASKED // 100
    record_property("total captures over a bad line, each loss exact", trials)
    record_property("total samples lost in them", lost)
