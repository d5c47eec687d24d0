"""The whole native firmware under the address and undefined-behaviour sanitizers: verified, and fed with nonsense."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import played
import pytest
from counts import full
from receiver import Receiver
from sanitized import WAVEFORM, sanitized_image
from small_detector import noise, small_image

from cyberhans.boards import board
from cyberhans.device import open_device
from cyberhans.emulator import Emulator
from cyberhans.messages import Option, Request, Start, Trace
from cyberhans.protocol import Packet
from cyberhans.verify import adversarial_windows, verify

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sanitized_image(tmp_path_factory.mktemp("sanitized"))


@pytest.fixture
def running(image: Path) -> Iterator[Emulator]:
    with Emulator(board("native"), image) as emulator:
        yield emulator
        assert emulator.ended() is None


def test_it_verifies(running: Emulator) -> None:
    detector = small_image()[0]
    windows = np.concatenate((adversarial_windows(detector.spec), noise(detector.spec, 10)))
    with open_device(running.url) as device:
        for bulk in (False, True):
            assert verify(detector, windows, device, bulk=bulk).equal


@pytest.mark.parametrize("more", [(), ("--clock-error", "-0.5", "--jitter", "0.05"), ("--clock-error", "0.5")])
def test_it_plays_a_recording(image: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    """In blocks and packets that its length does not divide; whoever looks away meanwhile."""
    samples = played.noise(77, channels=5)
    with played.playing(tmp_path / "raw", samples, 20_000, *more, image=image) as on:
        with open_device(on.url) as device:
            Receiver(device, samples).begin(20_000, 0, 5, until=2**31 - 1)
        with open_device(on.url) as device:
            for channels in (5, 2):
                received = Receiver(device, samples).whole(20_000, 20_000, channels)
                assert received.last and received.frames + received.last.overruns == 20_000  # its ring is small
                assert received.wrong() == 0
        assert on.ended() is None


def test_any_argument_is_safe(image: Path, tmp_path: Path) -> None:
    """Each ends with one line, and with no sanitizer's."""
    names = ("--port", "--play", "--channels", "--rate-mhz", "--scale", "--unit", "--serial-number", "--jitter", "--x")
    values = ("", "0", "-1", "1/", "/", "9" * 400, "x" * 70_000, "\xff", "1e999", str(tmp_path))
    for given in ([name, *value] for name in names for value in ([], *([value] for value in values))):
        done = subprocess.run([image, *given, "--jitter", "none"], stdin=subprocess.DEVNULL, capture_output=True)
        assert (done.returncode, done.stdout) == (2, b""), given
        assert done.stderr.startswith(b"firmware: ") and done.stderr.count(b"\n") == 1


def test_any_trace_position_is_safe(running: Emulator) -> None:
    window = noise(small_image()[0].spec, 1)[0]
    with open_device(running.url) as device:
        places = ((0, 65535, 1), (2**32 - 1, 0, 0), (0, 1, 5), (0, 0, 255), (3, 2047, 1), (9, 4000, 2))
        for call, offset, stage in places:
            traced = device.trace(window, Trace(call, offset, stage, 0))
            assert len(traced.tail) <= 128


def test_it_captures(running: Emulator) -> None:
    """Every number of channels, at a low and the highest rate, the ring full at times."""
    with open_device(running.url) as device:
        receiver = Receiver(device, WAVEFORM)
        for rate_hz, channels in ((300, 1), (20_000, 2), (100_000, 3)):
            received = receiver.whole(rate_hz, round(rate_hz / 2), channels)
            assert received.last and received.frames + received.last.overruns == received.last.sampled
            assert received.wrong() == 0


def test_any_packet_gets_an_answer(running: Emulator) -> None:
    """Sound packets with random types and bodies, longer ones than the device can hold, and noise between them."""
    rng = random.Random(11)
    with open_device(running.url) as device:
        for _ in range(full(1_500, 30_000)):
            body = rng.randbytes(rng.choice([0, 1, 4, 7, 8, 16, 256, 257, 600]))
            kind = rng.choice([*Request, *Request, rng.randrange(256)])
            if kind == Request.START:
                body = Start(rng.choice([0, Option.FEATURES, Option.COSTS, 3])).pack()
            if kind == Request.SAMPLES:
                body = bytes(4) + rng.randbytes(6 * rng.randrange(40))
            device._line.write(Packet(kind, rng.randrange(256), body).encode())
            if rng.random() < 0.1:
                device._line.write(rng.randbytes(rng.randrange(300)) + b"\0")
            if rng.random() < 0.2:
                device.request(Request.INFO)
        device.require(small_image()[0])
