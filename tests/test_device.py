"""A device behind a URL: requests, refusals, resynchronisation, loss. On the native board; the same link everywhere."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import serial
from counts import full
from fake_device import event, fake_device, info_of, replying, verdict
from hypothesis import given
from hypothesis import strategies as st
from small_detector import noise, small_detector, small_image, small_spec

from cyberhans import device as device_room
from cyberhans import exchange as exchange_room
from cyberhans.boards import board
from cyberhans.build import build
from cyberhans.core import Stage, firmware_dir
from cyberhans.device import Device, Refused, open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.judgement import Gatherer
from cyberhans.messages import (
    REPLY,
    Event,
    Features,
    Mode,
    Option,
    Refusal,
    Replayed,
    Request,
    Samples,
    Start,
    Taken,
    Trace,
    Traced,
)
from cyberhans.protocol import Packet

HANS_E_MEMORY = -5  # hans.h


@pytest.fixture
def native() -> Iterator[Device]:
    with open_device("board:native", image=small_image()[1]) as device:
        yield device


def send_samples(device: Device, index: int, samples: np.ndarray) -> Taken:
    """One SAMPLES of int16 (frames, channels); its events are dropped."""
    return Taken.unpack(device.request(Request.SAMPLES, Samples(index, tail=samples.tobytes()).pack()))


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


@pytest.mark.parametrize(
    "name", ["arithmetic", "interface", "channels", "features", "window", "hop", "rate_mhz", "flags"]
)
def test_an_info_that_does_not_fit_the_digests_is_refused_by_its_field(name: str) -> None:
    detector = small_image()[0]
    told = info_of(detector)
    changed = info_of(detector, **{name: getattr(told, name) + (-1 if name == "window" else 1)})
    with fake_device(replying(changed, lambda packet: [])) as url, open_device(url) as device:
        with pytest.raises(CyberHansError, match=rf"another detector: {name} \d+ differs from \d+;") as error:
            device.require(detector)
        one_line(error)


@pytest.mark.parametrize(
    ("field", "value"),
    [("body_max", 4), ("body_max", 5), ("body_max", 255), ("channels", 0), ("channels", 200), ("hop", 0), ("hop", 9),
     ("window", 0), ("features", 0), ("credits", 0)],
)  # fmt: skip
def test_an_info_that_cannot_be_is_one_line(field: str, value: int) -> None:
    told = info_of(small_image()[0], **{field: value})
    with fake_device(replying(told, lambda packet: [])) as url:
        with pytest.raises(CyberHansError, match=r"the device sent an INFO with .*; build and flash it again") as error:
            open_device(url)
        assert ("body_max" if field == "channels" and value else field) in one_line(error)


@pytest.mark.parametrize("channels,size", [(3, 0), (3, 5), (3, 7), (3, 18), (9, 18), (0, 0), (2, 4)])
def test_a_verdict_with_other_means_than_channels_is_one_line(channels: int, size: int) -> None:
    def answer(packet: Packet) -> list[Packet]:
        return [event(0, Event.VERDICT, verdict(0, 0, channels, bytes(size)))]

    detector = small_image()[0]
    with fake_device(replying(info_of(detector), answer)) as url, open_device(url) as device:
        with pytest.raises(CyberHansError, match=rf"sent a VERDICT of {channels} channels with {size} bytes") as error:
            list(device.replay(noise(detector.spec, 1)))
        one_line(error)


@pytest.mark.parametrize("size,total", [(0, 10), (7, 10), (22, 10), (0, 0)])
def test_features_that_cannot_be_are_one_line(size: int, total: int) -> None:
    gatherer = Gatherer("node", Option.FEATURES, 3)
    gatherer.add(event(0, Event.VERDICT, verdict(0, 0, 3, bytes(6))))
    with pytest.raises(CyberHansError, match=f"node: the device sent FEATURES of {total} with {size} bytes") as error:
        gatherer.add(event(1, Event.FEATURES, Features(0, 0, total, tail=bytes(size)).pack()))
    one_line(error)


@given(st.lists(st.tuples(st.sampled_from([*Event, 0xD0]), st.binary(max_size=60)), max_size=5))
def test_no_event_gives_a_traceback(events: list[tuple[int, bytes]]) -> None:
    gatherer = Gatherer("node", Option.FEATURES | Option.COSTS, 1)
    try:
        for kind, body in events:
            gatherer.add(Packet(kind, 0, body))
        gatherer.finish()
    except CyberHansError as error:
        assert "\n" not in str(error)


def endless(packet: Packet, kind: int, body: Callable[[int], bytes]) -> Iterator[Packet]:
    for count in itertools.count():
        yield Packet(kind, count % 256, body(count))
        time.sleep(0.002)


def test_events_without_end_and_without_replies_do_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_room, "REPEAT_SECONDS", (0.1, 0.2))
    monkeypatch.setattr(device_room, "FIRST_WINDOWS", range(1))
    detector = small_image()[0]
    hop, windows = detector.spec.hop, noise(detector.spec, 2)
    told = info_of(detector)
    for kind, body, words in (
        (0xD0, lambda count: b"", "does not answer"),
        (Event.VERDICT, lambda count: verdict(count, count * hop, 3, bytes(6)), "3 verdicts for 2 windows"),
    ):
        answers = replying(told, lambda packet, kind=kind, body=body: endless(packet, kind, body))
        with fake_device(answers) as url, open_device(url) as device:
            began = time.monotonic()
            with pytest.raises(CyberHansError, match=words) as error:
                list(device.replay(windows, device_room.VERDICTS_ONLY))
            assert time.monotonic() - began < 5
            one_line(error)


def test_a_slow_device_that_gets_on_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each verdict comes within the patience, all of them together do not."""
    monkeypatch.setattr(device_room, "PATIENCE_SECONDS", 0.4)
    monkeypatch.setattr(device_room, "FIRST_WINDOWS", range(1))
    detector, count = small_image()[0], 8

    def answer(packet: Packet) -> Iterator[Packet]:
        for window in range(count):
            time.sleep(0.1)
            yield event(2 * window, 0xD0, b"")
            yield event(2 * window + 1, Event.VERDICT, verdict(window, window * detector.spec.hop, 3, bytes(6)))
        yield Packet(packet.type | REPLY, packet.seq, Replayed(0, count).pack())

    with fake_device(replying(info_of(detector), answer)) as url, open_device(url) as device:
        judged = list(device.replay_file(Path("samples"), count, device_room.VERDICTS_ONLY))
    assert len(judged) == count


def test_an_unknown_request_gets_a_nak_with_its_number(native: Device) -> None:
    for kind in (0x1F, 0x0D, 0x7F):
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
    with pytest.raises(Refused, match="START, or CAPTURE, comes first"):
        send_samples(native, 0, np.zeros((1, 3), np.int16))


def test_a_wrong_sample_index_is_refused_and_nothing_is_taken(native: Device) -> None:
    native.start()
    block = np.zeros((7, 3), np.int16)
    assert send_samples(native, 0, block).next == 7
    for wrong in (0, 6, 8, 2**32 - 1):
        with pytest.raises(Refused, match="expects sample index 7") as error:
            send_samples(native, wrong, block)
        assert (error.value.code, error.value.detail) == (Refusal.INDEX, 7)
    assert send_samples(native, 7, block).next == 14


@pytest.mark.slow
def test_a_core_that_refuses_its_detector_keeps_its_first_error(tmp_path: Path) -> None:
    """START is refused with it, changes nothing, and no later request covers it with another."""
    firmware = Path(shutil.copytree(firmware_dir(), tmp_path / "firmware"))
    source = firmware / "app" / "stream.c"
    source.write_text(source.read_text().replace("sizeof work.core)", "sizeof work.core - 8)"))
    made = build(small_image()[1].parent.parent / "detector", "native", tmp_path / "out", firmware=firmware)
    with open_device("board:native", image=made.image) as device:
        assert (device.info.status, device.info.mode) == (HANS_E_MEMORY, Mode.RUN)
        with pytest.raises(Refused) as error:
            device.start()
        assert (error.value.code, error.value.detail) == (Refusal.CORE, HANS_E_MEMORY)
        with pytest.raises(Refused, match="START, or CAPTURE, comes first"):
            send_samples(device, 0, np.zeros((1, 3), np.int16))
        after = device.ask_info()
        assert (after.status, after.mode) == (HANS_E_MEMORY, Mode.RUN)


def test_start_forgets_the_stream(native: Device) -> None:
    window = noise(small_image()[0].spec, 1)[0]
    native.start()
    send_samples(native, 0, window[:100])
    first = next(native.replay(window[None]))
    expected = small_image()[0].core().run(window[None])
    assert first.score == expected.score[0]
    assert (first.features == expected.features[0]).all()


def test_a_reply_to_the_start_of_another_stream_is_not_believed() -> None:
    """As if the reply to an earlier host's START came late, under the same number."""
    info = info_of(small_image()[0])

    def answer(packet: Packet) -> list[Packet]:
        body = info.pack() if packet.type == Request.INFO else Taken(7 * info.hop, 0, 2, 0).pack()
        return [Packet(packet.type | REPLY, packet.seq, body)]

    with fake_device(answer) as url, open_device(url) as device:
        assert device.start(window=7 + 2**32).next == 7 * info.hop
        with pytest.raises(CyberHansError, match=f"begins another stream than window 6, at sample {7 * info.hop}"):
            device.start(window=6)
        with pytest.raises(CyberHansError, match=r"6 times at window 0 of 1; check the line") as error:
            list(device.replay(noise(small_image()[0].spec, 1)))
        one_line(error)


@pytest.mark.parametrize(
    "requests",
    [
        (Request.START,),
        (Request.START, Request.START),
        (Request.RUN, Request.START),
        (Request.START, Request.RUN, Request.START),
        (Request.TRACE, Request.START, Request.TRACE, Request.START),
    ],
    ids=lambda requests: " ".join(kind.name for kind in requests),
)
def test_a_trace_waits_for_a_window_of_the_host(native: Device, requests: tuple[Request, ...]) -> None:
    """Whatever is said twice in between, and though run mode judges a window; after that no other is traced."""
    position = Trace(call=1, offset=8, stage=Stage.SPECTRUM, reserved=0)
    bodies = {Request.START: Start(0, 5).pack(), Request.TRACE: position.pack(), Request.RUN: b""}
    window = noise(small_image()[0].spec, 1)
    expected = native.trace(window[0], position)
    for kind in (Request.TRACE, *requests):
        native.request(kind, bodies[kind])
        if kind == Request.RUN:
            next(native.judgements())
    for begin in range(0, native.info.hop, 100):
        send_samples(native, 5 * native.info.hop + begin, window[0, begin : begin + 100])
    list(native.replay(noise(small_image()[0].spec, 2, 9)))
    assert Traced.unpack(native.request(Request.TRACED)) == dataclasses.replace(expected, window=5)


def test_thousands_of_packets_one_sample_frame_each(native: Device) -> None:
    detector = small_image()[0]
    windows = noise(detector.spec, full(3, 30))
    native.start(Option.FEATURES)
    for index, frame in enumerate(windows.reshape(-1, 1, 3)):
        assert send_samples(native, index, frame).next == index + 1
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
    assert native.ask_info().broken > 0


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


def test_a_boards_name_alone_is_told_how_to_write_it() -> None:
    with pytest.raises(CyberHansError, match=r"microbit: cannot be opened: .*; write --device board:microbit$"):
        open_device("microbit")


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
    broken.write_text("#!/bin/sh\nexec >&-\nsleep 0.2\necho it broke >&2\nexit 3\n")  # its end comes after its output's
    with pytest.raises(CyberHansError, match=r"exit code 3: it broke"):
        open_device("board:native", image=broken)


def test_an_image_that_cannot_be_run_is_one_line(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"no program")
    for mode, words in ((0o644, "Permission denied"), (0o755, "Exec format error")):
        image.chmod(mode)
        with pytest.raises(CyberHansError, match=f"does not run on native: {words}; make it by:") as error:
            open_device("board:native", image=image)
        assert str(image) in one_line(error)


@pytest.mark.emulator
def test_an_image_of_another_board_is_told_as_such() -> None:
    for name, image in (("microbit", small_image()[1]), ("native", small_image("microbit")[1])):
        with pytest.raises(CyberHansError, match=rf"firmware.* does not run on {name}: .*--board {name}$") as error:
            open_device(f"board:{name}", image=image)
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


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["leave", "kill"])
def test_no_process_outlives_its_parent(ending: str) -> None:
    assert gone(leave_orphan("native", ending))


@pytest.mark.emulator
@pytest.mark.parametrize("ending", ["leave", "kill"])
def test_no_emulator_outlives_its_parent(ending: str) -> None:
    assert gone(leave_orphan("microbit", ending))


@pytest.mark.emulator
def test_an_emulated_line_is_there_at_once_and_belongs_to_one_emulator() -> None:
    """Its port is bound before the emulator starts: no other program can take it in between."""
    with Emulator(board("microbit"), small_image("microbit")[1]) as running:
        host, port = running.url.removeprefix("socket://").split(":")
        with socket.create_connection((host, int(port)), timeout=5):
            pass
        with pytest.raises(OSError), socket.create_server((host, int(port))):
            pass


@pytest.mark.emulator
def test_an_emulator_that_cannot_start_says_why(tmp_path: Path) -> None:
    image = tmp_path / "image.elf"
    image.write_text("no ELF file, and larger than the flash" * 10_000)
    with pytest.raises(CyberHansError, match="the microbit emulator ended with exit code 1: ") as error:
        open_device("board:microbit", image=image)
    assert str(image) in one_line(error)


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["netduinoplus2", "microbit"])
def test_an_emulated_board_answers_naks_and_refuses(name: str) -> None:
    detector, image = small_image(name)
    with open_device(f"board:{name}", image=image) as device:
        device.require(detector)
        assert device.info.board == name
        with pytest.raises(Refused):
            device.request(0x1F)
        device.start()
        with pytest.raises(Refused, match="expects sample index 0"):
            send_samples(device, 5, np.zeros((1, 3), np.int16))
