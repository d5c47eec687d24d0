"""Captures on emulated boards without a detector: each sample is the waveform's, and every one that is lost is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from counts import full
from receiver import Receiver

from cyberhans import boards
from cyberhans.blank import blank_image
from cyberhans.device import open_device
from cyberhans.exchange import Refused
from cyberhans.messages import Capture, Refusal, Request

pytestmark = [pytest.mark.emulator, pytest.mark.slow]

BARE = tuple(row.name for row in boards.boards() if row.bare)
ZIG = ("microbit", "virt-rv32imafc")
ASKED = ("netduinoplus2", "microbit")
UNHEARD = 20_000.0  # Hz, where the line sets no limit
Record = Callable[[str, object], None]


@contextmanager
def receiver(board: str, compiler: str = "gcc") -> Iterator[Receiver]:
    with open_device(f"board:{board}", image=blank_image(board, compiler)) as device:
        yield Receiver(device)


def highest_hz(on: Receiver, channels: int) -> float:
    """What SPEC.md section 10.5 foretells; a little more must be refused, and this much told."""
    if on.sensor.baud == 0:
        return UNHEARD
    body = on.device.info.body_max
    frames = (body - 16) // (2 * channels)
    size = 2 + 16 + 2 * channels * frames + 4
    most = (on.sensor.baud // 10 - on.sensor.baud // 640) * frames * 1000 // (size + 1 + size // 254 + 1)
    with pytest.raises(Refused) as error:
        on.device.request(Request.CAPTURE, Capture(1, most + 1, 1, 1, channels, 0, 0).pack())
    assert (error.value.code, error.value.detail) == (Refusal.RATE, most)
    return most / 1000


@pytest.mark.parametrize(("board", "compiler"), [*((name, "gcc") for name in BARE), *((name, "zig") for name in ZIG)])
def test_every_board_captures_a_second(board: str, compiler: str) -> None:
    with receiver(board, compiler) as on:
        for channels, seconds in ((3, 1.0), (1, 0.2)):
            rate = highest_hz(on, channels)
            frames = round(rate * seconds)
            received = on.whole(rate, frames, channels)
            assert (received.frames, received.gaps, received.wrong()) == (frames, 0, 0)
            assert received.last and received.last.overruns == 0
            took = (received.data[-1].ticks - received.data[0].ticks) % 2**32 / on.device.info.tick_hz
            assert took >= 0.999 * received.data[-1].index / rate  # its clock never hurries


@pytest.mark.timeout(900)
@pytest.mark.parametrize("board", ASKED)
def test_the_highest_rate_goes_on_without_loss(board: str, record_property: Record) -> None:
    seconds = full(5, 300)
    with receiver(board) as on:
        rate = highest_hz(on, 3)
        received = on.whole(rate, round(rate * seconds), 3)
    assert (received.frames, received.gaps, received.wrong()) == (round(rate * seconds), 0, 0)
    assert received.last and received.last.overruns == 0
    record_property(f"total captured on {board}, samples", 3 * received.frames)
    record_property(f"total captured on {board}, samples lost or wrong", received.gaps + received.wrong())


@pytest.mark.parametrize("board", ASKED)
def test_credits_withheld_cost_what_the_ring_cannot_hold(board: str, record_property: Record) -> None:
    """For 2 s, and until it is full; then it goes on."""
    with receiver(board) as on:
        rate = highest_hz(on, 1)
        per_packet = (on.device.info.body_max - 16) // 2
        held = on.sensor.buffer // (16 + 2 * per_packet) * per_packet
        received = on.begin(rate, 0, 1)
        began, told = time.monotonic(), on.credit(received, 0)
        while time.monotonic() < began + 2 or told.overruns == 0:
            time.sleep(0.1)
            told = on.credit(received, 0)
        assert received.frames == 0 and told.next == 0 and told.overruns == told.sampled - held > 0
        on.credit(received, 2**31 - 1)
        on.receive(received, 3.0)
        told = on.credit(received, 2**31 - 1)
        first = next(data for data in received.data if data.overruns)
        assert first.index == held + first.overruns and first.overruns >= 0
        assert received.gaps == told.overruns and received.frames + told.overruns == told.next
        assert received.frames > held + rate and received.wrong() == 0
    record_property(f"total lost on {board} while credits were withheld, sample frames", told.overruns)
