"""Machines to simulate, as data. Amplitudes are peak values in the machine's unit at nominal speed and full load."""

from __future__ import annotations

import math
from dataclasses import dataclass

Gains = tuple[float, ...]  # one per channel


@dataclass(frozen=True)
class Tone:
    """A sine locked to the shaft (`order` turns) or, with order 0, at a fixed `hz`.

    Its amplitude is healthy + severity * faulty (the latter only under `fault`), times (speed/nominal) ** power.
    """

    order: float
    healthy: float
    gains: Gains
    power: float = 2.0  # 2: a rotating mass, force = m r omega^2
    load: float = 0.0  # share of the amplitude that is proportional to load
    fault: str = ""
    faulty: float = 0.0
    hz: float = 0.0


@dataclass(frozen=True)
class Gear:
    """A pair's mesh on the shaft: `teeth` waves a turn and their harmonics, modulated once a turn."""

    teeth: int
    amplitude: float
    gains: Gains


@dataclass(frozen=True)
class Bearing:
    """Geometry of a rolling bearing and what an impact in it excites: a damped resonance.

    Frequencies are per turn of the shaft, inner ring turning, no slip (Harris, Rolling Bearing Analysis;
    Randall and Antoni 2011).
    """

    balls: int
    ball_mm: float
    pitch_mm: float
    contact_deg: float
    resonance_hz: float
    damping: float
    amplitude: float
    gains: Gains

    @property
    def ratio(self) -> float:
        return self.ball_mm / self.pitch_mm * math.cos(math.radians(self.contact_deg))

    @property
    def bpfo(self) -> float:
        """Balls passing a point of the outer ring."""
        return self.balls / 2 * (1 - self.ratio)

    @property
    def bpfi(self) -> float:
        """Balls passing a point of the inner ring."""
        return self.balls / 2 * (1 + self.ratio)

    @property
    def ftf(self) -> float:
        """Turns of the cage."""
        return (1 - self.ratio) / 2

    @property
    def bsf(self) -> float:
        """Turns of a ball about its own axis; a defect on it strikes twice a turn."""
        return self.pitch_mm / (2 * self.ball_mm) * (1 - self.ratio**2)


@dataclass(frozen=True)
class Noise:
    """Broadband noise: rms in the unit, falling above corner_hz, raised at resonances (Hz, gain, damping)."""

    rms: float
    corner_hz: float
    power: float  # of the amplitude with speed
    resonances: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Machine:
    """One kind of machine and the sensor on it."""

    name: str
    rate_hz: float
    unit: str
    range: float  # the sensor saturates at +- range, int16 full scale
    axes: tuple[str, ...]
    sensor: str
    sensor_noise: float  # rms, in the unit
    gravity: Gains  # what the resting sensor shows
    speed_rpm: float  # at no load
    slip: float  # share of speed lost at full load
    tones: tuple[Tone, ...]
    bearing: Bearing
    noise: Noise
    gear: Gear | None = None

    @property
    def faults(self) -> tuple[str, ...]:
        """The faults that this machine can have."""
        tonal = dict.fromkeys(tone.fault for tone in self.tones if tone.fault)
        return ("none", *tonal, "bearing_outer", "bearing_inner", "bearing_ball", *(("gear",) if self.gear else ()))


_TURNING, _AXIAL, _UPRIGHT = (1.0, 0.8, 0.15), (0.5, 0.4, 1.0), (0.4, 1.0, 0.3)

PUMP = Machine(
    name="pump",
    rate_hz=3200.0,
    unit="g",
    range=16.0,
    axes=("x", "y", "z"),
    sensor="simulated MEMS accelerometer, 16 g, 3200 Hz",
    sensor_noise=0.004,
    gravity=(0.0, 1.0, 0.0),
    speed_rpm=1480.0,
    slip=0.025,
    tones=(
        Tone(1, 0.030, _TURNING, fault="imbalance", faulty=0.12),
        Tone(2, 0.012, _AXIAL, load=0.5, fault="misalignment", faulty=0.06),
        Tone(3, 0.006, _AXIAL, load=0.5, fault="misalignment", faulty=0.02),
        Tone(0.5, 0.0010, _UPRIGHT, fault="looseness", faulty=0.020),
        Tone(1.5, 0.0010, _UPRIGHT, fault="looseness", faulty=0.025),
        Tone(2.5, 0.0008, _UPRIGHT, fault="looseness", faulty=0.020),
        Tone(4, 0.004, _UPRIGHT, fault="looseness", faulty=0.025),
        Tone(5, 0.003, _UPRIGHT, fault="looseness", faulty=0.020),
        Tone(6, 0.025, (0.9, 0.7, 0.5), load=0.6),  # six vanes pass the outlet
        Tone(12, 0.010, (0.7, 0.9, 0.5), load=0.6),
        Tone(0, 0.008, (0.6, 0.8, 0.3), power=0, hz=100.0),  # twice the mains frequency
    ),
    bearing=Bearing(9, 7.94, 38.5, 0.0, 1130.0, 0.04, 0.30, (0.8, 1.0, 0.4)),
    noise=Noise(0.030, 700.0, 1.5, ((430.0, 1.6, 0.05), (1130.0, 2.2, 0.04))),
    gear=Gear(23, 0.025, (0.6, 0.7, 0.9)),
)

FAN = Machine(
    name="fan",
    rate_hz=8000.0,
    unit="full-scale",
    range=1.0,
    axes=("mic",),
    sensor="simulated MEMS microphone, 8000 Hz",
    sensor_noise=0.0002,
    gravity=(0.0,),
    speed_rpm=1420.0,
    slip=0.03,
    tones=(
        Tone(1, 0.0020, (1.0,), fault="imbalance", faulty=0.018),
        Tone(2, 0.0012, (1.0,), fault="misalignment", faulty=0.015),
        Tone(3, 0.0010, (1.0,), fault="misalignment", faulty=0.006),
        Tone(1.5, 0.0001, (1.0,), fault="looseness", faulty=0.008),
        Tone(2.5, 0.0001, (1.0,), fault="looseness", faulty=0.009),
        Tone(3.5, 0.0001, (1.0,), fault="looseness", faulty=0.009),
        Tone(5, 0.0004, (1.0,), fault="looseness", faulty=0.009),
        Tone(7, 0.0120, (1.0,), power=3.0, load=0.5),  # seven blades; a dipole's pressure grows with speed cubed
        Tone(14, 0.0060, (1.0,), power=3.0, load=0.5),
        Tone(21, 0.0025, (1.0,), power=3.0, load=0.5),
        Tone(0, 0.0030, (1.0,), power=0, hz=100.0),
    ),
    bearing=Bearing(8, 3.97, 15.5, 0.0, 2650.0, 0.03, 0.045, (1.0,)),
    noise=Noise(0.012, 500.0, 3.0, ((310.0, 2.0, 0.06), (1250.0, 1.4, 0.05), (2650.0, 1.5, 0.03))),
)

BY_NAME = {machine.name: machine for machine in (PUMP, FAN)}
