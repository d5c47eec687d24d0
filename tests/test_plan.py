"""Plan: what a sensor and a line can do, and the arithmetic of what they cannot."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from fake_device import info_of
from small_detector import small_image

from cyberhans.capture.plan import Plan, Wish, frames_per_packet, most_mhz, plan
from cyberhans.errors import CyberHansError
from cyberhans.messages import Info, Sensor

SENSOR = Sensor(3_200_000, 1_000, 26_667_000, 1, 2048, 115_200, 6144, 32_000, 3, 0, "g", "accelerometer")


def info(body_max: int = 1024) -> Info:
    return info_of(small_image()[0], body_max=body_max)


def planned(body_max: int = 1024, baud: int = 115_200, seconds: float = 10.0, **wished: object) -> Plan:
    wish = Wish("m", "normal", seconds, Path("out"), **wished)  # type: ignore[arg-type]
    return plan(wish, dataclasses.replace(SENSOR, baud=baud), info(body_max))


def test_what_is_not_asked_for_is_as_the_sensor_has_it() -> None:
    made = planned(baud=0)
    assert (made.channels, made.rate_mhz, made.frames, made.flight) == (3, 3_200_000, 32_000, 1600)


def test_115200_baud_carry_5500_samples_a_second() -> None:
    """11,520 bytes/s less 1/64 for replies; a packet of 1,048 bytes holds 504 samples."""
    assert most_mhz(115_200, 1024, 1) // 1000 == 11_340 * 504 // 1036
    assert planned(rate_hz=5_500.0, channels=1).rate_mhz == 5_500_000


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("body_max", [256, 1024])
def test_what_the_line_does_not_carry_is_refused_with_the_arithmetic(channels: int, body_max: int) -> None:
    most = most_mhz(115_200, body_max, channels) / 1000
    assert planned(body_max, rate_hz=most, channels=channels).rate_mhz == round(most * 1000)
    with pytest.raises(CyberHansError) as refused:
        planned(body_max, rate_hz=most + 1, channels=channels)
    text = str(refused.value)
    assert f"{channels} channels x {most + 1:g} Hz x 2 bytes" in text and "115,200 baud / 10" in text
    assert f"--rate {int(most)}" in text and ("--channels" in text) == (channels > 1)


def test_a_channel_less_is_offered_only_where_it_helps() -> None:
    with pytest.raises(CyberHansError) as refused:
        planned(rate_hz=26_667.0)
    assert "--rate 18" in str(refused.value) and "--channels" not in str(refused.value)


def test_only_mends_that_the_device_can_do_are_offered() -> None:
    narrow = dataclasses.replace(SENSOR, least_mhz=3_200_000, baud=9600, channels=1)
    with pytest.raises(CyberHansError, match="a lower rate, or a faster line") as refused:
        plan(Wish("m", "normal", 10.0, Path("out")), narrow, info())
    assert "--rate" not in str(refused.value) and "--channels" not in str(refused.value)
    with pytest.raises(CyberHansError) as refused:
        planned(baud=9)
    assert "--rate 0" not in str(refused.value)


@pytest.mark.parametrize("wished", [None, 0.6])
def test_a_rate_that_no_wav_holds_is_refused(wished: float | None) -> None:
    slow = dataclasses.replace(SENSOR, rate_mhz=400, least_mhz=1)
    with pytest.raises(CyberHansError, match="no rate below 1 Hz"):
        plan(Wish("m", "normal", 10.0, Path("out"), rate_hz=wished), slow, info())


@pytest.mark.parametrize(
    ("name", "value"),
    [("speed_rpm", value) for value in (float("nan"), float("inf"), 0.0, -5.0)]
    + [(name, "caf\udcff") for name in ("session", "load", "notes")]
    + [("axes", value) for value in (("x", "x", "x"), ("x", "", "z"), ("x", "y\udcff", "z"))],
)
def test_what_no_sidecar_can_hold_is_refused_before_the_capture(name: str, value: object) -> None:
    option = "--speed" if name == "speed_rpm" else f"--{name}"
    with pytest.raises(CyberHansError, match=option) as refused:
        Wish("m", "normal", 10.0, Path("out"), **{name: value})  # type: ignore[arg-type]
    assert str(refused.value).encode() and "\n" not in str(refused.value)


@pytest.mark.parametrize("rate_hz", [0.5, 26_668.0, float("nan"), float("inf"), -1.0, 0.0])
def test_a_rate_that_the_sensor_lacks_is_refused(rate_hz: float) -> None:
    with pytest.raises(CyberHansError, match="1 to 26667 Hz"):
        planned(baud=0, rate_hz=rate_hz)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_length_that_cannot_be_is_refused(seconds: float) -> None:
    with pytest.raises(CyberHansError, match="--seconds"):
        planned(baud=0, seconds=seconds)


@pytest.mark.parametrize(("rate_hz", "flight"), [(1.0, 3 * 168), (26_667.0, 48 * 1024 // 6)])
def test_enough_is_under_way_for_whole_packets_and_not_too_much_for_a_system(rate_hz: float, flight: int) -> None:
    assert planned(baud=0, rate_hz=rate_hz, seconds=100.0).flight == flight


def test_a_packet_holds_whole_frames() -> None:
    assert frames_per_packet(1024, 3) == 168 and frames_per_packet(256, 3) == 40
