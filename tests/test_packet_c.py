"""firmware/core/packet.c against cyberhans.protocol, byte by byte, under sanitizers."""

from __future__ import annotations

import random
import struct
import subprocess
from pathlib import Path

import pytest
from counts import full
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import corpus, damage

from cyberhans.core import firmware_dir
from cyberhans.protocol import LARGEST_FRAME, Decoder, Packet

ROOM = 2 + 512 + 4
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O1", "-g", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all")  # fmt: skip


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("packet") / "packet"
    core = firmware_dir() / "core"
    sources = [str(Path(__file__).parent / "c" / "packet.c"), str(core / "packet.c"), str(core / "crc.c")]
    subprocess.run(["gcc", *FLAGS, f"-I{core}", *sources, "-o", str(program)], check=True)
    return program


def ask(codec: Path, request: bytes) -> list[int | bytes]:
    """The answers: -1 for a broken frame, else bytes (empty: the end of a decode)."""
    done = subprocess.run([str(codec)], input=request, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    answers: list[int | bytes] = []
    rest = done.stdout
    while rest:
        (size,) = struct.unpack_from("<i", rest)
        answers.append(size if size < 0 else rest[4 : 4 + size])
        rest = rest[4 + max(size, 0) :]
    return answers


def decode(codec: Path, wire: bytes, room: int = ROOM) -> list[int | bytes]:
    answers = ask(codec, b"d" + struct.pack("<II", room, len(wire)) + wire)
    assert answers.pop() == b""
    return answers


def interesting(rng: random.Random, longest: int = ROOM - 6) -> bytes:
    """Bodies around the COBS block length, with no, some or only zeros."""
    size = rng.choice([0, 1, 247, 248, 252, 253, 254, 255, 506, 507, 508, 509, rng.randrange(longest + 1)])
    zeros = rng.choice([0.0, 0.004, 0.5, 1.0])
    return bytes(0 if rng.random() < zeros else rng.randrange(1, 256) for _ in range(min(size, longest)))


def test_c_sends_the_bytes_that_python_sends(codec: Path) -> None:
    rng = random.Random(1)
    packets = [Packet(rng.randrange(256), rng.randrange(256), interesting(rng, 1030)) for _ in range(full(800, 20_000))]
    frames = [bytes((packet.type, packet.seq)) + packet.body for packet in packets]
    answers = ask(codec, b"".join(b"e" + struct.pack("<I", len(frame)) + frame for frame in frames))
    assert answers == [packet.encode() for packet in packets]


def test_c_reads_what_python_sends(codec: Path) -> None:
    rng = random.Random(2)
    packets = [Packet(rng.randrange(256), rng.randrange(256), interesting(rng)) for _ in range(full(800, 20_000))]
    wire = b"".join(packet.encode() + bytes(rng.randrange(3)) for packet in packets)
    assert decode(codec, wire) == [bytes((packet.type, packet.seq)) + packet.body for packet in packets]


def test_damage_is_dropped_and_the_next_packet_is_read(codec: Path) -> None:
    rng = random.Random(3)
    packets = [Packet(1, i % 256, interesting(rng)) for i in range(600)]
    wire = bytearray(b"".join(packet.encode() for packet in packets))
    for _ in range(200):
        wire[rng.randrange(len(wire))] ^= 1 << rng.randrange(8)
    found = [answer for answer in decode(codec, bytes(wire)) if isinstance(answer, bytes)]
    sent = {bytes((packet.type, packet.seq)) + packet.body for packet in packets}
    assert 300 < len(found) < 600
    assert set(found) <= sent  # no wrong frame is accepted


@settings(max_examples=full(60, 3000), deadline=None)
@given(noise=st.binary(max_size=2500), room=st.integers(1, 600))
def test_c_and_python_agree_on_any_bytes(codec: Path, noise: bytes, room: int) -> None:
    """And the decoder never writes beyond its room, whatever comes: the sanitizer watches."""
    wire = noise + b"\0" + Packet(7, 9, b"after").encode()
    found = [answer for answer in decode(codec, wire, room) if isinstance(answer, bytes)]
    expected = [bytes((p.type, p.seq)) + p.body for p in Decoder().feed(wire)]
    assert found == [frame for frame in expected if len(frame) + 4 <= room]


def test_a_frame_that_does_not_fit_is_reported_once(codec: Path) -> None:
    small, large = Packet(1, 1, b"x" * 10), Packet(1, 2, b"y" * 11)
    wire = large.encode() + small.encode()
    assert decode(codec, wire, room=2 + 10 + 4) == [-1, b"\x01\x01" + b"x" * 10]


def test_a_truncated_frame_is_broken_and_empty_ones_are_nothing(codec: Path) -> None:
    whole = Packet(1, 1, b"abc").encode()
    assert decode(codec, b"\0\0\0" + whole[:-3] + b"\0" + whole) == [-1, b"\x01\x01abc"]


def test_c_and_python_accept_the_same_packets_of_the_fuzzing_corpus(codec: Path) -> None:
    """And count the same ones as broken. A room for the largest frame that Python knows."""
    wires = list(corpus(random.Random(1), full(5_000, 100_000), 3, ("samples",)))
    wires += [damage(rng, wire) for rng in [random.Random(4)] for wire in wires]
    decoder, wire = Decoder(), b"".join(wires) + b"\0"
    found = decode(codec, wire, LARGEST_FRAME)
    accepted = [answer for answer in found if isinstance(answer, bytes)]
    assert accepted == [bytes((p.type, p.seq)) + p.body for p in decoder.feed(wire)]
    assert found.count(-1) == decoder.broken
    assert len(accepted) > len(wires) / 4 and decoder.broken > len(wires) / 4
