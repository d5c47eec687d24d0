"""What the alarm logic remembers: it outlives a host, a capture and, with storage, every end of the process."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import serial
from counts import full
from receiver import Receiver
from small_detector import small_detector
from watched import SPEC, Windows, recorded, script, watched_detector, windows

from cyberhans.alarm import Outcome, State
from cyberhans.boards import board
from cyberhans.build import build
from cyberhans.detector import Detector
from cyberhans.device import Device, Refused, open_device
from cyberhans.emulator import Emulator
from cyberhans.judgement import Judgement
from cyberhans.messages import STOP, UNDO, Refusal, Storage
from cyberhans.verify import verify

pytestmark = pytest.mark.slow  # real processes, in real time

HANS_E_ALARM = -7  # hans.h
ALARM = ("state", "votes", "reasons", "change", "rise", "score")
HURRY = ["-DSTORE_SOON_S=0", "-DSTORE_LATER_S=0"]
STEADY = [("healthy", 400)]
WEARING = [("healthy", 40), ("worn", 400)]


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return watched_detector(tmp_path_factory.mktemp("kept") / "detector")


@pytest.fixture(scope="module")
def image(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Of the native board; with `hurry` it writes its state after every window."""

    @cache
    def made(hurry: bool = False) -> Path:
        flags = HURRY if hurry else []
        return build(detector.folder, "native", tmp_path_factory.mktemp("image"), extra_flags=flags).image

    return made


@contextmanager
def playing(image: Path, made: Windows, folder: Path, store: Path | None = None) -> Iterator[Device]:
    played = f"board:native,play={recorded(folder, made)}"
    with open_device(played + (f",store={store}" if store else ""), image=image) as device:
        yield device


def run_on(device: Device, count: int) -> list[Judgement]:
    """The next verdicts of run mode."""
    judged = list(islice(device.judgements(), count))
    assert len(judged) == count
    return judged


def until(device: Device, state: State) -> None:
    assert any(judged.state == state for judged in islice(device.judgements(), 300)), state.name


def begun_anew(device: Device, count: int) -> list[Judgement]:
    """The first verdicts after RUN."""
    device.run()
    judged = [one for one in islice(device.judgements(), 3 * count) if one.window < count]
    while judged and judged[0].window:  # of before RUN
        judged.pop(0)
    assert [one.window for one in judged] == list(range(count))
    return judged


def assert_foretold(detector: Detector, made: Windows, before: int, judged: list[Judgement]) -> None:
    """After `before` windows of the played ones it judges them from the first on: as one stream."""
    expected = detector.core().watch().run(np.concatenate((made[:before], made[: len(judged)])))
    for name in ALARM:
        found = [getattr(one, name) for one in judged]
        assert found == getattr(expected, name)[before:].tolist(), name


def judge_something(device: Device, detector: Detector) -> None:
    made = script([("tilted", 5), ("worn", 10)])
    states = [one.state for one in device.replay(made)]
    assert states == detector.core().watch().run(made).state.tolist() and State.ALARM in states


def capture_something(device: Device, detector: Detector) -> None:
    """The ring lies in the core's memory, all of it."""
    assert Receiver(device).whole(16_000, 8_000).frames == 8_000


@pytest.mark.parametrize("meanwhile", [judge_something, capture_something])
def test_a_host_leaves_no_trace(
    meanwhile: Callable[[Device, Detector], None], detector: Detector, image: Callable[..., Path], tmp_path: Path
) -> None:
    """Run mode goes on where it ended, bit for bit."""
    made = script(WEARING)
    with playing(image(), made, tmp_path) as device:
        until(device, State.ALARM)
        device.start()
        before = device.last_verdicts().windows
        meanwhile(device, detector)
        assert (device.ask_info().state, device.last_verdicts().windows) == (State.ALARM, before)
        assert_foretold(detector, made, before, begun_anew(device, 20))


def test_a_host_that_begins_again_and_again_finds_it_as_built(
    detector: Detector, image: Callable[..., Path], tmp_path: Path
) -> None:
    with playing(image(), script(WEARING), tmp_path) as device:
        made = script([("worn", 12)])
        for _ in range(2):
            assert [one.votes for one in device.replay(made)] == detector.core().watch().run(made).votes.tolist()


def rebaselined(device: Device, count: int, token: int | None = None) -> None:
    told = device.rebaseline(count, token)
    deadline = time.monotonic() + 20
    while told.outcome == Outcome.UNDER_WAY:
        assert time.monotonic() < deadline
        time.sleep(0.02)
        told = device.baseline()
    assert (told.outcome, told.gathered) == (Outcome.DONE, count)


def test_a_new_baseline_outlives_host_mode_and_can_be_undone(
    detector: Detector, image: Callable[..., Path], tmp_path: Path
) -> None:
    with playing(image(), windows("louder", 400), tmp_path) as device:
        rebaselined(device, 20)
        assert device.baseline().change == pytest.approx(256, abs=40)
        assert verify(detector, script([("tilted", 5), ("worn", 10)]), device).equal  # which knows nothing of it
        assert device.ask_info().revision == device.baseline().revision == 1
        run_on(device, 12)
        centred = run_on(device, 8)
        assert all(abs(one.rise) < 64 for one in centred)
        assert device.rebaseline(UNDO).revision == 2
        away = run_on(device, 30)[-8:]
        assert all(one.change > 128 for one in away)
        assert device.ask_info().revision == 2


def test_a_repeated_request_does_nothing_twice(detector: Detector, image: Callable[..., Path], tmp_path: Path) -> None:
    store = tmp_path / "store"
    with playing(image(), windows("louder", 400), tmp_path, store) as device:
        begun = device.rebaseline(4096, token=7)
        assert (begun.token, begun.outcome) == (7, Outcome.UNDER_WAY)
        run_on(device, 5)
        assert device.rebaseline(4096, token=7).gathered >= 4
        assert device.rebaseline(STOP, token=8).outcome == Outcome.STOPPED
        assert device.rebaseline(STOP, token=9).revision == 0
        rebaselined(device, 3, token=10)
        assert [device.rebaseline(UNDO, token=11).revision for _ in range(3)] == [2, 2, 2]
    with playing(image(), windows("louder", 400), tmp_path, store) as device:  # its reply was lost, too
        assert (device.baseline().token, device.rebaseline(UNDO, token=11).revision) == (11, 2)
        assert device.rebaseline(UNDO, token=12).revision == 3


def test_what_cannot_be_done_is_refused(image: Callable[..., Path], tmp_path: Path) -> None:
    with playing(image(), script(STEADY), tmp_path) as device:
        for count in (UNDO, 4097, 65535):
            with pytest.raises(Refused) as error:
                device.rebaseline(count)
            assert error.value.code == Refusal.BASELINE
        Receiver(device).begin(16_000, 0)
        for ask in (device.baseline, lambda: device.rebaseline(5)):
            with pytest.raises(Refused) as error:
                ask()
            assert error.value.code == Refusal.MODE
        device.run()
        assert (device.baseline().token, device.info.storage) == (0, Storage.NONE)


def test_a_host_may_set_the_baseline_of_its_own_stream(
    detector: Detector, image: Callable[..., Path], tmp_path: Path
) -> None:
    with playing(image(), script(STEADY), tmp_path) as device:
        before = device.baseline()
        device.start()
        device.rebaseline(2)
        made = windows("louder", 2)
        list(device._push(made.reshape(-1, SPEC.channels), 0, 2))
        assert (device.baseline().outcome, device.baseline().revision) == (Outcome.DONE, 1)
        assert device.ask_info().revision == 0
        device.run()
        assert device.baseline().outcome == before.outcome


def test_an_alarm_survives_a_reset(detector: Detector, image: Callable[..., Path], tmp_path: Path) -> None:
    store = tmp_path / "store"
    with playing(image(), script(WEARING), tmp_path, store) as device:
        assert device.info.storage == Storage.EMPTY
        until(device, State.ALARM)
    with playing(image(), windows("off", 100), tmp_path, store) as device:  # killed, and the machine stands still
        assert device.info.storage == Storage.RESUMED
        assert run_on(device, 5)[-1].state == State.IDLE
    with playing(image(), script(WEARING), tmp_path, store) as device:
        first = run_on(device, 1)[0]
        assert first.state == State.ALARM
        until(device, State.NORMAL)  # healthy again: it ends as any other
    with playing(image(), script(STEADY), tmp_path, store) as device:
        assert device.info.storage == Storage.RESUMED and run_on(device, 1)[0].state != State.ALARM


def test_a_resumed_state_is_the_one_that_was_stored(
    detector: Detector, image: Callable[..., Path], tmp_path: Path
) -> None:
    """Bit for bit: as if the windows before and after the reset were one stream."""
    made, store = script(WEARING), tmp_path / "store"
    with playing(image(hurry=True), made, tmp_path, store) as device:
        until(device, State.ALARM)
        device.start()  # which writes, too: then nothing comes after it
        before = device.last_verdicts().windows
    with playing(image(hurry=True), made, tmp_path, store) as device:
        device.start()
        more = device.last_verdicts().windows
        judged = begun_anew(device, 20)
        expected = detector.core().watch().run(np.concatenate((made[:before], made[:more], made[:20])))
        assert [one.votes for one in judged] == expected.votes[-20:].tolist()
        assert [one.score for one in judged] == expected.score[-20:].tolist()


@pytest.mark.parametrize("bend", ["flipped", "cut", "longer", "empty", "foreign"])
def test_what_is_damaged_or_foreign_is_refused_and_told(
    bend: str, detector: Detector, image: Callable[..., Path], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with playing(image(), script(WEARING), tmp_path, store) as device:
        until(device, State.ALARM)
    good = store.read_bytes()
    bent = bytes([*good[:40], good[40] ^ 4, *good[41:]])
    store.write_bytes({
        "flipped": bent, "cut": good[:-1], "longer": good + b"\0",
        "empty": b"", "foreign": good,
    }[bend])  # fmt: skip
    its_own = image()
    if bend == "foreign":
        other = watched_detector(tmp_path / "other", slow=7)
        its_own = build(other.folder, "native", tmp_path / "out").image
    with playing(its_own, script(WEARING), tmp_path, store) as device:
        assert device.info.storage == (Storage.EMPTY if bend == "empty" else Storage.REFUSED)
        until(device, State.ALARM)
    with playing(its_own, script(STEADY), tmp_path, store) as device:
        assert device.info.storage == Storage.RESUMED  # it was overwritten
    aside = tmp_path / "store.old"
    assert aside.exists() == (bend != "empty")  # what was refused is kept, as it may be somebody's
    if aside.exists():
        assert aside.read_bytes() == {"cut": good[:-1], "longer": good + b"\0", "foreign": good}.get(bend, bent)


def something_else(store: Path) -> None:
    store.write_bytes(b"of something else")


def forbidden(store: Path) -> None:
    store.touch(0)


def loop(store: Path) -> None:
    store.symlink_to(store)


UNREADABLE = [Path.mkdir, loop, *([forbidden] if os.geteuid() else [])]  # root may read all files


@pytest.mark.parametrize("put", UNREADABLE)
def test_what_cannot_be_read_is_refused_and_told(
    put: Callable[[Path], None], image: Callable[..., Path], tmp_path: Path
) -> None:
    """It is not as if the port had no storage: the device writes its state, or tells that it cannot."""
    store = tmp_path / "store"
    put(store)
    with playing(image(), script(WEARING), tmp_path, store) as device:
        assert device.info.storage == Storage.REFUSED
        until(device, State.ALARM)
        assert device.ask_info().storage == (Storage.FAILED if store.is_dir() else Storage.REFUSED)
    if not store.is_dir():
        with playing(image(), script(STEADY), tmp_path, store) as device:
            assert device.info.storage == Storage.RESUMED


@pytest.mark.parametrize("put", [something_else, *UNREADABLE])
def test_a_person_is_told_that_it_was_refused(
    put: Callable[[Path], None], image: Callable[..., Path], tmp_path: Path
) -> None:
    put(tmp_path / "store")
    running = Emulator(board("native"), image(), arguments=["--store", str(tmp_path / "store")])
    with running, serial.serial_for_url(running.url, timeout=3) as port:
        port.write(b"\0?\n")
        said = bytes(port.read_until(b"\n")).rpartition(b"\0")[2].decode()
    assert said.endswith(" (what was stored is unreadable, damaged or another detector's)\r\n")


def test_without_alarm_logic_every_state_is_normal_and_nothing_is_stored(detector: Detector, tmp_path: Path) -> None:
    plain = replace(detector, alarm=None).save(tmp_path / "plain")
    made = build(plain.folder, "native", tmp_path / "out").image
    with playing(made, windows("worn", 300), tmp_path, tmp_path / "store") as device:
        device.require(plain)
        judged = run_on(device, 20)
        assert {(one.state, one.votes, one.reasons, one.change, one.rise) for one in judged} == {
            (State.NORMAL, 0, 0, 0, 0)
        }
        for ask in (device.baseline, lambda: device.rebaseline(5), lambda: device.rebaseline(UNDO)):
            with pytest.raises(Refused, match="it has no alarm logic") as error:
                ask()
            assert (error.value.code, error.value.detail) == (Refusal.BASELINE, HANS_E_ALARM)
        assert verify(plain, windows("worn", 20), device).states == {"normal": 20}
    assert not (tmp_path / "store").exists()


def test_an_uncalibrated_detector_is_learning(tmp_path: Path) -> None:
    made = small_detector(tmp_path / "detector", uncalibrated=True)
    with open_device("board:native", image=build(made.folder, "native", tmp_path / "out").image) as device:
        assert device.info.state == State.LEARNING
        assert {one.state for one in run_on(device, 3)} == {State.LEARNING}


def test_a_learning_node_far_over_its_threshold_is_learning_after_a_reset(detector: Detector, tmp_path: Path) -> None:
    learning, store = replace(detector, uncalibrated=True).save(tmp_path / "learning"), tmp_path / "store"
    image = build(learning.folder, "native", tmp_path / "out", extra_flags=HURRY).image
    with playing(image, script(WEARING), tmp_path, store) as device:
        judged = run_on(device, 120)
        assert sum(one.anomaly for one in judged) > 40 and {one.state for one in judged} == {State.LEARNING}
    for _ in range(3):
        with playing(image, script(WEARING), tmp_path, store) as device:
            assert (device.info.storage, device.info.state) == (Storage.RESUMED, State.LEARNING)


def test_storage_that_fails_is_told(image: Callable[..., Path], tmp_path: Path) -> None:
    with playing(image(), script(WEARING), tmp_path, tmp_path / "absent" / "store") as device:
        assert device.info.storage == Storage.EMPTY
        until(device, State.ALARM)
        assert device.ask_info().storage == Storage.FAILED


def test_it_writes_seldom(image: Callable[..., Path], tmp_path: Path) -> None:
    """An alarm that begins and ends, and a new baseline: a write each, and none else within a minute."""
    store = tmp_path / "store"
    with playing(image(), script(STEADY), tmp_path, store) as device:
        run_on(device, 150)
        assert not store.exists()
        rebaselined(device, 5)
        written = store.stat().st_mtime_ns
        run_on(device, 100)
        assert store.stat().st_mtime_ns == written


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_any_moment_it_goes_on_or_begins_as_built(
    detector: Detector, image: Callable[..., Path], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """While it writes after every window, and is asked for new baselines: never a damaged record, and no baseline that
    it has told is lost."""
    rng, store, known = random.Random(4), tmp_path / "store", 0
    kills = full(25, 500)
    for turn in range(kills):
        with playing(image(hurry=True), script([("healthy", 3), ("louder", 20)]), tmp_path, store) as device:
            assert device.info.storage in ((Storage.RESUMED,) if turn else (Storage.EMPTY,))
            assert device.info.revision >= known
            known = max(known, device.info.revision, device.baseline().revision)
            end = time.monotonic() + rng.random() * 0.15
            while time.monotonic() < end:
                count = rng.choice((2, 2, UNDO)) if known else 2
                known = max(known, device.rebaseline(count).revision)
                time.sleep(rng.random() * 0.04)
                known = max(known, device.baseline().revision)
    assert known > kills / 5
    record_property("total killed while it stored its state", kills)
    record_property("total baselines set meanwhile, none lost", known)


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["microbit", "mps2-an385", "virt-rv32imac"])
def test_a_board_behind_a_debugger_stores_in_a_file_of_the_host(name: str, detector: Detector, tmp_path: Path) -> None:
    flag = f'-DHANS_STORE="{tmp_path / "store"}"'
    made = build(detector.folder, name, tmp_path / "out", extra_flags=[flag]).image
    with open_device(f"board:{name}", image=made) as device:
        assert device.info.storage == Storage.EMPTY
        rebaselined(device, 2)
        assert device.ask_info().storage == Storage.EMPTY  # it was written, not refused
    with open_device(f"board:{name}", image=made) as device:  # killed, as if its power had gone
        assert (device.info.storage, device.info.revision) == (Storage.RESUMED, 1)
    good = (tmp_path / "store").read_bytes()
    (tmp_path / "store").write_bytes(good[:50] + b"\0" + good[51:-1])
    with open_device(f"board:{name}", image=made) as device:
        assert (device.info.storage, device.info.revision) == (Storage.REFUSED, 0)
