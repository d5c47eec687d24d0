"""Vibration: what a sensor on a rotating machine sees, from its speed, load and fault.

The machine turns at a slowly wandering speed. It sounds of its shaft's harmonics, its gear mesh, broadband noise and,
when a bearing is damaged, of impacts that ring a resonance. Orders follow the speed; resonances of the structure stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cyberhans.machines import Bearing, Gear, Machine, Noise

SLIP = 0.015  # random part of the interval between two impacts
AMBIENT_CORNER = 0.5  # of the machine's own: what comes through floor and air from neighbours is duller

Array = NDArray[np.float64]
Course = float | Array  # one value, or one for each of n samples


@dataclass(frozen=True)
class Session:
    """What differs between two recordings of the same healthy machine."""

    speed: Course  # of nominal
    load: Course  # 0 to 1
    tones: Array  # gain of each tone
    noise: Course  # gain of the machine's own
    resonance: float  # of nominal frequency: temperature, mounting
    axes: Array  # (channels,) gain of the mounting
    turn: Array  # (3,) small angles of the remounted sensor, rad
    ambient: Course = 0.0  # rms of the neighbours' noise, of the machine's own


def draws(machine: Machine, seed: int, *stream: int) -> np.random.Generator:
    """One stream for each purpose, so that a fault does not change the session it happens in."""
    return np.random.Generator(np.random.PCG64([seed, *stream, *machine.name.encode()]))


def vibration(
    machine: Machine, now: Session, n: int, stream: Callable[[int], np.random.Generator], fault: str, severity: float
) -> Array:
    """(n, channels) in the machine's unit, as the sensor would see it. stream(1), (2), (3): see draws()."""
    rng = stream(1)
    wander = 0.003 * _slow(rng, n, machine.rate_hz)
    hz = machine.speed_rpm / 60 * now.speed * (1 + wander)
    angle = 2 * np.pi * np.cumsum(hz) / machine.rate_hz
    value = _tones(machine, now, angle, rng, fault, severity)
    if machine.gear:
        value += _mesh(machine.gear, now, angle, rng, severity if fault == "gear" else 0.0)
    value += _broadband(machine.noise, now, n, machine, rng)
    if fault.startswith("bearing_") and severity:
        value += severity * _impacts(machine.bearing, now, angle, machine.rate_hz, stream(2), fault)
    if np.any(now.ambient):
        value += _ambient(machine, now, n, stream(3))
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
        amplitude = amplitude * (now.speed**tone.power * (1 - tone.load + tone.load * now.load))
        turns = tone.order * angle if tone.order else 2 * np.pi * tone.hz * np.arange(n) / rate
        value += np.multiply.outer(amplitude, tone.gains) * (breath[:, None] * np.cos(turns[:, None] + phases))
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
    value *= np.multiply.outer(gear.amplitude * (0.3 + 0.7 * now.load), gear.gains)
    return value


def _broadband(noise: Noise, now: Session, n: int, machine: Machine, rng: np.random.Generator) -> Array:
    """Noise through the structure: a fall above the corner, and resonances; grows with load and speed."""
    hz = np.fft.rfftfreq(n, 1 / machine.rate_hz)
    shape = 1 / np.sqrt(1 + (hz / noise.corner_hz) ** 2)
    for centre, gain, damping in noise.resonances:
        off = (hz / (centre * now.resonance) - 1) / damping
        shape = shape * (1 + gain / (1 + off**2))
    rms = noise.rms * now.noise * (0.4 + 0.6 * now.load) * now.speed**noise.power
    usual = float(np.mean(rms))
    shape *= usual / np.sqrt(np.mean(shape**2))
    white = rng.standard_normal((n, len(machine.axes)))
    swell = (1 + 0.06 * _slow(rng, n, machine.rate_hz)) * (rms / usual)
    coloured: Array = np.fft.irfft(np.fft.rfft(white, axis=0) * shape[:, None], n, axis=0) * swell[:, None]
    return coloured


def _ambient(machine: Machine, now: Session, n: int, rng: np.random.Generator) -> Array:
    """Noise of other machines, alike on all axes and louder and softer with them, not with this one."""
    hz = np.fft.rfftfreq(n, 1 / machine.rate_hz)
    shape = 1 / np.sqrt(1 + (hz / (AMBIENT_CORNER * machine.noise.corner_hz)) ** 2)
    shape *= machine.noise.rms / np.sqrt(np.mean(shape**2))
    white = rng.standard_normal((n, len(machine.axes)))
    coloured: Array = np.fft.irfft(np.fft.rfft(white, axis=0) * shape[:, None], n, axis=0)
    return coloured * np.multiply.outer(now.ambient, np.ones(len(machine.axes)))


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
    speed, load = (_when(course, at * rate_hz) for course in (now.speed, now.load))
    force = bearing.amplitude * speed * (0.5 + 0.5 * load) * zone * np.exp(0.15 * rng.standard_normal(len(at)))
    ringing = _ring(at, force, len(angle), rate_hz, bearing.resonance_hz * now.resonance, bearing.damping)
    spread: Array = ringing[:, None] * np.array(bearing.gains)
    return spread


def _when(course: Course, place: Array) -> Course:
    """Its values at samples `place`."""
    return course[place.astype(np.int64)] if isinstance(course, np.ndarray) else course


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
