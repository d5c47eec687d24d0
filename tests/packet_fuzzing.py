"""Running the fuzzers: libFuzzer on C, Atheris on the Python packet decoder."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from counts import ENDURANCE
from packet_reading import CORE, HARNESS

from cyberhans.protocol import LARGEST_FRAME

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests" / "corpus" / "packets"
SECONDS_PER_INPUT = 5  # a hang; most inputs take less than a millisecond
LARGEST_INPUT = 4096  # bytes: three of the largest packets and some
CLANGS = ("clang", *(f"clang-{version}" for version in range(25, 12, -1)))
FLAGS = ("-std=gnu99", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=fuzzer,address,undefined",
         "-fno-sanitize-recover=all", "-ffp-contract=off")  # fmt: skip
MUTATOR = (HARNESS / "packet_mutator.c", HARNESS / "packet_stream.c")  # parts of every harness
NAMES = ("inputs", "sound", "whole", "frames", "broken")


@dataclass(frozen=True)
class Run:
    """How a fuzzer ended: its last words, and how many inputs it tried; `whole` are those of sound frames alone."""

    status: int
    said: str
    counts: dict[str, int]

    @property
    def per_second(self) -> int:
        found = re.search(r"average_exec_per_sec: *(\d+)", self.said)
        return int(found[1]) if found else 0


def clang() -> str | None:
    """The first clang that comes with libFuzzer."""
    for name in filter(shutil.which, CLANGS):
        source = "int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }"
        command = [name, "-x", "c", "-fsanitize=fuzzer,address,undefined", "-", "-o", os.devnull]
        if subprocess.run(command, input=source.encode(), capture_output=True, check=False).returncode == 0:
            return name
    return None


def needed_clang() -> str:
    return clang() or lacking("no clang with libFuzzer: on Debian 12 install clang-14 and libclang-rt-14-dev")


def lacking(what: str) -> NoReturn:
    """Skip the test, visibly; in CI fail it."""
    if os.environ.get("CYBERHANS_REQUIRE"):
        pytest.fail(what)
    pytest.skip(what)


def place(tmp_path: Path) -> Path:
    """Where a run leaves its program and what is new: after `make endurance` it stays (corpus/packets/README.md)."""
    folder = ROOT / "build" / "fuzz" if ENDURANCE else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def atheris() -> bool:
    return importlib.util.find_spec("atheris") is not None


def arguments(found: Path, seconds: int, seeds: tuple[Path, ...], more: tuple[str, ...]) -> list[str]:
    """What both take. New finds go to `found`; what fails as well."""
    found.mkdir(parents=True, exist_ok=True)
    options = {"max_total_time": seconds, "timeout": SECONDS_PER_INPUT, "max_len": LARGEST_INPUT, "len_control": 0,
               "print_final_stats": 1, "artifact_prefix": f"{found.parent}/{found.name}-"}  # fmt: skip
    return [str(found), *map(str, seeds), *(f"-{name}={value}" for name, value in options.items()), *more]


def build(compiler: str, program: Path, sources: list[Path], include: list[Path], *defines: str) -> Path:
    """Compile for libFuzzer, under the address and undefined-behaviour sanitizers."""
    places = [f"-I{folder}" for folder in (CORE, HARNESS, *include)]
    subprocess.run([compiler, *FLAGS, *defines, *places, *map(str, sources), "-o", str(program)], check=True)
    return program


def fuzz(program: Path, found: Path, seconds: int, seeds: tuple[Path, ...] = (), *more: str) -> Run:
    """Run what build() made; `more` are libFuzzer's own options."""
    done = subprocess.run([str(program), *arguments(found, seconds, seeds, more)], capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    counts = re.search(" ".join(rf"{name} (\d+)" for name in NAMES), said)
    return Run(done.returncode, said, dict(zip(NAMES, map(int, counts.groups()), strict=True)) if counts else {})


def fuzz_c(compiler: str, folder: Path, found: Path, seconds: int, seeds: tuple[Path, ...] = (), *more: str,
           packet_c: Path = CORE / "packet.c") -> Run:  # fmt: skip
    """libFuzzer on `packet_c`; the program is `fuzz` in the folder."""
    sources = [HARNESS / "fuzz_packet.c", packet_c, CORE / "crc.c", *MUTATOR]
    program = build(compiler, folder / "fuzz", sources, [], f"-DLARGEST_FRAME={LARGEST_FRAME}")
    return fuzz(program, found, seconds, seeds, *more)


def fuzz_python(folder: Path, found: Path, seconds: int, seeds: tuple[Path, ...] = (), *more: str,
                packet_c: Path = CORE / "packet.c", package: Path = ROOT) -> Run:  # fmt: skip
    """Atheris on the cyberhans.protocol in the folder `package`, beside `packet_c` and SPEC.md."""
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    told_where = {"PYTHONPATH": os.pathsep.join(paths), "PACKETS_FOLDER": str(folder), "PACKETS_C": str(packet_c)}
    command = [sys.executable, str(ROOT / "tests" / "fuzz_packets.py"), *arguments(found, seconds, seeds, more)]
    done = subprocess.run(command, capture_output=True, check=False, env=os.environ | told_where)
    told = struct.unpack("=5Q", (folder / "counts").read_bytes()) if (folder / "counts").exists() else ()
    words = (done.stdout + done.stderr).decode(errors="replace")
    return Run(done.returncode, words, dict(zip(NAMES, told, strict=False)))
