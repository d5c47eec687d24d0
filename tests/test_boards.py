"""The table of boards, what a computer lacks for them, and the commands that run them."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import serial
from small_detector import small_detector, small_image, small_spec

from cyberhans import boards
from cyberhans.boards import Board, board
from cyberhans.build import build
from cyberhans.core import firmware_dir
from cyberhans.device import open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.messages import REPLY, Request
from cyberhans.protocol import Decoder, Packet

BARE = [row for row in boards.boards() if row.bare]
EMULATED = [pytest.param(row.name, marks=pytest.mark.emulator, id=row.name) for row in BARE]


@pytest.fixture
def bare_computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A computer without compilers and emulators; Python and its packages are there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)


def test_the_boards_are_there() -> None:
    known = {row.name for row in boards.boards()}
    assert known >= {"native", "netduinoplus2", "microbit", "stm32vldiscovery"}
    assert known >= {"mps2-an385", "mps2-an500", "mps2-an505", "mps3-an547"}
    assert known >= {"virt-rv32imac", "virt-rv32imafc"}
    assert [board(row.name) for row in boards.boards()] == list(boards.boards())


def test_memories_are_those_of_the_data_sheets() -> None:
    stm32, nrf51 = board("netduinoplus2"), board("microbit")
    assert (stm32.flash_bytes, stm32.ram_bytes) == (1 << 20, 128 << 10)
    assert (nrf51.flash_bytes, nrf51.ram_bytes) == (256 << 10, 16 << 10)
    assert not board("native").bare


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("microbitt", "did you mean microbit?"),
        ("netduino", "did you mean netduinoplus2?"),
        ("xyz", "choose one of native"),
    ],
)
def test_an_unknown_board_is_answered_with_the_nearest(asked: str, hint: str) -> None:
    with pytest.raises(CyberHansError) as error:
        board(asked)
    assert asked in str(error.value) and hint in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("row", boards.boards(), ids=lambda row: row.name)
def test_every_row_has_its_port_and_its_toolchain(row: Board) -> None:
    firmware = firmware_dir()
    assert (firmware / "toolchains" / f"{row.toolchain}.cmake").is_file()
    ports = [text for folder in row.folders for text in _sources(firmware / "boards" / folder)]
    assert any(f'port_board[] = "{row.name}"' in text for text in ports)


def _sources(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob("*.c"))]


@pytest.mark.parametrize("row", boards.boards(), ids=lambda row: row.name)
def test_small_memories_get_small_packets(row: Board) -> None:
    assert row.body_max == (256 if 0 < row.ram_bytes < 32 * 1024 else 1024)


@pytest.mark.parametrize("row", boards.boards(), ids=lambda row: row.name)
def test_a_row_is_sane(row: Board) -> None:
    assert len(row.name) <= 16, "INFO has no room for more"
    assert row.baud in (0, 115_200) and row.tick_hz > 0 and row.clock_hz in (0, row.tick_hz)
    assert ("{icount}" in row.emulator) == row.bare and "{image}" in row.emulator
    flash, ram = row.flash, row.ram
    assert flash.origin + flash.size <= ram.origin or not row.bare, "flash and RAM overlap"
    assert not any("fast-math" in flag or flag == "-Ofast" for flag in row.cpu)


@pytest.mark.parametrize("row", BARE, ids=lambda row: row.name)
def test_no_instruction_is_too_short_for_the_tick(row: Board) -> None:
    assert (row.tick_hz << row.icount_shift) >= 10**9, "two reads of port_ticks() could miss an instruction"


def test_ticks_become_instructions() -> None:
    assert board("microbit").instructions(2050) == 2002  # a loop of 2000, measured
    assert board("netduinoplus2").instructions(2691) == 2002
    assert board("native").instructions(12345) is None


@pytest.mark.parametrize("row", BARE, ids=lambda row: row.name)
def test_the_emulator_gets_image_and_line_as_whole_arguments(row: Board) -> None:
    image = Path("/a folder/with {braces}.elf")
    plain = boards.emulator_command(row, image, 5555)
    assert str(image) in plain and "-icount" not in plain
    assert any("fd=5555" in part.split(",") for part in plain)
    counting = boards.emulator_command(row, image, 5555, icount=True)
    place = counting.index("-icount")
    assert counting[place + 1] == f"shift={row.icount_shift},sleep=off"
    assert counting[:place] + counting[place + 2 :] == plain


def test_a_native_image_runs_by_itself() -> None:
    assert boards.emulator_command(board("native"), Path("/tmp/image"), 0, icount=True) == ["/tmp/image"]
    assert boards.emulator_missing(board("native")) is None


@pytest.mark.usefixtures("bare_computer")
def test_what_is_missing_is_said_with_the_line_that_mends_it() -> None:
    arm = board("microbit")
    assert boards.toolchain_missing(arm) == (
        "arm-none-eabi-gcc not found: sudo apt install gcc-arm-none-eabi libnewlib-arm-none-eabi, "
        "or pip install ziglang and take --compiler zig"
    )
    assert boards.emulator_missing(arm) == "qemu-system-arm not found: sudo apt install qemu-system-arm"
    assert boards.missing(arm) == boards.toolchain_missing(arm)
    riscv = board("virt-rv32imac")
    told = boards.toolchain_missing(riscv)
    assert told and "apt install gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf, or pip install ziglang" in told
    assert boards.emulator_missing(riscv) == "qemu-system-riscv32 not found: sudo apt install qemu-system-misc"


@pytest.mark.usefixtures("bare_computer")
def test_zig_needs_no_compiler_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("native", "microbit", "virt-rv32imac"):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "ziglang" else None)
        assert boards.compiler(board(name), "zig") == [sys.executable, "-m", "ziglang", "cc"]
        assert boards.toolchain_missing(board(name), "zig") is None
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        assert boards.toolchain_missing(board(name), "zig") == "ziglang not found: pip install ziglang"


@pytest.mark.parametrize("row", BARE, ids=lambda row: row.name)
def test_every_board_has_a_target_of_zig(row: Board) -> None:
    assert row.zig[0] == "-target"


def test_a_board_without_a_target_of_zig_and_an_unknown_compiler_are_told() -> None:
    untold = dataclasses.replace(board("microbit"), zig=())
    assert boards.toolchain_missing(untold, "zig") in (
        "boards.toml names no zig target for microbit: take --compiler gcc",
        "ziglang not found: pip install ziglang",
    )
    assert boards.toolchain_missing(board("native"), "tcc") == "unknown compiler 'tcc': choose one of gcc, zig"


@pytest.mark.usefixtures("bare_computer")
def test_native_falls_back_to_the_compiler_from_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "ziglang" else None)
    assert boards.compiler(board("native")) == [sys.executable, "-m", "ziglang", "cc"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert boards.compiler(board("native")) == []
    assert boards.toolchain_missing(board("native")) == "cc not found: sudo apt install gcc, or pip install ziglang"


def test_the_compiler_named_in_the_environment_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", f"{sys.executable} -m ziglang cc")
    assert boards.host_compiler() == [sys.executable, "-m", "ziglang", "cc"]
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(CyberHansError, match="no such compiler"):
        boards.host_compiler()


def test_a_compiler_with_bad_quotes_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", '"gcc')
    told = boards.toolchain_missing(board("native"))
    assert told == 'CC="gcc: No closing quotation; unset CC or mend its quotes'


def test_cmake_and_ninja_are_found_beside_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for tool in ("python", "ninja"):
        (tmp_path / "bin" / tool).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / tool).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert boards.find_tool("ninja") == str(tmp_path / "bin" / "ninja")
    monkeypatch.setenv("PATH", "")
    assert boards.find_tool("cmake") is None
    monkeypatch.setattr(boards, "compiler", lambda row, name: ["cc"])
    assert boards.toolchain_missing(board("native")) == "cmake not found: pip install cmake"


@pytest.mark.parametrize("row", boards.boards(), ids=lambda row: row.name)
def test_a_description_is_json(row: Board) -> None:
    told = boards.describe(row)
    assert json.loads(json.dumps(told)) == told
    assert told["name"] == row.name and told["missing"] in (None, boards.missing(row))


# --- every board as it runs


@pytest.mark.parametrize("name", ["native", *EMULATED])
def test_a_board_survives_garbage_and_gives_the_bits_of_the_host(name: str) -> None:
    """Random bytes, packets cut short and a body without an end; then INFO and the golden windows."""
    row, (detector, image) = board(name), small_image(name)
    noise = np.random.default_rng(1).integers(0, 256, 4000, np.uint8).tobytes()
    cut = b"".join(Packet(Request.SAMPLES, k, bytes(range(1, 200))).encode()[: 20 + k] + b"\0" for k in range(20))
    with Emulator(row, image) as running:
        with serial.serial_for_url(running.url, timeout=0.02) as port:
            port.write(noise + cut + b"\x7f" * 5000 + b"\0" + Packet(Request.INFO, 7).encode())
            assert answered(port, Request.INFO | REPLY, 7)
        with open_device(running.url) as device:
            info = device.info
            judged = list(device.replay(detector.golden))
    assert (info.board, info.tick_hz, info.body_max) == (row.name, row.tick_hz, row.body_max)
    assert re.fullmatch("[0-9a-f]{16}", info.serial) and info.lost == 0 and info.broken >= 20
    expected = detector.core().run(detector.golden)
    assert [(j.score, j.anomaly) for j in judged] == [*zip(expected.score, expected.verdict, strict=True)]
    assert np.array_equal([j.features for j in judged], detector.golden_features)


def answered(port: serial.Serial, kind: int, seq: int) -> bool:
    """Whether such a packet comes within ten seconds."""
    decoder, deadline = Decoder(), time.monotonic() + 10
    while time.monotonic() < deadline:
        if any((packet.type, packet.seq) == (kind, seq) for packet in decoder.feed(port.read(4096))):
            return True
    return False


LOOP = r"""
static uint32_t ticks_of(uint32_t rounds)
{
    uint32_t before = port_ticks();
#ifdef __riscv
    __asm__ volatile("1: addi %0, %0, -1\n\tbnez %0, 1b" : "+r"(rounds));
#else
    __asm__ volatile("1: subs %0, %0, #1\n\tbne 1b" : "+l"(rounds) : : "cc");
#endif
    return port_ticks() - before;
}

static void answer_info"""


@pytest.mark.parametrize("name", EMULATED)
def test_ticks_count_the_instructions_of_a_known_loop(name: str, tmp_path: Path) -> None:
    """Two thousand more rounds of two instructions are four thousand more on every core, but for an interrupt
    or two of some 25 each; a wrong clock or shift would be further off."""
    firmware = shutil.copytree(firmware_dir(), tmp_path / "firmware")
    source = firmware / "app" / "answer.c"
    text = source.read_text().replace("static void answer_info", LOOP, 1)
    source.write_text(text.replace("link_broken()", "ticks_of(3000) - ticks_of(1000)"))
    small_detector(tmp_path / "detector", small_spec(size="tiny"))
    image = build(tmp_path / "detector", name, tmp_path / "out", firmware=firmware).image
    with open_device(f"board:{name}", image=image, counting=True) as device:
        counted = [board(name).instructions(device.ask_info().broken) for _ in range(3)]
    assert np.median(counted) == pytest.approx(4000, rel=0.01)
