"""Looks: a machine's hours, look by look: what varies, what stays, and that the physics follows speed and load."""

from __future__ import annotations

import numpy as np
import pytest

from cyberhans.errors import CyberHansError
from cyberhans.looks import CHUNK, looks
from cyberhans.machines import BY_NAME, PUMP
from cyberhans.recording import Recording
from cyberhans.running import SPEEDS, Running, running
from cyberhans.vibration import draws, vibration


def hours(
    machine: str = "pump", *, seed: int = 1, session: int = 0, count: int = 40, **more: object
) -> list[Recording]:
    use = running(BY_NAME[machine], seed, session, hours=count / 360, every_s=10)
    return list(looks(machine, use, seed=seed, session=session, samples=512, every_s=10.0, **more))


def steady(**course: float) -> Running:
    """40 looks that differ in nothing from the usual but in what is said."""
    values = {"speed": 1.0, "load": 0.7, "noise": 1.0, "ambient": 0.0, "resonance": 1.0} | course
    return Running(**{name: np.full(40, value) for name, value in values.items()}, tones=np.ones(len(PUMP.tones)))


def spectrum(use: Running) -> tuple[np.ndarray, np.ndarray]:
    """Hz and the mean power of axis y over looks of 4,096 samples."""
    (made,) = looks("pump", use, seed=3, session=0, samples=4096, every_s=10.0)
    values = made.samples[:, 1].reshape(-1, 4096) * made.scale
    power = np.abs(np.fft.rfft((values - values.mean(axis=1, keepdims=True)) * np.hanning(4096))) ** 2
    return np.fft.rfftfreq(4096, 1 / 3200), power.mean(axis=0)


def peak(use: Running, low: float, high: float) -> float:
    hz, power = spectrum(use)
    inside = (hz > low) & (hz < high)
    return float(hz[inside][np.argmax(power[inside])])


def test_a_recording_of_looks_says_what_it_is() -> None:
    (made,) = hours()
    assert (made.segment_len, made.segment_period_s, made.frames) == (512, 10.0, 40 * 512)
    assert made.synthetic and made.label == "normal" and made.session == "seed 1, session 0"
    assert made.clock_s(0) == 0 and made.clock_s(512 * 3 + 32) == pytest.approx(30.01)


def test_the_same_arguments_give_the_same_samples_and_others_do_not() -> None:
    first, same, other, later = (hours(seed=seed, session=day)[0].samples
                                 for seed, day in ((1, 0), (1, 0), (2, 0), (1, 1)))  # fmt: skip
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other) and not np.array_equal(first, later)


def test_the_sensor_stays_where_it_is_mounted() -> None:
    means = [hours(session=day)[0].samples.mean(axis=0) * PUMP.range / 32768 for day in range(3)]
    assert np.ptp(means, axis=0).max() < 0.003  # g: no day turns it
    assert np.abs(means[0] - hours(seed=2)[0].samples.mean(axis=0) * PUMP.range / 32768).max() > 0.003


def test_lines_follow_the_speed_and_resonances_stay() -> None:
    slow, fast = steady(speed=0.8), steady(speed=1.0)
    vanes = 6 * PUMP.speed_rpm / 60
    assert peak(fast, 130, 170) == pytest.approx(vanes, abs=1.5)
    assert peak(slow, 100, 130) == pytest.approx(0.8 * vanes, abs=1.5)
    assert peak(slow, 1000, 1300) == pytest.approx(1130, abs=60)
    assert peak(fast, 1000, 1300) == pytest.approx(1130, abs=60)


def test_neighbours_are_dull() -> None:
    hz, quiet = spectrum(steady())
    _, loud = spectrum(steady(ambient=1.0))
    low, high = (hz > 180) & (hz < 320), (hz > 1200) & (hz < 1500)
    assert loud[low].sum() > 1.2 * quiet[low].sum()
    assert loud[low].sum() / quiet[low].sum() > loud[high].sum() / quiet[high].sum()


def test_load_makes_the_mesh_louder() -> None:
    mesh = 23 * PUMP.speed_rpm / 60
    power = []
    for load in (0.4, 1.0):
        hz, found = spectrum(steady(load=load))
        power.append(found[abs(hz - mesh) < 8].sum())
    assert power[1] > 1.8 * power[0]


def test_use_steps_between_speeds_and_drifts_in_load() -> None:
    use = running(PUMP, 4, 0, hours=24, every_s=10)
    assert len(use.speed) == 8640
    asked = use.speed / (1 - PUMP.slip * use.load)
    at_one = np.abs(asked[:, None] - np.array(SPEEDS)).min(axis=1) < 1e-9
    assert 0.9 < at_one.mean() < 1
    assert {round(float(speed), 3) for speed in asked[at_one]} == set(SPEEDS)
    assert 0.03 < use.load.std() < 0.15 and np.abs(np.diff(use.load)).max() < 0.05
    assert use.resonance[0] > use.resonance[-1] and np.ptp(use.resonance) < 0.01


def test_a_fault_begins_with_a_recording_and_changes_nothing_before() -> None:
    count = 2 * CHUNK
    healthy = hours(count=count, seed=5)
    ill = hours(count=count, seed=5, fault="imbalance", severity=0.8, faulty_from=CHUNK)
    assert [part.label for part in ill] == ["normal", "anomaly"]
    assert np.array_equal(healthy[0].samples, ill[0].samples)
    assert ill[1].samples[:, 0].std() > 1.3 * healthy[1].samples[:, 0].std()


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(CyberHansError, match="a fan can have"):
        hours("fan", fault="gear")


def test_a_course_that_stands_still_is_one_value() -> None:
    """Speed and load of each sample, or one for all of them: the same vibration."""
    now = steady().during(PUMP, 1, slice(0, 4), 512)
    still = type(now)(1.0, 0.7, now.tones, 1.0, now.resonance, now.axes, now.turn)
    both = [vibration(PUMP, one, 2048, lambda k: draws(PUMP, 7, k), "bearing_inner", 0.8) for one in (now, still)]
    assert np.allclose(*both, rtol=0, atol=1e-12)
