"""The trials: what the guest is given, and what it ends with. Each runs in an empty folder, gives the exit code and
what the guest's console showed, and raises CyberHansError where there is no guest."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np

from conftest import ROOT
from cyberhans.blank import blank_image
from cyberhans.boards import board, compiler_version
from cyberhans.build import Build, build
from cyberhans.detector import Detector
from cyberhans.hil.tracking import digest_of, save_baseline
from cyberhans.recording import Recording, save_recording
from hil.suite import PER_PAIR, PER_SOURCE, learn
from hil.usb.kernel import kernel
from hil.usb.machine import run

RATE_HZ, CHANNELS, FRAMES = 16_000, 3, 1_000_000  # longer than what is recorded: no part of it stands twice
CAPTURE_SECONDS, SUITE_SECONDS, BUILD_SECONDS = 150.0, 300.0, 300.0
WINDOW = 1024  # sample frames of the suite's detector
SOAK = 30  # windows
TESTS = PER_PAIR + 2 * PER_SOURCE  # of golden and adversarial windows: a gaussian has no floats
SENSOR = shlex.quote(str(Path(__file__).with_name("sensor")))
MAP = f"""\
[usb]
url = "1209:0001:CH-0001"
board = "native"
reset = "sh {SENSOR} reset"
"""
COSTS = "test_costs.py::test_costs_are_no_worse_than_before"
FLASH = f'flash = "sh {SENSOR} flash {{elf}}"\n'


def capture_trial(folder: Path) -> tuple[int, str]:
    """A capture over USB, unplugged three times."""
    folder = folder.resolve()
    random = np.random.default_rng(1)
    samples = random.integers(-20_000, 20_000, (FRAMES, CHANNELS), np.int16)
    save_recording(Recording(samples=samples, rate_hz=RATE_HZ, axes=("x", "y", "z")), folder / "source.wav")
    shutil.copy(blank_image("native"), folder / "firmware")
    return run(kernel(), folder, _program(folder, ["-m", "hil.usb.guest", str(folder)]), CAPTURE_SECONDS)


def suite_trial(folder: Path, whole: bool) -> tuple[int, str]:
    """The suite that ships, on the device behind the cable; the report and the log of packets are left in folder/log.

    whole: every test; the suite builds the image in the guest, which takes it minutes, and flashes it. Else the device
    holds the image already, so its costs are not told, and that one test is left out.
    """
    folder = folder.resolve()
    detector = learn("gaussian", folder, WINDOW)
    made = _prepare(detector, folder)
    (folder / "devices.toml").write_text(MAP + FLASH * whole)
    suite = [
        "-m", "pytest", "-v", "--tb=short", "--color=no", "--durations=10", "-p", "no:cacheprovider",
        "--pyargs", "cyberhans.hil.suite", "--hil-map=devices.toml", f"--detector={detector.folder}", "--hil-require",
        f"--hil-soak={SOAK}", "--hil-log-dir=log", "--hil-baseline=baseline.json",
    ]  # fmt: skip
    if whole:
        program, seconds = _program(folder, [*suite, f"--hil-count={TESTS}"]), SUITE_SECONDS + BUILD_SECONDS
    else:
        flashed = f"cd {shlex.quote(str(folder))} && sh {SENSOR} flash {shlex.quote(str(made.image))} || exit 1\n"
        less = [f"--deselect={COSTS}", f"--hil-count={TESTS - 1}"]
        program, seconds = flashed + _program(folder, [*suite, *less]), SUITE_SECONDS
    return run(kernel(), folder, program, seconds)


def _prepare(detector: Detector, folder: Path) -> Build:
    """What the guest would take long to compile, and the sizes that it has to find when it builds the image itself."""
    native = board("native")
    assert detector.folder
    made = build(detector.folder, native.name, folder / "image")
    key = (native.name, detector.folder.name, compiler_version(native))
    figures = {"digest": digest_of(detector), "flash": made.flash_bytes, "ram": made.ram_bytes}
    save_baseline(folder / "baseline.json", {key: figures})
    cache = folder / ".cache" / "cyberhans"
    cache.mkdir(parents=True)
    shutil.copy(detector.core().library, cache)
    return made


def _program(folder: Path, arguments: list[str]) -> str:
    """Of the guest: Python with the project's own modules, in the folder."""
    home, root = shlex.quote(str(folder)), shlex.quote(str(ROOT))
    return (
        f"cd {home} && export PYTHONPATH={root} PYTHONDONTWRITEBYTECODE=1 HOME={home} TMPDIR=/dev/shm\n"
        f"export PATH={shlex.quote(os.environ['PATH'])}\n"  # the compiler's, by which compiled code is known
        f"exec {shlex.join([sys.executable, *arguments])}\n"
    )
