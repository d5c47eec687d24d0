"""The options of the plugin, and what they name: devices, detectors, sources of windows, where evidence goes.

All of it is looked at before the first test, so that what is wrong is told at once. Nothing heavy is imported before a
device is asked for.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib.util
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cyberhans.errors import CyberHansError

if TYPE_CHECKING:
    from cyberhans.detector import Detector
    from cyberhans.hil.hil_map import Entry
    from cyberhans.hil.sources import Source

NO_DEVICE = "no device: give --device URL, as board:native, or --hil-map devices.toml"
NO_DETECTOR = "no detector: give --detector FOLDER, made by `cyberhans train`"
Pair = tuple["Entry", "Detector"]


def add_options(parser: pytest.Parser) -> None:
    """To pytest's command line."""
    group = parser.getgroup("hil", "hardware in the loop (cyberhans)")
    group.addoption("--device", action="append", default=[], metavar="URL", dest="hil_devices",
                    help="pyserial URL, board:NAME, VID:PID:SERIAL, or id of the map; repeatable")  # fmt: skip
    group.addoption("--detector", action="append", default=[], metavar="FOLDER", dest="hil_detectors",
                    help="what the device holds, or what is built for it; repeatable")  # fmt: skip
    group.addoption("--hil-map", metavar="FILE", help="devices.toml: the devices of the bench by their ids")
    group.addoption("--hil-require", action="store_true", help="a skipped test is a failure")
    group.addoption("--hil-count", type=_count, metavar="N", help="fail unless exactly N tests of devices have run")
    group.addoption("--hil-recordings", metavar="PATH", help="a WAV file or a folder of them, to be sent as well")
    group.addoption(
        "--hil-windows", type=_count, default=20, metavar="N", help="windows of each recording, at most (20)"
    )
    group.addoption("--hil-soak", type=_count, metavar="N", help="windows of the soak (200; on a slow line less)")
    group.addoption("--hil-compiler", default="gcc", metavar="NAME", help="for board:NAME: gcc or zig")
    group.addoption("--hil-image", metavar="FILE", help="for board:NAME: run this image instead of building one")
    group.addoption("--hil-log-dir", metavar="DIR", help="report.html and a log of every packet go there")
    group.addoption("--hil-baseline", metavar="FILE", default="hil/baseline.json", help="figures of earlier runs")
    group.addoption("--update-baseline", action="store_true", help="write this run's figures to that file")


def _count(text: str) -> int:
    """Of tests or windows: at least one."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number of 1 or more")
    return int(text)


def check(config: pytest.Config) -> None:
    """Raises CyberHansError: one of the options names what is not there, or what cannot be."""
    pairs(config)
    for detector in detectors(config):
        sources_of(config, detector)
    if entries(config) and not hasattr(config, "workerinput"):
        _check_evidence(config)


@functools.cache
def entries(config: pytest.Config) -> list[Entry]:
    """The devices of this run. Raises CyberHansError."""
    asked, path = config.getoption("hil_devices"), config.getoption("hil_map")
    if not asked and not path:
        return []
    from cyberhans.hil.hil_map import chosen, load_map

    found = chosen(asked, load_map(path) if path else {}, config.getoption("hil_compiler"))
    if stated := image(config):
        _check_image(stated, found)
    return found


def _check_image(stated: Path, found: list[Entry]) -> None:
    if not all(entry.emulated for entry in found):
        raise CyberHansError("--hil-image goes with --device board:NAME; a device behind a port runs what it holds")
    if len(boards := sorted({entry.board for entry in found})) > 1:
        raise CyberHansError(f"--hil-image is of one board, and {', '.join(boards)} are asked for: one run for each")
    if not stated.is_file():
        raise CyberHansError(f"--hil-image {stated}: no such file; make it by: cyberhans build DETECTOR --board NAME")


@functools.cache
def detectors(config: pytest.Config) -> list[Detector]:
    """Those of this run; none without a device. Raises CyberHansError."""
    folders = config.getoption("hil_detectors")
    if not folders or not entries(config):
        return []
    from cyberhans.detector import load_detector
    from cyberhans.hil.hil_map import NAME

    found = [load_detector(Path(folder).resolve()) for folder in folders]
    names = [detector_name(detector) for detector in found]
    if strange := next((name for name in names if not NAME.fullmatch(name)), None):
        raise CyberHansError(f"--detector {strange!r}: tests are named after the folder: rename it, with "
                             "A to Z, a to z, 0 to 9, _ . - alone")  # fmt: skip
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise CyberHansError(f"--detector: two folders are called {twice}, after which tests are named: rename one")
    return found


@functools.cache
def pairs(config: pytest.Config) -> dict[str, Pair]:
    """Each device with each detector, by the name that their tests have in common. Raises CyberHansError: two that
    cannot be told apart by it, such as pump with 2-fan and pump-2 with fan."""
    found = [(pair_name(*pair), pair) for pair in itertools.product(entries(config), detectors(config))]
    for (one, (entry, _)), (other, (another, detector)) in itertools.permutations(found, 2):
        if entry is not another and f"{other}-".startswith(f"{one}-"):
            raise CyberHansError(f"device {another.id} with detector {detector_name(detector)} cannot be told from "
                                 f"device {entry.id}: both tests are called {one}: rename one")  # fmt: skip
    return dict(found)


@functools.cache
def sources_of(config: pytest.Config, detector: Detector) -> list[Source]:
    """Where the windows of tests of this detector come from. Raises CyberHansError."""
    from cyberhans.hil.sources import sources

    return sources(detector, config.getoption("hil_recordings"), config.getoption("hil_windows"))


def detector_name(detector: Detector) -> str:
    """Its folder's: what tests are named after."""
    assert detector.folder
    return detector.folder.name


def pair_name(entry: Entry, detector: Detector) -> str:
    """What the tests of a device with a detector are named after, and its log."""
    return f"{entry.id}-{detector_name(detector)}"


def why_absent(config: pytest.Config) -> str:
    """Why there is no pair: the reason of skipped tests."""
    if entries(config):
        return NO_DETECTOR
    if path := config.getoption("hil_map"):
        return f"no device of {path} is connected: ask for one by --device ID, or say connected = true"
    return NO_DEVICE


def tested(config: pytest.Config) -> list[str]:
    """A line for each device with each detector, for people: what it is, and what cannot be tried on it."""
    stated = image(config)
    what = f", image {stated} (SHA-256 {hashlib.sha256(stated.read_bytes()).hexdigest()[:16]})" if stated else ""
    return [
        f"{name}: {entry.url or entry.start}, {detector.kind} {detector.digest.hex()[:16]}{what}"
        + (", learning: it never alarms, so that the states normal to alarm are not tried" * detector.uncalibrated)
        for name, (entry, detector) in pairs(config).items()
    ]


def image(config: pytest.Config) -> Path | None:
    """--hil-image."""
    stated = config.getoption("hil_image")
    return config.invocation_params.dir / stated if stated else None


def log_dir(config: pytest.Config) -> Path | None:
    """--hil-log-dir."""
    stated = config.getoption("hil_log_dir")
    return config.invocation_params.dir / stated if stated else None


def baseline(config: pytest.Config) -> Path:
    """--hil-baseline."""
    return config.invocation_params.dir / str(config.getoption("hil_baseline"))


def _check_evidence(config: pytest.Config) -> None:
    """What is written when all tests have run can be written."""
    if folder := log_dir(config):
        if not importlib.util.find_spec("jinja2"):
            raise CyberHansError("--hil-log-dir: the report needs jinja2: pip install jinja2")
        _check_place("--hil-log-dir", folder / "report.html")
    if config.getoption("update_baseline"):
        from cyberhans.hil.tracking import load_baseline

        _check_place("--hil-baseline", baseline(config))
        load_baseline(baseline(config))


def _check_place(option: str, path: Path) -> None:
    """A file may be written there; its folder is made if need be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            if path.is_dir():
                raise IsADirectoryError(0, "is a folder")
    except OSError as wrong:
        raise CyberHansError(f"{option}: {path} cannot be written: {wrong.strerror}; choose another place") from None
