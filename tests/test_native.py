"""The native board on its own: run mode, the greeting, and the pty."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import serial
from counts import full
from small_detector import noise, small_image

from cyberhans import __version__
from cyberhans.boards import board
from cyberhans.build import WAVEFORM_FRAMES
from cyberhans.device import open_device
from cyberhans.emulator import Emulator
from cyberhans.messages import REPLY, Capture, Event, Mode, Request, Verdict
from cyberhans.protocol import Decoder, Packet


@pytest.fixture
def port() -> Iterator[serial.Serial]:
    with Emulator(board("native"), small_image()[1]) as on, serial.serial_for_url(on.url, timeout=2) as opened:
        yield opened


def line_of(port: serial.Serial) -> str:
    """The next line, without the packets before it: those end with a zero."""
    return bytes(port.read_until(b"\r\n")).rpartition(b"\0")[2].decode()


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\n"])
def test_a_question_mark_gets_one_human_line_again_and_again(port: serial.Serial, ending: bytes) -> None:
    digest = small_image()[0].digest.hex()[:8]
    for _ in range(3):
        port.write(b"?" + ending)
        said, _, state = line_of(port).rpartition(": ")
        assert said == f"Cyber-Hans {__version__} on native, serial {'0' * 16}, detector {digest}, running"
        assert state.strip() in ("normal", "suspicious", "alarm")


def test_the_line_tells_what_it_does(port: serial.Serial) -> None:
    def told(kind: Request, body: bytes) -> str:
        port.write(Packet(kind, 1, body).encode() + b"?\n")
        return line_of(port).rpartition(", ")[2].strip()

    assert told(Request.INFO, b"").startswith("running: ")
    assert told(Request.START, bytes(8)) == "host mode"
    assert told(Request.CAPTURE, Capture(1, 3_200_000, 0, 0, 3, 0, 0).pack()) == "capturing"
    assert told(Request.RUN, b"").startswith("running: ")


@pytest.mark.parametrize("before", [b"\n", b"\r", b"\r\n", b"\n\n\n", b"hello\n", b"help?\r\n", b"\r\nis it you?\n\r\n",
                                    b"x" * 3000 + b"\n", b"\x07noise\xff\0\n"])  # fmt: skip
def test_a_question_mark_is_answered_after_other_lines(port: serial.Serial, before: bytes) -> None:
    for _ in range(2):
        port.write(before + b"?\n")
        assert line_of(port).startswith("Cyber-Hans ")


def test_what_only_holds_a_question_mark_is_not_answered(port: serial.Serial) -> None:
    port.write(Packet(Request.START, 1, bytes(4)).encode() + b"what?\n? \n??\nx\n\x01?\n\0")
    time.sleep(0.2)
    assert b"Cyber-Hans" not in port.read(port.in_waiting)


def test_packets_that_hold_text_are_packets(port: serial.Serial) -> None:
    """Every length of a first block, so that line ends and `?` stand as COBS codes, sequence numbers and in bodies."""
    port.write(Packet(Request.START, 0, bytes(4)).encode())
    decoder, seqs, found, deadline = Decoder(), (0x0A, 0x0D, 0x3F, 0x41), [], time.monotonic() + 30
    sent = [(seq, size) for seq in seqs for size in range(250)]
    for seq, size in sent:
        port.write(Packet(Request.INFO, seq, (b"\n?\n\r" * 63)[:size] + b"\0").encode())
        replies: list[int] = []
        while not replies and time.monotonic() < deadline:
            packets = decoder.feed(port.read(max(1, port.in_waiting)))
            replies = [packet.seq for packet in packets if packet.type == Request.INFO | REPLY]
        found += replies
    assert found == [seq for seq, _ in sent]


def test_packets_and_greetings_mix(port: serial.Serial) -> None:
    port.write(b"?\r\n" + Packet(Request.INFO, 7).encode() + b"?\n" + Packet(Request.INFO, 8).encode())
    decoder, found, deadline = Decoder(), [], time.monotonic() + 5
    while len(found) < 2 and time.monotonic() < deadline:
        found += [p.seq for p in decoder.feed(port.read(max(1, port.in_waiting))) if p.type == Request.INFO | 0x80]
    assert found == [7, 8]
    assert decoder.broken == 2  # the two lines of text


def test_run_mode_says_what_the_host_foretells() -> None:
    """The stored waveform in a loop, from power-on or RUN, without any host: the same scores, window by window."""
    detector, image = small_image()
    wave = detector.golden[0][:WAVEFORM_FRAMES]
    count, spec = 6, detector.spec
    at = (np.arange(count)[:, None] * spec.hop + np.arange(spec.window)) % len(wave)
    expected = detector.core().run(wave[at])
    with open_device("board:native", image=image) as device:
        device.start()
        device.run()
        judged = list(islice(device.judgements(), count))
        assert device.ask_info().mode == Mode.RUN
    assert [j.window for j in judged] == list(range(count))
    assert [j.first for j in judged] == [k * spec.hop for k in range(count)]
    assert [j.score for j in judged] == expected.score.tolist()
    assert [j.anomaly for j in judged] == expected.verdict.tolist()
    assert [j.mean.tolist() for j in judged] == expected.mean.tolist()


def test_run_mode_keeps_the_rate() -> None:
    detector, image = small_image()
    with open_device("board:native", image=image) as device:
        device.start()
        device.run()
        began = time.monotonic()
        list(islice(device.judgements(), 10))
        took = time.monotonic() - began
    due = 10 * detector.spec.hop / detector.spec.rate_hz
    assert due * 0.95 < took < due * 3  # a busy machine delays blocks, it never hurries


def test_start_stops_run_mode_and_run_takes_it_up_again(port: serial.Serial) -> None:
    decoder = Decoder()

    def verdicts(seconds: float) -> list[int]:
        end, found = time.monotonic() + seconds, []
        while time.monotonic() < end:
            packets = decoder.feed(port.read(port.in_waiting))
            found += [Verdict.unpack(p.body).window for p in packets if p.type == Event.VERDICT]
            time.sleep(0.005)
        return found

    assert verdicts(0.5)
    port.write(Packet(Request.START, 1, bytes(4)).encode())
    verdicts(0.2)
    assert verdicts(0.4) == []
    port.write(Packet(Request.RUN, 2).encode())
    assert verdicts(0.6)[:2] == [0, 1]


def test_nobody_listening_does_not_stop_it() -> None:
    """Verdicts for which no other end is open are lost, and the device answers a host that comes later."""
    with Emulator(board("native"), small_image()[1]) as running:
        time.sleep(1.0)
        with open_device(running.url) as device:
            assert device.info.mode == Mode.RUN
            expected = small_image()[0].core().run(noise(small_image()[0].spec, 2))
            judged = list(device.replay(noise(small_image()[0].spec, 2)))
            assert [j.score for j in judged] == expected.score.tolist()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_run_mode_with_no_host_goes_on_and_tells_a_later_one(record_property: Callable[[str, object], None]) -> None:
    """INFO, the last verdicts as the host foretells them, and how many it has missed: with what follows it adds up."""
    detector, image = small_image()
    spec, seconds = detector.spec, full(15, 600)
    with Emulator(board("native"), image) as running:
        began = time.monotonic()
        time.sleep(seconds)
        with open_device(running.url) as device:
            told = device.last_verdicts()
            assert (device.info.mode, device.info.detector) == (Mode.RUN, detector.digest)
            came = list(islice(device.judgements(), 3))
            again = device.last_verdicts()
        due = (time.monotonic() - began) * spec.rate_hz / spec.hop
    assert 0.9 * seconds * spec.rate_hz / spec.hop < told.unsent <= told.windows <= due
    assert len(told.last) == (256 - 12) // (28 + 2 * spec.channels)
    assert [judged.window for judged in told.last] == list(range(told.windows - len(told.last), told.windows))
    wave = detector.golden[0][:WAVEFORM_FRAMES]
    first = np.array([judged.first for judged in told.last])
    expected = detector.core().run(wave[(first[:, None] + np.arange(spec.window)) % len(wave)])
    assert [judged.score for judged in told.last] == expected.score.tolist()
    assert again.unsent == told.unsent <= came[0].window  # none is lost once somebody listens
    assert [judged.window - came[0].window for judged in came] == [0, 1, 2]
    record_property("total verdicts of run mode that nobody listened to, told afterwards", told.unsent)


def test_it_ends_with_its_standard_input_even_while_it_writes() -> None:
    child = subprocess.Popen([small_image()[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin and child.stdout
    name = child.stdout.readline().decode().strip()
    other_end = os.open(name, os.O_RDWR | os.O_NOCTTY)  # open, but never read: the pty fills up
    try:
        time.sleep(0.3)
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(timeout=3) == 0
    finally:
        os.close(other_end)
        child.kill()
        child.stdout.close()


def test_it_sleeps_between_blocks() -> None:
    with Emulator(board("native"), small_image()[1]) as running:
        time.sleep(1.0)
        fields = Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        assert ticks / os.sysconf("SC_CLK_TCK") < 0.5


def test_only_one_line_on_standard_output() -> None:
    child = subprocess.Popen([small_image()[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin and child.stdout
    assert child.stdout.readline().startswith(b"/dev/")
    assert not select.select([child.stdout], [], [], 0.3)[0]
    child.stdin.close()
    assert child.stdout.read() == b""
    assert child.wait(timeout=3) == 0
    child.stdout.close()
