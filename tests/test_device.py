"""A device behind a URL: requests, refusals, resynchronisation, loss. On the native board; the same link everywhere."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import serial
from small_detector import noise, small_detector, small_image, small_spec

from cyberhans import device as device_room
from cyberhans.boards import board
from cyberhans.device import Device, Refused, open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.messages import Mode, Option, Refusal, Replayed, Request
from cyberhans.protocol import Packet


@pytest.fixture
def native() -> Iterator[Device]:
    with open_device("board:native", image=small_image()[1]) as device:
        yield device


def one_line(error: pytest.ExceptionInfo[CyberHansError]) -> str:
    text = str(error.value)
    assert text and "\n" not in text
    return text


def test_info_tells_what_the_detector_says(native: Device) -> None:
    detector, info = small_image()[0], native.info
    spec = detector.spec
    assert (info.spec, info.model, info.detector) == (spec.digest, detector.model.digest, detector.digest)
    assert (info.rate_mhz, info.window, info.hop) == (spec.rate_mhz, spec.window, spec.hop)
    assert (info.channels, info.features, info.board, info.status) == (spec.channels, spec.features, "native", 0)
    assert info.mode == Mode.RUN
    native.require(detector)


def test_another_detector_is_refused_by_what_differs(native: Device, tmp_path: Path) -> None:
    other = small_detector(tmp_path / "model", centre=2999)
    with pytest.raises(CyberHansError, match="holds another detector: model digest") as error:
        native.require(other)
    assert other.model.digest.hex()[:8] in one_line(error)
    with pytest.raises(CyberHansError, match="spec digest"):
        native.require(small_detector(tmp_path / "spec", small_spec(channels=2)))
    with pytest.raises(CyberHansError, match=": detector digest"):
        native.require(small_detector(tmp_path / "flags", uncalibrated=True))


def test_an_unknown_request_gets_a_nak_with_its_number(native: Device) -> None:
    for kind in (0x3F, 0x08, 0x7F):
        with pytest.raises(Refused) as error:
            native.request(kind, b"anything")
        assert error.value.code == Refusal.UNKNOWN
        assert f"refused request {kind}" in one_line(error)
    native.request(Request.INFO)


@pytest.mark.parametrize("kind", [Request.START, Request.SAMPLES, Request.TRACE])
def test_a_body_that_is_too_short_is_refused(native: Device, kind: Request) -> None:
    native.start()
    with pytest.raises(Refused) as error:
        native.request(kind, b"abc")
    assert error.value.code == Refusal.LENGTH


def test_half_a_sample_frame_is_refused(native: Device) -> None:
    native.start()
    with pytest.raises(Refused) as error:
        native.request(Request.SAMPLES, bytes(4) + bytes(5))
    assert error.value.code == Refusal.LENGTH


def test_samples_need_start(native: Device) -> None:
    with pytest.raises(Refused, match="START comes first"):
        native.send_samples(0, np.zeros((1, 3), np.int16))


def test_a_wrong_sample_index_is_refused_and_nothing_is_taken(native: Device) -> None:
    native.start()
    block = np.zeros((7, 3), np.int16)
    assert native.send_samples(0, block).next == 7
    for wrong in (0, 6, 8, 2**32 - 1):
        with pytest.raises(Refused, match="expects sample index 7") as error:
            native.send_samples(wrong, block)
        assert (error.value.code, error.value.detail) == (Refusal.INDEX, 7)
    assert native.send_samples(7, block).next == 14


def test_start_forgets_the_stream(native: Device) -> None:
    window = noise(small_image()[0].spec, 1)[0]
    native.start()
    native.send_samples(0, window[:100])
    first = next(native.replay(window[None]))
    expected = small_image()[0].core().run(window[None])
    assert first.score == expected.score[0]
    assert (first.features == expected.features[0]).all()


def test_thousands_of_packets_one_sample_frame_each(native: Device) -> None:
    detector = small_image()[0]
    windows = noise(detector.spec, 3)
    native.start(Option.FEATURES)
    for index, frame in enumerate(windows.reshape(-1, 1, 3)):
        assert native.send_samples(index, frame).next == index + 1
    assert native.request(Request.INFO)
    assert native.missed_events == 0


def test_a_file_gives_the_verdicts_that_the_link_gives(native: Device, tmp_path: Path) -> None:
    windows = noise(small_image()[0].spec, 4)
    path = tmp_path / "samples"
    path.write_bytes(windows.tobytes())
    by_link, by_file = list(native.replay(windows)), list(native.replay_file(path, 4))
    assert [judged.score for judged in by_link] == [judged.score for judged in by_file]
    assert all((a.features == b.features).all() for a, b in zip(by_link, by_file, strict=True))
    native.start()
    reply = Replayed.unpack(native.request(Request.FILE, str(path).encode() + b"\0"))
    assert (reply.frames, reply.windows) == (4 * 1024, 4)


def test_a_file_that_cannot_be_read_is_refused(native: Device, tmp_path: Path) -> None:
    native.start()
    for body in (str(tmp_path / "absent").encode() + b"\0", b"", b"no zero at the end"):
        with pytest.raises(Refused) as error:
            native.request(Request.FILE, body)
        assert error.value.code == Refusal.FILE
    (tmp_path / "half").write_bytes(bytes(7))
    with pytest.raises(Refused) as error:
        native.request(Request.FILE, str(tmp_path / "half").encode() + b"\0")
    assert error.value.code == Refusal.LENGTH


def test_garbage_and_half_packets_do_not_matter(native: Device) -> None:
    random = np.random.default_rng(3)
    for size in (1, 50, 1040, 5000):
        native._line.write(random.integers(0, 256, size).astype(np.uint8).tobytes())
        native._line.write(Packet(Request.INFO, 99).encode()[:-3])
        native._line.write(b"\0")
        native.request(Request.INFO)
    assert native._ask_info().broken > 0


def test_a_second_host_finds_the_device_after_the_first_left_in_the_middle() -> None:
    detector, image = small_image()
    with Emulator(board("native"), image) as running:
        with serial.serial_for_url(running.url) as port:
            port.write(Packet(Request.SAMPLES, 1, bytes(500)).encode()[:-200])
        with open_device(running.url) as device:
            device.require(detector)


def test_a_silent_device_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_room, "ANSWER_SECONDS", (0.1, 0.1))
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(CyberHansError, match="does not answer") as error:
            open_device(url)
    assert url in one_line(error)


def test_a_port_that_does_not_exist_is_one_line() -> None:
    with pytest.raises(CyberHansError, match=r"/dev/cyberhans-absent: cannot be opened") as error:
        open_device("/dev/cyberhans-absent")
    one_line(error)
    with pytest.raises(CyberHansError, match="cannot be opened"):
        open_device("socket://127.0.0.1:1")
    with pytest.raises(CyberHansError, match="cannot be opened"):
        open_device("nonsense://x")


def test_a_board_without_image_or_name_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CyberHansError, match="needs an image"):
        open_device("board:native")
    with pytest.raises(CyberHansError, match="unknown board 'nativ'"):
        open_device("board:nativ", image=small_image()[1])
    with pytest.raises(CyberHansError, match="no such image"):
        open_device("board:native", image=tmp_path / "absent.elf")
    broken = tmp_path / "broken.elf"
    broken.write_text("#!/bin/sh\necho it broke >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(CyberHansError, match=r"exit code 3: it broke") as error:
        open_device("board:native", image=broken)
    one_line(error)


def test_a_device_that_dies_in_the_middle_is_one_line(native: Device) -> None:
    windows = noise(small_image()[0].spec, 200)
    assert native.emulator
    killer = native.emulator.pid
    seen = 0
    with pytest.raises(CyberHansError, match=r"went away|ended") as error:
        for _ in native.replay(windows):
            seen += 1
            if seen == 5:
                os.kill(killer, signal.SIGKILL)
    assert 5 <= seen < 200
    assert "board:native" in one_line(error)


def test_a_socket_that_closes_in_the_middle_is_one_line() -> None:
    """A bridge on TCP to the native board, pulled out after a while: what an unplugged adapter looks like."""
    with Emulator(board("native"), small_image()[1]) as running, socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_bridge, args=(server, running.url, 60_000), daemon=True)
        thread.start()
        with open_device(f"socket://127.0.0.1:{server.getsockname()[1]}") as device:
            with pytest.raises(CyberHansError, match="went away") as error:
                list(device.replay(noise(small_image()[0].spec, 100)))
            one_line(error)
        thread.join(5)


def _bridge(server: socket.socket, url: str, most: int) -> None:
    """Pass bytes both ways until `most` have gone to the device."""
    link, _ = server.accept()
    link.settimeout(0.002)
    passed = 0
    with link, serial.serial_for_url(url, timeout=0) as port:
        while passed < most:
            try:
                data = link.recv(4096)
            except TimeoutError:
                data = b""
            passed += len(data)
            port.write(data)
            link.sendall(port.read(4096))


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_close_ends_the_process() -> None:
    device = open_device("board:native", image=small_image()[1])
    assert device.emulator
    pid = device.emulator.pid
    assert alive(pid)
    device.close()
    assert gone(pid)


ORPHAN = textwrap.dedent("""\
    import os, signal, sys, time
    from pathlib import Path
    from cyberhans.boards import board
    from cyberhans.emulator import Emulator
    emulator = Emulator(board(sys.argv[1]), Path(sys.argv[2]))
    print(emulator.pid, flush=True)
    time.sleep(0.5)
    if sys.argv[3] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
""")


def leave_orphan(name: str, ending: str) -> int:
    command = [sys.executable, "-c", ORPHAN, name, str(small_image(name)[1]), ending]
    return int(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


@pytest.mark.parametrize("ending", ["leave", "kill"])
def test_no_process_outlives_its_parent(ending: str) -> None:
    assert gone(leave_orphan("native", ending))


@pytest.mark.emulator
@pytest.mark.parametrize("ending", ["leave", "kill"])
def test_no_emulator_outlives_its_parent(ending: str) -> None:
    assert gone(leave_orphan("microbit", ending))


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["netduinoplus2", "microbit"])
def test_an_emulated_board_answers_naks_and_refuses(name: str) -> None:
    detector, image = small_image(name)
    with open_device(f"board:{name}", image=image) as device:
        device.require(detector)
        assert device.info.board == name
        with pytest.raises(Refused):
            device.request(0x3F)
        device.start()
        with pytest.raises(Refused, match="expects sample index 0"):
            device.send_samples(5, np.zeros((1, 3), np.int16))
