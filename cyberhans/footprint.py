"""What an image will take, before it is linked: the sections of its objects that the linker is going to keep.

The walk is the linker's own (--gc-sections): from the entry along every reference, into the compiler's libraries where
no object has the symbol. Nothing is guessed but the padding, which is counted as if every section were a multiple of
four bytes long; so the sum is never below the image's.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import Relocation, RelocationSection
from elftools.elf.sections import Symbol, SymbolTableSection

ALLOC, WRITE, EXECUTE = 2, 1, 4  # section flags of ELF
ROOTS = ("Reset_Handler", "main")
KEPT = ".vectors"  # sections the linker script keeps without a reference
STACK_SIZES = ".stack_sizes"  # clang's -fstack-size-section
UNWINDING = (".ARM.exidx", ".ARM.extab")  # dropped by the linker script: C has no exceptions
WORK = ".bss.work"  # the detector's work memory, firmware/app
STARTS, START_ALIGN = 2, 8  # .data and .bss begin at a multiple of 8, or of the widest alignment in them


@dataclass(frozen=True)
class Reference:
    """A relocation of type `kind` (a number of the processor's ELF ABI)."""

    kind: int
    place: int  # offset in its section
    symbol: str  # global name, or "" for a place within the same object
    section: int  # then: the section's number there
    named: bool  # it is to a function or a variable, not to some place within one


@dataclass(eq=False)
class Section:
    """A section of an object that takes memory."""

    part: str  # "core", "app", ... or "library"
    member: Member
    name: str
    size: int
    align: int
    flags: int
    stored: bool  # has bytes in the file
    code: bytes  # of instructions, with data between them, or b""
    data: list[tuple[int, int]] = field(default_factory=list)  # (first, end) of what is no code there
    references: list[Reference] = field(default_factory=list)

    @property
    def function(self) -> str:
        """The name of the function in it: `.text.NAME`; in a library's plain `.text` a symbol of its object."""
        name = re.sub(r"^\.text(\.(startup|unlikely|hot|exit))?\.?", "", self.name)
        return name or min(self.member.symbols, default=self.name)


@dataclass(eq=False)
class Member:
    """An object file, alone or out of an archive."""

    part: str
    path: Path
    machine: str  # as in the ELF header: "EM_ARM", "EM_RISCV"
    sections: dict[int, Section] = field(default_factory=dict)
    symbols: dict[str, int] = field(default_factory=dict)  # global name → section number
    weak: set[str] = field(default_factory=set)
    frames: dict[str, int] = field(default_factory=dict)  # bytes of stack by function, where clang tells them


@dataclass(frozen=True)
class Footprint:
    """The sections that will be kept, in the order they were reached, and where each name is defined."""

    kept: tuple[Section, ...]
    defined: Mapping[str, Section]

    @property
    def flash_bytes(self) -> int:
        return _total(section for section in self.kept if section.stored)

    @property
    def ram_bytes(self) -> int:
        """Variables, without the stack."""
        return _total(section for section in self.kept if section.flags & WRITE)

    def flash_shares(self) -> dict[str, int]:
        """Flash bytes by part, without padding."""
        return _by_part(section for section in self.kept if section.stored)

    def ram_shares(self) -> dict[str, int]:
        """RAM bytes by part, without padding; the core's work memory, which the app holds, by its own name."""
        written = [section for section in self.kept if section.flags & WRITE]
        work = sum(section.size for section in written if section.name == WORK)
        return {"work memory": work, **_by_part(section for section in written if section.name != WORK)}

    def target(self, source: Section, reference: Reference) -> Section | None:
        """The section that a reference leads to; None for a symbol of the linker script."""
        return _target(self.defined, source, reference)


def _target(defined: Mapping[str, Section], source: Section, reference: Reference) -> Section | None:
    if reference.symbol:
        return defined.get(reference.symbol)
    return source.member.sections.get(reference.section)


def _total(sections: Iterable[Section]) -> int:
    """An upper bound of what the linker makes of them: every length rounded up to 4, wider alignment paid in full."""
    chosen = list(sections)
    widest = max((section.align for section in chosen if section.flags & WRITE), default=START_ALIGN)
    padding = sum(max(0, section.align - 4) for section in chosen) + STARTS * (max(widest, START_ALIGN) - 4)
    return sum((section.size + 3) // 4 * 4 for section in chosen) + padding


def _by_part(sections: Iterable[Section]) -> dict[str, int]:
    shares: dict[str, int] = {}
    for section in sections:
        shares[section.part] = shares.get(section.part, 0) + section.size
    return shares


def footprint(objects: Mapping[str, Sequence[Path]], libraries: Sequence[Path]) -> Footprint:
    """Walk from the entry through `objects` (by part) and the libraries, in the linker's order."""
    own = [read_member(part, path, path.read_bytes()) for part, paths in objects.items() for path in paths]
    archives = [Archive(path) for path in libraries]
    defined: dict[str, Section] = {}
    for member in own:
        _define(member, defined)
    todo = [section for member in own for section in member.sections.values() if section.name.startswith(KEPT)]
    todo += [defined[name] for name in ROOTS if name in defined]
    kept: dict[Section, None] = {}
    while todo:
        section = todo.pop()
        if section in kept:
            continue
        kept[section] = None
        for reference in section.references:
            if reference.symbol and reference.symbol not in defined:
                _load(reference.symbol, archives, defined)
            target = _target(defined, section, reference)
            todo += [target] if target else []
    return Footprint(tuple(kept), defined)


def _define(member: Member, defined: dict[str, Section]) -> None:
    for name, number in member.symbols.items():
        section = member.sections.get(number)
        if section is not None and (name not in defined or name in defined[name].member.weak):
            defined[name] = section


def _load(symbol: str, archives: Sequence[Archive], defined: dict[str, Section]) -> None:
    """Take the first archive member that defines `symbol`, as a linker does."""
    for archive in archives:
        if symbol in archive.index:
            for name, section in _definitions(archive.member(symbol)).items():
                defined.setdefault(name, section)
            return


def _definitions(member: Member) -> dict[str, Section]:
    found: dict[str, Section] = {}
    _define(member, found)
    return found


def read_member(part: str, path: Path, content: bytes) -> Member:
    """Read the sections that take memory, the global symbols, the relocations and what clang tells of the stack."""
    elf = ELFFile(BytesIO(content))
    member = Member(part, path, elf["e_machine"])
    for number, section in enumerate(elf.iter_sections()):
        if section["sh_flags"] & ALLOC and not section.name.startswith((*UNWINDING, ".eh_frame")):
            member.sections[number] = Section(
                part, member, section.name, section["sh_size"], max(1, section["sh_addralign"]),
                section["sh_flags"], section["sh_type"] != "SHT_NOBITS",
                section.data() if section["sh_flags"] & EXECUTE else b"",
            )  # fmt: skip
    table = elf.get_section_by_name(".symtab")
    symbols = list(table.iter_symbols()) if isinstance(table, SymbolTableSection) else []
    _read_symbols(member, symbols)
    for section in elf.iter_sections():
        if not isinstance(section, RelocationSection):
            continue
        if section["sh_info"] in member.sections:
            references = [_reference(entry, symbols[entry["r_info_sym"]]) for entry in section.iter_relocations()]
            member.sections[section["sh_info"]].references = references
        elif (about := elf.get_section(section["sh_info"])).name == STACK_SIZES:
            _read_frames(member, about.data(), [symbols[entry["r_info_sym"]] for entry in section.iter_relocations()])
    return member


def _read_symbols(member: Member, symbols: Sequence[Symbol]) -> None:
    """Global names, and the mapping symbols that tell code ($t, $x) from data ($d) in a section of code."""
    marks: dict[int, list[tuple[int, bool]]] = {}
    for symbol in symbols:
        number = symbol["st_shndx"]
        if not isinstance(number, int):
            continue
        if symbol["st_info"]["bind"] != "STB_LOCAL":
            member.symbols[symbol.name] = number
            if symbol["st_info"]["bind"] == "STB_WEAK":
                member.weak.add(symbol.name)
        elif symbol.name.startswith("$"):
            marks.setdefault(number, []).append((symbol["st_value"], symbol.name.startswith("$d")))
    for number, section in member.sections.items():
        places = [*sorted(marks.get(number, [])), (section.size, False)]
        section.data = [(first, end) for (first, is_data), (end, _) in itertools.pairwise(places) if is_data]


def _read_frames(member: Member, content: bytes, functions: Sequence[Symbol]) -> None:
    """Section .stack_sizes of LLVM: for each function its address, which is relocated, and its stack as ULEB128."""
    place = 0
    for function in functions:
        place, size, shift = place + 4, 0, 0
        while True:
            byte = content[place]
            size |= (byte & 0x7F) << shift
            place, shift = place + 1, shift + 7
            if byte < 0x80:
                break
        name = member.sections[function["st_shndx"]].function
        member.frames[name] = max(member.frames.get(name, 0), size)


def _reference(entry: Relocation, symbol: Symbol) -> Reference:
    section = symbol["st_shndx"] if isinstance(symbol["st_shndx"], int) else 0
    name = "" if symbol["st_info"]["bind"] == "STB_LOCAL" else symbol.name
    named = symbol["st_info"]["type"] not in ("STT_SECTION", "STT_NOTYPE") or bool(name)
    return Reference(entry["r_info_type"], entry["r_offset"], name, section, named)


class Archive:
    """A library of the `ar` format with the symbol index that `ranlib` writes; members are read when asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = path.read_bytes()
        self.index = dict(self._symbols())
        self._members: dict[int, Member] = {}

    def member(self, symbol: str) -> Member:
        """The member that defines a symbol of the index."""
        start = self.index[symbol]
        if start not in self._members:
            self._members[start] = read_member("library", self.path, self._body(start))
        return self._members[start]

    def _body(self, header: int) -> bytes:
        size = int(self.content[header + 48 : header + 58])
        return self.content[header + 60 : header + 60 + size]

    def _symbols(self) -> Iterator[tuple[str, int]]:
        """Names and the offsets of their members; the first of two definitions counts."""
        body = self._body(8)
        count = int.from_bytes(body[:4], "big")
        names = body[4 + 4 * count :].split(b"\0")
        for i in reversed(range(count)):
            yield names[i].decode(), int.from_bytes(body[4 + 4 * i : 8 + 4 * i], "big")
