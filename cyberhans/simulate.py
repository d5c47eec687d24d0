"""Simulated recordings of rotating machines, healthy or with a fault: for tests and demos, no substitute for real ones.

A machine turns at a slowly wandering speed. It sounds of its shaft's harmonics, its gear mesh, broadband noise and,
when a bearing is damaged, of impacts that ring a resonance. Every seed is one session: gains, speed, load, noise and
mounting vary.
"""

from __future__ import annotations

import csv
import io
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cyberhans.errors import CyberHansError
from cyberhans.machines import BY_NAME, Machine
from cyberhans.recording import Recording, save_recording
from cyberhans.vibration import Array, Session, draws, vibration
from cyberhans.wav import write_whole

MACHINES = tuple(BY_NAME)
LONGEST_S = 3600.0


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
    kind = chosen(machine, fault)
    _within("seconds", seconds, 0.01, LONGEST_S)
    _within("severity", severity, 0, 1)
    _within("seed", seed, 0, 2**63 - 1)
    if load is not None:
        _within("load", load, 0, 1)
    if speed_rpm is not None:
        _within("speed_rpm", speed_rpm, 0.2 * kind.speed_rpm, 1.5 * kind.speed_rpm)
    severity = 0.0 if fault == "none" else float(severity)
    now = _session(kind, draws(kind, seed, 0), speed_rpm, load)
    value = vibration(kind, now, round(seconds * kind.rate_hz), partial(draws, kind, seed), fault, severity)
    return sensed(
        kind, value,
        session=session or f"seed {seed}",
        label="anomaly" if severity else "normal",
        speed_rpm=round(kind.speed_rpm * float(now.speed), 1),
        load=f"{now.load:.2f}",
        notes=f"synthetic, made by cyberhans simulate: seed {seed}, fault {fault}, severity {severity:g}",
    )  # fmt: skip


def sensed(machine: Machine, value: Array, **described: Any) -> Recording:
    """(n, channels) in the machine's unit as its sensor counts them, and what is known of them."""
    scale = machine.range / 32768
    return Recording(
        samples=np.clip(np.rint(value / scale), -32768, 32767).astype(np.int16),
        rate_hz=machine.rate_hz,
        machine=machine.name,
        unit=machine.unit,
        scale=scale,
        axes=machine.axes,
        sensor=machine.sensor,
        synthetic=True,
        **described,
    )


def chosen(machine: str, fault: str) -> Machine:
    if machine not in BY_NAME:
        raise CyberHansError(f"machine {machine!r}: choose {', '.join(MACHINES)}")
    kind = BY_NAME[machine]
    if fault not in kind.faults:
        raise CyberHansError(f"fault {fault!r}: a {machine} can have {', '.join(kind.faults)}")
    return kind


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise CyberHansError(f"{name} {value:g}: must be {low:g} to {high:g}")


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
