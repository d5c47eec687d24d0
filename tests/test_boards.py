"""The table of boards, what a computer lacks for them, and the commands that run them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from cyberhans import boards
from cyberhans.boards import Board, board
from cyberhans.core import firmware_dir
from cyberhans.errors import CyberHansError

BARE = [row for row in boards.boards() if row.bare]


@pytest.fixture
def bare_computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A computer without compilers and emulators; Python and its packages are there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)


def test_the_boards_are_there() -> None:
    known = {row.name for row in boards.boards()}
    assert known >= {"native", "netduinoplus2", "microbit", "stm32vldiscovery"}
    assert known >= {"mps2-an385", "mps2-an500", "mps2-an505", "mps3-an547"}
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
    assert counting[place + 1] == f"shift={row.icount_shift}"
    assert counting[:place] + counting[place + 2 :] == plain


def test_a_native_image_runs_by_itself() -> None:
    assert boards.emulator_command(board("native"), Path("/tmp/image"), 0, icount=True) == ["/tmp/image"]
    assert boards.emulator_missing(board("native")) is None


@pytest.mark.usefixtures("bare_computer")
def test_what_is_missing_is_said_with_the_line_that_mends_it() -> None:
    arm = board("microbit")
    assert boards.toolchain_missing(arm) == (
        "arm-none-eabi-gcc not found: sudo apt install gcc-arm-none-eabi libnewlib-arm-none-eabi"
    )
    assert boards.emulator_missing(arm) == "qemu-system-arm not found: sudo apt install qemu-system-arm"
    assert boards.missing(arm) == boards.toolchain_missing(arm)


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
    monkeypatch.setattr(boards, "compiler", lambda row: ["cc"])
    assert boards.toolchain_missing(board("native")) == "cmake not found: pip install cmake"


@pytest.mark.parametrize("row", boards.boards(), ids=lambda row: row.name)
def test_a_description_is_json(row: Board) -> None:
    told = boards.describe(row)
    assert json.loads(json.dumps(told)) == told
    assert told["name"] == row.name and told["missing"] in (None, boards.missing(row))
