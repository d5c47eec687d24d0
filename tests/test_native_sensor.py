"""The native board as a simulated sensor: a process that plays samples in real time, on a pty or a named tty."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from counts import full
from played import arguments, clock, noise, playing
from receiver import Received, Receiver

from cyberhans.blank import blank_image
from cyberhans.boards import board
from cyberhans.device import Refused, open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.messages import REPLY, Capture, Capturing, Credit, Data, Event, Refusal, Request
from cyberhans.protocol import Decoder, Packet

RATE = 26_667
ON_ITS_WAY = 4096 + 16_384  # bytes that the port and a pty hold, roughly
LATENCY_S, BLOCK = 20e-6, 85  # firmware/boards/native/source.c; sample frames of three channels


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--port"], "--port: no value: give a tty"),
        (["--prot", "/dev/tty"], "--prot: no such argument; there are --port --play "),
        (["--play", "x"], "--play: needs --channels and --rate-mhz"),
        (["--channels", "3"], "--channels: goes with --play"),
        (["--channels", "65"], "--channels: no such value: give 1 to 64"),
        (["--rate-mhz", "4294967296"], "--rate-mhz: no such value: give sample frames"),
        (["--rate-mhz", "-1"], "--rate-mhz: no such value"),
        (["--rate-mhz", "1e6"], "--rate-mhz: no such value"),
        (["--scale", "1/0"], "--scale: no such value: give N/D"),
        (["--scale", "3"], "--scale: no such value: give N/D"),
        (["--full-scale", "32768"], "--full-scale: no such value: give 1 to 32767"),
        (["--unit", ""], "--unit: no such value: give a unit"),
        (["--clock-error", "0.6"], "--clock-error: no such value: give a share, -0.5 to 0.5"),
        (["--jitter", "nan"], "--jitter: no such value: give seconds, 0 to 1"),
        (["--jitter", "1 s"], "--jitter: no such value: give seconds, 0 to 1"),
        (["--serial-number", "12"], "--serial-number: no such value: give 16 hexadecimal digits"),
        (["--play", "/none", "--channels", "1", "--rate-mhz", "9"], "/none: No such file or directory"),
        (["--play", "/dev/null", "--channels", "1", "--rate-mhz", "9"], "/dev/null: holds no whole number"),
    ],
)
def test_a_bad_argument_is_one_line_and_exit_code_2(given: list[str], told: str) -> None:
    done = subprocess.run([blank_image("native"), *given], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"firmware: {told}")
    assert done.stderr.count("\n") == 1


def test_a_host_is_told_why_it_did_not_start() -> None:
    with pytest.raises(CyberHansError, match="native emulator ended with exit code 2: firmware: --jitter: no"):
        Emulator(board("native"), blank_image("native"), arguments=["--jitter", "2"])


def test_it_says_what_its_samples_mean(tmp_path: Path) -> None:
    more = ("--scale", "61/1000000", "--unit", "g", "--full-scale", "30000", "--name", "LSM6DSO32 at 8 g")
    with (
        playing(tmp_path / "raw", noise(10), RATE, *more, "--serial-number", "00000000000000A1") as on,
        open_device(on.url) as device,
    ):
        assert device.info.serial == "00000000000000A1"
        told = Receiver(device).sensor
    assert (told.rate_mhz, told.least_mhz, told.most_mhz, told.channels) == (RATE * 1000, RATE * 1000, RATE * 1000, 3)
    assert (told.scale_numerator, told.scale_denominator, told.full_scale) == (61, 1_000_000, 30_000)
    assert (told.unit, told.sensor, told.baud) == ("g", "LSM6DSO32 at 8 g", 0)


def test_of_a_rate_too_large_for_a_refusal_the_largest_is_told(tmp_path: Path) -> None:
    with (
        playing(tmp_path / "raw", noise(100, 1), 3e6) as running,
        open_device(running.url) as device,
        pytest.raises(Refused) as error,
    ):
        device.request(Request.CAPTURE, Capture(1, 1000, 0, 100, 1, 0, 0).pack())
    assert (error.value.code, error.value.detail) == (Refusal.RATE, 2**31 - 1)


def test_every_sample_is_the_files_again_and_again(tmp_path: Path) -> None:
    """A length that blocks and packets do not divide."""
    samples = noise(997)
    with playing(tmp_path / "raw", samples, RATE) as on, open_device(on.url) as device:
        receiver = Receiver(device, samples)
        for channels in (3, 1):
            received = receiver.whole(RATE, 20_000, channels)
            assert (received.frames, received.gaps, received.wrong()) == (20_000, 0, 0)


def test_it_plays_in_real_time(tmp_path: Path) -> None:
    with playing(tmp_path / "raw", noise(50), 1000) as on, open_device(on.url) as device:
        began = time.monotonic()
        Receiver(device).whole(1000, 1000)
        assert 1.0 <= time.monotonic() - began < 3.0


@pytest.mark.parametrize(("error", "jitter"), [(0.0, 0.0), (0.04, 0.0), (-0.01, 0.001)])
def test_clock_error_and_jitter_are_in_the_time_stamps(tmp_path: Path, error: float, jitter: float) -> None:
    """As on a board: never without any scatter, which is of the sensor and its interrupt, not of this computer.

    A packet that begins within a block has a stamp reckoned by the nominal rate: with a clock error that scatters, too.
    """
    more = ("--clock-error", str(error), "--jitter", str(jitter))
    with playing(tmp_path / "raw", noise(999), RATE, *more) as on, open_device(on.url) as device:
        received = Receiver(device).whole(RATE, 2 * RATE)
    measured, scatter = clock(received, RATE)
    spans = (LATENCY_S + jitter, abs(error) * BLOCK / RATE)
    expected = (sum(span**2 for span in spans) / 12) ** 0.5  # even distributions
    assert measured == pytest.approx(error, abs=max(1e-5, 0.1 * jitter))
    assert 0.8 * expected < scatter < 1.2 * expected


@pytest.mark.slow
def test_a_reader_that_stalls_for_two_seconds_loses_nothing_that_the_ring_holds(tmp_path: Path) -> None:
    samples = noise(997)
    with playing(tmp_path / "raw", samples, RATE) as on, open_device(on.url) as device:
        receiver = Receiver(device, samples)
        received = receiver.begin(RATE, 3 * RATE, until=3 * RATE)
        time.sleep(2.2)
        assert receiver.sensor.buffer > 6 * 2.2 * RATE
        finish(receiver, received, 3 * RATE)
    assert (received.frames, received.gaps, received.wrong()) == (3 * RATE, 0, 0)


def test_what_the_ring_does_not_hold_is_counted(tmp_path: Path) -> None:
    """2 s at 1.2 MB/s without a reader: more than the ring."""
    samples, rate, frames = noise(997), 200_000, 500_000
    with playing(tmp_path / "raw", samples, rate) as on, open_device(on.url) as device:
        receiver = Receiver(device, samples)
        received = receiver.begin(rate, frames, until=frames)
        time.sleep(2.0)
        told = finish(receiver, received, frames)
    assert told.sampled == frames
    assert 0 < told.overruns == received.gaps + frames - received.data[-1].index - len(received.data[-1].tail) // 6
    assert received.frames == frames - told.overruns
    assert received.wrong() == 0


def ends(data: list[Data]) -> list[int]:
    """Index behind the last sample frame of each, of three channels."""
    return [each.index + len(each.tail) // 6 for each in data]


def missing(data: list[Data]) -> list[int]:
    """Sample frames of each gap, in their order."""
    return [each.index - end for end, each in zip(ends(data), data[1:], strict=False) if each.index != end]


def finish(receiver: Receiver, received: Received, frames: int) -> Capturing:
    deadline = time.monotonic() + 20
    while (told := receiver.credit(received, frames)).next < frames:
        assert time.monotonic() < deadline, told
        receiver.receive(received, 0.1)
    return told


def test_while_the_other_end_is_closed_samples_wait(tmp_path: Path) -> None:
    samples, frames = noise(997), 2 * RATE
    with playing(tmp_path / "raw", samples, RATE) as on:
        with open_device(on.url) as device:
            receiver = Receiver(device, samples)
            received = receiver.begin(RATE, frames, until=RATE // 4)
            receiver.receive(received, 0.5)
        begun = received.frames
        time.sleep(0.7)
        with open_device(on.url) as device:
            finish(Receiver(device, samples), received, frames)
    assert RATE // 4 - 168 <= begun <= RATE // 4
    assert (received.frames, received.gaps, received.wrong()) == (frames, 0, 0)


def test_a_packet_that_was_cut_spoils_no_other(tmp_path: Path) -> None:
    """Nobody reads until all buffers are full; the other end is closed in the midst of a packet, and opened again."""
    samples, wanted = noise(997), Capture(7, RATE * 1000, 0, 2**31 - 1, 3, 0, 0)
    with playing(tmp_path / "raw", samples, RATE) as on:
        port = os.open(on.url, os.O_RDWR | os.O_NOCTTY)
        os.write(port, Packet(Request.CAPTURE, 1, wanted.pack()).encode())
        time.sleep(0.5)
        os.close(port)
        time.sleep(0.1)
        port = os.open(on.url, os.O_RDWR | os.O_NOCTTY)
        decoder, deadline, packets = Decoder(), time.monotonic() + 1.0, []
        while time.monotonic() < deadline:
            if select.select([port], [], [], 0.1)[0]:
                packets += decoder.feed(os.read(port, 4096))
        os.close(port)
    data = [Data.unpack(packet.body) for packet in packets if packet.type == Event.DATA]
    gaps = missing(data)
    assert decoder.broken == 1
    assert len(gaps) == 1 and 0 < gaps[0] < ON_ITS_WAY // 6
    assert ends(data)[-1] > RATE
    assert Received(7, samples.shape[1], samples, data).wrong() == 0


@pytest.mark.slow
def test_minutes_at_160_kilobytes_a_second(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """3 channels at 26,667 Hz without a loss, on a computer that does other things; and it sleeps between blocks."""
    samples, seconds = noise(100_003), full(5, 300)
    with playing(tmp_path / "raw", samples, RATE) as on, open_device(on.url) as device:
        idle = cpu_seconds(on.pid)
        time.sleep(3.0)
        used = cpu_seconds(on.pid)
        received = Receiver(device, samples).whole(RATE, seconds * RATE)
        playing_share = (cpu_seconds(on.pid) - used) / seconds
    assert (received.frames, received.gaps, received.wrong()) == (seconds * RATE, 0, 0)
    record_property("total frames of a simulated sensor", received.frames)
    record_property("worst CPU share of a simulated sensor", round(playing_share, 4))
    assert (used - idle) / 3 < 0.1
    assert playing_share < 0.2


# --- a tty that is named


class Cable:
    """A tty at a fixed path that a test can take away and bring back; `master` is its other end."""

    def __init__(self, path: Path) -> None:
        self.path, self.master = path, -1
        self.decoder = Decoder()
        self.plug()

    def plug(self) -> None:
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, False)
        draft = self.path.with_suffix(".new")
        draft.symlink_to(os.ttyname(slave))
        draft.replace(self.path)
        os.close(slave)
        self.decoder = Decoder()

    def unplug(self) -> None:
        """The name goes first: the pty that it leads to may be another program's at once."""
        self.path.unlink()
        os.close(self.master)

    def receive(self, seconds: float) -> list[Packet]:
        deadline, found = time.monotonic() + seconds, []
        while time.monotonic() < deadline:
            try:
                found += self.decoder.feed(os.read(self.master, 65536))
            except OSError:  # nothing there, or nobody at the other end yet
                time.sleep(0.005)
        return found

    def ask(self, kind: Request, body: bytes) -> tuple[bytes, list[Packet]]:
        """The reply to a request that is repeated until one comes, and all DATA that came meanwhile."""
        events: list[Packet] = []
        for seq in range(40):
            os.write(self.master, b"\0" + Packet(kind, seq, body).encode())
            came = self.receive(0.25)
            events += [packet for packet in came if packet.type == Event.DATA]
            for packet in came:
                if packet.type == kind | REPLY:
                    return packet.body, events
        raise AssertionError(f"no reply to {kind.name}")


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    made = Cable(tmp_path / "tty")
    yield made
    made.unplug()


@pytest.mark.slow
def test_a_tty_that_is_named_may_go_and_come_back(cable: Cable, tmp_path: Path) -> None:
    """Three times, within a capture: what was sampled meanwhile waits."""
    samples = noise(997)
    found = Received(7, samples.shape[1], samples)
    given = [*arguments(tmp_path / "raw", samples, 2000), "--port", str(cable.path)]
    with Emulator(board("native"), blank_image("native"), arguments=given) as on:
        assert on.url == str(cable.path)
        wanted = Capture(7, 2_000_000, 20_000, 2**31 - 1, 3, 0, 0)
        body, events = cable.ask(Request.CAPTURE, wanted.pack())
        for _ in range(3):
            events += cable.receive(0.3)
            cable.unplug()
            before = cpu_seconds(on.pid)
            time.sleep(0.7)
            assert cpu_seconds(on.pid) - before < 0.2
            cable.plug()
            body, more = cable.ask(Request.CREDIT, Credit(7, 2**31 - 1).pack())
            events += more
    found.data = [Data.unpack(packet.body) for packet in events if packet.type == Event.DATA]
    assert (Capturing.unpack(body).overruns, found.wrong()) == (0, 0)
    gaps = missing(found.data)
    assert len(gaps) <= 3 and sum(gaps) < 3 * ON_ITS_WAY // 6
    assert ends(found.data)[-1] > 3 * 0.7 * 2000


def test_a_tty_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    given = ["--port", str(tmp_path / "none")]
    done = subprocess.run([blank_image("native"), *given], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"firmware: {tmp_path / 'none'}: No such file or directory\n"
