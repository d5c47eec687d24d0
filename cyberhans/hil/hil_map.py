"""devices.toml: the devices of a test bench by their ids."""

from __future__ import annotations

import difflib
import re
import shlex
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cyberhans.boards import COMPILERS, board
from cyberhans.errors import CyberHansError
from cyberhans.player import parse

USB = re.compile("([0-9a-fA-F]{4}):([0-9a-fA-F]{4}):(.+)")

LONGEST = 64  # letters of an id
NAME = re.compile(r"[A-Za-z0-9_.-]+")  # of a device and of a detector: names of tests and of files are made of them


@dataclass(frozen=True)
class Entry:
    """One device of the bench.

    id         what tests are named after: A to Z, a to z, 0 to 9, _ . -
    url        a pyserial URL, board:NAME (an emulator is started), or VID:PID:SERIAL of a USB device
    start      a command that starts the device and prints its URL, with `/dev/` or `socket://` in it; instead of a url;
               all that it has started ends with it
    board      row of boards.toml that it is, for its clock and to build for it; with board:NAME that one
    compiler   gcc or zig, where the suite builds the image
    flash      a command that flashes it; {elf} and {hex} are the image's files. None: it holds its detector already
    reset      a command that resets it, or takes its power away and gives it back
    connected  false: it is left out unless asked for by its id
    folder     the map's own: commands are run there
    """

    id: str
    url: str = ""
    start: str = ""
    board: str = ""
    compiler: str = "gcc"
    flash: str = ""
    reset: str = ""
    connected: bool = True
    folder: Path = Path()

    @property
    def emulated(self) -> bool:
        """Whether this program starts its image itself."""
        return self.url.startswith("board:")

    def __post_init__(self) -> None:
        """Raises CyberHansError."""
        where = f"device {self.id}"
        if not NAME.fullmatch(self.id) or len(self.id) > LONGEST or not self.id.strip("."):
            raise CyberHansError(f"device {self.id[:80]!r}: name it with A to Z, a to z, 0 to 9, _ . - alone, "
                                 f"at most {LONGEST} of them")  # fmt: skip
        if not self.url.isprintable():
            raise CyberHansError(f"{where}: url {self.url!r} has a character that no URL has")
        if bool(self.url) == bool(self.start):
            raise CyberHansError(f"{where}: give either url or start")
        if self.compiler not in COMPILERS:
            raise CyberHansError(f"{where}: compiler {self.compiler!r}: choose one of {', '.join(COMPILERS)}")
        if self.emulated:
            object.__setattr__(self, "board", parse(self.url.removeprefix("board:"))[0].name)
        elif self.board:
            board(self.board)
        if self.flash and not self.board:
            raise CyberHansError(f"{where}: flash needs to know what to build for: state its board")
        for key in ("start", "flash", "reset"):
            _check_command(f"{where}: {key}", getattr(self, key))


def _check_command(where: str, command: str) -> None:
    try:
        parts = shlex.split(command)
    except ValueError as wrong:
        raise CyberHansError(f"{where} = {command!r}: {str(wrong).lower()}: mend its quotes") from None
    if command and not (parts and parts[0]):
        raise CyberHansError(f"{where} = {command!r}: no command; leave it out")


def entry_of(url: str, compiler: str = "gcc") -> Entry:
    """Of a URL that stands in no map; its id is the last part of its name."""
    name = url.removeprefix("board:").split(",")[0] if url.startswith("board:") else url.rstrip("/").split("/")[-1]
    return Entry(re.sub(r"[^A-Za-z0-9_.]+", "_", name), url, compiler=compiler)


def load_map(path: str | Path) -> dict[str, Entry]:
    """Entries by id, in the file's order. Raises CyberHansError: no file, no TOML, an unknown key, a wrong value."""
    try:
        rows = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as wrong:
        raise CyberHansError(f"{path}: {getattr(wrong, 'strerror', None) or wrong}") from None
    if not rows:
        raise CyberHansError(f'{path}: no device in it; write [NAME] and below it url = "board:native"')
    return {name: _entry(path, name, row) for name, row in rows.items()}


def _entry(path: str | Path, name: str, row: Any) -> Entry:
    known = {field.name: field.type for field in fields(Entry) if field.name not in ("id", "folder")}
    if not isinstance(row, dict):
        raise CyberHansError(f"{path}: {name}: write [{name}] and its keys below it")
    for key, value in row.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose {', '.join(known)}"
            raise CyberHansError(f"{path}: device {name} has no key {key!r}: {hint}")
        if type(value).__name__ != known[key]:
            raise CyberHansError(f"{path}: device {name}: {key} = {value!r} must be a {known[key]}")
    try:
        return Entry(name, folder=Path(path).parent, **row)
    except CyberHansError as wrong:
        raise CyberHansError(f"{path}: {wrong}") from None


def chosen(asked: list[str], entries: dict[str, Entry], compiler: str = "gcc") -> list[Entry]:
    """Those asked for, by id or URL; where none is, all of the map that are connected.

    Raises CyberHansError: two of one id, neither an id nor a URL.
    """
    found = [entries[name] if name in entries else _by_url(name, entries, compiler) for name in asked]
    found = found or [entry for entry in entries.values() if entry.connected]
    ids = [entry.id for entry in found]
    if twice := next((name for name in ids if ids.count(name) > 1), None):
        raise CyberHansError(f"--device: {twice} is given twice")
    return found


def _by_url(name: str, entries: dict[str, Entry], compiler: str) -> Entry:
    if entries and not re.search("[:/]", name):
        raise CyberHansError(f"--device {name}: neither a URL nor in the map: choose {', '.join(entries)}")
    return entry_of(name, compiler)
