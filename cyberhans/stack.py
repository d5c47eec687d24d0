"""The deepest stack of a bare image, found in its objects before it is linked.

A frame is the sum of what a function's code takes off the stack pointer, or the compiler's own figure (gcc's
-fstack-usage, clang's -fstack-size-section) where that is larger. Edges are the calls in the relocations. A call
through a pointer may reach every function whose address the image holds outside its vector table: in this firmware a
model's entry and the core's tap.
A function that can reach itself, or a frame that grows while it runs, is an error: the stack would have no bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cyberhans.boards import Board
from cyberhans.errors import CyberHansError
from cyberhans.footprint import KEPT, ROOTS, Footprint, Member, Section
from cyberhans.machine_code import Code, read_riscv, read_thumb


@dataclass(frozen=True)
class Processor:
    """What its ABI says of relocations and stack."""

    calls: tuple[int, ...]  # relocations of a call
    jumps: tuple[int, ...]  # of a jump that may also lead to a place within the function
    addresses: tuple[int, ...]  # and of an address that is taken
    exception: Mapping[bool, int]  # bytes that an exception puts on the stack by itself, with and without a float unit
    align: int  # of the stack pointer
    read: Callable[..., Code]


PROCESSORS = {
    # ELF for the Arm Architecture: R_ARM_THM_CALL, _JUMP24, _JUMP19, _JUMP11; R_ARM_ABS32, R_ARM_THM_MOVW_ABS_NC,
    # _MOVT_ABS. Exceptions: 8 words, or 26 where there is a floating-point unit, and the word that aligns them to 8
    # bytes (Armv6-M and Armv7-M Architecture Reference Manuals, "Exception entry behavior"). It is the same on Armv8-M
    # (DDI 0553, "Exception entry, context stacking") where everything runs in secure state: 10 words more come only
    # when non-secure code interrupts secure code, 16 more only with FPCCR.TS, which is 0 out of reset; Helium's
    # registers are the floating-point unit's, and its VPR takes the frame's reserved word.
    "EM_ARM": Processor((10, 30, 51, 102), (), (2, 47, 48), {False: 36, True: 108}, 8, read_thumb),
    # RISC-V ELF psABI: R_RISCV_CALL, _CALL_PLT; _JAL, _RVC_JUMP; _32, _PCREL_HI20, _HI20. A trap itself saves nothing.
    "EM_RISCV": Processor((18, 19), (17, 45), (1, 23, 26), {False: 0, True: 0}, 16, read_riscv),
}
# Reserved beyond what was found, in case this reading of the objects misses something: a stub that the linker puts
# between a call and its target (one for Armv6-M pushes registers), or an instruction in a form not known here.
MARGIN_BYTES = 64
# Functions of firmware/app, one of the main loop and one of the tick's interrupt, that are never under way together:
# the core rests while a capture runs.
APART = ("stream_take", "capture_take")
PASSED_BYTES = 16  # r0 to r3, stored by a function that takes a struct by value; not in gcc's figure


@dataclass(frozen=True)
class Stack:
    """Bytes for the deepest path of calls, the deepest interrupt on top of it and the margin; and that path."""

    bytes: int
    path: tuple[str, ...]


def stack_bytes(image: Footprint, board: Board) -> int:
    """The stack that `image` needs on `board`, aligned as its processor wants; CyberHansError where it has no bound."""
    return deepest(image, board).bytes


def deepest(image: Footprint, board: Board) -> Stack:
    """As stack_bytes, with the path."""
    graph = _Graph(image)
    processor = graph.processor
    reset = image.defined[ROOTS[0]]
    handlers = {target for section in image.kept if section.name.startswith(KEPT)
                for target in graph.targets(section, processor.addresses) if target is not reset}  # fmt: skip
    main_loop, interrupt = APART
    together = [
        (depth + max((graph.depth(handler, (), there)[0] for handler in handlers), default=0), path)
        for here, there in (("", interrupt), (main_loop, ""))
        for depth, path in [graph.depth(reset, (), here)]
    ]
    total, path = max(together)
    total += processor.exception[board.float_unit] + MARGIN_BYTES
    return Stack(-(-total // processor.align) * processor.align, path)


class _Graph:
    """Sections of code and the calls between them; with -ffunction-sections a section of ours is one function."""

    def __init__(self, image: Footprint) -> None:
        self.image = image
        sections = [section for section in image.kept if section.code]
        self.processor = PROCESSORS[sections[0].member.machine]
        self.code = {section: self._read(section) for section in sections}
        self.frames = {member: frames(member) for member in {section.member for section in self.code}}
        self.pointed = sorted(self._pointed(), key=lambda section: section.name)
        self._known: dict[tuple[Section, str], tuple[int, tuple[str, ...]]] = {}

    def _read(self, section: Section) -> Code:
        kinds = (*self.processor.calls, *self.processor.jumps)
        relocated = {reference.place for reference in section.references if reference.kind in kinds}
        return self.processor.read(section.code, section.data, relocated)

    def _pointed(self) -> set[Section]:
        """Functions whose address is held somewhere but in the vector table."""
        holders = [section for section in self.image.kept if not section.name.startswith(KEPT)]
        targets = (target for holder in holders for target in self.targets(holder, self.processor.addresses))
        return {target for target in targets if target.code}

    def targets(self, section: Section, kinds: Iterable[int]) -> Iterator[Section]:
        """Where the references of these kinds lead, places within a function (jump tables) left out."""
        for reference in section.references:
            if reference.kind in kinds and (reference.named or reference.kind not in self.processor.addresses):
                target = self.image.target(section, reference)
                if target is not None:
                    yield target

    def depth(self, section: Section, above: tuple[Section, ...], without: str = "") -> tuple[int, tuple[str, ...]]:
        """Bytes below a call of this function, and the path that takes them; as if it never came to `without`."""
        name = section.function
        if section in above:
            cycle = [caller.function for caller in above[above.index(section) :]]
            raise _unbounded(f"{' > '.join([*cycle, name])} calls itself; write it as a loop")
        if (section, without) not in self._known:
            callees = [callee for callee in self._callees(section) if callee.function != without]
            deep, path = max((self.depth(callee, (*above, section), without) for callee in callees), default=(0, ()))
            self._known[section, without] = (self._frame(section) + deep, (name, *path))
        return self._known[section, without]

    def _callees(self, section: Section) -> list[Section]:
        """What it calls. A library's section may hold several functions that call each other: its frame is the sum."""
        elsewhere = (target for target in self.targets(section, self.processor.jumps) if target is not section)
        direct = dict.fromkeys([*self.targets(section, self.processor.calls), *elsewhere])
        if section.part == "library":
            direct.pop(section, None)
        code = self.code[section]
        anywhere = code.indirect or (code.jumping and not self._has_table(section))
        return list(direct) + (self.pointed if anywhere else [])

    def _has_table(self, section: Section) -> bool:
        """Whether it reads a table of places within itself, by which it then jumps: libgcc has such functions."""
        read = (self.image.target(section, reference) for reference in section.references)
        tables = (table for table in read if table and table.member is section.member and not table.code)
        return any(self.image.target(table, entry) is section for table in tables for entry in table.references)

    def _frame(self, section: Section) -> int:
        """What the code takes, by the compiler's figure where it is larger: a big frame is taken by a register."""
        code, name = self.code[section], section.function
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


def frames(member: Member) -> Mapping[str, int]:
    """Bytes by function: clang's figures in an object of ours, or the file that gcc wrote beside it."""
    report = member.path.with_suffix(".su")
    if member.part == "library" or not report.exists():
        return member.frames
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
