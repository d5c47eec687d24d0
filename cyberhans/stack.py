"""The deepest stack of a bare image, found in its objects before it is linked.

A frame is the sum of what a function's code takes off the stack pointer, or the compiler's own figure (-fstack-usage)
where that is larger. Edges are the calls in the relocations. A call through a pointer may reach every
function whose address the image holds outside its vector table: in this firmware a model's entry and the core's tap.
A function that can reach itself, or a frame that grows while it runs, is an error: the stack would have no bound.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cyberhans.boards import Board
from cyberhans.errors import CyberHansError
from cyberhans.footprint import KEPT, ROOTS, Footprint, Member, Section

CALLS = (10, 30, 51, 102)  # R_ARM_THM_CALL, _JUMP24, _JUMP19, _JUMP11: ELF for the Arm Architecture
ADDRESSES = (2, 47, 48)  # R_ARM_ABS32, R_ARM_THM_MOVW_ABS_NC, _MOVT_ABS
# What an exception puts on the stack, with the word that aligns it to 8 bytes: Armv6-M and Armv7-M Architecture
# Reference Manuals, "Exception entry behavior"; 8 words, or 26 where there is a floating-point unit. It is the same on
# Armv8-M (DDI 0553, "Exception entry, context stacking") where everything runs in secure state: 10 words more come
# only when non-secure code interrupts secure code, 16 more only with FPCCR.TS, which is 0 out of reset; Helium's
# registers are the floating-point unit's, and its VPR takes the frame's reserved word.
EXCEPTION_BYTES = {False: 36, True: 108}
# Reserved beyond what was found, in case this reading of the objects misses something: a stub that the linker puts
# between a call and its target (one for Armv6-M pushes registers), or an instruction in a form not known below.
MARGIN_BYTES = 64
PASSED_BYTES = 16  # r0 to r3, stored by a function that takes a struct by value; not in the compiler's figure

_PUSH = re.compile(r"\b(?:push(?:\.w)?|stmdb(?:\.w)?\s+sp!,)\s*\{(.*)\}")
_VECTOR_PUSH = re.compile(r"\bv(?:push|stmdb\s+sp!,)\s*\{(.*)\}")
_LOWER = re.compile(r"\bsubw?(?:\.w)?\s+sp,\s*(?:sp,\s*)?#(\d+)|\[sp, #-(\d+)\]!")
_COMPUTED = re.compile(r"\b(?:add|sub|mov)s?w?(?:\.w)?\s+sp,\s*(?:sp,\s*)?(?:r\d|ip|fp|sl)")
_INDIRECT = re.compile(r"\bbl?x\s+(r\d+|ip|fp|sl)\b")
_OWN_CALL = re.compile(r"\bbl\s+[0-9a-f]+ <")


@dataclass(frozen=True)
class Code:
    """What the disassembly of a section tells of its stack."""

    taken: int  # bytes: the sum of all it takes off the stack pointer
    computed: bool  # the stack pointer is moved by a register
    indirect: bool  # there is a call or jump through a register
    inner: bool  # there is a call that stays within the section


@dataclass(frozen=True)
class Stack:
    """Bytes for the deepest path of calls, the deepest interrupt on top of it and the margin; and that path."""

    bytes: int
    path: tuple[str, ...]


def stack_bytes(image: Footprint, board: Board) -> int:
    """The stack that `image` needs on `board`, a multiple of 8. Raises CyberHansError where it has no bound."""
    return deepest(image, board).bytes


def deepest(image: Footprint, board: Board) -> Stack:
    """As stack_bytes, with the path."""
    graph = _Graph(image, f"{board.toolchain}-objdump")
    reset = image.defined[ROOTS[0]]
    depth, path = graph.depth(reset, ())
    handlers = {target for section in image.kept if section.name.startswith(KEPT)
                for target in graph.targets(section, ADDRESSES) if target is not reset}  # fmt: skip
    interrupt = max((graph.depth(handler, ())[0] for handler in handlers), default=0)
    total = depth + interrupt + EXCEPTION_BYTES[board.float_unit] + MARGIN_BYTES
    return Stack((total + 7) // 8 * 8, path)


class _Graph:
    """Sections of code and the calls between them; with -ffunction-sections a section of ours is one function."""

    def __init__(self, image: Footprint, objdump: str) -> None:
        self.image = image
        self.code = disassemble([section for section in image.kept if section.code], objdump)
        self.frames = {member: frames(member) for member in {section.member for section in self.code}}
        self.pointed = sorted(self._pointed(), key=lambda section: section.name)
        self._known: dict[Section, tuple[int, tuple[str, ...]]] = {}

    def _pointed(self) -> set[Section]:
        """Functions whose address is held somewhere but in the vector table."""
        holders = (section for section in self.image.kept if not section.name.startswith(KEPT))
        return {target for holder in holders for target in self.targets(holder, ADDRESSES) if target.code}

    def targets(self, section: Section, kinds: Iterable[int]) -> Iterator[Section]:
        """Where the references of these kinds lead, places within a function (jump tables) left out."""
        for reference in section.references:
            if reference.kind in kinds and (reference.named or reference.kind in CALLS):
                target = self.image.target(section, reference)
                if target is not None:
                    yield target

    def depth(self, section: Section, above: tuple[Section, ...]) -> tuple[int, tuple[str, ...]]:
        """Bytes below a call of this function, and the path that takes them."""
        name = _function(section)
        if section in above:
            cycle = [_function(caller) for caller in above[above.index(section) :]]
            raise _unbounded(f"{' > '.join([*cycle, name])} calls itself; write it as a loop")
        if section not in self._known:
            below = [self.depth(callee, (*above, section)) for callee in self._callees(section)]
            deep, path = max(below, default=(0, ()))
            self._known[section] = (self._frame(section) + deep, (name, *path))
        return self._known[section]

    def _callees(self, section: Section) -> list[Section]:
        """What it calls. A library's section may hold several functions that call each other: its frame is the sum."""
        direct = dict.fromkeys(self.targets(section, CALLS))
        if section.part == "library":
            direct.pop(section, None)
        return list(direct) + (self.pointed if self.code[section].indirect else [])

    def _frame(self, section: Section) -> int:
        """What the code takes, by the compiler's figure where it is larger: a big frame is taken by a register."""
        code, name = self.code[section], _function(section)
        known = self.frames[section.member]
        if section.part != "library" and code.inner:
            raise _unbounded(f"{name} calls itself; write it as a loop")
        if name in known:
            return max(known[name] + (PASSED_BYTES if code.computed else 0), code.taken)
        if code.computed:
            raise _unbounded(f"{name} ({section.part}) moves it by a computed amount")
        return code.taken


def _unbounded(reason: str) -> CyberHansError:
    return CyberHansError(f"the stack has no bound: {reason}")


def _function(section: Section) -> str:
    """The name of the function in a section: `.text.NAME`; for a library's plain `.text` a symbol of its object."""
    name = re.sub(r"^\.text(\.(startup|unlikely|hot|exit))?\.?", "", section.name)
    return name or min((symbol for symbol in section.member.symbols), default=section.name)


def frames(member: Member) -> Mapping[str, int]:
    """Bytes by function, from the file that -fstack-usage wrote beside an object of ours."""
    report = member.path.with_suffix(".su")
    if member.part == "library" or not report.exists():
        return {}
    found: dict[str, int] = {}
    for line in report.read_text().splitlines():
        place, size, kind = line.split("\t")
        name = place.rsplit(":", 1)[-1]
        if kind != "static":
            raise _unbounded(
                f"{name} in {Path(place.split(':')[0]).name} grows it while it runs; give its arrays a constant size"
            )
        found[name] = max(found.get(name, 0), int(size))
    return found


def disassemble(sections: Iterable[Section], objdump: str) -> dict[Section, Code]:
    """Read each section's instructions; one run of objdump for all."""
    chosen = list(sections)
    members = list(dict.fromkeys(section.member for section in chosen))
    with tempfile.TemporaryDirectory(prefix="cyberhans-") as scratch:
        paths = [Path(scratch, f"{number}.o") for number in range(len(members))]
        for member, path in zip(members, paths, strict=True):
            path.write_bytes(member.content)
        command = [objdump, "-d", "-r", "--no-show-raw-insn", *map(str, paths)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = _by_section(text)
    return {section: _read(lines.get((members.index(section.member), section.name), [])) for section in chosen}


def _by_section(text: str) -> dict[tuple[int, str], list[str]]:
    """Lines of objdump by (number of the file, section)."""
    found: dict[tuple[int, str], list[str]] = {}
    file, lines = 0, []
    for line in text.splitlines():
        if match := re.match(r".*?(\d+)\.o:\s+file format", line):
            file = int(match[1])
        elif match := re.match(r"Disassembly of section (.*):", line):
            lines = found.setdefault((file, match[1]), [])
        else:
            lines.append(line)
    return found


def _read(lines: list[str]) -> Code:
    taken, computed, indirect, inner, popped = 0, False, False, False, ""
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        taken += _taken(line)
        computed = computed or bool(_COMPUTED.search(line))
        popped = line if re.search(r"\bpop\b", line) else popped
        through = _INDIRECT.search(line)
        if through and not (through[1] in popped and "blx" not in line):  # `pop {r3}; bx r3` is a return
            indirect = True
        inner = inner or bool(_OWN_CALL.search(line) and "R_ARM" not in after)
    return Code(taken, computed, indirect, inner)


def _taken(line: str) -> int:
    if match := _VECTOR_PUSH.search(line):
        return _registers(match[1])
    if match := _PUSH.search(line):
        return _registers(match[1])
    if match := _LOWER.search(line):
        return int(match[1] or match[2])
    return 0


def _registers(listed: str) -> int:
    """Bytes of a register list such as `r4, r5, lr` or `d8-d10`."""
    total = 0
    for item in listed.split(","):
        first, _, last = item.strip().partition("-")
        count = int(last[1:]) - int(first[1:]) + 1 if last else 1
        total += count * (8 if first.startswith("d") else 4)
    return total
