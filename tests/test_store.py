"""When the firmware's state is written, and what of it is taken after a reset: firmware/app/kept.c by itself, on a port
whose storage fails at will; under the sanitizers."""

from __future__ import annotations

import subprocess
import zlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from watched import SPEC, watched_detector

from cyberhans.alarm import State
from cyberhans.core import core_sources, firmware_dir
from cyberhans.messages import Storage

pytestmark = pytest.mark.slow  # real processes, in real time

FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all")  # fmt: skip
MINUTE = 60 * SPEC.rate_mhz // (SPEC.hop * 1000)  # windows
HOUR = 60 * MINUTE
BY_SCORE = 1  # a reason


class Told(NamedTuple):
    """tries: to write; written: those that succeeded."""

    tries: int
    written: int
    storage: int
    state: int


def windows(count: int, state: State, other: State | None = None, alarmed: int = 0) -> str:
    return f"windows {count} {state:d} {state if other is None else other:d} {alarmed}"


def powered(program: Path, store: Path, *commands: str) -> list[Told]:
    """From one power-on to the next; the first is told before the commands."""
    done = subprocess.run(
        [program, store], input="\n".join(commands), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return [Told(*map(int, line.split())) for line in done.stdout.splitlines()]


def made(folder: Path, uncalibrated: bool = False) -> Path:
    folder.mkdir()
    detector = replace(watched_detector(folder / "calibrated"), uncalibrated=uncalibrated).save(folder / "detector")
    assert detector.folder
    root = firmware_dir()
    sources = [*core_sources(), root / "app" / "kept.c", Path(__file__).parent / "c" / "kept.c"]
    sources += [detector.folder / name for name in ("tables.c", "model.c", "detector.c")]
    include = [f"-I{path}" for path in (root / "core", root / "app", detector.folder)]
    subprocess.run(["gcc", *FLAGS, *include, *map(str, sources), "-o", str(folder / "kept")], check=True)
    return folder / "kept"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("store") / "made")


def test_the_record_is_laid_out_as_specified(program: Path, tmp_path: Path) -> None:
    """SPEC.md section 10.7."""
    store, memory = tmp_path / "store", 88 + 12 * SPEC.features
    assert memory % 8  # so that there is padding
    for before in (b"", b"\xff" * (memory + 4 + 8), b"\xff" * 2000):
        store.write_bytes(before)
        told = powered(program, store, "baseline 305419896", windows(MINUTE, State.NORMAL))
        assert told[-1].written == 1
        record = store.read_bytes()
        assert len(record) == memory + 4 + 8
        assert record[memory:-4] == bytes(4) + (305419896).to_bytes(4, "little")
        assert record[-4:] == zlib.crc32(record[:-4]).to_bytes(4, "little")
        assert record[:4] == zlib.crc32(record[4:memory]).to_bytes(4, "little")


def test_no_flipped_bit_of_the_record_is_resumed(program: Path, tmp_path: Path) -> None:
    """Nor of its token, by which a repeated undo would be done twice."""
    store = tmp_path / "store"
    powered(program, store, "baseline 7", windows(MINUTE, State.NORMAL))
    good = store.read_bytes()
    assert powered(program, store)[0].storage == Storage.RESUMED
    for place in (*range(0, len(good), 23), *range(len(good) - 12, len(good))):
        store.write_bytes(bytes([*good[:place], good[place] ^ 1 << place % 8, *good[place + 1 :]]))
        assert powered(program, store)[0].storage == Storage.REFUSED, place


def test_a_write_that_fails_is_tried_again_after_a_minute(program: Path, tmp_path: Path) -> None:
    """And not with each window."""
    store = tmp_path / "store"

    def alarm(count: int) -> str:
        return windows(count, State.ALARM, alarmed=BY_SCORE)

    told = powered(
        program, store, "fail 1", alarm(1), alarm(MINUTE - 1), alarm(1), alarm(5 * MINUTE), "baseline 7",
        "fail 0", alarm(MINUTE), alarm(MINUTE),
    )  # fmt: skip
    assert [one.tries for one in told] == [0, 0, 1, 1, 2, 7, 7, 7, 8, 8]
    assert {one.storage for one in told[2:-2]} == {Storage.FAILED}
    assert (told[-1].written, told[-1].storage) == (1, Storage.EMPTY)
    begun = powered(program, store)[0]
    assert (begun.storage, begun.state) == (Storage.RESUMED, State.ALARM)


def test_suspicion_that_comes_and_goes_wears_out_no_storage(program: Path, tmp_path: Path) -> None:
    """A state beside these two is written, once a minute at most."""
    store = tmp_path / "store"
    told = powered(
        program,
        store,
        windows(HOUR - 1, State.NORMAL, State.SUSPICIOUS),
        windows(1, State.SUSPICIOUS),
        windows(HOUR - 1, State.NORMAL, State.SUSPICIOUS),
    )
    assert [one.written for one in told] == [0, 0, 1, 1]
    told = powered(program, store, windows(10 * MINUTE, State.SUSPICIOUS, State.IDLE))
    assert [one.written for one in told] == [0, 10]


def test_a_learning_node_tells_no_alarm_whatever_is_stored(tmp_path: Path) -> None:
    program, store = made(tmp_path / "made", uncalibrated=True), tmp_path / "store"
    assert powered(program, store, windows(1, State.LEARNING, alarmed=BY_SCORE))[-1].written == 1
    begun = powered(program, store)[0]  # before its first window
    assert (begun.storage, begun.state) == (Storage.RESUMED, State.LEARNING)
