"""Simulated machines: the physics can be found again in the samples, and the same seed gives the same bytes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from counts import full

from cyberhans.errors import CyberHansError
from cyberhans.machines import BY_NAME, FAN, PUMP
from cyberhans.recording import Recording, check, load_recording
from cyberhans.simulate import MACHINES, simulate, write_demo
from cyberhans.spec import design

SHAFT = 1440 / 60  # Hz, where a test fixes the speed
EVERY_FAULT = [(machine.name, fault) for machine in BY_NAME.values() for fault in machine.faults[1:]]


def pump(fault: str = "none", severity: float = 0.8, **more: object) -> Recording:
    return simulate("pump", seconds=10, seed=3, speed_rpm=1440, load=0.7, fault=fault, severity=severity, **more)


def signal(recording: Recording, channel: int) -> np.ndarray:
    values = recording.samples[:, channel] * recording.scale
    return values - values.mean()


def around(recording: Recording, hz: float, channel: int) -> float:
    """rms within 1.5 % of a frequency (at least 0.8 Hz, for the speed wanders)."""
    values = signal(recording, channel)
    power = np.abs(np.fft.rfft(values * np.hanning(len(values)))) ** 2
    lines = np.fft.rfftfreq(len(values), 1 / recording.rate_hz)
    near = abs(lines - hz) < max(0.8, 0.015 * hz)
    return float(np.sqrt(power[near].sum()) / len(values))


def envelope_order(recording: Recording, centre_hz: float, channel: int) -> float:
    """The frequency, in turns of the shaft, that the envelope around a resonance pulses with most strongly."""
    values = signal(recording, channel)
    spectrum = np.fft.fft(values)
    lines = np.fft.fftfreq(len(values), 1 / recording.rate_hz)
    spectrum[abs(lines - centre_hz) > 0.15 * centre_hz] = 0  # only positive frequencies: the analytic signal
    pulse = np.abs(np.fft.ifft(spectrum)) ** 2
    power = np.abs(np.fft.rfft((pulse - pulse.mean()) * np.hanning(len(pulse))))
    hz = np.fft.rfftfreq(len(pulse), 1 / recording.rate_hz)
    power[hz < 2.5 * SHAFT] = 0
    return float(hz[np.argmax(power)] / SHAFT)


# --- healthy


@pytest.mark.parametrize("machine", MACHINES)
def test_healthy_recordings_are_good_and_marked_synthetic(machine: str) -> None:
    made = simulate(machine, seconds=2, seed=1, session="mon")
    kind = BY_NAME[machine]
    assert check(made) == [] and sum(made.clipped) == 0
    assert made.samples.shape == (round(2 * kind.rate_hz), len(kind.axes))
    assert (made.synthetic, made.label, made.session, made.machine) == (True, "normal", "mon", machine)
    assert "synthetic" in made.notes and "seed 1" in made.notes
    assert len(made.windows(design("full", made.rate_hz, made.channels, made.segment_len))) >= 5


def test_the_resting_axis_shows_gravity() -> None:
    means = (pump().samples * pump().scale).mean(axis=0)
    assert np.linalg.norm(means) == pytest.approx(1.0, abs=0.01)
    assert means[1] > 0.99  # remounted by a few degrees at most


def test_shaft_blades_mains_and_mesh_stand_out() -> None:
    made = pump()
    for hz in (SHAFT, 6 * SHAFT, 100.0, 23 * SHAFT):
        quiet = around(made, 1.13 * hz, 2 if hz > 500 else 1)
        assert around(made, hz, 2 if hz > 500 else 1) > 2 * quiet, hz


def test_imbalance_grows_with_the_square_of_speed() -> None:
    slow, fast = (simulate("pump", seconds=10, seed=3, speed_rpm=rpm, load=0.5, fault="imbalance", severity=1)
                  for rpm in (720, 1440))  # fmt: skip
    assert around(fast, 24, 0) / around(slow, 12, 0) == pytest.approx(4.0, rel=0.15)


def test_noise_grows_with_load() -> None:
    idle, full = (simulate("pump", seconds=5, seed=3, speed_rpm=1440, load=load) for load in (0.0, 1.0))
    assert np.std(np.diff(full.samples[:, 0])) > 1.5 * np.std(np.diff(idle.samples[:, 0]))


def test_sessions_of_a_healthy_machine_differ() -> None:
    levels = [signal(simulate("fan", seconds=5, seed=seed), 0).std() for seed in range(6)]
    assert 1.02 < max(levels) / min(levels) < 1.6
    speeds = {simulate("fan", seconds=1, seed=seed).speed_rpm for seed in range(6)}
    assert len(speeds) == 6 and all(1300 < speed < 1450 for speed in speeds if speed)


# --- faults


def test_bearing_frequencies_from_geometry() -> None:
    bearing = PUMP.bearing  # 9 balls of 7.94 mm on 38.5 mm: worked out by hand
    assert bearing.bpfo == pytest.approx(3.572, abs=1e-3)
    assert bearing.bpfi == pytest.approx(5.428, abs=1e-3)
    assert bearing.ftf == pytest.approx(0.39688, abs=1e-5)
    assert bearing.bsf == pytest.approx(2.3213, abs=1e-4)
    assert bearing.bpfo + bearing.bpfi == pytest.approx(bearing.balls)


@pytest.mark.parametrize(("fault", "hz", "channel"), [
    ("imbalance", SHAFT, 0), ("misalignment", 2 * SHAFT, 2), ("looseness", 0.5 * SHAFT, 1),
    ("looseness", 1.5 * SHAFT, 1), ("gear", 22 * SHAFT, 2), ("gear", 24 * SHAFT, 2),
])  # fmt: skip
def test_a_fault_raises_its_own_lines(fault: str, hz: float, channel: int) -> None:
    assert around(pump(fault), hz, channel) > 2 * around(pump(), hz, channel)


@pytest.mark.parametrize("fault", ["imbalance", "misalignment", "looseness"])
def test_a_shaft_fault_leaves_the_rest_alone(fault: str) -> None:
    faulty, healthy = pump(fault).samples.astype(float), pump().samples.astype(float)
    difference = np.abs(np.fft.rfft(faulty - healthy, axis=0)) ** 2
    hz = np.fft.rfftfreq(len(faulty), 1 / 3200)
    assert difference[(hz > 0.2) & (hz < 200)].sum() > 0.99 * difference[hz > 0.2].sum()


@pytest.mark.parametrize(
    ("fault", "order"), [("bearing_outer", PUMP.bearing.bpfo), ("bearing_inner", PUMP.bearing.bpfi)]
)
def test_the_envelope_pulses_at_the_defects_frequency(fault: str, order: float) -> None:
    found = envelope_order(pump(fault, severity=1.0), PUMP.bearing.resonance_hz, 1)
    sidebands = [order + k for k in ((-1, 0, 1) if fault == "bearing_inner" else (0,))]
    assert min(abs(found - band) for band in sidebands) < 0.06


def test_impacts_make_the_signal_peaky() -> None:
    def kurtosis(recording: Recording) -> float:
        jumps = np.diff(signal(recording, 1))
        return float(np.mean(jumps**4) / np.mean(jumps**2) ** 2)

    assert kurtosis(pump()) == pytest.approx(3.0, abs=0.3)
    assert kurtosis(pump("bearing_inner", severity=1.0)) > 4.0


@pytest.mark.parametrize("seed", range(5, full(6, 25)))
@pytest.mark.parametrize(("machine", "fault"), EVERY_FAULT)
def test_severity_zero_is_healthy_and_more_is_more(machine: str, fault: str, seed: int) -> None:
    healthy, none, some, much = (
        simulate(machine, seconds=4, seed=seed, fault=name, severity=severity)
        for name, severity in (("none", 0.5), (fault, 0.0), (fault, 0.4), (fault, 1.0))
    )
    assert np.array_equal(none.samples, healthy.samples) and none.label == "normal"
    assert some.label == much.label == "anomaly"
    change = [float(np.abs(made.samples.astype(int) - healthy.samples).mean()) for made in (some, much)]
    assert 0 < change[0] < change[1]
    assert sum(much.clipped) == 0


# --- same bytes, and refusals


def test_same_seed_same_samples_other_seed_other_samples() -> None:
    first, same, other = (simulate("fan", seconds=1, seed=seed).samples for seed in (1, 1, 2))
    assert np.array_equal(first, same) and not np.array_equal(first, other)


def test_machines_of_one_seed_do_not_share_their_session() -> None:
    assert simulate("fan", seconds=1, seed=1).load != simulate("pump", seconds=1, seed=1).load


def test_names_are_told() -> None:
    assert MACHINES == ("pump", "fan")
    told = {fault for machine in BY_NAME.values() for fault in machine.faults}
    assert told >= {"none", "imbalance", "looseness", "misalignment", "bearing_outer", "bearing_inner", "gear"}
    assert "gear" not in FAN.faults


@pytest.mark.parametrize(("wrong", "expected"), [
    ({"machine": "mill"}, "machine 'mill': choose pump, fan"),
    ({"fault": "rust"}, "fault 'rust': a fan can have none, imbalance"),
    ({"fault": "gear"}, "fault 'gear': a fan can have none"),
    ({"severity": 1.1}, "severity 1.1: must be 0 to 1"),
    ({"severity": float("nan")}, "severity nan"),
    ({"seconds": 0}, "seconds 0: must be"),
    ({"load": -0.1}, "load -0.1: must be 0 to 1"),
    ({"speed_rpm": 5000}, "speed_rpm 5000: must be 284 to 2130"),
    ({"seed": -1}, "seed -1: must be"),
])  # fmt: skip
def test_impossible_wishes_are_refused(wrong: dict[str, object], expected: str) -> None:
    with pytest.raises(CyberHansError) as caught:
        simulate(**{"machine": "fan", "seconds": 1, "seed": 1, **wrong})
    assert expected in str(caught.value) and "\n" not in str(caught.value)


# --- the demo set


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder)
    return folder


def test_the_committed_demo_set_is_what_write_demo_writes(fresh: Path, demo: Path) -> None:
    names = sorted(file.name for file in fresh.iterdir())
    assert names == sorted(file.name for file in demo.iterdir())
    assert [name for name in names if (fresh / name).read_bytes() != (demo / name).read_bytes()] == []


def test_the_demo_set_is_small_and_says_that_it_is_synthetic(demo: Path) -> None:
    assert sum(file.stat().st_size for file in demo.iterdir()) < 5_000_000
    assert all(json.loads(file.read_text())["synthetic"] is True for file in demo.glob("*.json"))
    assert len(list(demo.glob("*.json"))) == len(list(demo.glob("*.wav"))) == 18
    assert "synthetic" in (demo / "README.md").read_text()


def test_the_demo_tables_have_the_columns_of_real_datasets(demo: Path) -> None:
    with open(demo / "manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"file", "machine", "label", "rate_hz", "channels", "axes", "n_samples", "segment_len", "units",
            "scale_per_lsb", "offset", "speed_rpm", "load", "sensor", "licence", "sha256"} <= set(rows[0])  # fmt: skip
    assert all(load_recording(demo / row["file"]).sha256 == row["sha256"] for row in rows)
    assert {row["condition"] for row in rows} >= {"normal", "imbalance", "bearing_outer", "bearing_inner"}
