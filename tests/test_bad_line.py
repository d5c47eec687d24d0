"""Verification over a bad line: the right bits, or one line that says what was lost; never a wrong verdict, no hang."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import serial
from counts import full
from fake_device import verdict
from small_detector import noise, small_image
from watched import script, watched_detector

from cyberhans import device as device_room
from cyberhans import exchange as exchange_room
from cyberhans.boards import board
from cyberhans.build import build
from cyberhans.detector import Detector
from cyberhans.device import open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.hil.proxy import FAULTS, Proxy, proxy
from cyberhans.messages import Event, Option, Request
from cyberhans.protocol import Decoder, Packet
from cyberhans.verify import verify

SECONDS = 60.0  # that a verification of WINDOWS may take, whatever the line does
WINDOWS = 30  # of six packets each
MIXED = dict.fromkeys(FAULTS, 0.01)
Record = Callable[[str, object], None]
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device answers within milliseconds: nothing is waited for as long as on a real line."""
    monkeypatch.setattr(exchange_room, "REPEAT_SECONDS", (0.1, 0.2, 0.4, 0.8, 1.5))
    monkeypatch.setattr(device_room, "ANSWER_SECONDS", (0.1, 0.2, 0.4, 0.8, 1.5))
    monkeypatch.setattr(device_room, "PATIENCE_SECONDS", 1.0)


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator(board("native"), small_image()[1]) as emulator:
        yield emulator


def through(line: Proxy, windows: np.ndarray, bulk: bool = False, detector: Detector | None = None) -> str | None:
    """Verify, and then ask on a good line again. Gives the error, None if all went well; a wrong bit fails the test."""
    began = time.monotonic()
    try:
        with open_device(line.url) as device:
            outcome = verify(detector or small_image()[0], windows, device, bulk=bulk)
            assert outcome.equal, outcome.to_dict()
            assert outcome.windows == len(windows)
        error = None
    except CyberHansError as raised:
        error = str(raised)
        assert error and "\n" not in error
    assert time.monotonic() - began < SECONDS
    line.clear()
    with open_device(line.url) as device:
        began = time.monotonic()
        device.request(Request.INFO)
        assert time.monotonic() - began < 1.0
    return error


@pytest.mark.parametrize("seed", range(full(1, 10)))
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("direction", ["to_device", "to_host"])
def test_a_line_with_one_fault_in_twenty_packets_gives_all_bits(
    running: Emulator, fault: str, direction: str, seed: int
) -> None:
    with proxy(running.url, **{direction: {fault: 0.05}}, seed=seed) as line:  # type: ignore[arg-type]
        assert through(line, noise(small_image()[0].spec, WINDOWS)) is None
        assert getattr(line, direction).done[fault] > 0


@pytest.mark.parametrize("seed", range(full(3, 60)))
def test_a_line_with_all_faults_gives_all_bits(running: Emulator, seed: int, record_property: Record) -> None:
    with proxy(running.url, to_device=MIXED, to_host=MIXED, seed=seed) as line:
        assert through(line, noise(small_image()[0].spec, WINDOWS, seed)) is None
        done = line.to_device.done + line.to_host.done
    record_property("total bad line: windows with all bits right", WINDOWS)
    record_property("total bad line: packets", done["packets"])
    record_property("total bad line: faults", done.total() - done["packets"])


def test_states_begin_anew_where_a_window_was_lost_and_are_foretold_so(tmp_path: Path) -> None:
    """Windows in which the state depends on those before, over a line that loses one event in twenty."""
    detector = watched_detector(tmp_path / "detector")
    image = build(detector.folder, "native", tmp_path / "out").image
    made = script([("healthy", 20), ("worn", 40), ("healthy", 30), ("tilted", 20), ("worn", 40)])
    begun = set()
    with Emulator(board("native"), image) as emulator, proxy(emulator.url, to_host={"drop": 0.05}, seed=1) as line:
        assert through(line, made, detector=detector) is None
        line.to_host.rates = {"drop": 0.05}
        with open_device(line.url) as device:
            begun = {judged.begun for judged in device.replay(made)}
    assert len(begun) > 2


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(full(2, 20)))
def test_a_very_bad_line_gives_all_bits_or_one_line_of_text(running: Emulator, rate: float, seed: int) -> None:
    rates = dict.fromkeys(FAULTS, rate / 2)
    with proxy(running.url, to_device=rates, to_host=rates, seed=seed) as line:
        error = through(line, noise(small_image()[0].spec, WINDOWS, seed))
    assert error is None or any(words in error for words in ("does not answer", "check the line and repeat")), error


@pytest.mark.parametrize("seed", range(full(3, 20)))
def test_samples_from_a_file_need_only_the_verdicts_to_come(running: Emulator, seed: int) -> None:
    with proxy(running.url, to_device=MIXED, to_host=dict.fromkeys(FAULTS, 0.002), seed=seed) as line:
        assert through(line, noise(small_image()[0].spec, WINDOWS, seed), bulk=True) is None


@pytest.mark.parametrize("lost", ["to_device", "to_host"])
def test_a_line_that_goes_dead_is_one_line_in_time(running: Emulator, lost: str) -> None:
    detector = small_image()[0]
    with proxy(running.url) as line:
        with open_device(line.url) as device:
            judged = device.replay(noise(detector.spec, WINDOWS))
            next(judged)
            getattr(line, lost).rates = {"drop": 1.0}
            began = time.monotonic()
            with pytest.raises(CyberHansError, match="does not answer") as error:
                list(judged)
            assert "\n" not in str(error.value)
            assert time.monotonic() - began < 10
            device.leave()
        line.clear()
        with open_device(line.url) as device:
            device.require(detector)


def test_a_line_that_loses_every_event_says_which_window_is_missing(running: Emulator) -> None:
    with proxy(running.url) as line, open_device(line.url) as device:
        deaf = line.to_host._one
        line.to_host._one = lambda packet, now: b"" if packet[1] >= 0xC0 else deaf(packet, now)  # type: ignore
        with pytest.raises(CyberHansError, match=r"0 verdicts for 3 windows, 6 times at window 0 of 3; check the line"):
            list(device.replay(noise(small_image()[0].spec, 3)))


def test_one_lost_event_costs_one_window_and_is_counted(running: Emulator) -> None:
    detector = small_image()[0]
    windows = noise(detector.spec, 6)
    for place in range(2):  # VERDICT, FEATURES
        with proxy(running.url) as line, open_device(line.url) as device:
            events, passed = itertools.count(), line.to_host._one

            def lose(packet: bytes, now: float, events=events, passed=passed, place=place) -> bytes:  # type: ignore
                is_event = packet[1] >= 0xC0
                return b"" if is_event and next(events) == 4 + place else passed(packet, now)

            line.to_host._one = lose  # type: ignore
            judged = list(device.replay(windows, Option.FEATURES))
            assert [j.score for j in judged] == detector.core().run(windows).score.tolist()
            assert [(j.window, j.first) for j in judged] == [(k, k * detector.spec.hop) for k in range(6)]
            assert device.missed_events >= 1


def test_every_replay_has_window_numbers_of_its_own(running: Emulator) -> None:
    """So what comes after its replay has ended cannot be taken for one of the next, of run mode or another host's."""
    spec, firsts = small_image()[0].spec, set()
    for _ in range(3):
        with open_device(running.url) as device:
            first = device._number
            for count, sent in ((2, 2), (3, 5)):
                list(device.replay(noise(spec, count)))
                assert device.start(window=device._number).next == (first + sent) * spec.hop % 2**32
            assert 2**31 <= first < 3 * 2**30
            firsts.add(first)
    assert len(firsts) == 3


def test_a_late_verdict_of_run_mode_takes_no_windows_place(running: Emulator) -> None:
    """It comes in place of a lost one, under the sequence number that is expected, before the right FEATURES."""
    detector = small_image()[0]
    windows = noise(detector.spec, 3)
    with proxy(running.url) as line, open_device(line.url) as device:
        device.start()
        passed, late = line.to_host._one, [verdict(0, 0, 3, bytes(6))]

        def swap(packet: bytes, now: float) -> bytes:
            if packet[1] != Event.VERDICT or not late:
                return passed(packet, now)
            (lost,) = Decoder().feed(packet)
            return dataclasses.replace(lost, body=late.pop()).encode()

        line.to_host._one = swap  # type: ignore
        judged = list(device.replay(windows))
        assert not late
    assert [j.score for j in judged] == detector.core().run(windows).score.tolist()


def test_a_late_start_or_run_of_an_earlier_stream_does_no_harm(running: Emulator, tmp_path: Path) -> None:
    """They come in the middle of a replay, as if a line had kept them back."""
    detector = small_image()[0]
    windows = noise(detector.spec, 6)
    expected = detector.core().run(windows).score.tolist()
    with open_device(running.url) as device:
        for late in (Request.START, Request.RUN):
            judged = []
            for judgement in device.replay(windows):
                judged.append(judgement.score)
                if len(judged) == 3:
                    device._exchange.send(late, bytes(4))
            assert judged == expected


@pytest.mark.parametrize(("fault", "most"), [("duplicate", 1.05), ("reorder", 1.6), ("delay", 2.0), ("drop", 1.5)])
def test_what_is_sent_again_begets_no_flood(running: Emulator, fault: str, most: float) -> None:
    windows, sent = noise(small_image()[0].spec, WINDOWS), {}
    for rate in (0.0, 0.1):
        with proxy(running.url, to_device={fault: rate}, seed=1) as line, open_device(line.url) as device:
            list(device.replay(windows))
            sent[rate] = line.to_device.done["packets"]
    assert sent[0.1] <= most * sent[0.0], sent


@pytest.mark.emulator
@pytest.mark.parametrize("seed", range(full(1, 5)))
@pytest.mark.parametrize("name", ["netduinoplus2", "microbit"])
def test_an_emulated_board_behind_a_bad_line_gives_all_bits(
    name: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_room, "REPEAT_SECONDS", (0.4, 0.8, 1.6, 3.2))
    monkeypatch.setattr(device_room, "ANSWER_SECONDS", (0.4, 0.8, 1.6, 3.2))
    detector, image = small_image(name)
    with (
        Emulator(board(name), image) as emulator,
        proxy(emulator.url, to_device=MIXED, to_host=MIXED, seed=seed) as line,
    ):
        assert through(line, noise(detector.spec, 4, seed), detector=detector) is None
        assert sum(line.to_device.done[fault] + line.to_host.done[fault] for fault in FAULTS) > 3


@pytest.mark.parametrize(
    "name", ["native", *(pytest.param(name, marks=pytest.mark.emulator) for name in ("netduinoplus2", "microbit"))]
)
def test_a_host_that_asks_without_listening_and_leaves_does_no_harm_to_the_next(name: str) -> None:
    detector, image = small_image(name)
    with Emulator(board(name), image) as emulator:
        open_device(emulator.url)._line.close()
        flooded = contextlib.suppress(serial.SerialTimeoutException)  # the replies fill the line, then the requests
        with serial.serial_for_url(emulator.url, timeout=0, write_timeout=0.5) as port, flooded:
            for _ in range(20):
                port.write(Packet(Request.INFO, 1).encode() * 1000)
        began = time.monotonic()
        with open_device(emulator.url) as device:
            device.require(detector)
            assert time.monotonic() - began < 3
            assert verify(detector, noise(detector.spec, 2), device).equal
