"""What is RISC-V's own: the restart after a fault, and a counter that is exact where instructions are counted."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_detector import noise, small_detector, small_image, small_spec

from cyberhans.boards import board
from cyberhans.build import build
from cyberhans.core import firmware_dir
from cyberhans.device import open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.messages import Option
from cyberhans.stack import MARGIN_BYTES, stack_bytes

pytestmark = [pytest.mark.emulator, pytest.mark.slow]
RISCV = pytest.mark.parametrize("name", ["virt-rv32imac", "virt-rv32imafc"])


@RISCV
def test_a_stack_that_overflows_restarts_the_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The flash below it is but RAM of the emulator: it must be write-protected, and the handler need no stack."""
    monkeypatch.setattr("cyberhans.build.stack_bytes", lambda image, row: stack_bytes(image, row) - MARGIN_BYTES - 208)
    small_detector(tmp_path / "detector")
    made = build(tmp_path / "detector", name, tmp_path / "out")
    with Emulator(board(name), made.image) as running:
        with open_device(running.url) as device, pytest.raises(CyberHansError):
            list(device.replay(np.load(tmp_path / "detector" / "golden.npy")))
        with open_device(running.url) as device:
            assert device.info.board == name


@pytest.mark.parametrize(
    "fault", ["__builtin_trap()", '__asm volatile("ebreak")', "*(volatile uint32_t *)0x80000000u = 0"]
)
def test_whatever_is_unexpected_restarts_the_board(tmp_path: Path, fault: str) -> None:
    """A fault in the middle of a window: the board answers again, and has forgotten the first half."""
    firmware = Path(shutil.copytree(firmware_dir(), tmp_path / "firmware"))
    source = firmware / "app" / "main.c"
    counted = f"static int steps;\n            if (++steps == 200)\n                {fault};\n            port_sleep();"
    source.write_text(source.read_text().replace("port_sleep();", counted))
    small_detector(tmp_path / "detector")
    made = build(tmp_path / "detector", "virt-rv32imac", tmp_path / "out", firmware=firmware)
    with Emulator(board("virt-rv32imac"), made.image) as running:
        with open_device(running.url) as device, pytest.raises(CyberHansError):
            list(device.replay(noise(small_spec(), 200)))
        with open_device(running.url) as device:
            assert device.info.board == "virt-rv32imac"


def test_an_overrun_while_it_sends_is_counted(tmp_path: Path) -> None:
    """Reading the line status to send clears the overrun: here the port loops 17 zeros back into its FIFO of 16."""
    firmware = Path(shutil.copytree(firmware_dir(), tmp_path / "firmware"))
    source = firmware / "app" / "answer.c"
    plain, byte = "    answer_reply(packet, &info, sizeof info);", "*(volatile uint8_t *)0x1000000"
    overrun = f"""
    static int overruns;
    {byte}1u = 0; /* no interrupt */
    if (overruns++ == 0) {{
        {byte}4u = 16; /* loopback */
        for (int i = 0; i < 17; i++)
            {byte}0u = 0;
        {byte}4u = 0;
    }}
{plain}
    {byte}1u = 1;
"""
    assert plain in source.read_text()
    source.write_text(source.read_text().replace(plain, overrun))
    small_detector(tmp_path / "detector")
    made = build(tmp_path / "detector", "virt-rv32imac", tmp_path / "out", firmware=firmware)
    with open_device("board:virt-rv32imac", image=made.image) as device:
        assert [device.info.lost, device.ask_info().lost, device.ask_info().lost] == [0, 1, 1]


@RISCV
def test_instructions_are_exact_and_time_is_the_hosts(name: str) -> None:
    """Counting, the shortest of some windows takes the same to the instruction; otherwise the timer steps by 100 ns."""
    detector, image = small_image(name)
    windows = np.repeat(noise(detector.spec, 1), 8, axis=0)

    def shortest(counting: bool) -> dict[str, int]:
        with open_device(f"board:{name}", image=image, counting=counting) as device:
            costs = [judged.costs for judged in device.replay(windows, Option.COSTS, credits=1)]
        return {stage: min(getattr(cost, stage) for cost in costs) for stage in ("spectrum", "bands", "score")}

    first = shortest(counting=True)
    assert first == shortest(counting=True)
    assert any(count % 100 for count in first.values())
    assert all(ticks % 100 == 0 for ticks in shortest(counting=False).values())
