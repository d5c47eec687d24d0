"""Looks: short windows of a simulated machine now and then, as a node takes them, over hours of running."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial

import numpy as np

from cyberhans.machines import Machine
from cyberhans.recording import Recording
from cyberhans.running import Running
from cyberhans.simulate import chosen, sensed
from cyberhans.vibration import draws, vibration

CHUNK = 256  # looks that are computed at once: within them the structure does not warm up further


def looks(
    machine: str, running: Running, *, seed: int, session: int, samples: int, every_s: float, fault: str = "none",
    severity: float = 0.0, faulty_from: int = 0,
) -> Iterator[Recording]:  # fmt: skip
    """Recordings of up to CHUNK looks each, one after the other; each look is a segment of so many samples.

    seed: the machine; session: the occasion. A fault is there from look `faulty_from` on, where a recording begins
    anew.
    """
    kind = chosen(machine, fault)
    count = len(running.speed)
    starts = {*range(0, count, CHUNK), count} | ({faulty_from} if 0 < faulty_from < count and severity else set())
    for start, end in itertools.pairwise(sorted(starts)):
        part = slice(start, end)
        there = severity if start >= faulty_from else 0.0
        yield _chunk(kind, running, seed, session, part, samples, every_s, fault, there)


def _chunk(
    kind: Machine, running: Running, seed: int, session: int, part: slice, samples: int, every_s: float, fault: str,
    severity: float,
) -> Recording:  # fmt: skip
    """Looks without the pauses in between: the machine turns on from one to the next, at its new speed."""
    now = running.during(kind, seed, part, samples)
    stream = partial(_stream, kind, seed, session, part.start)
    value = vibration(kind, now, samples * (part.stop - part.start), stream, fault, severity)
    return sensed(
        kind, value,
        session=f"seed {seed}, session {session}",
        label="anomaly" if severity and fault != "none" else "normal",
        speed_rpm=round(kind.speed_rpm * float(np.mean(now.speed)), 1),
        load=f"{np.mean(now.load):.2f}",
        segment_len=samples,
        segment_period_s=every_s,
        notes=f"synthetic, a look every {every_s:g} s: seed {seed}, fault {fault}, severity {severity:g}",
    )  # fmt: skip


def _stream(kind: Machine, seed: int, session: int, start: int, purpose: int) -> np.random.Generator:
    return draws(kind, seed, 20 + purpose, session, start)
