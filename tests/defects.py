"""Defects to inject into healthy recordings: what goes wrong between a machine and a file."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cyberhans.profile import Profile
from cyberhans.quality import profile
from cyberhans.recording import Gap, Recording
from cyberhans.simulate import simulate

Floats = NDArray[np.float64]
Random = np.random.Generator


SECONDS, BEFORE = 8.0, 6


@functools.cache
def healthy(machine: str, seed: int, seconds: float = SECONDS) -> Recording:
    return simulate(machine, seconds=seconds, seed=seed)


@functools.cache
def past(machine: str, count: int = BEFORE, seconds: float = SECONDS) -> tuple[Profile, ...]:
    return tuple(profile(healthy(machine, 100 + seed, seconds)) for seed in range(count))


def with_samples(recording: Recording, value: Floats | NDArray[np.int16], **fields: object) -> Recording:
    samples = np.clip(np.rint(value), -32768, 32767).astype(np.int16)
    return dataclasses.replace(recording, samples=np.ascontiguousarray(samples), segment_len=0, **fields)


def _level(recording: Recording) -> Floats:
    return recording.samples.std(axis=0)


def lost_block(recording: Recording, random: Random) -> Recording:
    """As a capture sees it: the device numbered what it could not send."""
    at, lost = int(random.integers(1000, recording.frames - 2000)), int(random.integers(50, 1000))
    kept = np.delete(recording.samples, slice(at, at + lost), axis=0)
    return with_samples(recording, kept, gaps=(Gap(at, lost),), lost_samples=lost)


def filled_block(recording: Recording, random: Random) -> Recording:
    """As a logger without numbers writes it: the last sample held."""
    at, lost = int(random.integers(1000, recording.frames - 2000)), int(random.integers(150, 1000))
    held = recording.samples.copy()
    held[at : at + lost] = held[at]
    return with_samples(recording, held)


def clipped(recording: Recording, random: Random) -> Recording:
    """A sensor that ends at 60 % of the int16 range, on a machine that shakes it that much."""
    gain = 0.6 * 32768 / (3.0 * _level(recording).max())
    loud = (recording.samples - recording.samples.mean(axis=0)) * gain
    return with_samples(recording, np.clip(loud, -19661, 19661), scale=recording.scale / gain)


def dead_axis(recording: Recording, random: Random) -> Recording:
    samples = recording.samples.copy()
    c = int(random.integers(recording.channels))
    samples[:, c] = random.integers(-300, 300)
    return with_samples(recording, samples)


def noise_only_axis(recording: Recording, random: Random) -> Recording:
    """A broken wire: the converter's own noise is left."""
    samples = recording.samples.copy()
    samples[:, int(random.integers(recording.channels))] = np.rint(random.normal(0, 0.6, recording.frames))
    return with_samples(recording, samples)


def swapped_axes(recording: Recording, random: Random) -> Recording:
    a, b = random.choice(recording.channels, 2, replace=False)
    order = np.arange(recording.channels)
    order[[a, b]] = order[[b, a]]
    return with_samples(recording, recording.samples[:, order])


def reversed_sign(recording: Recording, random: Random) -> Recording:
    """Of the channel with gravity: another's sign is the mounting's."""
    c = int(np.argmax(np.abs(recording.samples.mean(axis=0))))
    samples = recording.samples.copy()
    samples[:, c] = -samples[:, c]
    return with_samples(recording, samples)


def stuck_low_bits(recording: Recording, random: Random) -> Recording:
    return with_samples(recording, recording.samples & np.int16(-1 << int(random.integers(3, 6))))


def stuck_bit(recording: Recording, random: Random) -> Recording:
    return with_samples(recording, recording.samples | np.int16(1 << int(random.integers(3, 5))))


def dc_step(recording: Recording, random: Random) -> Recording:
    c, at = int(random.integers(recording.channels)), int(recording.frames * random.uniform(0.2, 0.8))
    value = recording.samples.astype(np.float64)
    value[at:, c] += random.choice([-1, 1]) * random.uniform(1, 3) * _level(recording)[c]
    return with_samples(recording, value)


def off(recording: Recording, random: Random) -> Recording:
    """Gravity and the sensor's own noise, as cyberhans.machines has it."""
    noise = {"pump": 8.2, "fan": 6.6}[recording.machine]
    return with_samples(recording, recording.samples.mean(axis=0) + random.normal(0, noise, recording.samples.shape))


def wrong_rate(recording: Recording, random: Random) -> Recording:
    """The sensor was set to another rate than the file says; nothing was measured."""
    said = recording.rate_hz * random.choice([0.5, 0.625, 1.6, 2.0])
    return dataclasses.replace(recording, rate_hz=said, rate_nominal_hz=said)


def halved_rate(recording: Recording, random: Random) -> Recording:
    """As above, but with the rate that the machine's recordings always had in the file."""
    return with_samples(recording, recording.samples[::2])


def slow_clock(recording: Recording, random: Random) -> Recording:
    """Measured by time stamps: 4 % off, as cheap sensors are."""
    rate = recording.rate_hz * (1 + random.choice([-0.04, 0.04]))
    return dataclasses.replace(recording, rate_hz=rate, rate_nominal_hz=recording.rate_hz, rate_uncertainty_hz=0.2)


def hum(recording: Recording, random: Random) -> Recording:
    """50 Hz with its third and fifth harmonic, together a third of the level, in one channel."""
    c, t = int(random.integers(recording.channels)), np.arange(recording.frames) / recording.rate_hz
    mains = float(random.choice([50.0, 60.0]) * (1 + 0.0005 * random.standard_normal()))
    value = recording.samples.astype(np.float64)
    for order, share in ((1, 0.4), (3, 0.12), (5, 0.08)):
        value[:, c] += share * _level(recording)[c] * np.sin(2 * np.pi * order * mains * t + random.uniform(0, 6))
    return with_samples(recording, value)


def come_loose(recording: Recording, random: Random) -> Recording:
    """The mounting's resonance falls to a fifth of the band, the sensor rattles now and then, and hangs askew."""
    mean = recording.samples.mean(axis=0)
    hz = np.fft.rfftfreq(recording.frames, 1 / recording.rate_hz)
    cut = 0.1 * recording.rate_hz
    passed = 1 / np.sqrt((1 - (hz / cut) ** 2) ** 2 + (hz / (2 * cut)) ** 2)
    value = np.fft.irfft(np.fft.rfft(recording.samples - mean, axis=0) * passed[:, None], recording.frames, axis=0)
    struck = random.uniform(size=recording.frames) < 8 / recording.rate_hz  # eight times a second
    ring = np.exp(-np.arange(200) * 0.05) * np.sin(2 * np.pi * 0.1 * np.arange(200))
    rattle = np.convolve(struck * random.exponential(8, recording.frames), ring)[: recording.frames]
    value += rattle[:, None] * _level(recording) + random.normal(0, 6, value.shape)
    if recording.channels == 3:
        angle = random.uniform(0.3, 0.6)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        value, mean = value @ turn.T, turn @ mean
    return with_samples(recording, value + mean)


def turned(recording: Recording, random: Random) -> Recording:
    """Put back 25 to 60 degrees round."""
    angle = random.uniform(0.45, 1.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return with_samples(recording, recording.samples @ turn.T)


def jittery(recording: Recording, random: Random) -> Recording:
    return dataclasses.replace(recording, jitter_s=float(random.uniform(0.002, 0.02)))


def tenth_lost(recording: Recording, random: Random) -> Recording:
    """A tenth of it dropped, in blocks."""
    places = sorted(random.choice(np.arange(100, recording.frames - 100, 100), 20, replace=False).tolist())
    gaps = tuple(Gap(at, recording.frames // 180) for at in places)
    return dataclasses.replace(recording, gaps=gaps, lost_samples=sum(gap.lost for gap in gaps))


@dataclasses.dataclass(frozen=True)
class Defect:
    """machines: which it can happen to. words: name it. fatal: training must refuse it.

    needs_earlier: nobody could tell it from a single recording.
    """

    make: Callable[[Recording, Random], Recording]
    machines: tuple[str, ...]
    words: str
    fatal: bool = False
    needs_earlier: bool = False


BOTH, PUMP = ("pump", "fan"), ("pump",)
TABLE = {
    "lost block": Defect(lost_block, BOTH, "were lost"),
    "a tenth lost": Defect(tenth_lost, BOTH, "were lost", fatal=True),
    "lost block, filled up": Defect(filled_block, BOTH, "stands still"),
    "clipped at 60 %": Defect(clipped, BOTH, "where the sensor clips"),
    "dead axis": Defect(dead_axis, PUMP, "is dead", fatal=True),
    "axis with noise only": Defect(noise_only_axis, PUMP, "is dead", fatal=True),
    "axes swapped": Defect(swapped_axes, PUMP, "swapped", fatal=True, needs_earlier=True),
    "reversed sign": Defect(reversed_sign, PUMP, "sign reversed", fatal=True, needs_earlier=True),
    "stuck low bits": Defect(stuck_low_bits, BOTH, "bits never change"),
    "stuck bit": Defect(stuck_bit, BOTH, "is stuck", fatal=True),
    "DC step": Defect(dc_step, BOTH, "DC steps"),
    "machine off": Defect(off, BOTH, "machine is off", fatal=True),
    "wrong rate": Defect(wrong_rate, BOTH, "wrong rate", fatal=True, needs_earlier=True),
    "rate halved": Defect(halved_rate, BOTH, "wrong rate", fatal=True, needs_earlier=True),
    "clock 4 % off": Defect(slow_clock, BOTH, "the nominal"),
    "jitter": Defect(jittery, BOTH, "jitter"),
    "hum": Defect(hum, BOTH, "mains hum"),
    "come loose": Defect(come_loose, PUMP, "come loose", fatal=True, needs_earlier=True),
    "turned": Defect(turned, PUMP, "orientation", needs_earlier=True),
}
