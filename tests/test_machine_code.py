"""What is read from machine code: single instructions by hand, whole images against what gcc tells of its frames."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_detector import small_detector, small_spec

from cyberhans import boards
from cyberhans.boards import Board
from cyberhans.build import build
from cyberhans.footprint import Footprint
from cyberhans.machine_code import Code, read_riscv, read_thumb
from cyberhans.stack import PASSED_BYTES, PROCESSORS, frames, stack_bytes

THUMB = {  # encodings as GNU as makes them
    "b530": Code(taken=12),  # push {r4, r5, lr}
    "b5ff": Code(taken=36),  # push {r0-r7, lr}
    "b08c": Code(taken=48),  # sub sp, #48
    "e92d4ff0": Code(taken=36),  # push.w {r4-r11, lr}
    "f84ded08": Code(taken=8),  # str.w lr, [sp, #-8]!
    "e96d4504": Code(taken=16),  # strd r4, r5, [sp, #-16]!
    "ed2d8b04": Code(taken=16),  # vpush {d8-d9}
    "ed2d8a01": Code(taken=4),  # vpush {s16}
    "b0c0": Code(taken=256),  # sub sp, #256
    "b0ff": Code(taken=508),  # sub sp, #508
    "f5ad7d00": Code(taken=512),  # sub.w sp, sp, #512
    "f1ad1d01": Code(taken=0x10001),  # sub.w sp, sp, #0x00010001
    "f1ad2d01": Code(taken=0x1000100),  # sub.w sp, sp, #0x01000100
    "f1ad3d01": Code(taken=0x1010101),  # sub.w sp, sp, #0x01010101
    "f6ad0dcc": Code(taken=2252),  # subw sp, sp, #2252
    "b00c": Code(),  # add sp, #48
    "bd30": Code(),  # pop {r4, r5, pc}
    "44a5": Code(computed=True),  # add sp, r4
    "46bd": Code(computed=True),  # mov sp, r7
    "ebad0d03": Code(computed=True),  # sub.w sp, sp, r3
    "4798": Code(indirect=True),  # blx r3
    "4718": Code(indirect=True),  # bx r3
    "4770": Code(),  # bx lr
    "bc084718": Code(),  # pop {r3}; bx r3
    "bc08b0044718": Code(),  # pop {r3}; add sp, #16; bx r3
    "bd084718": Code(indirect=True),  # pop {r3, pc}, a return; bx r3, on another path
    "e8bd80084718": Code(indirect=True),  # the same by pop.w
    "bc0847184718": Code(indirect=True),  # pop {r3}; bx r3; bx r3
    "469f": Code(jumping=True),  # mov pc, r3
    "46f7": Code(),  # mov pc, lr
    "f7fffffe": Code(inner=True),  # bl to itself
    "f04f0000": Code(),  # mov.w r0, #0
}
RISCV = {
    "1141": Code(taken=16),  # c.addi sp, -16
    "0141": Code(),  # c.addi sp, 16
    "7139": Code(taken=64),  # c.addi16sp sp, -64
    "7101": Code(taken=512),  # c.addi16sp sp, -512
    "6105": Code(),  # c.addi16sp sp, 32
    "81010113": Code(taken=2032),  # addi sp, sp, -2032
    "7f010113": Code(),  # addi sp, sp, 2032
    "fc010413": Code(),  # addi s0, sp, -64
    "fc040113": Code(computed=True),  # addi sp, s0, -64
    "40510133": Code(computed=True),  # sub sp, sp, t0
    "9116": Code(computed=True),  # c.add sp, t0
    "8122": Code(computed=True),  # c.mv sp, s0
    "9782": Code(indirect=True),  # c.jalr a5
    "000780e7": Code(indirect=True),  # jalr a5
    "8782": Code(jumping=True),  # c.jr a5
    "00078067": Code(jumping=True),  # jr a5
    "8082": Code(),  # ret
    "00008067": Code(),  # ret, 4 bytes
    "9002": Code(),  # c.ebreak
    "000000ef": Code(inner=True),  # jal ra to itself
    "2001": Code(inner=True),  # c.jal to itself
    "a001": Code(),  # c.j to itself
}


def thumb(text: str) -> bytes:
    """Halfwords as they are written, most significant digit first."""
    return b"".join(int(text[i : i + 4], 16).to_bytes(2, "little") for i in range(0, len(text), 4))


@pytest.mark.parametrize("text", THUMB)
def test_thumb(text: str) -> None:
    assert read_thumb(thumb(text), [], []) == THUMB[text]


@pytest.mark.parametrize("text", RISCV)
def test_riscv(text: str) -> None:
    assert read_riscv(int(text, 16).to_bytes(len(text) // 2, "little"), [], []) == RISCV[text]


def test_calls_that_the_linker_fills_in_stay_not_within() -> None:
    assert read_thumb(thumb("b510f7fffffe"), [], [2]) == Code(taken=8)
    call = bytes.fromhex("97000000e7800000")  # auipc ra; jalr ra
    assert read_riscv(call, [], [0]) == Code()
    assert read_riscv(call, [], []) == Code(indirect=True)


def test_data_between_instructions_is_no_code() -> None:
    assert read_thumb(thumb("b530" + "b5ffb5ff" + "b530"), [(2, 6)], []) == Code(taken=24)
    assert read_thumb(thumb("b530" + "b5ffb5ff" + "b530"), [], []) == Code(taken=96)


@pytest.mark.emulator
@pytest.mark.parametrize("row", [row for row in boards.boards() if row.bare], ids=lambda row: row.name)
def test_frames_are_those_that_gcc_tells(row: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every function of ours: the code takes what gcc says, unless a register moves the stack pointer."""
    if lacking := boards.toolchain_missing(row):
        pytest.skip(lacking)
    seen: list[tuple[int, int]] = []

    def compare(image: Footprint, board: Board) -> int:
        for section in image.kept:
            told = frames(section.member).get(section.function)
            if section.code and told is not None:
                code = PROCESSORS[section.member.machine].read(section.code, section.data, [])
                seen.append((told + PASSED_BYTES if code.computed else code.taken, told))
        return stack_bytes(image, board)

    monkeypatch.setattr("cyberhans.build.stack_bytes", compare)
    small_detector(tmp_path / "detector", small_spec(size="tiny"))
    build(tmp_path / "detector", row.name, tmp_path / "out")
    assert len(seen) > 60
    assert [pair for pair in seen if pair[0] < pair[1]] == []
    assert sum(taken == told for taken, told in seen) > 0.9 * len(seen)
