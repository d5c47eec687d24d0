"""From a detector's folder to an image: sizes, refusals, reproducible bytes, and what the image then needs."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray
from small_detector import noise, small_detector, small_spec

from cyberhans import boards
from cyberhans.boards import board
from cyberhans.build import Build, build, cause, image_sizes
from cyberhans.core import firmware_dir
from cyberhans.dataset import load_protocol
from cyberhans.detector import load_detector
from cyberhans.device import open_device
from cyberhans.errors import CyberHansError
from cyberhans.spec import Family, Frame, Spec, band_edges, design
from cyberhans.stack import MARGIN_BYTES, stack_bytes
from cyberhans.train import train

BARE = tuple(row.name for row in boards.boards() if row.bare)
FIRST = ("netduinoplus2", "microbit")  # with and without a floating-point unit: where every board would take too long
SIX_CHANNELS = Spec(20_000_000, 6, 4096, 4096, Family.LEVEL, (Frame(1024, band_edges(1024, 20_000, 16)),))
PAINT = b"\xa5"  # firmware/boards/paint.h
OWNERS = ["core", "model", "tables", "app", "board", "waveform", "library"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small detector's folder; Spec tiny, which fits every board."""
    path = tmp_path_factory.mktemp("build") / "detector"
    small_detector(path, small_spec(size="tiny"))
    return path


class Images(dict[str, Build]):
    """One detector on every board asked for, each built once."""

    def __init__(self, folder: Path, out: Path) -> None:
        self.folder, self.out = folder, out

    def __missing__(self, name: str) -> Build:
        self[name] = build(self.folder, name, self.out / name)
        return self[name]


@pytest.fixture(scope="module")
def images(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Images:
    return Images(folder, tmp_path_factory.mktemp("images"))


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    """The firmware's sources, to be changed."""
    return Path(shutil.copytree(firmware_dir(), tmp_path / "firmware"))


def refusal(*arguments: object, **options: object) -> str:
    """The one line that build() refuses with."""
    with pytest.raises(CyberHansError) as error:
        build(*arguments, **options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    return str(error.value)


def binutils(name: str, tool: str, *arguments: object) -> str:
    """What a GNU tool prints of an image for this board."""
    command = [f"{board(name).toolchain}-{tool}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def with_model(folder: Path, there: Path, text: str) -> Path:
    """The same detector with another model.c, saved as a whole."""
    detector = load_detector(folder)
    replace(detector, model=replace(detector.model, text=text)).save(there)
    return there


# --- what a build tells


@pytest.mark.slow
def test_a_native_build_leaves_one_image_that_runs(folder: Path, tmp_path: Path) -> None:
    made = build(folder, "native", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["firmware.elf"]
    assert made.image == tmp_path / "firmware.elf" and made.stack_bytes is None and made.estimated is None
    with open_device("board:native", image=made.image) as device:
        assert device.info.board == "native"


@pytest.mark.slow
def test_shares_add_up_and_everything_is_json(folder: Path, tmp_path: Path) -> None:
    made = build(folder, "native", tmp_path)
    assert sorted(made.shares) == sorted(OWNERS)
    assert sum(made.shares.values()) == made.flash_bytes and min(made.shares.values()) > 0
    assert json.loads(json.dumps(made.to_dict()))["image"] == str(made.image)
    assert sum(made.ram_shares.values()) == made.ram_bytes and min(made.ram_shares.values()) >= 0
    spec = load_detector(folder).spec
    assert made.ram_shares["core"] == 0 and made.ram_shares["work_memory"] > 2 * spec.longest * spec.channels
    assert made.to_dict()["ram_shares"] == made.ram_shares


@pytest.mark.emulator
@pytest.mark.parametrize("name", BARE)
def test_sizes_are_those_that_binutils_reads(images: Images, name: str) -> None:
    made = images[name]
    listed = binutils(name, "size", "-A", made.image)
    sizes = {row.split()[0]: int(row.split()[1]) for row in listed.splitlines() if row.startswith(".")}
    assert made.flash_bytes == sizes[".text"] + sizes.get(".data", 0)
    assert made.ram_bytes == sizes[".bss"] + sizes.get(".data", 0)
    assert made.stack_bytes == sizes[".stack"] > 0


@pytest.mark.emulator
@pytest.mark.parametrize("name", BARE)
def test_shares_of_flash_are_those_of_the_linked_symbols(images: Images, name: str) -> None:
    """Functions and tables of the core, by name, lie in the core's share; nothing else is that big."""
    made = images[name]
    assert sum(made.shares.values()) == made.flash_bytes and min(made.shares.values()) > 0
    listed = binutils(name, "nm", "-S", made.image)
    rows = [row.split() for row in listed.splitlines() if len(row.split()) == 4]
    named = sum(int(size, 16) for _, size, kind, symbol in rows if kind in "TR" and symbol.startswith("hans_")
                and not re.match(r"hans_(spec|toy|waveform|[0-9a-f]{8}_)", symbol))  # fmt: skip
    assert 0.5 * made.shares["core"] < named <= made.shares["core"]
    work = [int(size, 16) for _, size, kind, symbol in rows if kind in "bB" and symbol == "work"]
    assert [made.ram_shares["work_memory"]] == work and sum(made.ram_shares.values()) == made.ram_bytes
    assert made.ram_shares["core"] == 0 and min(made.ram_shares.values()) >= 0
    waveform = [int(size, 16) for _, size, _, symbol in rows if symbol.startswith("hans_waveform")]
    assert made.shares["waveform"] == sum(waveform)


@pytest.mark.slow
def test_the_waveform_is_the_first_golden_window(folder: Path, tmp_path: Path) -> None:
    """In the image as little-endian int16, at most 2048 sample frames."""
    window = np.load(folder / "golden.npy")[0]
    assert window[:2048].astype("<i2").tobytes() in build(folder, "native", tmp_path / "a").image.read_bytes()
    long = tmp_path / "long"
    small_detector(long, design("small", 3200, 1, 96_000))
    window = np.load(long / "golden.npy")[0]
    image = build(long, "native", tmp_path / "b").image.read_bytes()
    assert len(window) > 2048 and window[:2048].tobytes() in image and window[:2049].tobytes() not in image


# --- the same inputs give the same bytes


@pytest.mark.slow
@pytest.mark.parametrize("name", ["native", *(pytest.param(arm, marks=pytest.mark.emulator) for arm in FIRST)])
def test_images_are_the_same_wherever_they_are_built(folder: Path, tmp_path: Path, name: str) -> None:
    elsewhere = Path(shutil.copytree(folder, tmp_path / "another place" / "of the detector"))
    moved = Path(shutil.copytree(firmware_dir(), tmp_path / "sources"))
    first = build(folder, name, tmp_path / "a").image.read_bytes()
    assert first == build(elsewhere, name, tmp_path / "b, with a comma", firmware=moved).image.read_bytes()
    assert str(tmp_path).encode() not in first and str(firmware_dir()).encode() not in first


@pytest.mark.slow
def test_changed_sources_and_flags_give_another_image(folder: Path, tmp_path: Path, firmware: Path) -> None:
    plain = build(folder, "native", tmp_path / "a").image.read_bytes()
    flagged = build(folder, "native", tmp_path / "b", extra_flags=["-O1"]).image.read_bytes()
    source = firmware / "app" / "app.c"
    source.write_text(source.read_text().replace("Cyber-Hans ", "Clever-Hans "))
    changed = build(folder, "native", tmp_path / "c", firmware=firmware).image.read_bytes()
    assert b"Clever-Hans" in changed and b"Clever-Hans" not in plain and flagged not in (plain, changed)


@pytest.mark.slow
def test_the_compiler_from_pip_builds_the_process(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", f"{sys.executable} -m ziglang cc")
    made = build(folder, "native", tmp_path)
    with open_device("board:native", image=made.image) as device:
        assert device.info.board == "native"


@pytest.mark.emulator
@pytest.mark.parametrize("name", BARE)
def test_the_hex_file_holds_what_the_image_stores(images: Images, tmp_path: Path, name: str) -> None:
    """Intel HEX, read back here by its own rules: the bytes, at their addresses, of the ELF's loadable segments."""
    found: dict[int, int] = {}
    base = 0
    for line in images[name].image.with_suffix(".hex").read_text().splitlines():
        record = bytes.fromhex(line[1:])
        assert line[0] == ":" and len(record) == record[0] + 5 and sum(record) % 256 == 0
        address, kind, data = int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        if kind in (2, 4):
            base = int.from_bytes(data, "big") << (4 if kind == 2 else 16)
        elif kind == 0:
            found.update({base + address + i: byte for i, byte in enumerate(data)})
    stored: dict[int, int] = {}
    with open(images[name].image, "rb") as file:
        for segment in ELFFile(file).iter_segments("PT_LOAD"):
            stored.update({segment["p_paddr"] + i: byte for i, byte in enumerate(segment.data())})
    assert found == stored and len(found) >= images[name].flash_bytes


@pytest.mark.emulator
def test_the_hex_file_is_the_same_each_time_and_never_that_of_another_image(
    folder: Path, images: Images, tmp_path: Path
) -> None:
    build(folder, "microbit", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["firmware.elf", "firmware.hex"]
    made = (tmp_path / "firmware.hex").read_bytes()
    assert made == images["microbit"].image.with_suffix(".hex").read_bytes()
    build(folder, "native", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["firmware.elf"]


# --- refusals


def test_an_unknown_board_is_refused(folder: Path, tmp_path: Path) -> None:
    assert "did you mean microbit?" in refusal(folder, "microbitt", tmp_path)


def test_a_folder_that_is_no_detector_is_refused(folder: Path, tmp_path: Path) -> None:
    assert "cyberhans train" in refusal(tmp_path, "native", tmp_path / "out")
    partial = Path(shutil.copytree(folder, tmp_path / "partial"))
    (partial / "model.c").unlink()
    assert "model.c: No such file" in refusal(partial, "native", tmp_path / "out")


@pytest.mark.parametrize("name", ["model.c", "tables.c", "detector.c", "detector.h", "golden.npy"])
def test_a_folder_that_was_changed_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    changed = Path(shutil.copytree(folder, tmp_path / "changed"))
    (changed / name).write_bytes((changed / name).read_bytes() + b"\n")
    assert f"{name}: has changed since training" in refusal(changed, "native", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_place_that_cannot_be_written_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    assert "file/x: cannot be written: Not a directory; choose another --out" in refusal(
        folder, "native", tmp_path / "file" / "x"
    )
    (tmp_path / "out" / "firmware.elf" / "precious").mkdir(parents=True)
    assert "firmware.elf: cannot be written: Is a directory" in refusal(folder, "native", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["firmware.elf"]


@pytest.mark.parametrize(("name", "remedy"), [("native", "apt install gcc"), ("microbit", "libnewlib-arm-none-eabi")])
def test_without_a_compiler_the_line_to_run_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, remedy: str
) -> None:
    monkeypatch.setattr(boards, "compiler", lambda row, name: [])
    told = refusal(folder, name, tmp_path)
    assert told.startswith(f"cannot build for {name}: ") and remedy in told


@pytest.mark.slow
def test_a_compile_error_is_one_line_with_its_place(folder: Path, tmp_path: Path) -> None:
    broken = with_model(folder, tmp_path / "broken", '#error "made for another version of the core"\n')
    told = refusal(broken, "native", tmp_path / "out")
    assert "model.c:1" in told and "made for another version" in told
    assert not list((tmp_path / "out").iterdir())


FAILED = """\
[1/21] Building C object CMakeFiles/core.dir/core/a.c.o
[2/21] Building C object CMakeFiles/core.dir/core/b.c.o
FAILED: CMakeFiles/core.dir/core/b.c.o
/usr/bin/cc -DNAME=exceed -o b.c.o -c b.c
{said}[3/21] Building C object CMakeFiles/core.dir/core/c.c.o
ninja: build stopped: subcommand failed.
"""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("b.c: In function f:\nb.c:3:1: error: no x\nb.c:4:1: error: no y\n", "b.c:3:1: error: no x"),
        ("b.c:3:1: warning: odd\ncc: unknown option -q\n", "cc: unknown option -q"),
        ("", "FAILED: CMakeFiles/core.dir/core/b.c.o: no message"),
    ],
)
def test_the_line_is_the_compilers_and_not_ninjas(said: str, expected: str) -> None:
    assert cause(FAILED.format(said=said)) == expected


@pytest.mark.slow
def test_a_compiler_that_fails_in_its_own_words_is_quoted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken-cc"
    broken.write_text("#!/bin/sh\necho first; echo 'licence expired' >&2; exit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    assert refusal(folder, "native", tmp_path / "out") == "the firmware does not build: licence expired"


def test_a_compiler_with_bad_quotes_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", '"gcc')
    assert 'CC="gcc: No closing quotation' in refusal(folder, "native", tmp_path)


@pytest.mark.slow
def test_a_link_error_names_the_symbol(folder: Path, tmp_path: Path, firmware: Path) -> None:
    source = firmware / "app" / "main.c"
    source.write_text(
        source.read_text().replace("int main(void)\n{", "void nowhere(void);\nint main(void)\n{\n    nowhere();")
    )
    assert "nowhere" in refusal(folder, "native", tmp_path / "out", firmware=firmware)


@pytest.mark.emulator
def test_a_detector_too_large_for_the_ram_is_refused_before_linking(tmp_path: Path) -> None:
    """Six channels of 1024-sample frames: 12 KiB of samples, much more with the sums."""
    small_detector(tmp_path / "detector", SIX_CHANNELS)
    told = refusal(tmp_path / "detector", "microbit", tmp_path / "out")
    needed = re.match(r"detector needs ([\d,]+) bytes of RAM, microbit has 16,384: work memory ([\d,]+), ", told)
    assert needed, told
    total, work = (int(number.replace(",", "")) for number in needed.groups())
    assert total > 16_384 and 12_288 < work < total
    assert re.search(r"stack \d", told) and "--spec small" in told
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.emulator
def test_the_same_detector_fits_the_larger_board(tmp_path: Path) -> None:
    small_detector(tmp_path / "detector", SIX_CHANNELS)
    assert build(tmp_path / "detector", "netduinoplus2", tmp_path / "out").ram_bytes > 16_384


@pytest.mark.emulator
def test_a_model_too_large_for_the_flash_is_refused_before_linking(folder: Path, tmp_path: Path) -> None:
    model = (folder / "model.c").read_text().replace("    return 0;", "    return weights[features[0] & 1];")
    large = with_model(folder, tmp_path / "large", "static const int weights[70000] = {1, 2};\n" + model)
    told = refusal(large, "microbit", tmp_path / "out")
    assert re.match(
        r"detector needs 3\d\d,\d{3} bytes of flash, microbit has 262,144: model 28\d,\d{3}, core ", told
    ), told


# --- the estimate against the linker


@pytest.fixture(scope="module")
def trained(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each kind of detector, trained on a demo machine, of a size that fits every board."""
    protocol = load_protocol(demo_folder, "pump")
    first = protocol.train[0]
    spec = design("tiny", first.rate_hz, first.samples.shape[1], first.segment_len)
    folders = {}
    for kind in ("gaussian", "autoencoder", "forest", "trees"):
        folders[kind] = tmp_path_factory.mktemp(kind)
        train(protocol.train, kind=kind, spec=spec, false_alarm_rate=0.02, seed=0, uncalibrated=True).save(
            folders[kind]
        )
    return folders


@pytest.fixture(scope="module")
def learnt(trained: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Images]:
    """Those detectors on every board asked for."""
    return {kind: Images(folder, tmp_path_factory.mktemp(f"{kind}-images")) for kind, folder in trained.items()}


@pytest.fixture(scope="module")
def demo_folder() -> Path:
    return Path(__file__).resolve().parent.parent / "recordings" / "demo"


@pytest.mark.emulator
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [*itertools.product(FIRST, ("gaussian", "forest")), *((name, "autoencoder") for name in BARE)],
)
def test_the_estimate_is_never_below_and_at_most_a_tenth_above(learnt: dict[str, Images], name: str, kind: str) -> None:
    made = learnt[kind][name]
    assert made.estimated is not None
    for found, estimated in (
        (made.flash_bytes, made.estimated["flash_bytes"]),
        (made.ram_bytes, made.estimated["ram_bytes"]),
    ):
        assert found <= estimated <= 1.1 * found
    assert image_sizes(made.image) == (made.flash_bytes, made.ram_bytes)
    assert made.shares["model"] > 1000


@pytest.mark.emulator
@pytest.mark.slow
def test_no_float_is_computed_in_vectors(learnt: dict[str, Images]) -> None:
    """Helium flushes subnormal floats to zero, which the host does not."""
    command = ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", learnt["autoencoder"]["mps3-an547"].image]
    code = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert not re.findall(r"\bv\w+\.f(?:16|32)\s+q\d.*", code)
    assert re.search(r"\bv\w+\.f32\s+s\d", code)  # it does compute floats


# --- the stack


@pytest.mark.emulator
def test_recursion_is_refused(folder: Path, tmp_path: Path, firmware: Path) -> None:
    """Through two functions, and in a function alone: neither has a bound that the code shows."""
    source = firmware / "app" / "main.c"
    text = source.read_text().replace("app_init();", "app_init();\n    ping(port_ticks());")
    pair = (
        "void ping(uint32_t n);\nvoid pong(uint32_t n);\n"
        "__attribute__((noinline)) void pong(uint32_t n) { if (n) ping(n - port_ticks()); port_sleep(); }\n"
        "__attribute__((noinline)) void ping(uint32_t n) { if (n) pong(n - port_ticks()); port_sleep(); }\n"
    )
    source.write_text(text.replace("int main", pair + "int main"))
    assert re.search(r"the stack has no bound: (ping > pong > ping|pong > ping > pong)",
                     refusal(folder, "microbit", tmp_path / "out", firmware=firmware))  # fmt: skip
    alone = ("__attribute__((noinline)) static void ping(uint32_t n)"
             " { if (n) ping(n - port_ticks()); port_sleep(); }\n")  # fmt: skip
    source.write_text(text.replace("int main", alone + "int main"))
    assert "ping" in refusal(folder, "microbit", tmp_path / "out", firmware=firmware)


@pytest.mark.emulator
def test_an_array_of_variable_length_is_refused(folder: Path, tmp_path: Path, firmware: Path) -> None:
    source = firmware / "app" / "main.c"
    text = source.read_text().replace(
        "app_init();", "app_init();\n    uint8_t room[port_ticks()];\n    port_read(room, sizeof room);"
    )
    source.write_text(text)
    told = refusal(folder, "netduinoplus2", tmp_path / "out", firmware=firmware)
    assert told.startswith("the stack has no bound: main in main.c"), told


@pytest.mark.emulator
def test_a_large_frame_is_counted_in_the_stack(folder: Path, tmp_path: Path, firmware: Path, images: Images) -> None:
    source = firmware / "app" / "main.c"
    text = source.read_text().replace(
        "app_init();", "app_init();\n    volatile uint8_t room[5000];\n    room[0] = room[port_ticks() & 7];"
    )
    source.write_text(text)
    for name in FIRST:
        before, after = images[name].stack_bytes, build(folder, name, tmp_path / name, firmware=firmware).stack_bytes
        assert before is not None and after is not None and 5000 <= after - before <= 5100


@contextlib.contextmanager
def running(made: Build, *options: str) -> Iterator[tuple[str, socket.socket]]:
    """The image in its emulator with a monitor: the URL of its serial port, and the monitor. `options` replace
    -semihosting-config."""
    with socket.create_server(("127.0.0.1", 0)) as line, socket.create_server(("127.0.0.1", 0)) as other:
        command = boards.emulator_command(board(made.board), made.image, line.fileno(), icount=True)
        place = command.index("-monitor")
        monitor = f"socket,id=monitor,fd={other.fileno()},server=on,wait=off"
        command[place : place + 2] = ["-chardev", monitor, "-monitor", "chardev:monitor"]
        place = command.index("-semihosting-config")
        command[place : place + 2] = options or command[place : place + 2]
        url, address = f"socket://127.0.0.1:{line.getsockname()[1]}", other.getsockname()
        emulator = subprocess.Popen(command, pass_fds=[line.fileno(), other.fileno()])
    with emulator:
        try:
            with socket.create_connection(address) as connected:
                yield url, connected
        finally:
            emulator.kill()


def used_stack(made: Build, monitor: socket.socket, file: Path) -> int:
    """The start-up paints the stack, so the lowest byte that has lost its paint shows how deep it has been: read by the
    emulator, not by the firmware."""
    assert made.stack_bytes is not None
    monitor.sendall(f'memsave {board(made.board).ram.origin} {made.stack_bytes} "{file}"\n'.encode())
    for _ in range(100):
        if file.exists() and file.stat().st_size == made.stack_bytes:
            break
        time.sleep(0.05)
    untouched = len(file.read_bytes()) - len(file.read_bytes().lstrip(PAINT))
    return made.stack_bytes - untouched


def deepest_stack(made: Build, windows: NDArray[np.int16], folder: Path) -> int:
    """Bytes of stack used by a replay of the windows by link and by file, and a second of run mode."""
    windows.tofile(folder / "windows.bin")
    with running(made) as (url, monitor), open_device(url) as device:
        assert len(list(device.replay(windows))) == len(windows)
        assert len(list(device.replay_file(folder / "windows.bin", len(windows)))) == len(windows)
        device.run()
        time.sleep(1)
        device.start()
        told = device.memory().stack_used
        used = used_stack(made, monitor, folder / "stack.bin")
    assert told - 4 < used <= told  # it counts whole words
    return used


@pytest.mark.emulator
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "forest") for name in FIRST), *((name, "autoencoder") for name in BARE)]
)
def test_the_stack_in_use_is_what_the_analysis_found(
    trained: dict[str, Path], learnt: dict[str, Images], tmp_path: Path, name: str, kind: str
) -> None:
    """Replay by link and by file, run mode: the deepest stack seen is no deeper, and less by little more than the
    tick's path through a capture, which the analysis adds though the core rests meanwhile."""
    made = learnt[kind][name]
    windows = np.load(trained[kind] / "golden.npy")
    used = deepest_stack(made, windows, tmp_path)
    assert made.stack_bytes is not None
    found = made.stack_bytes - MARGIN_BYTES
    least = 0.7 if name.startswith("virt") else 0.75  # a trap's large frame seldom comes at the deepest moment
    assert least * found <= used <= found, (used, found)


# --- the ports


@pytest.mark.emulator
@pytest.mark.parametrize("name", BARE)
def test_a_file_operation_without_a_debugger_is_an_answer_and_no_crash(
    images: Images, tmp_path: Path, name: str
) -> None:
    """Without semihosting a BKPT is a HardFault; the board must say no, and go on."""
    windows = noise(small_spec(size="tiny"), 2)
    windows.tofile(tmp_path / "windows.bin")
    with running(images[name], "-semihosting-config", "enable=off") as (url, _), open_device(url) as device:
        before = device.info
        with pytest.raises(CyberHansError):
            list(device.replay_file(tmp_path / "windows.bin", len(windows)))
        assert len(list(device.replay(windows))) == len(windows)
        assert device.info.serial == before.serial


@pytest.mark.emulator
@pytest.mark.parametrize("name", BARE)
def test_a_stack_that_is_too_small_does_not_pass_for_a_working_board(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The stack ends where the RAM begins: an overflow faults and restarts instead of changing variables."""
    monkeypatch.setattr("cyberhans.build.stack_bytes", lambda image, row: stack_bytes(image, row) - MARGIN_BYTES - 400)
    for patience in ("cyberhans.device.ANSWER_SECONDS", "cyberhans.exchange.REPEAT_SECONDS"):
        monkeypatch.setattr(patience, (0.3, 0.7, 2.0))  # a board that works answers within the first
    made = build(folder, name, tmp_path)
    with running(made) as (url, _), pytest.raises(CyberHansError), open_device(url) as device:
        list(device.replay(np.load(folder / "golden.npy")))


@pytest.mark.emulator
def test_a_table_that_does_not_fit_is_caught_by_the_linker_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the estimate ever wrong, the linker script still holds the bounds."""
    monkeypatch.setattr("cyberhans.build.refuse_if_too_large", lambda *_: None)
    tiny = replace(board("microbit"), ram=boards.Region(0x2000_0000, 4096))
    monkeypatch.setattr(boards, "board", lambda name: tiny)
    assert "RAM" in refusal(folder, "microbit", tmp_path)
