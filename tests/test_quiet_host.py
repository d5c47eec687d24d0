"""A device whose host has gone, in the middle of whatever it did: it watches its machine again, by itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from receiver import Receiver
from small_detector import noise, small_image

from cyberhans.build import build
from cyberhans.core import firmware_dir
from cyberhans.device import Device, open_device
from cyberhans.messages import Event, Mode, Verdict
from cyberhans.protocol import Packet

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, bool], Path]:
    """Of the native board with this patience, with a detector or without."""

    @cache
    def made(patience_s: int, blank: bool = False) -> Path:
        out = tmp_path_factory.mktemp("patience")
        folder = None if blank else small_image()[0].folder
        return build(folder, "native", out, extra_flags=[f"-DHOST_PATIENCE_S={patience_s}"]).image

    return made


def begin_capture(device: Device) -> None:
    Receiver(device).begin(3200, 0)


def end_capture(device: Device) -> None:
    Receiver(device).whole(20_000, 1000)


def begin_replay(device: Device) -> None:
    device.start(window=7)


def overheard(device: Device, seconds: float) -> Iterator[tuple[float, Packet]]:
    """What comes without a request, and when."""
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        yield from ((now, packet) for packet in device.arrived())
        time.sleep(0.01)


@pytest.mark.parametrize("begin", [begin_capture, end_capture, begin_replay])
def test_without_requests_it_watches_again(image: Callable[..., Path], begin: Callable[[Device], None]) -> None:
    with open_device("board:native", image=image(1)) as device:
        begin(device)
        verdicts = ((at, packet) for at, packet in overheard(device, 20) if packet.type == Event.VERDICT)
        at, first = next(verdicts)
        assert at >= 0.99 and Verdict.unpack(first.body).window == 0
        assert device.ask_info().mode == Mode.RUN
        detector = small_image()[0]
        windows = noise(detector.spec, 2)
        judged = [judgement.score for judgement in device.replay(windows)]
        assert judged == detector.core().run(windows).score.tolist()


def test_without_a_detector_it_only_stops_sampling(image: Callable[..., Path]) -> None:
    with open_device("board:native", image=image(1, True)) as device:
        Receiver(device).begin(3200, 0, until=2**31 - 1)
        came = [at for at, packet in overheard(device, 2.5) if packet.type == Event.DATA]
        assert came and max(came) < 2.2
        assert device.ask_info().mode == Mode.RUN


def test_a_slow_host_is_not_thrown_out(image: Callable[..., Path]) -> None:
    """CREDIT much more seldom than any host sends it; all of them together last longer than the patience."""
    with open_device("board:native", image=image(1)) as device:
        on = Receiver(device)
        received = on.begin(3200, 0, until=100)
        for turn in range(5):
            time.sleep(0.5)
            on.credit(received, 500 * (turn + 1))  # refused if it had left
        on.receive(received, 0.2)
        assert received.frames > 2000 and received.gaps == 0


def test_a_question_keeps_a_mode(image: Callable[..., Path]) -> None:
    with open_device("board:native", image=image(1)) as device:
        device.start()
        for _ in range(4):
            time.sleep(0.5)
            assert device.ask_info().mode == Mode.HOST


@pytest.mark.slow
def test_patience_outlasts_the_clock(image: Callable[..., Path]) -> None:
    """port_ticks wraps within 4.3 s there."""
    with open_device("board:native", image=image(6)) as device:
        begin_capture(device)
        at = next(at for at, packet in overheard(device, 30) if packet.type == Event.VERDICT)
    assert at >= 5.99


def test_the_patience_is_what_the_specification_says() -> None:
    told = re.search(r"after (\d+) s in host or capture mode without a sound request", (ROOT / "SPEC.md").read_text())
    built = re.search(r"#define HOST_PATIENCE_S (\d+)", (firmware_dir() / "app" / "app.h").read_text())
    assert told and built and told[1] == built[1]
