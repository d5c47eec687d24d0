"""The pytest plugin: the fixtures `hil_...`, and tests for each device x detector x recording.

A test that asks for `hil_station` runs once for each device and detector; one that asks for `hil_windows` too, for the
golden windows, the adversarial ones and each recording. Without --device or --hil-map they are skipped. Nothing heavy
is imported before a device is asked for: pytest loads this file wherever Cyber-Hans is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cyberhans.errors import CyberHansError
from cyberhans.hil import options
from cyberhans.hil.evidence import last_packets, log_path, plain, register

if TYPE_CHECKING:
    from cyberhans.device import Device
    from cyberhans.hil.options import Pair
    from cyberhans.hil.station import Station

Record = Callable[[str, object], None]
Stations = dict[tuple[str, str], "Station"]  # by the names of device and detector


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Bad options end the run at once, with one line."""
    config.addinivalue_line("markers", "hil: runs on a device (set by the plugin of cyberhans)")
    try:
        options.check(config)
    except CyberHansError as wrong:
        raise pytest.UsageError(str(wrong)) from None


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        register(session.config)


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [f"hil: {line}" for line in options.tested(config)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tests that were skipped for want of a device or a detector do not pass for a good run."""
    skipped = terminalreporter.stats.get("skipped", [])
    if absent := sum(options.why_absent(config) in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(f"{absent} tests of devices did not run: {options.why_absent(config)}", yellow=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With -n N of pytest-xdist: devices run side by side, each on one worker."""
    if not (pairs := options.pairs(config)):
        return None
    from cyberhans.hil.workers import ByDevice

    return ByDevice({name: entry.id for name, (entry, _) in pairs.items()}, config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "hil_station" not in metafunc.fixturenames:
        return
    config, windows = metafunc.config, "hil_windows" in metafunc.fixturenames
    names = ["hil_station", *["hil_windows"] * windows]
    given = [value for name, pair in options.pairs(config).items() for value in _row(config, name, pair, windows)]
    metafunc.parametrize(names, given or [_absent(config, len(names))], indirect=True, scope="session")


def _row(config: pytest.Config, name: str, pair: Pair, windows: bool) -> Iterator[Any]:
    """Parameters of one device with one detector."""
    if not windows:
        yield pytest.param(pair, id=name)
        return
    for source in options.sources_of(config, pair[1]):
        yield pytest.param(pair, source, id=f"{name}-{source.name}")


def _absent(config: pytest.Config, count: int) -> Any:
    return pytest.param(*[None] * count, id="none", marks=pytest.mark.skip(reason=options.why_absent(config)))


def pytest_itemcollected(item: pytest.Item) -> None:
    if "hil_station" in getattr(item, "fixturenames", ()):
        item.add_marker("hil")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All tests of a device with a detector come one after the other, so that it is flashed once; others stay put."""
    order = {name: number for number, name in enumerate(options.pairs(config))}
    places = [place for place, item in enumerate(items) if _pair(item)]
    moved = sorted((items[place] for place in places), key=lambda item: order[options.pair_name(*_pair(item))])
    for place, item in zip(places, moved, strict=True):
        items[place] = item


def _pair(item: pytest.Item) -> Any:
    """What it runs on; None: nothing."""
    parameters = getattr(item, "callspec", None)
    return parameters.params.get("hil_station") if parameters else None


@pytest.fixture(scope="session")
def hil_stations() -> Iterator[Stations]:
    """All so far, with their images and logs: one may be wanted again after others."""
    made: Stations = {}
    yield made
    for station in made.values():
        station.end()


@pytest.fixture(scope="session")
def hil_flashed() -> dict[str, str]:
    """What each device holds that was flashed in this run: see cyberhans.hil.station."""
    return {}


@pytest.fixture(scope="session")
def hil_station(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, hil_stations: Stations,
    hil_flashed: dict[str, str],
) -> Iterator[Station]:  # fmt: skip
    """One device of the bench with its detector: see cyberhans.hil.station."""
    entry, detector = request.param
    key = (entry.id, options.detector_name(detector))
    if key not in hil_stations:
        scratch = tmp_path_factory.mktemp("-".join(key))
        hil_stations[key] = _station(request.config, request.param, scratch, hil_flashed)
    yield hil_stations[key]
    hil_stations[key].close()


def _station(config: pytest.Config, pair: Pair, scratch: Path, flashed: dict[str, str]) -> Station:
    from cyberhans.hil.station import Station
    from cyberhans.packet_log import PacketLog

    (entry, detector), log = pair, None
    if folder := options.log_dir(config):
        path = log_path(folder, options.pair_name(*pair))
        log = PacketLog(path, entry.id, board=entry.board, detector=detector.digest.hex())
    return Station(entry, detector, scratch, options.image(config), log, flashed)


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
        request.node.user_properties.append((name, plain(value)))

    return record


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What a report has to know of a test: the device, the detector and what was sent."""
    if not (pair := _pair(item)):
        return
    source = item.callspec.params.get("hil_windows")  # type: ignore[attr-defined]
    item.user_properties += [("hil_device", pair[0].id), ("hil_detector", options.detector_name(pair[1]))]
    item.user_properties += [("hil_recording", source.name)] if source else []


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """With --hil-require a module that is skipped as a whole is an error."""
    report = yield
    if report.skipped and collector.config.getoption("hil_require"):
        report.outcome, report.longrepr = "failed", _required(report.longrepr)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """With --hil-require a skipped test is a failure; what the line or the device has said is one line, no traceback;
    after a failed test, whose last packets are kept, the device is opened anew."""
    report = yield
    if report.failed and _pair(item) and call.excinfo and isinstance(call.excinfo.value, CyberHansError):
        report.longrepr = str(call.excinfo.value)
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("hil_require"):
        report.outcome, report.longrepr = "failed", _required(report.longrepr)
    station = (getattr(item, "funcargs", None) or {}).get("hil_station")
    if station and report.failed:
        if station.log:  # before the closing adds its own
            report.user_properties.append(("link", last_packets(station.log.path)))
        station.close()
    return report


def _required(longrepr: Any) -> str:
    reason = longrepr[2] if isinstance(longrepr, tuple) else longrepr
    return f"skipped, and --hil-require: {reason}"
