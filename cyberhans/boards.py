"""What each board is: core, memory, clock, toolchain, and how it runs here. The facts stand in boards.toml."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from cyberhans.errors import CyberHansError

COMPILERS = ("gcc", "zig")  # gcc means on `native`: this computer's compiler, whatever it is
OR_ZIG = ", or pip install ziglang and take --compiler zig"
INSTALL = {
    "arm-none-eabi-gcc": f"sudo apt install gcc-arm-none-eabi libnewlib-arm-none-eabi{OR_ZIG}",
    "riscv64-unknown-elf-gcc": "sudo apt install gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf" + OR_ZIG,
    "qemu-system-arm": "sudo apt install qemu-system-arm",
    "qemu-system-riscv32": "sudo apt install qemu-system-misc",
    "cc": "sudo apt install gcc, or pip install ziglang",
    "ziglang": "pip install ziglang",
}


@dataclass(frozen=True)
class Region:
    """A piece of memory: first address and bytes."""

    origin: int
    size: int


@dataclass(frozen=True)
class Board:
    """One row of boards.toml, which says what each field means."""

    name: str
    title: str
    core: str
    cpu: tuple[str, ...]
    toolchain: str
    folders: tuple[str, ...]
    flash: Region
    ram: Region
    clock_hz: int
    tick_hz: int
    float_unit: bool
    baud: int
    body_max: int
    capture_bytes: int
    emulator: tuple[str, ...]
    icount_shift: int
    semihosting: bool
    zig: tuple[str, ...] = ()

    @property
    def flash_bytes(self) -> int:
        """Bytes of flash; 0 on a board without a bound of its own."""
        return self.flash.size

    @property
    def ram_bytes(self) -> int:
        """Bytes of RAM; 0 on a board without a bound of its own."""
        return self.ram.size

    @property
    def bare(self) -> bool:
        """Whether the image owns the whole machine, with no operating system under it."""
        return self.flash.size > 0

    def instructions(self, ticks: int) -> int | None:
        """Instructions that `ticks` of port_ticks() are, when run with icount=True; None where none are counted."""
        if not self.bare:
            return None
        return round(ticks * 10**9 / (self.tick_hz << self.icount_shift))


@functools.cache
def boards() -> tuple[Board, ...]:
    """Every board of boards.toml, in its order."""
    text = resources.files("cyberhans").joinpath("boards.toml").read_text(encoding="utf-8")
    return tuple(_from_row(name, row) for name, row in tomllib.loads(text).items())


def _from_row(name: str, row: Mapping[str, Any]) -> Board:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return Board(name=name, **{**fields, "flash": Region(*row["flash"]), "ram": Region(*row["ram"])})


def board(name: str) -> Board:
    """The board of this name; an unknown one is an error that names the nearest."""
    known = {row.name: row for row in boards()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(known)}"
    raise CyberHansError(f"unknown board {name!r}: {hint}")


def compiler(board: Board, name: str = "gcc") -> list[str]:
    """The command of the board's C compiler, one of COMPILERS, or an empty list where this computer has none."""
    if name not in COMPILERS:
        raise CyberHansError(f"unknown compiler {name!r}: choose one of {', '.join(COMPILERS)}")
    if name == "zig":
        return _zig()
    if board.toolchain == "host":
        return host_compiler()
    found = shutil.which(f"{board.toolchain}-gcc")
    return [found] if found else []


def host_compiler() -> list[str]:
    """The command of this computer's C compiler: $CC, cc, gcc, clang, the one in the pip package ziglang, or empty."""
    stated = os.environ.get("CC", "")
    try:
        chosen = shlex.split(stated)
    except ValueError as wrong:
        raise CyberHansError(f"CC={stated}: {wrong}; unset CC or mend its quotes") from None
    if chosen and not shutil.which(chosen[0]):
        raise CyberHansError(f"CC={chosen[0]}: no such compiler; unset CC or name one that is installed")
    if chosen:
        return chosen
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return [found]
    return _zig()


@functools.cache
def compiler_version(board: Board, name: str = "gcc") -> str:
    """Such as `arm-none-eabi-gcc 12.2.1`; of zig that of its clang. Raises CyberHansError where none tells it."""
    command = compiler(board, name)
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, timeout=60)
        number = re.search(r"\d+\.\d+\.\d+", done.stdout.partition("\n")[0])
    except (OSError, subprocess.SubprocessError):
        number = None
    if not number:
        raise CyberHansError(f"{board.name}: its compiler does not tell its version: {shlex.join(command)}")
    called = "zig-clang" if name == "zig" else Path(command[0]).name
    return f"{called} {number[0]}"


def _zig() -> list[str]:
    return [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else []


def toolchain_missing(board: Board, name: str = "gcc") -> str | None:
    """What this computer lacks to build for the board, with the line that mends it; None if nothing."""
    try:
        command = compiler(board, name)
    except CyberHansError as error:
        return str(error)
    if not command:
        return _absent("ziglang" if name == "zig" else "cc" if board.toolchain == "host" else f"{board.toolchain}-gcc")
    if name == "zig" and board.bare and not board.zig:
        return f"boards.toml names no zig target for {board.name}: take --compiler gcc"
    for tool in ("cmake", "ninja"):
        if not find_tool(tool):
            return f"{tool} not found: pip install {tool}"
    return None


def emulator_missing(board: Board) -> str | None:
    """What this computer lacks to run the board's images, with the line that mends it; None if nothing."""
    program = board.emulator[0]
    return None if program == "{image}" or shutil.which(program) else _absent(program)


def missing(board: Board, name: str = "gcc") -> str | None:
    """What this computer lacks to build for the board with this compiler or to run it; None if nothing."""
    return toolchain_missing(board, name) or emulator_missing(board)


def _absent(program: str) -> str:
    return f"{program} not found: {INSTALL[program]}" if program in INSTALL else f"{program} not found"


def find_tool(name: str) -> str | None:
    """A program of a pip package, beside this Python or on the path."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def emulator_command(board: Board, image: Path, listener: int, icount: bool = False) -> list[str]:
    """The command that runs `image`, its serial line on an inherited, listening socket (native prints its pty instead).

    With icount the emulated clock follows the instructions, so that port_ticks() counts them: Board.instructions().
    While the processor sleeps that clock jumps to the next interrupt: waiting for the host would move the ticks.
    """
    command: list[str] = []
    for part in board.emulator:
        if part == "{icount}":
            command += ["-icount", f"shift={board.icount_shift},sleep=off"] if icount else []
        else:
            command.append(part.format(image=image, listener=listener))
    return command


def describe(board: Board) -> dict[str, Any]:
    """What `cyberhans boards` tells of a board."""
    return {
        "name": board.name,
        "title": board.title,
        "core": board.core,
        "flash_bytes": board.flash_bytes,
        "ram_bytes": board.ram_bytes,
        "clock_hz": board.clock_hz,
        "float_unit": board.float_unit,
        "body_max": board.body_max,
        "missing": missing(board),
    }
