"""States of test recordings: what a device would say of each, and how far a re-centred detector still tells faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from learnt import recording

from cyberhans import states as room
from cyberhans.alarm import State
from cyberhans.dataset import Protocol
from cyberhans.detector import Detector
from cyberhans.recording import Recording
from cyberhans.spec import Family, Frame, Spec
from cyberhans.states import RECENTRED_ON, states
from cyberhans.train import train

THREE = Spec(16_000_000, 3, 256, 256, Family.LEVEL | Family.STEPS, (Frame(64, (1, 2, 4, 8, 16, 32)),))


def axes(seed: int, gravity: tuple[int, int, int] = (0, 0, 12000), **more: object) -> Recording:
    """Three axes of one machine, and gravity."""
    parts = [recording(3 * seed + axis, seconds=1.0, **more).samples for axis in range(3)]  # type: ignore[arg-type]
    samples = np.concatenate(parts, axis=1).astype(np.int32) // 8 + np.array(gravity)
    plain = recording(seed, **more)  # type: ignore[arg-type]
    return replace(plain, samples=np.ascontiguousarray(samples.astype(np.int16)), segment_len=0, axes=())


@pytest.fixture(scope="module")
def detector() -> Detector:
    return train([axes(seed) for seed in range(4)], kind="gaussian", spec=THREE, false_alarm_rate=0.02)


def test_healthy_is_normal_and_a_fault_alarms(detector: Detector) -> None:
    told = states(detector, Protocol("rig", (), (axes(10),), (axes(11, gain=1.5, label="anomaly"),)))
    assert told["recentred"] == {}
    assert set(told["normal"]) <= {"normal", "suspicious"} and sum(told["normal"].values()) == 62
    assert told["anomaly"].get("alarm", 0) > 40


def test_a_turned_sensor_is_told_as_moved_and_re_centred(detector: Detector) -> None:
    turned, fault = axes(10, gravity=(2100, 0, 11815)), axes(11, gravity=(2100, 0, 11815), gain=1.5, label="anomaly")
    told = states(detector, Protocol("rig", (), (turned,), (fault,)))
    assert told["normal"].get("moved", 0) > 55 and "alarm" not in told["normal"]
    assert list(told["recentred"].values()) == [pytest.approx(1.0, abs=0.05)]


def test_what_the_core_refuses_to_re_centre_on_is_zero(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has become sixteen times as loud."""
    loud = replace(axes(10), samples=np.clip(axes(10, gravity=(0, 0, 0)).samples.astype(np.int32) * 16, -32768, 32767)
                   .astype(np.int16))  # fmt: skip
    assert room.recentred(detector, loud, Protocol("rig", (), (loud,), (axes(11, gain=1.5),))) == 0.0


def test_re_centring_takes_few_windows() -> None:
    assert RECENTRED_ON == 5 and State.MOVED.name.lower() == "moved"
