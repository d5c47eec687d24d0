"""Intake: whatever a line does to packets, frames handed on are the true ones at their place; the rest is counted."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pytest
from counts import full
from numpy.typing import NDArray

from cyberhans.capture.intake import HOLD_SECONDS, Block, Intake
from cyberhans.messages import Data
from cyberhans.recording import Gap

CHANNELS, RATE_HZ, TICK_HZ = 3, 26_667.0, 1_000_000_000  # ticks wrap each 4.3 s
STREAM = 77
LIMIT = 2**40


def frames(index: int, count: int) -> NDArray[np.int16]:
    """The true samples from a frame on: each frame is different from those around it."""
    number = np.arange(index, index + count)[:, None] * 3 + np.arange(CHANNELS)
    return (number * 40503 % 65536 - 32768).astype(np.int16)


def packet(index: int, count: int = 100, overruns: int = 0, stream: int = STREAM, rate_hz: float = RATE_HZ) -> bytes:
    ticks = round(index / rate_hz * TICK_HZ) + 123_456_789
    return Data(stream, index % 2**32, overruns, ticks % 2**32, tail=frames(index, count).tobytes()).pack()


def opened() -> Intake:
    intake = Intake(CHANNELS, RATE_HZ, TICK_HZ)
    intake.begin(STREAM)
    intake.grant(LIMIT)
    return intake


def check(intake: Intake, blocks: Iterable[Block]) -> list[int]:
    """Every sample at its place, gaps where frames are missing; gives the numbers of the frames handed on."""
    numbers: list[int] = []
    expected = [Gap(0, 0)]
    for block in blocks:
        before = numbers[-1] + 1 if numbers else 0
        assert block.index >= before
        if block.index > before and numbers:
            expected.append(Gap(len(numbers), block.index - before))
        assert (block.samples == frames(block.index, len(block.samples))).all()
        numbers += range(block.index, block.index + len(block.samples))
    between = [gap for gap in intake.gaps if gap.at < len(numbers)]
    assert between == expected[1:]
    assert intake.received == len(numbers) and intake.lost == intake.next - len(numbers)
    assert sum(gap.lost for gap in intake.gaps) <= intake.lost
    return numbers


def test_packets_in_order_become_one_block() -> None:
    intake = opened()
    for index in range(0, 1000, 100):
        intake.add(packet(index), 0.0)
    (block,) = intake.take(0.0)
    assert (block.index, block.samples.shape, block.overruns) == (0, (1000, CHANNELS), 0)
    assert check(intake, [block]) == list(range(1000)) and intake.lost == 0 and not intake.faults


def test_what_was_overtaken_is_put_right() -> None:
    intake = opened()
    for index in (100, 300, 0, 200):
        intake.add(packet(index), 0.0)
    assert check(intake, intake.take(0.0)) == list(range(400))


def test_what_is_missing_is_waited_for_and_then_lost() -> None:
    intake = opened()
    intake.add(packet(0), 0.0)
    intake.add(packet(200), 0.1)
    first = intake.take(0.1 + 0.99 * HOLD_SECONDS)
    assert [len(block.samples) for block in first] == [100]
    second = intake.take(0.1 + HOLD_SECONDS)
    assert [block.index for block in second] == [200]
    intake.add(packet(100), 1.0)  # too late
    assert intake.take(9.0) == [] and intake.gaps == [Gap(100, 100)] and intake.lost == 100


def test_what_the_device_says_it_lost_is_not_waited_for() -> None:
    intake = opened()
    intake.add(packet(0), 0.0)
    intake.add(packet(150, overruns=50), 0.0)
    blocks = intake.take(0.0)
    assert [(block.index, block.overruns) for block in blocks] == [(0, 0), (150, 50)]
    assert intake.gaps == [Gap(100, 50)] and (intake.lost, intake.overruns) == (50, 50) and not intake.faults


@pytest.mark.parametrize("overruns", [(0, 60, 50), (0, 50, 40)])
def test_overruns_that_contradict_the_index_are_told(overruns: tuple[int, int, int]) -> None:
    intake = opened()
    for index, lost in zip((0, 150, 250), overruns, strict=True):
        intake.add(packet(index, overruns=lost), 0.0)
    intake.take(1.0)
    assert intake.faults.total() >= 1 and "overruns" in next(iter(intake.faults))


def test_strangers_and_doubles_are_dropped() -> None:
    intake = opened()
    intake.add(packet(0), 0.0)
    for stranger in (packet(100, stream=STREAM + 1), packet(0), packet(0, stream=0)):
        intake.add(stranger, 0.0)
    assert check(intake, intake.take(9.0)) == list(range(100)) and not intake.faults


@pytest.mark.parametrize("tail", [b"", b"\1", b"\1\2\3\4\5", bytes(7)])
def test_no_whole_frames_are_told_and_dropped(tail: bytes) -> None:
    intake = opened()
    intake.add(Data(STREAM, 0, 0, 0, tail=tail).pack(), 0.0)
    assert intake.take(9.0) == [] and intake.faults.total() == 1


def test_nothing_is_taken_that_was_not_asked_for() -> None:
    intake = Intake(CHANNELS, RATE_HZ, TICK_HZ)
    intake.begin(STREAM)
    intake.grant(250)
    for index in (0, 100, 200, 2**31 + 5):
        intake.add(packet(index), 0.0)
    assert check(intake, intake.take(9.0)) == list(range(200)) and intake.faults.total() == 2


def test_the_end_counts_what_never_came() -> None:
    intake = opened()
    intake.add(packet(0), 0.0)
    intake.add(packet(200), 0.0)
    blocks = intake.take(0.0) + intake.end(1000)
    assert check(intake, blocks) == [*range(100), *range(200, 300)]
    assert intake.gaps == [Gap(100, 100), Gap(200, 700)] and intake.lost == 800


def test_an_end_before_what_came_loses_nothing() -> None:
    intake = opened()
    intake.add(packet(0), 0.0)
    assert len(intake.end(50)) == 1 and (intake.next, intake.lost) == (100, 0)


def test_the_index_wraps() -> None:
    intake = opened()
    begin = 2**32 - 250
    intake.next = intake.seen = begin
    for index in (begin, begin + 200, begin + 100, begin + 300, begin + 400):
        intake.add(packet(index), 0.0)
    (block,) = intake.take(0.0)
    assert block.index == begin and len(block.samples) == 500 and intake.next == 2**32 + 250
    assert (block.samples == frames(begin, 500)).all() and intake.on_wire(intake.next) == 250


@pytest.mark.parametrize("off", [-0.04, 0.0, 0.04])
def test_ticks_are_unwrapped_also_across_a_gap_of_a_minute(off: float) -> None:
    intake, rate_hz = opened(), RATE_HZ * (1 + off)
    minute = round(60 * rate_hz)
    sent = [*range(0, 3 * minute, 5000), *range(4 * minute, 5 * minute, 5000)]
    for index in sent:
        intake.add(packet(index, rate_hz=rate_hz), 0.0)
    intake.take(1.0)
    stamps = intake.stream.stamps
    assert len(stamps) == len(sent)
    assert np.abs((stamps.y - stamps.y[0]) - np.array(sent) / rate_hz).max() < 1e-6


def test_a_second_stream_goes_on_behind_a_gap_that_is_an_estimate() -> None:
    intake = opened()
    intake.add(packet(0), 0.0)
    blocks = intake.take(0.0)
    intake.begin(99, base=500)
    intake.grant(LIMIT)
    intake.add(packet(0, stream=STREAM), 0.0)
    assert intake.take(9.0) == []  # of the old stream
    for index in (0, 200):
        intake.add(Data(99, index, 0, 5, tail=frames(500 + index, 100).tobytes()).pack(), 10.0)
    blocks += intake.take(19.0)
    assert [block.index for block in blocks] == [0, 500, 700]
    assert intake.gaps == [Gap(100, 400, counted=False), Gap(200, 100)] and intake.lost == 500
    assert intake.index_of(300) == 800 and intake.on_wire(800) == 300


def test_no_fault_of_a_line_brings_a_wrong_frame_or_count() -> None:
    """Lost, doubled, late and swapped packets beside overruns of the device; the lost are counted on their own."""
    for seed in range(full(60, 2000)):
        chance = random.Random(seed)
        intake, blocks, arrivals, index, overruns = opened(), [], [], 0, 0
        for _ in range(80):
            if chance.random() < 0.1:
                overruns += (dropped := chance.randint(1, 300))
                index += dropped
            count = chance.randint(1, 120)
            arrivals.append((len(arrivals) * 0.01, packet(index, count, overruns), set(range(index, index + count))))
            index += count
        came = [
            (at + (chance.uniform(0, 0.2) if chance.random() < 0.2 else 0.0), body, numbers)
            for at, body, numbers in arrivals for _ in range(chance.choice((0, 1, 1, 1, 1, 1, 1, 2)))
        ]  # fmt: skip
        for at, body, _ in sorted(came, key=lambda one: one[0]):
            intake.add(body, at)
            blocks += intake.take(at) if chance.random() < 0.5 else []
        blocks += intake.end(index)
        numbers = check(intake, blocks)
        assert set(numbers) == set().union(*(one for _, _, one in came)), seed  # none was later than HOLD_SECONDS
        assert intake.lost == index - len(numbers) and not intake.faults
