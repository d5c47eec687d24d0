"""Flow and recorder with devices made of Python: what real firmware never does is told all the same."""

from __future__ import annotations

import dataclasses
import errno
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_device import fake_device, info_of
from small_detector import small_image
from test_capture import Watching, record

from cyberhans import draft, spool
from cyberhans.capture import recorder
from cyberhans.errors import CyberHansError
from cyberhans.messages import REPLY, Capture, Capturing, Credit, Data, Event, Request, Sensor
from cyberhans.protocol import Packet
from cyberhans.recording import load_recording

TICK_HZ, RATE_HZ, STEP = 1_000_000, 4000.0, 40
SENSOR = Sensor(4_000_000, 4_000_000, 4_000_000, 1, 2048, 0, 4096, 32_000, 1, 0, "g", "fake")


class Fake:
    """Sends what it was given credit for, in real time. clock: how fast its ticks run; scatter: of them, in seconds."""

    def __init__(self, clock: float = 1.0, overruns: int = 0, sensor: Sensor = SENSOR, scatter: float = 0.0) -> None:
        self.clock, self.overruns, self.sensor, self.scatter = clock, overruns, sensor, scatter
        self.random = random.Random(0)
        self.next, self.begun, self.wanted = 0, 0.0, Capture(0, 0, 0, 0, 0, 0, 0)

    def __call__(self, packet: Packet) -> Iterable[Packet]:
        body = b""
        if packet.type == Request.INFO:
            body = info_of(small_image()[0], tick_hz=TICK_HZ).pack()
        elif packet.type == Request.SENSOR:
            body = self.sensor.pack()
        elif packet.type == Request.CAPTURE:
            self.wanted, self.begun, self.next = Capture.unpack(packet.body), time.monotonic(), 0
        if packet.type in (Request.CAPTURE, Request.CREDIT):
            body = Capturing(self.wanted.stream, self.next, self.next, self.overruns).pack()
        yield Packet(packet.type | REPLY, packet.seq, body)
        if packet.type in (Request.CAPTURE, Request.CREDIT):
            yield from self.send(
                Credit.unpack(packet.body).until if packet.type == Request.CREDIT else self.wanted.until
            )

    def send(self, until: int) -> Iterable[Packet]:
        end = min(until, self.wanted.frames)
        while self.next + STEP <= end or self.next < end == self.wanted.frames:
            count = min(STEP, end - self.next)
            due = (self.next + count) / RATE_HZ
            time.sleep(max(0.0, self.begun + due - time.monotonic()))
            late = self.random.uniform(0, self.scatter)
            ticks = round((self.next / RATE_HZ * self.clock + late) * TICK_HZ)
            samples = np.arange(self.next, self.next + count, dtype="<i2").tobytes()
            yield Packet(Event.DATA, 0, Data(self.wanted.stream, self.next, self.overruns, ticks, tail=samples).pack())
            self.next += count


@pytest.mark.parametrize("clock", [0.97, 1.0, 1.03])
def test_a_device_whose_clock_is_wrong_is_found_out_by_this_computers(clock: float, tmp_path: Path) -> None:
    with fake_device(Fake(clock)) as url:
        row = record(url, tmp_path, 2.0).to_dict()
    assert load_recording(row["file"]).firmware == "fake 0"
    assert row["samples"] == 8000 and row["rate_hz"] == pytest.approx(RATE_HZ / clock, rel=1e-3)
    assert any("by this computer's" in reason for reason in row["reasons"]) == (clock != 1.0), row["reasons"]


class Resetting(Fake):
    """Its port stays while it begins anew, once: it knows nothing of the stream then, and its clock is at 0."""

    def __call__(self, packet: Packet) -> Iterable[Packet]:
        if packet.type == Request.CREDIT and self.next >= 2 * RATE_HZ and self.wanted.frames == 4 * RATE_HZ:
            self.wanted, self.next = Capture(0, 0, 0, 0, 0, 0, 0), 0
        yield from super().__call__(packet)


class Deaf(Fake):
    """One CREDIT never comes to it. idle_s: how long it had none."""

    idle_s, credits, ended = 0.0, 0, 0.0

    def __call__(self, packet: Packet) -> Iterable[Packet]:
        if packet.type == Request.CREDIT:
            self.credits += 1
            if self.credits == 2:
                return
            self.idle_s = max(self.idle_s, time.monotonic() - self.ended)
        yield from super().__call__(packet)
        self.ended = time.monotonic()


@pytest.mark.slow
def test_a_credit_that_was_lost_is_given_again_before_a_ring_is_full(tmp_path: Path) -> None:
    """The smallest ring of a board, microbit's, holds 0.56 s."""
    fake = Deaf()
    with fake_device(fake) as url:
        done = record(url, tmp_path, 3.0)
    assert fake.credits > 4 and fake.idle_s < 0.3, fake.idle_s
    assert done.recording.frames == 3 * RATE_HZ


@pytest.mark.slow
def test_a_device_that_begins_anew_while_its_port_stays_has_no_clock_that_jumps(tmp_path: Path) -> None:
    with fake_device(Resetting()) as url:
        done = record(url, tmp_path, 4.0)
    assert [gap.counted for gap in done.recording.gaps] == [False]
    assert not any("by this computer's" in reason for reason in done.recording.reasons), done.recording.reasons
    assert done.recording.frames + done.recording.lost_samples == 4 * RATE_HZ


def test_a_rate_that_is_not_well_known_is_told(tmp_path: Path) -> None:
    with fake_device(Fake(scatter=0.2)) as url:
        row = record(url, tmp_path, 1.0).to_dict()
    assert row["rate_uncertainty"] > 0.005 * RATE_HZ and row["jitter_s"] > 0.03
    assert any("record longer" in reason for reason in row["reasons"])


def test_a_rate_that_cannot_be_measured_is_the_nominal_one(tmp_path: Path) -> None:
    with fake_device(Fake()) as url:
        row = record(url, tmp_path, 0.05).to_dict()
    assert row["samples"] == 200 and (row["rate_hz"], row["rate_uncertainty"]) == (RATE_HZ, None)
    assert load_recording(row["file"]).rate_uncertainty_hz == 0
    assert row["jitter_s"] is None and any("too short" in reason for reason in row["reasons"])


def test_overruns_that_contradict_the_index_are_told(tmp_path: Path) -> None:
    with fake_device(Fake(overruns=7)) as url:
        row = record(url, tmp_path, 0.5).to_dict()
    assert row["samples"] == 2000 and row["lost_samples"] == row["lost_by_device"] == 0
    assert any("contradict the index" in reason for reason in row["reasons"])


@pytest.mark.parametrize("name", ["channels", "rate_mhz", "full_scale", "scale_denominator"])
def test_a_sensor_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    fake, said = Fake(sensor=dataclasses.replace(SENSOR, **{name: 0})), f"SENSOR with {name} 0"
    with fake_device(fake) as url, pytest.raises(CyberHansError, match=said):
        record(url, tmp_path, 0.5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes", [{"full_scale": 65535}, {"unit": ""}, {"unit": "\x1b[31m"}, {"least_mhz": 5_000_000, "most_mhz": 1000}]
)
def test_a_sensor_that_contradicts_itself_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    fake, said = Fake(sensor=dataclasses.replace(SENSOR, **changes)), f"SENSOR with {next(iter(changes))}"
    with fake_device(fake) as url, pytest.raises(CyberHansError, match=said) as refused:
        record(url, tmp_path, 0.5)
    assert str(refused.value).isprintable() and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails", ["assessed", "earlier"])
def test_what_cannot_be_judged_is_kept(fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("of nothing")

    monkeypatch.setattr(recorder, fails, fail)
    with fake_device(Fake()) as url:
        row = record(url, tmp_path, 0.5).to_dict()
    assert load_recording(row["file"]).frames == row["samples"] == 2000 and row["quality"] == "warning"
    assert any("could not be judged (ZeroDivisionError: of nothing)" in reason for reason in row["reasons"])


def test_what_a_full_disk_holds_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = draft.Draft.write

    def full(self: draft.Draft, data: bytes) -> None:
        if self.file.tell() > 6000:
            raise draft.unwritable(self.hidden, OSError(errno.ENOSPC, "No space left on device"))
        write(self, data)

    monkeypatch.setattr(spool, "SPARE", 2000)
    monkeypatch.setattr(draft.Draft, "write", full)
    with fake_device(Fake()) as url:
        row = record(url, tmp_path, 2.0).to_dict()
    assert 1000 < row["samples"] == load_recording(row["file"]).frames < 3000
    assert any("No space left" in reason and reason.startswith("ended after 0.") for reason in row["reasons"])
    assert len(list((tmp_path / "press7").iterdir())) == 3


class Liar(Fake):
    """lie: what it does to the n-th DATA; what it answers to CAPTURE and CREDIT is cut to `answer` bytes."""

    def __init__(self, lie: Callable[[int, Data], bytes | None], answer: int = 99) -> None:
        super().__init__()
        self.lie, self.answer = lie, answer

    def __call__(self, packet: Packet) -> Iterable[Packet]:
        for number, sent in enumerate(super().__call__(packet)):
            if number:
                body = self.lie(self.next // STEP, Data.unpack(sent.body))
                yield from [] if body is None else [dataclasses.replace(sent, body=body)]
            else:
                cut = packet.type in (Request.CAPTURE, Request.CREDIT)
                yield dataclasses.replace(sent, body=sent.body[: self.answer]) if cut else sent


def lied(tmp_path: Path, liar: Liar, seconds: float = 1.0) -> dict[str, Any]:
    with fake_device(liar) as url:
        return record(url, tmp_path, seconds).to_dict()


def test_a_clock_that_stands_still_is_named(tmp_path: Path) -> None:
    row = lied(tmp_path, Liar(lambda _, data: dataclasses.replace(data, ticks=12345).pack()))
    assert row["samples"] == 4000 and row["rate_hz"] == RATE_HZ
    assert any("clock does not run" in reason for reason in row["reasons"])
    assert not any("too short" in reason for reason in row["reasons"])


def test_a_clock_that_is_far_off_is_told_in_times(tmp_path: Path) -> None:
    with fake_device(Fake(clock=20.0)) as url:
        row = record(url, tmp_path, 1.0).to_dict()
    assert any("times too fast by this computer's" in reason for reason in row["reasons"]), row["reasons"]


def test_packets_that_are_cut_short_are_told_and_no_unplugging(tmp_path: Path) -> None:
    view = Watching()
    with fake_device(Liar(lambda n, data: b"abc" if n == 5 else data.pack())) as url:
        row = record(url, tmp_path, 1.0, view).to_dict()
    assert row["samples"] == 4000 - STEP and row["lost_samples"] == STEP and not any(view.notes)
    assert any("packets of an impossible length" in reason for reason in row["reasons"])


def test_answers_that_are_cut_short_are_told_and_no_unplugging(tmp_path: Path) -> None:
    view = Watching()
    with fake_device(Liar(lambda _, data: data.pack(), answer=3)) as url:
        row = record(url, tmp_path, 1.0, view).to_dict()
    assert row["samples"] == 4000 and row["lost_samples"] == 0 and not any(view.notes)
    assert any("replies of a wrong length" in reason for reason in row["reasons"])


def test_an_index_that_goes_back_is_told(tmp_path: Path) -> None:
    def back(number: int, data: Data) -> bytes:
        return dataclasses.replace(data, index=max(0, data.index - 3 * STEP) if number % 9 == 8 else data.index).pack()

    row = lied(tmp_path, Liar(back))
    assert row["lost_samples"] > 0 and any("index goes back" in reason for reason in row["reasons"]), row["reasons"]


@pytest.mark.slow
def test_a_device_that_stops_sending_ends_the_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "QUIET_SECONDS", 1.0)
    with fake_device(Liar(lambda n, data: data.pack() if n < 50 else None)) as url:
        begun = time.monotonic()
        row = record(url, tmp_path, 60.0, patience_s=1.0).to_dict()
    assert time.monotonic() - begun < 20 and row["samples"] > 1000
    assert any("sends no samples for 1 s" in reason for reason in row["reasons"]), row["reasons"]


@pytest.mark.slow
def test_a_device_that_never_sends_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "QUIET_SECONDS", 1.0)
    foreign = Liar(lambda _, data: dataclasses.replace(data, stream=data.stream ^ 1).pack())
    with fake_device(foreign) as url, pytest.raises(CyberHansError, match="sends no samples for 1 s"):
        record(url, tmp_path, 3.0, patience_s=1.0)


@pytest.mark.slow
def test_samples_that_come_too_slowly_end_when_it_is_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "SLACK_SECONDS", 1.0)
    fast = dataclasses.replace(SENSOR, rate_mhz=2**32 - 1, least_mhz=1000, most_mhz=2**32 - 1)
    with fake_device(Fake(sensor=fast)) as url:
        begun = time.monotonic()
        row = record(url, tmp_path, 1.0).to_dict()
    assert time.monotonic() - begun < 15 and row["samples"] > 4000
    assert any("come too slowly" in reason for reason in row["reasons"]), row["reasons"]
