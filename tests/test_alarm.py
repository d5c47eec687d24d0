"""Alarm settings: packed, described, bounded; learnt by one rule; part of a detector's folder and digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_detector import small_detector

from cyberhans.alarm import NEVER_IDLE, Alarm
from cyberhans.alarm_rule import REACH, RISE, learn_alarm, with_rise
from cyberhans.baseline import Baseline
from cyberhans.core import Core
from cyberhans.decision import votes_every
from cyberhans.detector import Detector, load_detector
from cyberhans.errors import CyberHansError
from cyberhans.recording import Recording
from cyberhans.spec import Family, Frame, Spec
from cyberhans.train import train

SPEC = Spec(1_000_000, 3, 200, 200, Family.LEVEL, (Frame(64, (1, 4, 12, 32)),))
SETTINGS = Alarm(
    of=10, raise_at=7, clear_at=2, fast=3, slow=8, change=26, rise=500, idle=-900, full_scale=32767, reach=768,
    clipped=70_000, moved=80, gravity=(-100, 5, 8000), centre=np.arange(-7, 8, dtype=np.int16),
    limit=np.full(15, 40, np.int16),
)  # fmt: skip


def recording(seed: int, *, loudness: float = 200, gravity: tuple[int, int, int] = (0, 600, 8000), windows: int = 40,
              wander: float = 0, noise: float = 1) -> Recording:  # fmt: skip
    """Windows of noise about gravity, which turns by `wander` LSB over its length."""
    rng = np.random.default_rng(seed)
    loud = rng.normal(0, loudness * noise, (windows, SPEC.window, 3))
    loud -= loud.mean(axis=1, keepdims=True)
    turned = np.linspace(0, wander, windows)[:, None, None] * np.array([1, 0, 0])
    samples = np.rint(loud + gravity + turned).astype(np.int16).reshape(-1, 3)
    return Recording(samples, 1000.0, label="normal", session=str(seed))


def learnt(*recordings: Recording) -> Alarm:
    baseline = Baseline.of(recordings, SPEC)
    return learn_alarm(baseline, votes_every(baseline.interval_s))


# Settings


def test_packed_as_the_specification_says() -> None:
    packed = bytes([10, 7, 2, 3, 8, 0]) + struct.pack("<HHhHHII", 26, 500, -900, 32767, 768, 70_000, 80)
    packed += struct.pack("<3h", -100, 5, 8000) + struct.pack("<15h", *range(-7, 8)) + struct.pack("<15h", *[40] * 15)
    assert SETTINGS.pack() == packed


def test_described_and_read_again() -> None:
    described = json.loads(json.dumps(SETTINGS.to_dict()))
    assert Alarm.from_dict(described, SETTINGS.centre, SETTINGS.limit).pack() == SETTINGS.pack()


@pytest.mark.parametrize(
    "change",
    [
        {"of": 0}, {"of": 33}, {"raise_at": 11}, {"raise_at": 2}, {"fast": 8}, {"slow": 15}, {"moved": 2**20 + 1},
        {"rise": -1}, {"rise": 65536}, {"idle": -32769}, {"gravity": [1, 2]}, {"gravity": [1, 2, 40_000]},
        {"clipped": None}, {"clipped": 1.5}, {"unknown": 1},
    ],
)  # fmt: skip
def test_settings_out_of_their_bounds_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CyberHansError, match=r"^alarm"):
        Alarm.from_dict(SETTINGS.to_dict() | change, SETTINGS.centre, SETTINGS.limit)


@pytest.mark.parametrize("limit", [np.full(14, 1, np.int16), np.full(15, -1, np.int16), np.full(15, 1.5), np.int16(4)])
def test_arrays_that_do_not_fit_are_refused(limit: NDArray[np.int16]) -> None:
    with pytest.raises(CyberHansError, match=r"^alarm settings: centre and limit"):
        Alarm.from_dict(SETTINGS.to_dict(), SETTINGS.centre, limit)


# In a detector


def detector_of(folder: Path, **changed: Any) -> Detector:
    count = SPEC.features
    alarm = dataclasses.replace(
        SETTINGS, centre=np.full(count, 3000, np.int16), limit=np.full(count, 40, np.int16), **changed
    )
    return small_detector(folder, SPEC, alarm=alarm)


def test_a_folder_keeps_the_settings(tmp_path: Path) -> None:
    made = detector_of(tmp_path / "d")
    again = load_detector(tmp_path / "d")
    assert again.alarm and made.alarm and again.alarm.pack() == made.alarm.pack() and again.digest == made.digest
    assert {"alarm_centre.npy", "alarm_limit.npy"} <= {path.name for path in (tmp_path / "d").iterdir()}
    assert "alarm_centre" not in again.arrays


def test_the_digest_covers_every_setting(tmp_path: Path) -> None:
    made = detector_of(tmp_path / "d")
    assert made.alarm
    packed = made.spec.digest + made.model.digest + struct.pack("<iH", made.threshold, 0) + made.alarm.pack()
    assert made.digest == hashlib.sha256(packed).digest()[:16]
    digests = {made.digest, dataclasses.replace(made, alarm=None).digest}
    for name, value in SETTINGS.to_dict().items():
        other = (1, 5, 8000) if name == "gravity" else value + 1
        digests.add(dataclasses.replace(made, alarm=dataclasses.replace(made.alarm, **{name: other})).digest)
    assert len(digests) == 2 + len(SETTINGS.to_dict())


def test_the_least_int16_reaches_the_core(tmp_path: Path) -> None:
    """INT16_MIN is no plain C constant where int has 16 bits."""
    made = detector_of(tmp_path / "d", idle=NEVER_IDLE, gravity=(-(2**15), 0, 2**15 - 1))
    assert made.core().watch().run(recording(1).windows(SPEC)).state[0] != 4


@pytest.mark.parametrize(("field", "value"), [("of", 40), ("rise", "x"), ("gravity", None)])
def test_a_folder_with_strange_settings_is_refused(tmp_path: Path, field: str, value: object) -> None:
    detector_of(tmp_path / "d")
    path = tmp_path / "d" / "detector.json"
    described = json.loads(path.read_text())
    described["alarm"][field] = value
    path.write_text(json.dumps(described))
    with pytest.raises(CyberHansError, match=r"detector\.json: .*alarm.*train again"):
        load_detector(tmp_path / "d")


def test_training_gives_settings_that_the_core_takes(tmp_path: Path) -> None:
    parts = [recording(seed, windows=60) for seed in range(3)]
    made = train(parts, kind="gaussian", spec=SPEC, false_alarm_rate=0.05).save(tmp_path / "d")
    assert made.alarm and made.alarm.rise >= RISE and made.alarm.moved == 80
    assert made.core().watch().run(parts[0].windows(SPEC)).features.shape == (60, SPEC.features)
    again = train(parts, kind="gaussian", spec=SPEC, false_alarm_rate=0.05)
    assert again.digest == made.digest and load_detector(tmp_path / "d").alarm is not None


# The rule


def test_votes_are_ten_seconds_of_windows() -> None:
    """0.2 s each: 50, but at most 32; more than half raise, a quarter clears."""
    alarm = learnt(recording(1), recording(2))
    assert (alarm.of, alarm.raise_at, alarm.clear_at) == (32, 17, 8)
    assert (alarm.fast, alarm.change, alarm.reach) == (2, 26, REACH)


def test_a_baseline_of_several_sessions_is_followed_as_slowly_as_can_be() -> None:
    assert learnt(recording(1), recording(2)).slow == 14
    single = dataclasses.replace(recording(1), session="monday")
    again = dataclasses.replace(recording(2), session="monday")
    assert learnt(single, again).slow == 5  # 80 windows: 40, and 2^5 is the power of two below


def test_centre_limit_and_idle_are_those_of_a_machine_at_work() -> None:
    off = recording(3, loudness=1)
    mixed = Recording(np.concatenate((recording(1, windows=60).samples, off.samples[:2000])), 1000.0, label="normal")
    alarm, clean = learnt(mixed, recording(2)), learnt(recording(1, windows=60), recording(2))
    assert np.abs(alarm.centre - clean.centre).max() <= 2 and np.abs(alarm.limit - clean.limit).max() <= 4
    assert alarm.limit.min() >= 38
    loud = Core(SPEC).features(recording(1).windows(SPEC))[:, SPEC.feature_names.index("c0.level")]
    assert alarm.idle == pytest.approx(np.median(loud) - 4 * 256, abs=40)


@pytest.mark.parametrize(
    ("recordings", "moved"),
    [
        ([recording(1), recording(2)], 80),  # sin^2 of half a degree, Q20
        ([recording(1), recording(2, gravity=(60, 600, 8000))], 80),  # 0.21 degrees from their mean
        ([recording(1), recording(2, gravity=(90, 600, 8000))], 0),  # 0.32 degrees
        ([recording(1), recording(2, gravity=(200, 600, 8000))], 0),
        ([recording(1, wander=200), recording(2)], 0),
        ([recording(1, gravity=(0, 3, 40)), recording(2, gravity=(0, 3, 40))], 0),
    ],
)
def test_gravity_is_watched_where_it_was_steady(recordings: list[Recording], moved: int) -> None:
    alarm = learnt(*recordings)
    assert alarm.moved == moved
    assert (alarm.gravity == (0, 0, 0)) == (moved == 0)


def test_clipping_counts_from_what_was_learnt() -> None:
    assert learnt(recording(1), recording(2)).clipped == 6  # 1 % of 200 x 3
    loud = recording(3)
    loud.samples[:50, 1] = 32767
    assert learnt(loud, recording(2)).clipped == 150


def test_the_rise_is_above_what_was_seen_while_learning(tmp_path: Path) -> None:
    made = detector_of(tmp_path / "d", rise=0, moved=0)
    quiet, loud = recording(1).windows(SPEC), recording(2, loudness=400).windows(SPEC)
    assert made.alarm
    seen = int(made.core().watch().run(loud).rise.max())
    assert with_rise(made.alarm, made.core(), [quiet, loud]).rise == max(seen, 0) + RISE
    assert seen > 0
