"""A detector's folder, or none, and a board's name → an image, what it takes of the board's memory, and whose share
that is.

Compile, estimate, refuse, link, in this order: footprint.py adds up the objects, stack.py follows their calls.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from cyberhans import boards
from cyberhans.boards import Board
from cyberhans.core import firmware_dir
from cyberhans.detector import Detector, load_detector
from cyberhans.errors import CyberHansError
from cyberhans.footprint import Footprint, footprint
from cyberhans.hex_file import intel_hex
from cyberhans.libraries import libraries
from cyberhans.stack import stack_bytes
from cyberhans.waveform import Meaning, waveform_source

WAVEFORM_FRAMES = 2048  # sample frames that the `run` mode of a board without a sensor plays in a loop
FAILURE = re.compile(r"(?<!collect2: )\berror:|CMake Error|undefined reference|cannot open|will not fit|exceed")
NINJA = re.compile(r"\[\d+/\d+\] |FAILED: |ninja: ")
PARTS = ("core", "app", "board", "tables", "model", "slot", "waveform")


class TooLargeError(CyberHansError):
    """The board has `there` bytes of `memory` (flash, RAM), the detector needs `needed`."""

    def __init__(self, text: str, memory: str, needed: int, there: int) -> None:
        super().__init__(text)
        self.memory, self.needed, self.there = memory, needed, there


@dataclass(frozen=True)
class Build:
    """An image and its sizes, read from the linked ELF file.

    flash_bytes: all that lies in flash, initial values of variables included. ram_bytes: variables, without the stack.
    stack_bytes: the deepest path of calls plus an interrupt, reserved by the linker; None on `native`, where the
    operating system gives each process a stack of megabytes. shares: flash bytes of core, model (its slot included),
    tables, app, board, waveform and library (with the linker's padding); their sum is flash_bytes. ram_shares: bytes of
    RAM likewise, the detector's work memory by itself; their sum is ram_bytes, and the stack comes on top.
    estimated: flash and RAM as estimated before linking; None on `native`.
    """

    image: Path
    board: str
    compiler: str
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int | None
    shares: dict[str, int]
    ram_shares: dict[str, int]
    estimated: dict[str, int] | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the fields, the image's path as text."""
        return {**asdict(self), "image": str(self.image)}


def build(
    folder: str | Path | None, board_name: str, out: str | Path, *,
    compiler: str = "gcc", firmware: Path | None = None, extra_flags: Sequence[str] = (), app: str = "app",
    work: Path | None = None,
) -> Build:  # fmt: skip
    """Build `out`/firmware.elf from a detector's folder; None: without a detector (firmware/blank).

    The same inputs give the same bytes, wherever they lie.

    For a board that owns the machine firmware.hex, the same in Intel HEX, lies beside it for the board's own tool.
    compiler: gcc (on `native` this computer's own), or zig, which is the clang of the pip package ziglang.
    firmware: the source root, where it is not this package's own; extra_flags: for every file compiled; app: its folder
    with the main program. work: a folder that is kept, where the next build of the same board, compiler and folder
    compiles only what has changed.
    Raises CyberHansError: unknown board, no compiler, incomplete or changed folder, C that does not compile, no room.
    """
    board, out = boards.board(board_name), Path(out).resolve()
    firmware = (firmware or firmware_dir()).resolve()
    detector = _check(board, compiler, folder)
    with _scratch(out, work) as place:
        _configure(board, compiler, detector, firmware, place, extra_flags, app)
        _run_tool("cmake", "--build", str(place), "--target", *PARTS)
        return _link(board, compiler, firmware, place, out / "firmware.elf")


def compile_part(folder: str | Path | None, board_name: str, part: str, work: Path) -> list[Path]:
    """The objects of one of PARTS, as in the image that build() makes of this folder by gcc.

    work: an empty folder, which is configured; or that of an earlier call with the same folder and board, where only
    what has changed is compiled. Raises CyberHansError as build() does.
    """
    if not (work / "build.ninja").exists():
        board = boards.board(board_name)
        _configure(board, "gcc", _check(board, "gcc", folder), firmware_dir(), work.resolve())
    _run_tool("cmake", "--build", str(work), "--target", part)
    return _objects(work, part)


def _check(board: Board, compiler: str, folder: str | Path | None) -> Detector | None:
    """What is to be built: refused without a compiler, or where its folder is incomplete. None as None."""
    if lacking := boards.toolchain_missing(board, compiler):
        raise CyberHansError(f"cannot build for {board.name}: {lacking}")
    return load_detector(Path(folder).resolve()) if folder is not None else None


def _objects(work: Path, part: str) -> list[Path]:
    found = sorted((work / "CMakeFiles" / f"{part}.dir").rglob("*.o*"))
    return [path for path in found if path.suffix in (".o", ".obj")]


@contextlib.contextmanager
def _scratch(out: Path, kept: Path | None) -> Iterator[Path]:
    """A folder to work in: the one that is kept, or one within `out`, which is made if need be."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if kept is not None:
            yield kept.resolve()
            return
        scratch = tempfile.TemporaryDirectory(prefix=".build-", dir=out)
    except OSError as error:
        raise _unwritable(out, error) from None
    with scratch as work:
        yield Path(work)


def _unwritable(path: Path, error: OSError) -> CyberHansError:
    return CyberHansError(f"{path}: cannot be written: {error.strerror or error}; choose another --out")


def _link(board: Board, compiler: str, firmware: Path, work: Path, image: Path) -> Build:
    """Estimate, refuse or link, and read the sizes."""
    objects = {part: _objects(work, part) for part in PARTS}
    before = footprint(objects, _libraries(board, compiler, work, objects["waveform"][0]))
    stack = stack_bytes(before, board) if board.bare else None
    if stack is not None:
        refuse_if_too_large(board, before, stack)
        _write_script(board, stack, (firmware / "boards/bare/sections.ld").read_text(), work / "image.ld")
    _run_tool("cmake", "--build", str(work), "--target", "image")
    linked = next(path for path in (work / "image", work / "image.elf", work / "image.exe") if path.exists())
    flash, ram = image_sizes(linked)
    _put(linked, image, board)
    estimated = {"flash_bytes": before.flash_bytes, "ram_bytes": before.ram_bytes} if board.bare else None
    shares = _shares(before, flash), _ram_shares(before, ram)
    return Build(image, board.name, compiler, flash, ram, stack, *shares, estimated)


def _libraries(board: Board, compiler: str, work: Path, example: Path) -> list[Path]:
    """What the compiler links by itself; on `native` nobody asks."""
    if not board.bare:
        return []
    options = (work / "link-options").read_text().split(";")
    return libraries(boards.compiler(board, compiler), [option for option in options if option], example)


def _put(linked: Path, image: Path, board: Board) -> None:
    """Move the image to its place, its Intel HEX beside it; an earlier one never stays beside an image not its own."""
    hex_file = image.with_suffix(".hex")
    try:
        hex_file.unlink(missing_ok=True)
        linked.replace(image)
        if board.bare:
            hex_file.write_text(intel_hex(image), encoding="ascii", newline="")
    except OSError as error:
        raise _unwritable(Path(error.filename2 or error.filename), error) from None


def _waveform(detector: Detector) -> str:
    """C of the first golden window: what a board without a sensor hears."""
    sensed = detector.provenance.get("sensor", {})
    return waveform_source(detector.golden[0][:WAVEFORM_FRAMES], detector.spec.rate_mhz, Meaning(**sensed))


def _write_script(board: Board, stack: int, sections: str, path: Path) -> None:
    """The linker's script: the memory of boards.toml's row, the stack found by analysis, and the sections."""
    flash, ram = board.flash, board.ram
    path.write_text(
        "MEMORY\n{\n"
        f"    FLASH (rx) : ORIGIN = {flash.origin:#010x}, LENGTH = {flash.size}\n"
        f"    RAM (rwx) : ORIGIN = {ram.origin:#010x}, LENGTH = {ram.size}\n"
        f"}}\n__stack_size = {stack};\n{sections}"
    )


def _configure(
    board: Board, compiler: str, detector: Detector | None, firmware: Path, work: Path,
    extra_flags: Sequence[str] = (), app: str = "app",
) -> None:  # fmt: skip
    """In `work`, for a detector that has a folder, or for none."""
    blank = firmware / "blank"
    waveform = (blank / "waveform.c").read_text() if detector is None else _waveform(detector)
    (work / "waveform.c").write_text(waveform)
    toolchain = "zig" if compiler == "zig" and board.bare else board.toolchain
    settings = {
        "CMAKE_MAKE_PROGRAM": boards.find_tool("ninja"),
        "CMAKE_TOOLCHAIN_FILE": firmware / "toolchains" / f"{toolchain}.cmake",
        "HANS_COMPILER": ";".join(boards.compiler(board, compiler)),
        "HANS_APP": app,
        "HANS_FOLDERS": ";".join(board.folders),
        "HANS_CPU": ";".join(board.zig if compiler == "zig" else board.cpu),
        "HANS_DETECTOR": detector.folder if detector else blank,
        "HANS_GENERATED": work,
        "HANS_BODY_MAX": board.body_max,
        "HANS_CAPTURE_BYTES": board.capture_bytes,
        "HANS_EXTRA": ";".join(extra_flags),
    }
    options = [f"-D{name}={value}" for name, value in settings.items()]
    _run_tool("cmake", "-S", str(firmware), "-B", str(work), "-G", "Ninja", *options)


def _run_tool(name: str, *arguments: str) -> None:
    """Run a tool; on failure raise the one line that says why."""
    program = boards.find_tool(name)
    if program is None:
        raise CyberHansError(f"{name} not found: {boards.INSTALL.get(name, f'pip install {name}')}")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise CyberHansError(f"the firmware does not build: {cause(done.stdout + done.stderr)}")


def cause(output: str) -> str:
    """Of what cmake or ninja printed: the first line that is an error, else the last that is not ninja's own."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    pairs = itertools.pairwise(["", *lines])  # the line after FAILED is the command
    said = [line for before, line in pairs if not NINJA.match(line) and not before.startswith("FAILED: ")]
    wrong = [line for line in said if FAILURE.search(line)]
    failed = [f"{line}: no message" for line in lines if line.startswith("FAILED: ")]
    return (wrong[:1] or said[-1:] or failed or ["no message"])[0]


def refuse_if_too_large(board: Board, needed: Footprint, stack: int) -> None:
    """Raise CyberHansError, with the numbers, unless the estimate fits the board's flash and RAM."""
    ram = {**needed.ram_shares(), "stack": stack}
    _refuse(board, "RAM", needed.ram_bytes + stack, board.ram_bytes, ram)
    _refuse(board, "flash", needed.flash_bytes, board.flash_bytes, needed.flash_shares())


def _refuse(board: Board, memory: str, needed: int, there: int, shares: dict[str, int]) -> None:
    if needed > there:
        largest = sorted(shares.items(), key=lambda item: -item[1])
        parts = ", ".join(f"{name} {size:,}" for name, size in largest if size)
        told = f"detector needs {needed:,} bytes of {memory}, {board.name} has {there:,}: {parts}"
        mend = "train it with --spec small or tiny, or take a larger board"
        raise TooLargeError(f"{told}; {mend}", memory, needed, there)


def image_sizes(image: Path) -> tuple[int, int]:
    """(flash, RAM) bytes of a linked image: what is stored, and what is written when it runs, without the stack."""
    flash = ram = 0
    try:
        with open(image, "rb") as file:
            for section in ELFFile(file).iter_sections():
                flags, size, stored = section["sh_flags"], section["sh_size"], section["sh_type"] != "SHT_NOBITS"
                if not flags & 2 or section.name == ".stack":  # SHF_ALLOC
                    continue
                flash += size if stored else 0
                ram += size if flags & 1 else 0  # SHF_WRITE
    except (OSError, ELFError) as wrong:
        raise CyberHansError(f"{image}: not an ELF image: {wrong}") from None
    return flash, ram


def _shares(before: Footprint, flash: int) -> dict[str, int]:
    """Flash by owner: ours from the objects that were kept, all the rest (library, padding) as `library`."""
    found = before.flash_shares()
    shares = {name: found.get(name, 0) for name in ("core", "model", "tables", "app", "board", "waveform")}
    shares["model"] += found.get("slot", 0)
    shares["library"] = flash - sum(shares.values())
    return shares


def _ram_shares(before: Footprint, ram: int) -> dict[str, int]:
    """RAM by owner, as _shares() does it; the core itself has none (DESIGN.md)."""
    found = before.ram_shares()
    shares = {"work_memory": found["work memory"]}
    shares |= {name: found.get(name, 0) for name in ("core", "model", "app", "board")}
    shares["library"] = ram - sum(shares.values())
    return shares
