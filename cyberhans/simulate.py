"""Simulated recordings of rotating machines, healthy or with a fault: for tests and demos, no substitute for real ones.

A machine turns at a slowly wandering speed. It sounds of its shaft's harmonics, its gear mesh, broadband noise and,
when a bearing is damaged, of impacts that ring a resonance. Every seed is one session: gains, speed, load, noise and
mounting vary.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyberhans.errors import CyberHansError
from cyberhans.machines import BY_NAME, Bearing, Gear, Machine, Noise
from cyberhans.recording import Recording, save_recording
from cyberhans.wav import write_whole

MACHINES = tuple(BY_NAME)
LONGEST_S = 3600.0
SLIP = 0.015  # random part of the interval between two impacts
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Session:
    """What differs between two recordings of the same healthy machine."""

    speed: float  # of nominal
    load: float  # 0 to 1
    tones: Array  # gain of each tone
    noise: float
    resonance: float  # of nominal frequency: temperature, mounting
    axes: Array  # (channels,) gain of the mounting
    turn: Array  # (3,) small angles of the remounted sensor, rad


def simulate(
    machine: str,
    *,
    seconds: float,
    seed: int,
    speed_rpm: float | None = None,
    load: float | None = None,
    fault: str = "none",
    severity: float = 0.5,
    session: str = "",
) -> Recording:
    """A synthetic recording; the same arguments give the same samples.

    speed_rpm (mean; 20 to 150 % of nominal) and load (0 to 1) are drawn near their usual values unless given.
    severity 0 (healthy) to 1 (about to fail) leaves everything else of the session as it is.
    """
    kind = _chosen(machine, fault)
    _within("seconds", seconds, 0.01, LONGEST_S)
    _within("severity", severity, 0, 1)
    _within("seed", seed, 0, 2**63 - 1)
    if load is not None:
        _within("load", load, 0, 1)
    if speed_rpm is not None:
        _within("speed_rpm", speed_rpm, 0.2 * kind.speed_rpm, 1.5 * kind.speed_rpm)
    severity = 0.0 if fault == "none" else float(severity)
    now = _session(kind, _random(kind, seed, 0), speed_rpm, load)
    value = _vibration(kind, now, round(seconds * kind.rate_hz), seed, fault, severity)
    scale = kind.range / 32768
    return Recording(
        samples=np.clip(np.rint(value / scale), -32768, 32767).astype(np.int16),
        rate_hz=kind.rate_hz,
        machine=kind.name,
        session=session or f"seed {seed}",
        label="anomaly" if severity else "normal",
        unit=kind.unit,
        scale=scale,
        axes=kind.axes,
        sensor=kind.sensor,
        speed_rpm=round(kind.speed_rpm * now.speed, 1),
        load=f"{now.load:.2f}",
        synthetic=True,
        notes=f"synthetic, made by cyberhans simulate: seed {seed}, fault {fault}, severity {severity:g}",
    )


def _chosen(machine: str, fault: str) -> Machine:
    if machine not in BY_NAME:
        raise CyberHansError(f"machine {machine!r}: choose {', '.join(MACHINES)}")
    kind = BY_NAME[machine]
    if fault not in kind.faults:
        raise CyberHansError(f"fault {fault!r}: a {machine} can have {', '.join(kind.faults)}")
    return kind


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise CyberHansError(f"{name} {value:g}: must be {low:g} to {high:g}")


def _random(machine: Machine, seed: int, stream: int) -> np.random.Generator:
    """One stream for each purpose, so that a fault does not change the session it happens in."""
    return np.random.Generator(np.random.PCG64([seed, stream, *machine.name.encode()]))


def _session(machine: Machine, rng: np.random.Generator, speed_rpm: float | None, load: float | None) -> Session:
    drawn_load, drawn_speed = rng.uniform(0.55, 0.85), 1 + 0.004 * rng.standard_normal()
    at = drawn_load if load is None else load
    usual = drawn_speed * (1 - machine.slip * at)
    return Session(
        speed=usual if speed_rpm is None else speed_rpm / machine.speed_rpm,
        load=at,
        tones=np.exp(0.12 * rng.standard_normal(len(machine.tones))),
        noise=math.exp(0.10 * rng.standard_normal()),
        resonance=1 + 0.01 * rng.standard_normal(),
        axes=np.exp(0.05 * rng.standard_normal(len(machine.axes))),
        turn=np.radians(rng.uniform(-3, 3, 3)),
    )


def _vibration(machine: Machine, now: Session, n: int, seed: int, fault: str, severity: float) -> Array:
    """(n, channels) in the machine's unit, as the sensor would see it."""
    rng = _random(machine, seed, 1)
    wander = 0.003 * _slow(rng, n, machine.rate_hz)
    hz = machine.speed_rpm / 60 * now.speed * (1 + wander)
    angle = 2 * np.pi * np.cumsum(hz) / machine.rate_hz
    value = _tones(machine, now, angle, rng, fault, severity)
    if machine.gear:
        value += _mesh(machine.gear, now, angle, rng, severity if fault == "gear" else 0.0)
    value += _broadband(machine.noise, now, n, machine, rng)
    if fault.startswith("bearing_") and severity:
        value += severity * _impacts(machine.bearing, now, angle, machine.rate_hz, _random(machine, seed, 2), fault)
    value = _mounted(value * now.axes + np.array(machine.gravity), now.turn)
    return value + machine.sensor_noise * rng.standard_normal(value.shape)


def _slow(rng: np.random.Generator, n: int, rate_hz: float) -> Array:
    """(n,) a smooth random curve of unit standard deviation, one independent knot a second."""
    knots = rng.standard_normal(math.ceil(n / rate_hz) + 3)
    at = np.arange(n) / rate_hz
    left = at.astype(np.int64)
    mix = 0.5 - 0.5 * np.cos(np.pi * (at - left))
    curve: Array = (knots[left] * (1 - mix) + knots[left + 1] * mix) / np.sqrt((1 - mix) ** 2 + mix**2)
    return curve


def _tones(
    machine: Machine, now: Session, angle: Array, rng: np.random.Generator, fault: str, severity: float
) -> Array:
    n, rate = len(angle), machine.rate_hz
    value = np.zeros((n, len(machine.axes)))
    for tone, gain in zip(machine.tones, now.tones, strict=True):
        phases = rng.uniform(0, 2 * np.pi, len(machine.axes))
        breath = 1 + 0.08 * _slow(rng, n, rate)
        amplitude = tone.healthy * gain + (severity * tone.faulty if fault == tone.fault else 0.0)
        amplitude *= now.speed**tone.power * (1 - tone.load + tone.load * now.load)
        turns = tone.order * angle if tone.order else 2 * np.pi * tone.hz * np.arange(n) / rate
        value += amplitude * np.array(tone.gains) * (breath[:, None] * np.cos(turns[:, None] + phases))
    return value


def _mesh(gear: Gear, now: Session, angle: Array, rng: np.random.Generator, severity: float) -> Array:
    """Mesh harmonics, modulated once a turn; a damaged tooth modulates them briefly (McFadden 1986)."""
    start, phases = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0, 2 * np.pi, (2, len(gear.gains)))
    tooth = np.exp(12 * (np.cos(angle - start[1]) - 1))  # about three teeth wide
    swell = 1 + 0.15 * np.cos(angle - start[0]) + 6 * severity * tooth
    lag = 0.10 * np.sin(angle - start[0]) - severity * tooth
    value = np.zeros((len(angle), len(gear.gains)))
    for m, share in enumerate((1.0, 0.4)):
        mesh = (m + 1) * (gear.teeth * angle + lag)
        value += share * swell[:, None] * np.cos(mesh[:, None] + phases[m])
    value *= gear.amplitude * (0.3 + 0.7 * now.load) * np.array(gear.gains)
    return value


def _broadband(noise: Noise, now: Session, n: int, machine: Machine, rng: np.random.Generator) -> Array:
    """Noise through the structure: a fall above the corner, and resonances; grows with load and speed."""
    hz = np.fft.rfftfreq(n, 1 / machine.rate_hz)
    shape = 1 / np.sqrt(1 + (hz / noise.corner_hz) ** 2)
    for centre, gain, damping in noise.resonances:
        off = (hz / (centre * now.resonance) - 1) / damping
        shape = shape * (1 + gain / (1 + off**2))
    rms = noise.rms * now.noise * (0.4 + 0.6 * now.load) * now.speed**noise.power
    shape *= rms / np.sqrt(np.mean(shape**2))
    white = rng.standard_normal((n, len(machine.axes)))
    swell = 1 + 0.06 * _slow(rng, n, machine.rate_hz)
    coloured: Array = np.fft.irfft(np.fft.rfft(white, axis=0) * shape[:, None], n, axis=0) * swell[:, None]
    return coloured


def _impacts(
    bearing: Bearing, now: Session, angle: Array, rate_hz: float, rng: np.random.Generator, fault: str
) -> Array:
    """A train of impacts whose intervals slip at random, each ringing the resonance (Antoni and Randall 2003)."""
    order = {"bearing_outer": bearing.bpfo, "bearing_inner": bearing.bpfi, "bearing_ball": 2 * bearing.bsf}[fault]
    carried = {"bearing_outer": 0.0, "bearing_inner": 1.0, "bearing_ball": bearing.ftf}[fault]  # turns with shaft, cage
    count = math.ceil(angle[-1] / (2 * np.pi) * order * 1.1) + 8
    struck = np.cumsum(2 * np.pi / order * (1 + SLIP * rng.standard_normal(count)))
    struck = struck[struck < angle[-1]]
    at = np.interp(struck, angle, np.arange(len(angle)) / rate_hz)
    zone = np.maximum(np.cos(carried * struck), 0) ** 1.5  # load zone over half the ring (Stribeck, in Harris)
    force = bearing.amplitude * now.speed * (0.5 + 0.5 * now.load) * zone * np.exp(0.15 * rng.standard_normal(len(at)))
    ringing = _ring(at, force, len(angle), rate_hz, bearing.resonance_hz * now.resonance, bearing.damping)
    spread: Array = ringing[:, None] * np.array(bearing.gains)
    return spread


def _ring(at: Array, force: Array, n: int, rate_hz: float, hz: float, damping: float) -> Array:
    """(n,) the sum of damped sines that begin at the instants `at` (seconds, between samples too)."""
    decay = damping * 2 * np.pi * hz
    first = np.ceil(at * rate_hz).astype(np.int64)
    index = first[:, None] + np.arange(math.ceil(8 / decay * rate_hz))
    since = index / rate_hz - at[:, None]
    wave = force[:, None] * np.exp(-decay * since) * np.sin(2 * np.pi * hz * math.sqrt(1 - damping**2) * since)
    kept = index < n
    return np.bincount(index[kept], weights=wave[kept], minlength=n).astype(np.float64, copy=False)


def _mounted(value: Array, turn: Array) -> Array:
    """A 3-axis sensor put back slightly turned about its axes; others are as they were."""
    if value.shape[1] != 3:
        return value
    a, b, c = turn
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    turned: Array = value @ (about_z @ about_y @ about_x).T
    return turned


DEMO_SECONDS = 10.0
DEMO_HEALTHY = ("mon", "tue", "wed", "thu", "fri", "sat")  # the first four train
DEMO_FAULTS = {
    "pump": (("bearing_outer", 0.35), ("imbalance", 0.5), ("gear", 0.6)),
    "fan": (("bearing_inner", 0.7), ("imbalance", 0.7), ("looseness", 0.6)),
}
DEMO_README = """# Demo set: synthetic

Every recording here was computed by `cyberhans.simulate.write_demo`; none is of a real machine. Each sidecar says so
(`"synthetic": true`). The set shows the whole path at work; it says nothing of how well a detector does on a real one.

Protocols: `pump` (3-axis vibration, 3200 Hz, g) and `fan` (sound, 8000 Hz). Four healthy sessions train, two healthy
and three faulty ones test. The format is described in `../README.md`.
"""


def write_demo(folder: str | Path) -> None:
    """Write the demo set: WAVs with sidecars, manifest.csv, protocols.csv and a README; the same bytes every time."""
    folder = Path(folder)
    manifest, protocols = [], []
    for machine in MACHINES:
        sessions = [(name, "none", 0.0) for name in DEMO_HEALTHY]
        sessions += [(fault, fault, severity) for fault, severity in DEMO_FAULTS[machine]]
        for seed, (name, fault, severity) in enumerate(sessions, start=1):
            made = simulate(machine, seconds=DEMO_SECONDS, seed=seed, fault=fault, severity=severity, session=name)
            saved = save_recording(made, folder / f"{machine}_{name}.wav")
            manifest.append(_manifest_row(saved, fault, severity))
            role = "test_anomaly" if severity else "train_normal" if seed <= 4 else "test_normal"
            row = {"protocol": machine, "role": role, "file": saved.name, "start_s": 0, "end_s": saved.duration_s}
            protocols.append(row)
    for name, rows in (("manifest.csv", manifest), ("protocols.csv", protocols)):
        text = io.StringIO()
        table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        write_whole(folder / name, text.getvalue().encode())
    write_whole(folder / "README.md", DEMO_README.encode())


def _manifest_row(saved: Recording, fault: str, severity: float) -> dict[str, object]:
    """One row with the columns that recordings/README.md describes."""
    return {
        "file": saved.name, "set": "demo", "modality": "audio" if saved.channels == 1 else "vibration",
        "machine": saved.machine, "session": saved.session, "condition": "normal" if fault == "none" else fault,
        "label": saved.label, "severity": severity or "", "speed_rpm": saved.speed_rpm, "load": saved.load,
        "rate_hz": saved.rate_hz, "channels": saved.channels, "axes": ",".join(saved.axes), "n_samples": saved.frames,
        "duration_s": saved.duration_s, "segment_len": saved.segment_len, "segment_period_s": 0, "n_segments": 1,
        "units": saved.unit, "scale_per_lsb": saved.scale, "offset": saved.offset, "sensor": saved.sensor,
        "source_repo": "synthetic: cyberhans simulate", "licence": "Apache-2.0", "sha256": saved.sha256,
    }  # fmt: skip
