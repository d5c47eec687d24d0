"""Packets and messages without a device: round trips, damage, and one schema for both ends and SPEC.md."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

import pytest
from counts import full
from hypothesis import given
from hypothesis import strategies as st

from cyberhans import __version__
from cyberhans.core import firmware_dir
from cyberhans.errors import CyberHansError
from cyberhans.messages import MESSAGES, NAK, REPLY, Event, Info, Refusal, Request, Samples, Verdict, header
from cyberhans.protocol import LARGEST_WIRE, Decoder, Packet
from cyberhans.wire import Message, form_of

SPEC_MD = (Path(__file__).parent.parent / "SPEC.md").read_text().partition("## 10 The link")[2]
PACKETS = st.builds(Packet, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=1024))


@given(st.lists(PACKETS, max_size=8), st.integers(1, 700))
def test_packets_survive_any_cutting_of_the_stream(packets: list[Packet], portion: int) -> None:
    wire = b"".join(packet.encode() for packet in packets)
    decoder = Decoder()
    found = [p for i in range(0, len(wire), portion) for p in decoder.feed(wire[i : i + portion])]
    assert found == packets
    assert decoder.broken == 0


@given(PACKETS)
def test_a_packet_has_one_zero_and_it_is_the_last_byte(packet: Packet) -> None:
    wire = packet.encode()
    assert wire.index(0) == len(wire) - 1
    assert len(wire) - 1 <= LARGEST_WIRE


@given(st.binary(max_size=5000), PACKETS)
def test_after_any_noise_and_a_zero_the_next_packet_is_read(noise: bytes, packet: Packet) -> None:
    assert Decoder().feed(noise + b"\0" + packet.encode())[-1] == packet


def test_no_damaged_packet_is_taken_for_a_sound_one() -> None:
    rng = random.Random(5)
    packet = Packet(3, 7, bytes(rng.randrange(256) for _ in range(200)))
    for _ in range(full(2_000, 100_000)):
        wire = bytearray(packet.encode())
        for _ in range(rng.randrange(1, 4)):
            wire[rng.randrange(len(wire) - 1)] ^= 1 << rng.randrange(8)
        decoder = Decoder()
        found = decoder.feed(bytes(wire))
        assert found in ([], [packet])  # the flips may cancel out
        assert found or decoder.broken >= 1


def test_endless_noise_takes_no_memory() -> None:
    decoder = Decoder()
    for _ in range(1000):
        decoder.feed(b"\xaa" * 1000)
    assert len(decoder._rest) <= LARGEST_WIRE + 1
    assert decoder.feed(b"\0" + Packet(1, 1).encode()) == [Packet(1, 1)]


def example(message: type[Message]) -> Message:
    form = form_of(message)
    values = [f"t{i}" if i in form.texts else bytes([i + 1]) * 16 if code == "16s" else i + 1
              for i, code in enumerate(form.codes)]  # fmt: skip
    return message(*values, tail=b"rest")


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_comes_back_as_it_was(message: type[Message]) -> None:
    sent = example(message)
    assert message.unpack(sent.pack()) == sent


@pytest.mark.parametrize("message", MESSAGES)
def test_a_body_that_is_too_short_is_an_error_and_a_longer_one_is_not(message: type[Message]) -> None:
    body = example(message).pack()[: -len(b"rest")]
    assert message.unpack(body + b"new field").tail == b"new field"
    with pytest.raises(CyberHansError, match="update the older end"):
        message.unpack(body[:-1])


def test_signed_fields_keep_their_sign() -> None:
    sent = Verdict(1, 2, -3, -(2**31), 1, 0, 3, 2, 4, 1, 0, 30, -30)
    assert Verdict.unpack(sent.pack()) == sent
    assert sent.pack()[8:12] == b"\xfd\xff\xff\xff"


def test_messages_h_is_the_one_that_the_schema_gives() -> None:
    stored = (firmware_dir() / "app" / "messages.h").read_text()
    assert stored == header(), "run: python -m cyberhans.messages > firmware/app/messages.h"


def test_the_c_compiler_lays_the_messages_out_alike(tmp_path: Path) -> None:
    """The header's own size checks; natural alignment without padding is what makes them hold on every 32-bit core."""
    source = tmp_path / "check.c"
    source.write_text('#include "messages.h"\n')
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wpadded", "-fsyntax-only"]
    subprocess.run([*command, f"-I{firmware_dir() / 'app'}", str(source)], check=True)


def test_types_stay_in_their_ranges() -> None:
    assert all(0 < kind < 0x20 and kind not in (0x0A, 0x0D) for kind in Request)
    assert all(0xC0 <= kind <= 0xFF for kind in Event)
    assert NAK not in {kind | REPLY for kind in Request}


def test_a_packet_never_looks_like_text() -> None:
    """Its first byte may, its second never does (SPEC.md section 10.1)."""
    for kind in [*Request, *Event, NAK]:
        for size in range(300):
            assert not re.match(rb"[\r\n -~]{2}", Packet(kind, 1, b"x" * size).encode())


def test_spec_md_lists_every_type_and_code() -> None:
    for kind in [*Request, *Event]:
        assert f"|\n| 0x{kind:02X} | {kind.name} |" in SPEC_MD  # in a table: a row comes before
    codes = {int(code) for code in re.findall(r"(?:: |; |;\n)(\d) [a-z]", SPEC_MD.partition("NAK codes")[2])}
    assert codes == set(Refusal)
    assert f"Info, {len(example(Info).pack()) - 4} bytes" in SPEC_MD


@pytest.mark.parametrize("message", MESSAGES)
def test_spec_md_names_every_field(message: type[Message]) -> None:
    for name in form_of(message).names:
        assert re.search(rf"\b{name}\b", SPEC_MD), f"{message.__name__}.{name} is not in SPEC.md"


def test_samples_lie_where_the_firmware_reads_them() -> None:
    """Behind type, seq and index: an even place, so that a device can read int16 where they lie."""
    assert Samples(0x01020304, tail=b"\x10\x20").pack() == bytes.fromhex("04030201 1020")


def test_the_firmware_states_this_version() -> None:
    assert f'#define FIRMWARE_VERSION "{__version__}"' in (firmware_dir() / "app" / "answer.h").read_text()
