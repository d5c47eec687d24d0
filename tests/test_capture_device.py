"""The device's side of a capture, on the native firmware without a detector."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from receiver import Receiver, waveform

from cyberhans.blank import blank_image
from cyberhans.build import build
from cyberhans.core import firmware_dir
from cyberhans.device import Refused, open_device
from cyberhans.messages import Capture, Capturing, Credit, Mode, Refusal, Request, Sensor


@pytest.fixture
def on() -> Iterator[Receiver]:
    with open_device("board:native", image=blank_image("native")) as device:
        yield Receiver(device)


def test_a_second_of_it_is_the_waveform(on: Receiver) -> None:
    for channels in (1, 2, 3):
        received = on.whole(3200, 1600, channels)
        assert (received.frames, received.gaps, received.wrong()) == (1600, 0, 0)
        assert received.last and (received.last.sampled, received.last.overruns) == (1600, 0)


def test_what_it_cannot_do_is_refused_before_it_starts(on: Receiver) -> None:
    for rate_mhz, channels, code, detail in (
        (3_200_000, 0, Refusal.CHANNELS, 3), (3_200_000, 4, Refusal.CHANNELS, 3),
        (on.sensor.least_mhz - 1, 3, Refusal.RATE, on.sensor.least_mhz),
        (on.sensor.most_mhz + 1, 3, Refusal.RATE, on.sensor.most_mhz), (2**32 - 1, 1, Refusal.RATE, on.sensor.most_mhz),
        (1, 9, Refusal.CHANNELS, 3),
    ):  # fmt: skip
        with pytest.raises(Refused) as error:
            on.device.request(Request.CAPTURE, Capture(1, rate_mhz, 0, 100, channels, 0, 0).pack())
        assert (error.value.code, error.value.detail) == (code, detail)
        assert on.device.ask_info().mode == Mode.RUN
    with pytest.raises(Refused) as error:
        on.device.request(Request.CAPTURE, Capture(1, 3_200_000, 0, 100, 3, 0, 0).pack()[:-1])
    assert error.value.code == Refusal.LENGTH


def test_the_same_capture_again_is_answered_and_changes_nothing(on: Receiver) -> None:
    received = on.begin(3200, 1000)
    time.sleep(0.4)
    again = Capture(received.stream, 1_000, 7, 2**31, 1, 0, 0)
    told = Capturing.unpack(on.device.request(Request.CAPTURE, again.pack()))
    assert (told.stream, told.next, told.sampled, told.overruns) == (received.stream, 0, 1000, 0)
    on.credit(received, 1000)
    on.receive(received, 0.3)
    assert (received.frames, received.gaps, received.wrong()) == (1000, 0, 0)
    told = Capturing.unpack(on.device.request(Request.CAPTURE, again.pack()))
    assert (told.next, told.sampled) == (1000, 1000)


def test_credit_for_no_capture_is_refused(on: Receiver) -> None:
    def code(stream: int) -> int:
        with pytest.raises(Refused) as error:
            on.device.request(Request.CREDIT, Credit(stream, 1000).pack())
        return error.value.code

    assert code(0) == Refusal.MODE
    received = on.begin(3200, 0)
    assert code(received.stream ^ 1) == Refusal.MODE
    on.credit(received, 100)
    with pytest.raises(Refused):
        on.device.run()
    assert code(received.stream) == Refusal.MODE


@pytest.mark.parametrize(("kind", "body"), [(Request.RUN, b""), (Request.START, bytes(8))])
def test_it_ends_even_by_what_is_refused_for_want_of_a_detector(on: Receiver, kind: Request, body: bytes) -> None:
    received = on.begin(3200, 0)
    with pytest.raises(Refused) as error:
        on.device.request(Request.START, b"123")
    assert (error.value.code, on.device.ask_info().mode) == (Refusal.LENGTH, Mode.CAPTURE)
    with pytest.raises(Refused) as error:
        on.device.request(kind, body)
    assert (error.value.code, error.value.detail, on.device.ask_info().mode) == (Refusal.CORE, -3, Mode.RUN)
    with pytest.raises(Refused):
        on.credit(received, 1000)


def test_credit_is_never_taken_back_and_none_is_overdrawn(on: Receiver) -> None:
    received = on.begin(3200, 0, until=2000)
    on.credit(received, 0)
    on.receive(received, 1.2)
    assert 2000 - 168 <= received.frames <= 2000
    on.credit(received, 1000)
    assert on.receive(received, 0.2) == 0
    on.credit(received, 2500)
    assert on.receive(received, 0.2) > 0 and received.gaps == received.wrong() == 0


def test_a_slow_rate_does_not_wait_for_a_whole_packet(on: Receiver) -> None:
    received = on.begin(100, 0, channels=1, until=1000)
    on.receive(received, 1.5)
    assert 100 <= received.frames <= 160 and received.wrong() == 0


def test_a_capture_without_end_goes_on_until_it_is_told(on: Receiver) -> None:
    received = on.begin(3200, 0, until=100_000)
    on.receive(received, 0.5)
    assert received.frames > 1000 and on.device.ask_info().mode == Mode.CAPTURE
    with pytest.raises(Refused, match="its core refuses"):  # for want of a detector
        on.device.run()
    assert on.device.ask_info().mode == Mode.RUN
    on.receive(received, 0.1)
    assert on.receive(received, 0.3) == 0


def test_what_the_ring_cannot_hold_is_counted_exactly(on: Receiver) -> None:
    """Nothing is sent without credit; afterwards all that the ring held comes, and what follows it tells the loss."""
    per_packet = (on.device.info.body_max - 16) // 6
    held = on.sensor.buffer // (16 + 6 * per_packet) * per_packet
    frames = held + 20_000
    received = on.begin(100_000, frames + 10_000)
    while (told := on.credit(received, 0)).sampled < frames:
        time.sleep(0.02)
    assert received.frames == 0 and told.next == 0 and told.overruns == told.sampled - held > 0
    while (told := on.credit(received, frames + 10_000)).next < frames + 10_000:
        on.receive(received, 0.1)
    assert received.frames + told.overruns == told.sampled == frames + 10_000
    assert received.frames >= held and received.wrong() == 0
    first = next((data for data in received.data if data.overruns), None)
    assert first is None or first.index == held + first.overruns


def test_time_stamps_are_those_of_the_samples(on: Receiver) -> None:
    rate = 3333.333
    received = on.whole(rate, 3000, 2)
    ticks = np.unwrap([float(data.ticks) for data in received.data], period=2**32)
    index = np.array([data.index for data in received.data])
    away = (ticks - ticks[0]) / on.device.info.tick_hz - index / rate
    assert len(away) > 10 and np.abs(away).max() < 1e-4


def changed(work: Path, name: str, changes: dict[str, str]) -> Path:
    """The image of firmware that differs from ours in one source file: text found there once, and what replaces it."""
    firmware = Path(shutil.copytree(firmware_dir(), work / "firmware"))
    source = firmware / name
    text = source.read_text()
    for plain, other in changes.items():
        assert text.count(plain) == 1
        text = text.replace(plain, other)
    source.write_text(text)
    return build(None, "native", work / "out", firmware=firmware).image


def test_its_end_stops_the_sensor(tmp_path: Path) -> None:
    """Of a driver that says in SENSOR whether it samples."""
    start, stop = "    width = channels;\n", "source_stop(void)\n{\n"
    on_off = {start: start + '    sensor.name = "on";\n', stop: stop + '    sensor.name = "off";\n'}
    image = changed(tmp_path, "boards/native/source.c", on_off)
    with open_device("board:native", image=image) as device:
        on = Receiver(device)
        assert on.sensor.sensor == "off"
        received = on.begin(3200, 800)
        assert Sensor.unpack(device.request(Request.SENSOR)).sensor == "on"
        while on.credit(received, 0).sampled < 800:
            time.sleep(0.02)
        assert Sensor.unpack(device.request(Request.SENSOR)).sensor == "off"
        on.credit(received, 800)
        on.receive(received, 0.2)
        assert (received.frames, received.gaps, received.wrong()) == (800, 0, 0)


def test_indices_go_on_past_32_bits(tmp_path: Path) -> None:
    """Firmware that counts from shortly before the end: packets, credits and counts go on from 0."""
    begin = 2**32 - 500
    plain = "sampled = overruns = begun = filled = sent = credit = 0;"
    late = f"sampled = begun = filled = sent = credit = {begin}u; overruns = 0;"
    image = changed(tmp_path, "app/capture.c", {plain: late})
    with open_device("board:native", image=image) as device:
        on = Receiver(device)
        received = on.begin(20_000, 0, until=(begin + 300) % 2**32)
        on.receive(received, 0.1)
        assert 0 < received.frames <= 300
        on.credit(received, begin + 5000)
        on.receive(received, 0.6)
        told = on.credit(received, begin + 400)  # behind: changes nothing
    assert 5000 - 168 <= received.frames <= 5000 and told.next == (begin + received.frames) % 2**32 < 2**31
    expected = begin
    for data in received.data:
        assert (data.index, data.overruns) == (expected % 2**32, 0)
        expected += len(data.tail) // 6
    samples = np.frombuffer(b"".join(data.tail for data in received.data), "<i2").reshape(-1, 3)
    assert (samples == waveform()[np.arange(len(samples)) % len(waveform())]).all()
