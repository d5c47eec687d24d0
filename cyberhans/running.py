"""Running: how a healthy machine is used over hours: its speed, load, warmth and neighbours, look by look.

Each of them changes at its own pace, as in a plant: an inverter steps between a few speeds, load drifts about a mean,
neighbours come and go, the structure warms up. What a day brings is drawn anew for each session of a seed; what the
machine is (its mounting, its tones) stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cyberhans.machines import Machine
from cyberhans.vibration import Array, Session, draws

SPEEDS = (0.86, 0.94, 1.0)  # of nominal: what the inverter is set to
DWELL_S, RAMP_S = 1500.0, 20.0  # mean time at one of them, and from one to another
LOAD, LOAD_SPREAD, LOAD_DAY, LOAD_S = 0.70, 0.08, 0.04, 2400.0  # mean, of a day's drift, of days' means; its pace
LEAST_LOAD, MOST_LOAD = 0.35, 1.0
NOISE_SPREAD, NOISE_S = 0.04, 3600.0  # log of the machine's own noise: its flow, its grease
AMBIENT, AMBIENT_SPREAD, AMBIENT_S = 0.2, 0.4, 1800.0  # neighbours: rms of the machine's noise, log spread, pace
WARM_UP, WARM_UP_S, DAY_WARMTH = 0.006, 2400.0, 0.002  # resonances fall so far, so fast; and differ from day to day
TONES_DAY, NOISE_DAY = 0.03, 0.03  # log gains that differ from day to day


@dataclass(frozen=True)
class Running:
    """Of k looks, (k,) each: speed of nominal, load 0 to 1, gain of the machine's noise, rms of the neighbours' of the
    machine's own, resonances of nominal. tones: (tones,) gains of the session."""

    speed: Array
    load: Array
    noise: Array
    ambient: Array
    resonance: Array
    tones: Array

    def during(self, machine: Machine, seed: int, looks: slice, samples: int) -> Session:
        """The session of these looks, each of so many samples; mounted as the seed says."""
        rng = draws(machine, seed, 10)
        own = np.exp(0.12 * rng.standard_normal(len(machine.tones)))
        axes, turn = np.exp(0.05 * rng.standard_normal(len(machine.axes))), np.radians(rng.uniform(-3, 3, 3))
        courses = (self.speed, self.load, self.noise, self.ambient)
        speed, load, noise, ambient = (np.repeat(course[looks], samples) for course in courses)
        warmth = float(self.resonance[looks].mean())
        return Session(speed, load, own * self.tones, noise, warmth, axes, turn, ambient)


def running(machine: Machine, seed: int, session: int, *, hours: float, every_s: float) -> Running:
    """A day's or an hour's use, one look every every_s seconds; the same arguments give the same."""
    rng = draws(machine, seed, 11, session)
    count = round(hours * 3600 / every_s)
    day = rng.standard_normal(4)
    load = LOAD + LOAD_DAY * day[0] + LOAD_SPREAD * _drift(rng, count, every_s / LOAD_S)
    load = load.clip(LEAST_LOAD, MOST_LOAD)
    own = NOISE_DAY * day[1] + NOISE_SPREAD * _drift(rng, count, every_s / NOISE_S)
    return Running(
        speed=_steps(rng, count, every_s) * (1 - machine.slip * load),
        load=load,
        noise=np.exp(own),
        ambient=AMBIENT * np.exp(AMBIENT_SPREAD * _drift(rng, count, every_s / AMBIENT_S)),
        resonance=1 + DAY_WARMTH * day[2] - WARM_UP * (1 - np.exp(-np.arange(count) * every_s / WARM_UP_S)),
        tones=np.exp(TONES_DAY * rng.standard_normal(len(machine.tones))),
    )


def _drift(rng: np.random.Generator, count: int, step: float) -> Array:
    """(count,) a random course of unit variance that forgets itself within 1 / step looks (Ornstein and Uhlenbeck)."""
    keep = math.exp(-step)
    kicks = rng.standard_normal(count) * math.sqrt(1 - keep**2)
    course = np.empty(count)
    now = float(rng.standard_normal())
    for k in range(count):
        now = keep * now + kicks[k]
        course[k] = now
    return course


def _steps(rng: np.random.Generator, count: int, every_s: float) -> Array:
    """(count,) speeds of nominal: one of SPEEDS for a while, then another, with a ramp in between."""
    at, times, speeds = 0.0, [0.0], [float(rng.choice(SPEEDS))]
    while at < count * every_s:
        at += max(4 * RAMP_S, rng.exponential(DWELL_S))
        others = [speed for speed in SPEEDS if speed != speeds[-1]]
        times += [at, at + RAMP_S]
        speeds += [speeds[-1], float(rng.choice(others))]
        at += RAMP_S
    course: Array = np.interp(np.arange(count) * every_s, times, speeds)
    return course
