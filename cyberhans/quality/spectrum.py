"""Spectrum: bands for comparing recordings, mains hum, and the noise of a sensor on a machine that is off."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cyberhans.profile import HUM_HZ, PER_OCTAVE, Profile
from cyberhans.quality.figures import Figures, Floats
from cyberhans.reason import Reason
from cyberhans.recording import Recording

LINES_A_BAND = 2  # at least, of the lowest band
HIGHEST = 0.42  # of the rate: above, filters fall
SILENT = -150.0  # dB of a band without power
HUM_DB, HUM_MORE_DB = 15.0, 10.0  # a line of hum stands out so far around it, and so far above the machine's usual
HUM_SHARE, HUM_ALONE = 0.001, 0.01  # of a channel's power: hum worth telling; 50 or 60 Hz without its harmonics
HUM_OFF_HZ, HUM_FINEST_HZ = 0.25, 1.5  # mains keep their frequency so well; wider lines cannot tell them from a shaft
AROUND_HZ, BESIDE_HZ = 12.0, 3.0  # where the floor around a line of hum is looked for, and where not
PURE, NEAR = 0.4, 3  # share of a steady tone's power, all within so many lines, in the highest: 0.48 to 0.67 if Hann
SHAFT = 0.003  # share by which a multiple of the shaft's speed may be off what was stated
WHITE_DB, WHITEST_DB, PARTS = (
    6.0,
    3.5,
    16,
)  # how far parts of the spectrum of mere noise differ: any channel, the median
QUIET = 1 / 256  # of full scale: a level below may be a sensor's noise
LEAST_FRAMES = 4096  # of a recording that may be called mere noise


def bands(recording: Recording, seen: Figures) -> tuple[int, tuple[tuple[float, ...], ...]]:
    """Number of the lowest band, and of each channel the mean power density of each band, dB of unit^2 / Hz."""
    if not seen.line_hz:
        return 0, tuple(() for _ in recording.axes)
    narrow = 2 ** (1 / PER_OCTAVE) - 1
    lowest = math.ceil(PER_OCTAVE * math.log2(LINES_A_BAND * seen.line_hz / narrow))
    highest = math.floor(PER_OCTAVE * math.log2(HIGHEST * recording.rate_hz))
    edges = 2 ** (np.arange(lowest, highest + 1) / PER_OCTAVE) / seen.line_hz
    if len(edges) < 2:
        return 0, tuple(() for _ in recording.axes)
    starts = np.ceil(edges).astype(int)
    means = np.add.reduceat(seen.power, starts, axis=1)[:, :-1] / np.diff(starts)
    decibel = 10 * np.log10(np.maximum(means * recording.scale**2, 10 ** (SILENT / 10)))
    return lowest, tuple(tuple(np.round(row, 1).tolist()) for row in decibel)


def hum(seen: Figures) -> tuple[tuple[float, ...], ...]:
    """Of each channel, how far the lines of HUM_HZ stand out around them, dB; 0 where there is none."""
    return tuple(tuple(round(_stands_out(row, seen.line_hz, hz), 1) for hz in HUM_HZ) for row in seen.power)


def _stands_out(power: Floats, line_hz: float, hz: float) -> float:
    if not 0 < line_hz <= HUM_FINEST_HZ or hz + AROUND_HZ > line_hz * (len(power) - 2):
        return 0.0
    near = round(hz / line_hz)
    k = near - 1 + int(np.argmax(power[near - 1 : near + 2]))
    if not power[k - 1] < power[k] > power[k + 1]:
        return 0.0
    low, mid, high = np.log(power[k - 1 : k + 2] + 1e-30)
    if abs((k + (low - high) / (2 * (low - 2 * mid + high))) * line_hz - hz) > HUM_OFF_HZ:
        return 0.0
    wide, narrow = round(AROUND_HZ / line_hz), math.ceil(BESIDE_HZ / line_hz)
    floor = float(np.median(np.concatenate([power[max(2, k - wide) : k - narrow], power[k + narrow + 1 : k + wide]])))
    whole = float((power[k - NEAR : k + NEAR + 1] - floor).sum())
    if power[k] - floor < PURE * whole:
        return 0.0  # its frequency wanders, as a shaft's does
    return max(0.0, float(10 * np.log10((power[k] + 1e-12) / (floor + 1e-12))))


def humming(recording: Recording, seen: Figures, earlier: Sequence[Profile]) -> list[Reason]:
    """Channels in which 50 or 60 Hz and odd harmonics stand out, and did not in the machine's earlier recordings."""
    found = []
    rows = hum(seen)
    for c, axis in enumerate(recording.axes):
        usual = np.max([before.hum[c] for before in earlier], axis=0) if earlier else np.zeros(len(HUM_HZ))
        new = (np.array(rows[c]) > HUM_DB) & (np.array(rows[c]) > usual + HUM_MORE_DB)
        for mains in (50.0, 60.0):
            lines = [hz for hz, out in zip(HUM_HZ, new, strict=True) if out and hz / mains in (1, 3, 5)]
            lines = [hz for hz in lines if not _of_shaft(recording, hz)]
            power = sum(_line_power(seen, c, hz) for hz in lines) / seen.rms[c] ** 2 if lines else 0.0
            if power > (HUM_SHARE if len(lines) > 1 else HUM_ALONE) and (len(lines) > 1 or lines == [mains]):
                names = ", ".join(f"{hz:g}" for hz in lines)
                found.append(Reason(f"channel {axis}: mains hum at {names} Hz, {100 * power:.2g} % of its power: shield"
                                    " and ground the sensor's cable, keep it away from mains"))  # fmt: skip
    return found


def _of_shaft(recording: Recording, hz: float) -> bool:
    turns = 60 * hz / recording.speed_rpm if recording.speed_rpm else 0.0
    return round(turns) > 0 and abs(turns / round(turns) - 1) < SHAFT


def _line_power(seen: Figures, c: int, hz: float) -> float:
    k = round(hz / seen.line_hz)
    return float(seen.power[c, k - 2 : k + 3].sum()) * seen.line_hz


def mere_noise(recording: Recording, seen: Figures) -> list[Reason]:
    """A machine that is off, told without earlier ones: every channel is faint and as white as a sensor's noise."""
    lines = seen.power.shape[1]
    if recording.frames < LEAST_FRAMES or lines < 4 * PARTS or (seen.rms > QUIET * recording.full_scale).any():
        return []
    kept = seen.power[:, max(2, lines // 64) : lines - lines // 20]
    parts = 10 * np.log10([np.median(part, axis=1) + 1e-12 for part in np.array_split(kept, PARTS, axis=1)])
    spread = np.ptp(parts, axis=0)
    if spread.max() > WHITE_DB or np.median(spread) > WHITEST_DB:
        return []
    text = "only the sensor's own noise: the machine is off, or the sensor is not on it"
    return [Reason(f"{text}; switch it on and record again", fatal=True)]
