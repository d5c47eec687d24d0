"""What a board tells of its memory against what the build promised: work memory, stack, and how deep it has been."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from counts import ENDURANCE
from receiver import Receiver
from small_detector import noise, small_detector, small_spec

from cyberhans.alarm import Outcome
from cyberhans.boards import COMPILERS, boards
from cyberhans.build import build
from cyberhans.core import Stage, firmware_dir
from cyberhans.detector import Detector
from cyberhans.device import Device, open_device
from cyberhans.messages import Memory, Option, Trace
from cyberhans.stack import MARGIN_BYTES
from cyberhans.verify import adversarial_windows

pytestmark = [pytest.mark.emulator, pytest.mark.slow]

BARE = tuple(row.name for row in boards() if row.bare)
FIRST = ("microbit", "netduinoplus2", "virt-rv32imac")  # one of each kind of start-up and exception
MORE = 64  # bytes, on top of what is deeper than anything else
BASELINE_SECONDS = 60.0
PAIRS = [(name, compiler) for name in BARE for compiler in COMPILERS if ENDURANCE or compiler == "gcc"]
DEEPER = PAIRS if ENDURANCE else [*((name, "gcc") for name in FIRST), ("microbit", "zig")]
DIG = """\
static volatile uint32_t place;
static __attribute__((noinline)) void dig(void)
{{
    volatile uint32_t room[{words}];
    room[place] = 1;
    place = room[place] - 1;
}}

"""
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    """Spec `tiny`, for the smallest board."""
    return small_detector(tmp_path_factory.mktemp("memory") / "detector", small_spec(size="tiny"))


def exercise(device: Device, detector: Detector, folder: Path) -> None:
    """All that a host can ask for: windows by the link and by a file, a trace, a capture, a re-baselining."""
    windows = np.concatenate((adversarial_windows(detector.spec), detector.golden))
    assert len(list(device.replay(windows, Option.FEATURES | Option.COSTS))) == len(windows)
    windows.tofile(folder / "windows.bin")
    assert len(list(device.replay_file(folder / "windows.bin", len(windows)))) == len(windows)
    assert device.trace(noise(detector.spec, 1)[0], Trace(1, 8, Stage.SPECTRUM, 0)).done
    assert Receiver(device).whole(1000, 500).frames > 0
    device.run()
    device.rebaseline(4)
    deadline = time.monotonic() + BASELINE_SECONDS
    while device.baseline().outcome == Outcome.UNDER_WAY:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "compiler"), PAIRS)
def test_the_memory_is_what_the_build_promised(
    name: str, compiler: str, detector: Detector, tmp_path: Path, record_property: Record
) -> None:
    assert detector.folder
    made = build(detector.folder, name, tmp_path, compiler=compiler)
    with open_device(f"board:{name}", image=made.image) as device:
        first = device.memory()
        exercise(device, detector, tmp_path)
        told = device.memory()
    assert told.work_bytes == made.ram_shares["work_memory"]
    assert made.stack_bytes and told.stack_bytes == made.stack_bytes
    found = made.stack_bytes - MARGIN_BYTES
    assert 0 < first.stack_used <= told.stack_used and found / 2 <= told.stack_used <= found
    record_property(f"worst stack on {name}, {compiler}, of {made.stack_bytes} bytes", told.stack_used)


def memory_with(detector: Detector, name: str, compiler: str, place: Path, deep: int) -> tuple[Memory, int | None]:
    """Of an image that has once taken `deep` bytes, before any interrupt; and the stack that its build promised."""
    assert detector.folder
    firmware = Path(shutil.copytree(firmware_dir(), place / "firmware"))
    main = firmware / "app" / "main.c"
    dig = DIG.format(words=deep // 4)
    text = main.read_text().replace("int main", dig + "int main").replace("port_init();", "dig();\n    port_init();")
    main.write_text(text)
    made = build(detector.folder, name, place, compiler=compiler, firmware=firmware)
    with open_device(f"board:{name}", image=made.image) as device:
        list(device.replay(noise(detector.spec, 2)))
        return device.memory(), made.stack_bytes


@pytest.mark.parametrize(("name", "compiler"), DEEPER)
def test_the_mark_sees_a_deeper_stack_to_the_byte(name: str, compiler: str, detector: Detector, tmp_path: Path) -> None:
    """A function of known size, deeper than all the rest: as much as it grows, the mark and the promise do."""
    assert detector.folder
    plain = build(detector.folder, name, tmp_path / "plain", compiler=compiler).stack_bytes
    assert plain
    deep = -(-plain // 16) * 16
    (told, promised), (more, promised_more) = (
        memory_with(detector, name, compiler, tmp_path / str(size), size) for size in (deep, deep + MORE)
    )
    assert deep <= told.stack_used <= deep + 64 and told.stack_used < told.stack_bytes
    assert more.stack_used - told.stack_used == MORE
    assert (told.stack_bytes, more.stack_bytes) == (promised, promised_more)
