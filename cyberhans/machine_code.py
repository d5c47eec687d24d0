"""What the machine code of a function tells of its stack: Thumb (Armv6-M to Armv8-M) and RV32 with compression.

Only what moves the stack pointer or calls is read; encodings are of the Armv7-M Architecture Reference Manual, chapter
A7, and of The RISC-V Instruction Set Manual, Volume I, chapters 2 and 16.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

RETURN_ADDRESS, STACK_POINTER = 1, 2  # registers ra and sp of RISC-V


@dataclass
class Code:
    """The sum over all instructions, wherever they lie."""

    taken: int = 0  # bytes taken off the stack pointer
    computed: bool = False  # the stack pointer is moved by a register
    indirect: bool = False  # there is a call or jump through a register
    jumping: bool = False  # there is a jump through a register that may be one by a table
    inner: bool = False  # there is a call that stays within the section


def read_thumb(code: bytes, data: Sequence[tuple[int, int]], relocated: Collection[int]) -> Code:
    """`data`: (first, end) of what is no code; `relocated`: places where the linker puts an address."""
    found, popped = Code(), 0
    for place, first, second in _halfwords(code, data, _thumb_is_long):
        found.taken += _thumb_taken(first, second)
        found.computed |= _thumb_computes(first, second)
        popped = _thumb_popped(first, second) or popped
        register = first >> 3 & 15
        if first & 0xFF87 == 0x4780:  # BLX
            found.indirect = True
        elif first & 0xFF87 == 0x4700:  # BX; `pop {r3}; bx r3` is a return
            found.indirect |= register != 14 and not popped >> register & 1
            popped = 0
        elif first & 0xFF87 == 0x4687 and register != 14:  # MOV pc
            found.jumping = True
        elif popped & 1 << 15:  # a return: what follows is another path
            popped = 0
        elif first & 0xF800 == 0xF000 and second & 0xD000 == 0xD000:  # BL
            found.inner |= place not in relocated
    return found


def _thumb_is_long(first: int) -> bool:
    return first >> 11 in (0b11101, 0b11110, 0b11111)


def _thumb_taken(first: int, second: int) -> int:
    if first & 0xFE00 == 0xB400:  # PUSH
        return 4 * (first & 0x1FF).bit_count()
    if first & 0xFF80 == 0xB080:  # SUB sp, #
        return 4 * (first & 0x7F)
    if first == 0xE92D:  # PUSH.W, STMDB sp!
        return 4 * second.bit_count()
    if first == 0xF84D and second & 0x0F00 == 0x0D00:  # STR [sp, #-n]!
        return second & 0xFF
    if first == 0xE96D or (first & 0xFFBF == 0xED2D and second & 0x0E00 == 0x0A00):  # STRD [sp, #-n]!, VPUSH
        return 4 * (second & 0xFF)
    if first & 0xFBFF == 0xF2AD and second & 0x8F00 == 0x0D00:  # SUBW sp, sp, #
        return _immediate(first, second)
    if first & 0xFBEF == 0xF1AD and second & 0x8F00 == 0x0D00:  # SUB.W sp, sp, #
        return _expanded(_immediate(first, second))
    return 0


def _immediate(first: int, second: int) -> int:
    return (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF


def _expanded(immediate: int) -> int:
    """A5.3.2, "Modified immediate constants in Thumb instructions"."""
    byte, form = immediate & 0xFF, immediate >> 8
    if form < 4:
        return byte * (0x1, 0x10001, 0x1000100, 0x1010101)[form]
    return (0x80 | immediate & 0x7F) << 32 >> (immediate >> 7) & 0xFFFFFFFF


def _thumb_computes(first: int, second: int) -> bool:
    """ADD sp, r; MOV sp, r; SUB.W and ADD.W sp, sp, r."""
    return first & 0xFF87 in (0x4485, 0x4685) or (first & 0xFFEF in (0xEBAD, 0xEB0D) and second & 0x0F00 == 0x0D00)


def _thumb_popped(first: int, second: int) -> int:
    """Registers that POP takes, as bits; 0 where it is none."""
    if first & 0xFE00 == 0xBC00:
        return (first & 0x100) << 7 | first & 0xFF
    return second if first == 0xE8BD else 0


def read_riscv(code: bytes, data: Sequence[tuple[int, int]], relocated: Collection[int]) -> Code:
    """As read_thumb(). AUIPC and JALR are one call, relocated at the first."""
    found = Code()
    for place, first, second in _halfwords(code, data, _riscv_is_long):
        if _riscv_is_long(first):
            _riscv_long(found, second << 16 | first, {place, place - 4} & set(relocated))
        else:
            _riscv_short(found, first, place in relocated)
    return found


def _riscv_is_long(first: int) -> bool:
    return first & 3 == 3


def _riscv_long(found: Code, word: int, relocated: Collection[int]) -> None:
    target, source, kind = word >> 7 & 31, word >> 15 & 31, word & 0x707F
    if kind == 0x13 and target == STACK_POINTER and source == STACK_POINTER:  # addi sp, sp, n
        found.taken += max(0, -_signed(word >> 20, 12))
    elif (kind == 0x13 or word & 0x7F == 0x33) and target == STACK_POINTER:  # addi sp, r, n; add, sub sp, r, r
        found.computed = True
    elif kind == 0x67 and not relocated and target == 0:  # jr, ret
        found.jumping |= source != RETURN_ADDRESS
    elif kind == 0x67 and not relocated:  # jalr
        found.indirect = True
    elif word & 0xFFF == 0xEF and not relocated:  # jal ra
        found.inner = True


def _riscv_short(found: Code, word: int, relocated: bool) -> None:
    target, source = word >> 7 & 31, word >> 2 & 31
    if word & 0xEF83 == 0x6101:  # c.addi16sp
        bits = ((12, 9), (6, 4), (5, 6), (4, 8), (3, 7), (2, 5))  # where each lies, and of what value
        found.taken += max(0, -_signed(sum((word >> place & 1) << value for place, value in bits), 10))
    elif word & 0xEF83 == 0x0101:  # c.addi sp, n
        found.taken += max(0, -_signed((word >> 12 & 1) << 5 | source, 6))
    elif word & 0xEF83 == 0x8102 and source:  # c.mv sp, r; c.add sp, r
        found.computed = True
    elif word & 0xF07F == 0x8002:  # c.jr
        found.jumping |= target != RETURN_ADDRESS
    elif word & 0xF07F == 0x9002 and target:  # c.jalr
        found.indirect = True
    elif word & 0xE003 == 0x2001 and not relocated:  # c.jal
        found.inner = True


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _halfwords(
    code: bytes, data: Sequence[tuple[int, int]], is_long: Callable[[int], bool]
) -> Iterator[tuple[int, int, int]]:
    """(place, first, second) halfword of each instruction; second is 0 in a short one."""
    place = 0
    while place + 2 <= len(code):
        end = next((end for first, end in data if first <= place < end), None)
        if end is not None:
            place = end
            continue
        first = int.from_bytes(code[place : place + 2], "little")
        long = is_long(first)
        yield place, first, int.from_bytes(code[place + 2 : place + 4], "little") if long else 0
        place += 4 if long else 2
