"""A fault that stays is not followed away: the alarm stays until the machine is mended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from counts import full

from cyberhans.alarm import State
from cyberhans.detector import Detector
from cyberhans.promise import Promise
from cyberhans.simulate import simulate
from cyberhans.spec import design
from cyberhans.train import train

WINDOWS = 10  # of each recording, which are heard again and again


def heard(seed: int, fault: str = "none", severity: float = 0.0) -> np.ndarray:
    made = simulate("fan", seconds=10.0, seed=seed, fault=fault, severity=severity)
    return made.windows(design("full", made.rate_hz, made.channels, 10_000))


@pytest.fixture(scope="module")
def detector() -> Detector:
    sound = [simulate("fan", seconds=30.0, seed=seed) for seed in range(6)]
    spec = design("full", sound[0].rate_hz, sound[0].channels, 10_000)
    return train(sound, kind="gaussian", spec=spec, promise=Promise(1))


@pytest.mark.slow
def test_the_alarm_of_a_fault_that_stays_stays(detector: Detector) -> None:
    """However fast the baseline follows while all is well."""
    assert detector.alarm
    watch = replace(detector, alarm=replace(detector.alarm, slow=6)).core().watch()
    healthy = heard(20)
    assert not (watch.run(np.concatenate([healthy] * 3)).state == State.ALARM).any()
    fault = heard(21, "bearing_inner", 0.6)
    states = [watch.run(fault).state for _ in range(full(2000, 20_000) // len(fault))]
    later = np.concatenate(states[2:])
    assert (later == State.ALARM).all()
    mended = np.concatenate([watch.run(healthy).state for _ in range(5)])
    assert mended[-1] == State.NORMAL


@pytest.mark.slow
def test_a_fault_that_grows_over_hours_alarms(detector: Detector) -> None:
    """Slower than any fault of the soak: from nothing to severe in many steps, each heard for long."""
    watch = detector.core().watch()
    for severity in np.linspace(0, 0.8, 9):
        found = [watch.run(heard(30, "bearing_inner", float(severity))).state for _ in range(full(12, 100))]
    assert (np.concatenate(found)[-20:] == State.ALARM).all()
