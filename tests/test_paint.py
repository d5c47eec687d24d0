"""What a device tells of its memory: how paint is counted, the native board, and firmware that does not know it."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_device import fake_device, info_of, replying
from small_detector import noise, small_detector, small_image, small_spec

from cyberhans.blank import blank_image
from cyberhans.build import build
from cyberhans.core import compile_library, firmware_dir
from cyberhans.device import Device, Refused, open_device
from cyberhans.messages import NAK, Capture, Memory, Mode, Nak, Refusal, Request
from cyberhans.protocol import Packet

PAINT = 0xA5A5A5A5
MEASURED = 65_536  # firmware/boards/native/stack.c
SOURCE = """\
#include "paint.h"
uint32_t left(const uint32_t *words, uint32_t bytes)
{
    return paint_left(words, bytes);
}
"""


DIG = """\
static volatile uint32_t place;
static __attribute__((noinline)) void dig(void)
{{
    volatile uint32_t room[{words}];
    for (uint32_t i = 0; i < {words}; i++) {{
        room[i] = 1;
    }}
    place = room[place] - 1;
}}

"""


@pytest.fixture(scope="module")
def left() -> Callable[[list[int], int], int]:
    library = ctypes.CDLL(str(compile_library([SOURCE], [firmware_dir() / "boards"])))
    return lambda words, size: library.left((ctypes.c_uint32 * len(words))(*words), size)


@pytest.mark.parametrize(
    ("words", "size", "expected"),
    [
        ([PAINT] * 4 + [0], 16, 16),  # and no word beyond them is looked at
        ([PAINT, PAINT, 0, PAINT], 16, 8),  # what was not written above the deepest word does not count
        ([0, PAINT, PAINT], 12, 0),
        ([PAINT ^ 1 << 31, PAINT], 8, 0),
        ([PAINT, PAINT ^ 1], 8, 4),
        ([PAINT, PAINT], 7, 4),
        ([PAINT], 0, 0),
    ],
)
def test_paint_is_counted_from_the_far_end(
    left: Callable[[list[int], int], int], words: list[int], size: int, expected: int
) -> None:
    assert left(words, size) == expected


@pytest.fixture
def native() -> Iterator[Device]:
    with open_device("board:native", image=small_image()[1]) as device:
        yield device


def test_a_process_tells_its_memory_in_every_mode(native: Device) -> None:
    """The same twice; and it changes nothing: the stream that is under way goes on."""
    native.start()
    told = native.memory()
    assert (told, native.ask_info().mode) == (native.memory(), Mode.HOST)
    assert told.stack_bytes == 0 and 0 < told.stack_used < MEASURED
    native.request(Request.CAPTURE, Capture(1, 3_200_000, 0, 0, 3, 0, 0).pack())
    capturing = native.memory()
    assert (capturing.work_bytes, native.ask_info().mode) == (told.work_bytes, Mode.CAPTURE)
    native.run()
    running = native.memory()
    assert (running.work_bytes, native.ask_info().mode) == (told.work_bytes, Mode.RUN)
    assert told.stack_used <= capturing.stack_used <= running.stack_used < MEASURED


def test_work_memory_is_what_the_build_told(tmp_path: Path) -> None:
    small_detector(tmp_path / "detector", small_spec(size="tiny"))
    made = build(tmp_path / "detector", "native", tmp_path / "out")
    with open_device("board:native", image=made.image) as device:
        assert device.memory().work_bytes == made.ram_shares["work_memory"]


def test_it_is_told_without_a_detector() -> None:
    with open_device("board:native", image=blank_image("native")) as device:
        assert device.memory().work_bytes > 0


def test_more_windows_take_no_more_stack(native: Device) -> None:
    windows = noise(small_image()[0].spec, 20)
    list(native.replay(windows))
    before = native.memory()
    for _ in range(3):
        list(native.replay(windows))
    assert native.memory() == before


@pytest.mark.slow
def test_a_deeper_stack_is_seen(tmp_path: Path) -> None:
    used = [memory_with(tmp_path / str(size), size).stack_used for size in (20_000, 20_512, 70_000)]
    assert used[1] - used[0] == 512 and abs(used[0] - 20_000) < 256  # the frames between them
    assert used[2] == MEASURED  # as far as it looks


def memory_with(place: Path, size: int) -> Memory:
    """Of a process that once has taken `size` bytes more, below main()."""
    firmware = Path(shutil.copytree(firmware_dir(), place / "firmware"))
    main = firmware / "app" / "main.c"
    deep = DIG.format(words=size // 4)
    text = main.read_text().replace("int main", deep + "int main").replace("app_init();", "dig();\n    app_init();")
    main.write_text(text)
    small_detector(place / "detector")
    with open_device("board:native", image=build(place / "detector", "native", place, firmware=firmware).image) as on:
        return on.memory()


def test_older_firmware_is_named_as_such() -> None:
    """It refuses the request, with the same protocol version."""
    info = info_of(small_image()[0])
    answer = replying(info, lambda packet: [])

    def older(packet: Packet) -> list[Packet]:
        if packet.type == Request.MEMORY:
            return [Packet(NAK, packet.seq, Nak(packet.type, Refusal.UNKNOWN, 0, 0).pack())]
        return list(answer(packet))

    with fake_device(older) as url, open_device(url) as device:
        with pytest.raises(Refused, match=r"refused request 16: .*its firmware is older than this program") as error:
            device.memory()
        assert error.value.code == Refusal.UNKNOWN
