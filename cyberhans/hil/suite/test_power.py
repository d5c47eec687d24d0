"""Power that goes at any moment: afterwards the device works, and no verdict is wrong."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

from cyberhans.alarm import Outcome, State
from cyberhans.device import Device
from cyberhans.hil.agreement import agree
from cyberhans.hil.plugin import Record
from cyberhans.hil.request import unless_unknown
from cyberhans.hil.station import Station
from cyberhans.messages import UNDO, Info, Mode, Option, Request, Samples, Storage

KILLS = 5
MOST_KILLS = 100
WINDOWS_OF_A_KILL = 40  # of --hil-soak: so many windows more, one kill more
WORK_SECONDS = 0.3  # within which power goes
PATIENCE_SECONDS = 10.0  # for windows of run mode, which take as long as the machine does
FINE = (Storage.NONE, Storage.EMPTY, Storage.RESUMED)


@pytest.fixture
def resets(hil_station: Station) -> None:
    if not hil_station.resets:
        pytest.skip(f"device {hil_station.entry.id} cannot be restarted: give it a `reset` command in devices.toml")


def _kills(config: pytest.Config) -> int:
    return min(MOST_KILLS, max(KILLS, (config.getoption("hil_soak") or 0) // WINDOWS_OF_A_KILL))


def _begun(station: Station, before: Info) -> Device:
    """After a restart: what was true before, in run mode, with nothing lost or broken, and a store that holds."""
    device = station.restart()
    info = device.info
    same = ("spec", "model", "detector", "serial", "board", "firmware", "flags")
    assert [getattr(info, name) for name in same] == [getattr(before, name) for name in same]
    assert (info.status, info.mode, info.lost) == (0, Mode.RUN, 0)
    assert info.storage in FINE, f"after a restart its storage is {Storage(info.storage).name}"
    return device


@pytest.mark.usefixtures("resets")
def test_power_lost_at_work_leaves_no_wrong_verdict(
    hil_station: Station, hil_record: Record, pytestconfig: pytest.Config
) -> None:
    """At a random moment while a host's windows are judged; then the golden windows have the golden bits."""
    chance, golden = random.Random(3), hil_station.detector.golden
    kills = _kills(pytestconfig)
    for _ in range(kills):
        device = hil_station.device()
        before = device.ask_info()
        _work(device, golden, chance)
        _right(hil_station, _begun(hil_station, before), chance.randrange(len(golden)), hil_record)
    hil_record("kills", kills)


def _right(station: Station, device: Device, number: int, record: Record) -> None:
    """That golden window, by itself."""
    window = station.detector.golden[number][None]
    assert len(agree(station, device.replay(window), station.core.watch().run(window), record)) == 1


def _work(device: Device, windows: np.ndarray, chance: random.Random) -> None:
    """At times a window, then a part of one, without waiting for what it gives."""
    list(device.replay(windows[: chance.randrange(2)], Option(0)))
    index = device.start(window=device.fresh_number(1)).next
    step = (device.info.body_max - 4) // (2 * device.info.channels)
    end = time.monotonic() + chance.random() * WORK_SECONDS
    for place, begin in enumerate(range(0, len(windows[0]), step)):
        part = windows[0][begin : begin + step]
        device.send(Request.SAMPLES, Samples((index + begin) % 2**32, tail=part.tobytes()).pack())
        if place % device.info.credits == device.info.credits - 1:
            device.packet(0.05)
        if time.monotonic() > end:
            break


@pytest.mark.usefixtures("resets")
def test_the_first_window_after_power_on_is_as_built(hil_station: Station, hil_record: Record) -> None:
    """A host's first stream knows nothing of what was before; run mode counts from 0."""
    alarmed = hil_station.detector.golden[: hil_station.affordable(5)]
    list(hil_station.device().replay(alarmed, Option(0)))
    device = _begun(hil_station, hil_station.device().ask_info())
    with unless_unknown("VERDICTS"):
        told = device.last_verdicts()
    assert [judgement.window for judgement in told.last] == list(range(told.windows - len(told.last), told.windows))
    expected = hil_station.core.watch().run(alarmed)
    judged = agree(hil_station, device.replay(alarmed, number=0), expected, hil_record)
    assert [(one.window, one.first) for one in judged] == [(k, k * device.info.hop) for k in range(len(judged))]
    assert len(judged) == len(alarmed)


@pytest.mark.usefixtures("resets")
def test_power_lost_in_run_mode_leaves_the_old_baseline_or_the_new(
    hil_station: Station, hil_record: Record, pytestconfig: pytest.Config
) -> None:
    """While a re-baselining goes on and is stored: afterwards its revision is that before or the next, and what the
    device told as done is not lost. A real device keeps the baseline that it has: there only the power goes."""
    if hil_station.detector.alarm is None:
        pytest.skip("the detector has no alarm logic")
    chance, device = random.Random(5), hil_station.device()
    done, turns = 0, _turns(hil_station, _kills(pytestconfig))
    for seconds in turns:
        device.run()
        before = device.ask_info()
        with unless_unknown("BASELINE"):
            told = _rebaseline(device, chance, seconds, hil_station.entry.emulated)
        done += told.revision - before.revision
        after = _begun(hil_station, before).info
        if after.storage == Storage.NONE:
            assert after.revision == 0
        else:
            assert told.revision <= after.revision <= told.revision + 1, f"told {told.revision}, found {after.revision}"
        device = hil_station.device()
        with unless_unknown("VERDICTS"):
            judged = device.last_verdicts().windows
        assert judged <= 1 + PATIENCE_SECONDS * _rate(hil_station)
        _sound(device, after)
    hil_record("baselines_set", done)
    _right(hil_station, hil_station.device(), 0, hil_record)  # a host's stream begins as built, whatever is stored
    hil_station.device().run()
    _sound(hil_station.device(), hil_station.device().ask_info())  # and run mode has what it had


@pytest.mark.usefixtures("resets")
def test_a_damaged_store_is_refused(hil_station: Station, hil_record: Record) -> None:
    """Where it is a file of this computer, one bit of it is turned: the device says so and begins as built. Elsewhere
    it is as it was."""
    device = hil_station.device()
    device.start()  # leaves run mode, and writes what presses
    info = device.ask_info()
    damaged = _damage(hil_station)
    hil_record("damaged", damaged)
    hil_station.restart()
    after = hil_station.device().ask_info()
    if damaged:
        assert (after.storage, after.revision) == (Storage.REFUSED, 0)
    else:
        assert after.storage in FINE and after.revision <= info.revision
    _right(hil_station, hil_station.device(), 0, hil_record)
    hil_station.forget_store()


def _damage(station: Station) -> bool:
    """Whether there was something to damage: a bit of what the alarm logic remembers."""
    store = station.store
    if store is None or not store.exists() or not (record := bytearray(store.read_bytes())):
        return False
    record[len(record) // 2] ^= 4
    store.write_bytes(record)
    return True


def _rate(station: Station) -> float:
    """Windows a second."""
    return station.detector.spec.rate_hz / station.detector.spec.hop


def _turns(station: Station, kills: int) -> list[float]:
    """Seconds until power goes: by chance, and in the last turn time enough for a new baseline to be done."""
    chance, enough = random.Random(4), 3 / _rate(station)
    count = max(1, min(kills, int(kills * PATIENCE_SECONDS / KILLS / enough)))
    return [chance.random() * max(0.2, min(enough, 1.0)) for _ in range(count - 1)] + [
        min(PATIENCE_SECONDS, enough + 0.2)
    ]


def _rebaseline(device: Device, chance: random.Random, seconds: float, may: bool) -> Info:
    """Set and undo, where that may be done, for a random time; gives what the device has told by then."""
    end = time.monotonic() + seconds
    count = 0
    while True:
        told = device.baseline()
        if may and told.outcome != Outcome.UNDER_WAY:
            device.rebaseline(UNDO if count % 3 == 2 and told.revision else 2)
            count += 1
        if time.monotonic() > end:
            return device.ask_info()
        time.sleep(0.01 * chance.random())


def _sound(device: Device, info: Info) -> None:
    """What is told of the stored state agrees with itself."""
    told = device.baseline()
    assert told.revision == info.revision
    assert told.outcome in set(Outcome) and told.state in set(State)
    assert told.change <= told.reach or told.outcome == Outcome.TOO_FAR
