"""The packet log: all that passes a line, in order, whole lines whatever happens, and one line where it is no log."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_detector import noise, small_image

from conftest import ROOT
from cyberhans.boards import board
from cyberhans.device import open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.line import Line
from cyberhans.messages import NAK, REPLY, Event, Request
from cyberhans.packet_log import BROKEN_BYTES, TYPES, Happening, PacketLog, read_log, type_name
from cyberhans.protocol import LARGEST_WIRE, Broken, Decoder, Packet

HEADER = {"log": "cyberhans packets", "version": 1, "device": "", "started": ""}
GOOD = {"t": 0.5, "from": "host", "type": "INFO", "seq": 1, "body": ""}


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_what_passes_a_line_is_in_its_log_in_order_both_ways(tmp_path: Path) -> None:
    """loop:// gives back what it gets."""
    packets = [Packet(Request.SAMPLES, seq, bytes(range(seq))) for seq in range(1, 9)]
    with PacketLog(tmp_path / "log", "a loop", detector="ab") as log:
        line = Line("loop://", 115_200, None, log=log)
        for packet in packets:
            line.write(packet.encode())
            assert line.take(time.monotonic() + 2) == packet
        line.close()
    read = read_log(tmp_path / "log")
    entries = list(read)
    assert (read.device, read.facts, read.cut) == ("a loop", {"detector": "ab"}, False)
    assert datetime.now(UTC) - datetime.fromisoformat(read.started) < timedelta(minutes=1)
    assert entries[0].what == Happening("opened", {"device": "loop://"}) and entries[-1].what == Happening("closed", {})
    found = [(entry.sender, entry.what) for entry in entries[1:-1]]
    assert found == [(sender, packet) for packet in packets for sender in ("host", "device")]
    times = [entry.seconds for entry in entries]
    assert times == sorted(times) and times[0] >= 0 and times[-1] < 20
    assert [entry.line for entry in entries] == list(range(2, len(entries) + 2))


@given(st.lists(st.builds(Packet, st.integers(1, 255), st.integers(0, 255), st.binary(max_size=300)), max_size=5),
       st.binary(max_size=40), st.integers(1, 90))  # fmt: skip
def test_any_pieces_make_the_same_packets_and_broken_ones(packets: list[Packet], noise: bytes, portion: int) -> None:
    wire = b"".join(packet.encode() for packet in packets) + noise + b"\0" + Packet(2, 2).encode()
    decoder, whole = Decoder(), Decoder()
    found = [item for i in range(0, len(wire), portion) for item in decoder.items(wire[i : i + portion])]
    assert found == whole.items(wire)
    assert [item for item in found if isinstance(item, Packet)] == Decoder().feed(wire)
    assert sum(isinstance(item, Broken) for item in found) == decoder.broken == whole.broken
    assert found[: len(packets)] == packets and found[-1] == Packet(2, 2)


def test_noise_is_written_in_part_and_its_length_told(tmp_path: Path) -> None:
    with PacketLog(tmp_path / "log") as log:
        log.received(b"\x55" * 5000 + b"\0" + b"\x07" * 3)
        log.event("restarted", why="power")  # ends the three
        log.sent(Packet(1, 1).encode()[:-2])
    entries = [entry.what for entry in read_log(tmp_path / "log")]
    assert entries[:2] == [Broken(b"\x55" * BROKEN_BYTES, 5000), Broken(b"\x07" * 3, 3)]
    assert entries[2] == Happening("restarted", {"why": "power"})
    assert entries[3] == Broken(Packet(1, 1).encode()[:-2], len(Packet(1, 1).encode()) - 2)
    assert len(Decoder().items(b"\x55" * 5000 + b"\0")[0].data) == LARGEST_WIRE + 1  # type: ignore[union-attr]


def test_every_type_has_its_name_and_comes_back(tmp_path: Path) -> None:
    assert type_name(Request.SAMPLES) == "SAMPLES" and type_name(Request.SAMPLES | REPLY) == "SAMPLES_REPLY"
    assert (type_name(NAK), type_name(Event.VERDICT), type_name(0x1F)) == ("NAK", "VERDICT", "0x1F")
    packets = [Packet(kind, 255 - kind, b"\0\xff") for kind in range(256)]
    with PacketLog(tmp_path / "log") as log:
        log.sent(b"".join(packet.encode() for packet in packets))
    assert [entry.what for entry in read_log(tmp_path / "log")] == packets
    assert len(set(TYPES.values())) == len(TYPES)


def test_a_device_is_logged_from_its_opening_to_its_end(tmp_path: Path) -> None:
    """Two openings in one log; the second device is killed."""
    detector, image = small_image()
    with PacketLog(tmp_path / "log") as log:
        with open_device("board:native", image=image, log=log) as device:
            list(device.replay(noise(detector.spec, 2)))
        with Emulator(board("native"), image) as running, open_device(running.url, log=log) as device:
            running.close()
            with pytest.raises(CyberHansError, match="went away"):
                device.ask_info()
    told = [entry.what.name for entry in read_log(tmp_path / "log") if isinstance(entry.what, Happening)]
    assert told == ["opened", "closed", "opened", "vanished", "closed"]
    kinds = [row["type"] for row in rows(tmp_path / "log") if "type" in row]
    samples = kinds.count("SAMPLES")
    assert samples >= 12 and kinds.count("SAMPLES_REPLY") == samples and kinds.count("FEATURES") == 2


def test_a_log_that_is_closed_takes_no_more(tmp_path: Path) -> None:
    log = PacketLog(tmp_path / "log")
    log.close()
    log.close()
    log.event("late")
    assert len(rows(tmp_path / "log")) == 1


WRITER = """
import sys
from pathlib import Path
from cyberhans.packet_log import PacketLog
from cyberhans.protocol import Packet
log = PacketLog(Path(sys.argv[1]))
for count in range(10**9):
    log.sent(Packet(3, count % 256, bytes(1 + count % 1000)).encode())
    if count == 200:
        print("many", flush=True)
"""


def test_a_killed_writer_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as writer:
        assert writer.stdout and writer.stdout.readline() == "many\n"
        writer.kill()
    bodies = [entry.what.body for entry in read_log(path) if isinstance(entry.what, Packet)]
    assert len(bodies) > 200
    assert [len(body) for body in bodies] == [1 + count % 1000 for count in range(len(bodies))]


@pytest.mark.parametrize("bytes_left", [1, 20, 60])
def test_a_last_line_that_was_cut_is_told_and_left_out(tmp_path: Path, bytes_left: int) -> None:
    path = written(tmp_path / "log", HEADER, GOOD, GOOD)
    whole = path.read_bytes()
    last = len(json.dumps(GOOD)) + 1
    path.write_bytes(whole[: len(whole) - last + bytes_left])
    read = read_log(path)
    assert read.cut and [entry.what for entry in read] == [Packet(1, 1)]


@pytest.mark.parametrize(
    "change",
    [
        lambda row: "}{",
        lambda row: "[1, 2]",
        lambda row: "\x00\xfe",
        lambda row: {key: row[key] for key in row if key != "t"},
        lambda row: {**row, "t": "soon"},
        lambda row: {**row, "t": 10**400},
        lambda row: "[" * 200_000,
        lambda row: " " * (1 << 20) + json.dumps(row),
        lambda row: {**row, "from": "nobody"},
        lambda row: {**row, "type": "HELLO"},
        lambda row: {**row, "type": "0x100"},
        lambda row: {**row, "type": "0xzz"},
        lambda row: {**row, "type": 3},
        lambda row: {**row, "seq": 256},
        lambda row: {**row, "seq": "1"},
        lambda row: {**row, "seq": True},
        lambda row: {**row, "body": "abc"},
        lambda row: {**row, "body": None},
        lambda row: {"t": 1, "from": "host", "broken": "00", "length": -1},
        lambda row: {"t": 1, "from": "host", "broken": "00"},
    ],
)  # fmt: skip
def test_a_damaged_line_is_one_error_that_names_it(
    tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any] | str]
) -> None:
    path = written(tmp_path / "log", HEADER, GOOD, change(GOOD), GOOD)
    entries = iter(read_log(path))
    assert next(entries).what == Packet(1, 1)
    with pytest.raises(CyberHansError, match=r"^[^\n]*log: line 3 is damaged \([^\n]*\); copy the log again[^\n]*$"):
        next(entries)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no packet log"),
        ('{"log": "cyberhans packets", "version": 1', "is no packet log"),  # cut in its first line
        ("RIFF\0\0\xff\n", "is no packet log"),
        ("[]\n", "is no packet log"),
        ('{"machine": "pump"}\n', "is no packet log"),
        ('{"log": "cyberhans packets", "version": 2}\n', "is a packet log of version 2, this program reads 1"),
        ('{"log": "cyberhans packets"}\n', "is a packet log of version None"),
    ],
)
def test_what_is_no_log_is_one_error(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CyberHansError, match=rf"^[^\n]*log: {words}[^\n]*$"):
        read_log(path)


def test_a_log_that_is_not_there_or_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    for absent in (tmp_path / "none", tmp_path):
        with pytest.raises(CyberHansError, match=r"cannot be read: .*; check its name"):
            read_log(absent)
    with pytest.raises(CyberHansError, match="none/log: the packet log cannot be written: No such file"):
        PacketLog(tmp_path / "none" / "log")
    with pytest.raises(CyberHansError, match="/dev/full: the packet log cannot be written: No space left"):
        PacketLog(Path("/dev/full"))
    with pytest.raises(ValueError, match="started"):
        PacketLog(tmp_path / "log", started="now")
