"""The pytest plugin: options, the fixtures `hil_...`, and tests for each device x detector x recording.

A test that asks for `hil_station` runs once for each device and detector; one that asks for `hil_windows` too, for the
golden windows, the adversarial ones and each recording. Without --device or --hil-map they are skipped. Nothing heavy
is imported before a device is asked for: pytest loads this file wherever Cyber-Hans is installed.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cyberhans.errors import CyberHansError

if TYPE_CHECKING:
    from cyberhans.detector import Detector
    from cyberhans.device import Device
    from cyberhans.hil.hil_map import Entry
    from cyberhans.hil.sources import Source
    from cyberhans.hil.station import Station

NO_DEVICE = "no device: give --device URL, as board:native, or --hil-map devices.toml"
NO_DETECTOR = "no detector: give --detector FOLDER, made by `cyberhans train`"
Record = Callable[[str, object], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hil", "hardware in the loop (cyberhans)")
    group.addoption("--device", action="append", default=[], metavar="URL", dest="hil_devices",
                    help="pyserial URL, board:NAME, VID:PID:SERIAL, or id of the map; repeatable")  # fmt: skip
    group.addoption("--detector", action="append", default=[], metavar="FOLDER", dest="hil_detectors",
                    help="what the device holds, or what is built for it; repeatable")  # fmt: skip
    group.addoption("--hil-map", metavar="FILE", help="devices.toml: the devices of the bench by their ids")
    group.addoption("--hil-require", action="store_true", help="a skipped test is a failure")
    group.addoption("--hil-count", type=int, metavar="N", help="fail unless exactly N tests of devices have run")
    group.addoption("--hil-recordings", metavar="PATH", help="a WAV file or a folder of them, to be sent as well")
    group.addoption("--hil-windows", type=int, default=20, metavar="N", help="windows of each recording, at most (20)")
    group.addoption("--hil-soak", type=int, metavar="N", help="windows of the soak (200; on a slow line less)")
    group.addoption("--hil-compiler", default="gcc", metavar="NAME", help="for board:NAME: gcc or zig")
    group.addoption("--hil-image", metavar="FILE", help="for board:NAME: run this image instead of building one")
    group.addoption("--hil-log-dir", metavar="DIR", help="report.html and a log of every packet go there")
    group.addoption("--hil-baseline", metavar="FILE", default="hil/baseline.json", help="figures of earlier runs")
    group.addoption("--update-baseline", action="store_true", help="write this run's figures to that file")


def pytest_configure(config: pytest.Config) -> None:
    """Bad options end the run at once, with one line."""
    config.addinivalue_line("markers", "hil: runs on a device (set by the plugin of cyberhans)")
    try:
        _entries(config), _detectors(config)
    except CyberHansError as wrong:
        raise pytest.UsageError(str(wrong)) from None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With -n N of pytest-xdist: devices run side by side, each on one worker."""
    if not (entries := _entries(config)):
        return None
    from cyberhans.hil.workers import ByDevice

    return ByDevice([entry.id for entry in entries], config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "hil_station" not in metafunc.fixturenames:
        return
    pairs = [(entry, detector) for entry in _entries(metafunc.config) for detector in _detectors(metafunc.config)]
    windows = "hil_windows" in metafunc.fixturenames
    names = ["hil_station", *["hil_windows"] * windows]
    rows = [_row(metafunc.config, pair, windows) for pair in pairs]
    given = [value for row in rows for value in row] or [_absent(metafunc.config, len(names))]
    metafunc.parametrize(names, given, indirect=True, scope="session")


def _row(config: pytest.Config, pair: tuple[Entry, Detector], windows: bool) -> Iterator[Any]:
    """Parameters of one device with one detector."""
    entry, detector = pair
    name = f"{entry.id}-{detector_name(detector)}"
    if not windows:
        yield pytest.param(pair, id=name)
        return
    for source in _sources(config, detector):
        yield pytest.param(pair, source, id=f"{name}-{source.name}")


def _absent(config: pytest.Config, count: int) -> Any:
    reason = NO_DEVICE if not _entries(config) else NO_DETECTOR
    return pytest.param(*[None] * count, id="none", marks=pytest.mark.skip(reason=reason))


@functools.cache
def _entries(config: pytest.Config) -> list[Entry]:
    asked, path = config.getoption("hil_devices"), config.getoption("hil_map")
    if not asked and not path:
        return []
    from cyberhans.hil.hil_map import chosen, load_map

    found = chosen(asked, load_map(path) if path else {}, config.getoption("hil_compiler"))
    if config.getoption("hil_image") and not all(entry.emulated for entry in found):
        raise CyberHansError("--hil-image goes with --device board:NAME; a device behind a port runs what it holds")
    return found


@functools.cache
def _detectors(config: pytest.Config) -> list[Detector]:
    folders = config.getoption("hil_detectors")
    if not folders or not _entries(config):
        return []
    from cyberhans.detector import load_detector

    found = [load_detector(Path(folder).resolve()) for folder in folders]
    names = [detector_name(detector) for detector in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise CyberHansError(f"--detector: two folders are called {twice}, after which tests are named: rename one")
    return found


@functools.cache
def _sources(config: pytest.Config, detector: Detector) -> list[Source]:
    from cyberhans.hil.sources import sources

    try:
        return sources(detector, config.getoption("hil_recordings"), config.getoption("hil_windows"))
    except CyberHansError as wrong:
        raise pytest.UsageError(str(wrong)) from None


def detector_name(detector: Detector) -> str:
    """Its folder's: what tests are named after."""
    assert detector.folder
    return detector.folder.name


@pytest.fixture(scope="session")
def hil_stations() -> dict[str, Station]:
    """All so far by their names, with their images and logs: one may be wanted again after others."""
    return {}


@pytest.fixture(scope="session")
def hil_station(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, hil_stations: dict[str, Station]
) -> Iterator[Station]:
    """One device of the bench with its detector: see cyberhans.hil.station."""
    entry, detector = request.param
    name = f"{entry.id}-{detector_name(detector)}"
    if name not in hil_stations:
        hil_stations[name] = _station(request.config, entry, detector, name, tmp_path_factory.mktemp(name))
    yield hil_stations[name]
    hil_stations[name].close()


def _station(config: pytest.Config, entry: Entry, detector: Detector, name: str, scratch: Path) -> Station:
    from cyberhans.hil.station import Station
    from cyberhans.packet_log import PacketLog

    image, folder = config.getoption("hil_image"), log_dir(config)
    facts = {"board": entry.board, "detector": detector.digest.hex()}
    log = PacketLog(folder / f"{name}.jsonl", entry.id, **facts) if folder else None
    return Station(entry, detector, scratch, Path(image) if image else None, log)


@pytest.fixture
def hil_device(hil_station: Station) -> Device:
    """The device, open, and holding the detector."""
    return hil_station.device()


@pytest.fixture(scope="session")
def hil_windows(request: pytest.FixtureRequest, hil_station: Station) -> Any:
    """int16 windows (k, window, channels) of one source: golden, adversarial or a recording."""
    return request.param.windows(hil_station.detector)


@pytest.fixture
def hil_record(request: pytest.FixtureRequest) -> Record:
    """Keep a figure: in JUnit's XML and in the report."""

    def record(name: str, value: object) -> None:
        request.node.user_properties.append((name, value))

    return record


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What a report has to know of a test: the device, the detector and what was sent."""
    parameters = getattr(item, "callspec", None)
    if parameters is None or not parameters.params.get("hil_station"):
        return
    entry, detector = parameters.params["hil_station"]
    source = parameters.params.get("hil_windows")
    item.user_properties += [("hil_device", entry.id), ("hil_detector", detector_name(detector))]
    item.user_properties += [("hil_recording", source.name)] if source else []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """With --hil-require a skipped test is a failure; after a failed one, whose last packets are kept, the device is
    opened anew."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("hil_require"):
        report.outcome, report.longrepr = "failed", f"skipped, and --hil-require: {report.longrepr[2]}"
    station = getattr(item, "funcargs", {}).get("hil_station")
    if station and report.when == "call" and report.failed:
        station.close()
        if station.log:
            report.user_properties.append(("link", last_packets(station.log.path)))
    return report


def last_packets(log: Path, lines: int = 40, width: int = 160) -> str:
    """The end of a packet log, each line cut."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - lines * 4096))
        rows = file.read().decode("ascii", "replace").splitlines()[-lines:]
    return "\n".join(row if len(row) <= width else row[:width] + " ..." for row in rows)


class Count:
    """How many tests of devices ran: on the process that reports."""

    def __init__(self, expected: int) -> None:
        self.expected, self.ran = expected, 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and "hil_device" in dict(report.user_properties) and not report.skipped:
            self.ran += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.ran != self.expected:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.ran != self.expected:
            terminalreporter.write_line(f"{self.ran} tests of devices ran, --hil-count {self.expected}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """What gathers reports does so on the one process that has them all."""
    config = session.config
    if hasattr(config, "workerinput"):
        return
    if (expected := config.getoption("hil_count")) is not None:
        config.pluginmanager.register(Count(expected), "hil-count")
    if not _entries(config):
        return
    from cyberhans.hil.report import Report
    from cyberhans.hil.tracking import Update

    if folder := log_dir(config):
        config.pluginmanager.register(Report(folder), "hil-report")
    if config.getoption("update_baseline"):
        path = config.invocation_params.dir / config.getoption("hil_baseline")
        config.pluginmanager.register(Update(path), "hil-update")


def log_dir(config: pytest.Config) -> Path | None:
    """--hil-log-dir, which is made if need be. Raises pytest.UsageError."""
    if not (stated := config.getoption("hil_log_dir")):
        return None
    folder = config.invocation_params.dir / stated
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as wrong:
        raise pytest.UsageError(f"--hil-log-dir {stated}: {wrong.strerror}; choose another place") from None
    return Path(folder)
