"""Arrivals: the true rate of samples that bear no number and no time stamp, and how many are missing among them, from
when each came.

A line may come late (it waits for its packet to fill, for the USB frame, for a busy host, for others before it), never
early. So it is the earliest of each stretch of time that show the device's pace; the rest say nothing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cyberhans.clock import Rate
from cyberhans.clock import rate as clocked
from cyberhans.errors import CyberHansError

STRETCHES = 60
APART = 6  # part of all stretches by which two of a pair lie apart
LEAST = 16  # lines
PASSES = 6
AROUND_S, AROUND = 2.0, 12  # of time before and after a silence, and of usual waits, in which some line is in time
DOUBT = 1.5  # lines: waits between none and one line tilt a straight line by as much as 1.5 over its length
SILENCE = 1.8  # times the usual wait
SURE = 4.0  # standard deviations of the earliest lines by which a shift must exceed ...
SOME = 0.6  # ... so many lines
PART = 0.05  # of a silence that is lost, at least: less is a device or host that was late
LATE_S = 1.0  # that a line may come late
COUNTED = 2.0**53  # beyond it a float does not tell a number from the next
CROWD = 0.25  # of the usual spacing: lines that come so close together were held back

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Pace:
    """What arrival times tell: the rate, by the host's clock, and lines missing before each line (n,), an estimate."""

    rate: Rate
    missing: Counts


def pace(arrival_s: Floats, index: Counts, damaged: NDArray[np.bool_]) -> Pace:
    """arrival_s (n,), ascending: when each line came, by the host's clock. index (n,), ascending: its number if none
    is missing. damaged (n,): lines that were not sound; nearby, others may be missing.

    Rate and missing lines are found in turns, until they agree. The interval of the rate is never narrower than DOUBT
    lines in all: they may wait for a clock of its own that is nearly in step with the device's, and nothing shows it.
    """
    rate = _usual_rate(arrival_s, index)
    missing = np.zeros(len(index), np.int64)
    for _ in range(PASSES):
        before, missing = missing, _missing(arrival_s, index, rate, damaged)
        rate = _rate(arrival_s, index, missing, rate)
        if (missing == before).all():
            break
    return Pace(rate, missing)


def numbered(arrival_s: Floats, column: Floats) -> tuple[Pace, Counts]:
    """The rate, and lines missing before each line, where one column of each line counts lines up by one; also which of
    them were counted: 0 where the device began anew, and what is missing is an estimate by the clock.

    A counter of 8, 16 or 32 bits may overflow. CyberHansError if it does not count by one.
    """
    step = np.diff(np.rint(column)).astype(np.int64)  # exact below COUNTED: strays() are left out
    if len(step) < LEAST or np.median(step) != 1:
        usual = f"{np.median(step):g}" if len(step) else "nothing"
        raise CyberHansError(f"--index-column counts up by {usual}, not by 1: is it another column?")
    size = next(size for size in (2**8, 2**16, 2**32, 2**63) if column.max() < size)
    rate_hz = _usual_rate(arrival_s, np.arange(len(arrival_s))).rate_hz
    time_for = np.diff(arrival_s) * rate_hz
    overflowed = (step < 1) & (step % size <= time_for + rate_hz * LATE_S)
    step[overflowed] %= size
    counted = step > 0
    step[~counted] = np.maximum(1, np.rint(time_for[~counted]))
    counted, missing = np.insert(counted, 0, True), np.insert(step - 1, 0, 0)
    index = np.arange(len(missing)) + np.cumsum(np.where(counted, missing, 0))
    again = np.where(counted, 0, np.maximum(missing, 1))  # a new count: its own straight line
    rate = _rate(arrival_s, index, again, _usual_rate(arrival_s, index))
    return Pace(rate, missing), counted.astype(np.int64)


def strays(column: Floats) -> NDArray[np.bool_]:
    """Where a column that counts lines is damaged: beyond COUNTED, or out of step between two that are in step."""
    stray = np.abs(column) >= COUNTED
    stray[1:-1] |= (column[2:] - column[:-2] == 2) & (column[1:-1] - column[:-2] != 1)
    if len(column) and stray.mean() > 0.5:
        raise CyberHansError(f"--index-column has {np.median(column):g}: too much for a count; is it another column?")
    return stray


def _usual_rate(arrival_s: Floats, index: Counts) -> Rate:
    """Roughly: the median over pairs of stretches, so that a few losses do no harm."""
    if len(index) < LEAST or arrival_s[-1] <= arrival_s[0]:
        span = arrival_s[-1] - arrival_s[0] if len(index) else 0.0
        raise CyberHansError(f"{len(index)} lines in {span:.3g} s do not tell their rate; record longer")
    edges = np.linspace(0, len(arrival_s) - 1, min(STRETCHES, len(arrival_s) // 2) + 1).astype(int)
    apart, at = max(1, len(edges) // APART), edges
    for _ in range(4):
        slopes = (arrival_s[at[apart:]] - arrival_s[at[:-apart]]) / (index[at[apart:]] - index[at[:-apart]])
        slope = float(np.median(slopes[slopes > 0]))
        at = _earliest(arrival_s - index * slope)
    return Rate(1 / slope, 0.0, 0.0)


def _rate(arrival_s: Floats, index: Counts, missing: Counts, rate: Rate) -> Rate:
    """Of parallel straight lines through the earliest of each stretch, one for each part between losses: how many were
    lost there is an estimate, and the rate is not to lean on it."""
    shifted = index + np.cumsum(missing)
    for _ in range(3):
        at = _earliest(arrival_s - shifted / rate.rate_hz)
        x, y = index[at].astype(np.float64), arrival_s[at]
        for part in np.split(np.arange(len(at)), np.flatnonzero(np.diff(np.cumsum(missing)[at])) + 1):
            x[part] -= x[part].mean()
            y[part] -= y[part].mean()
        order = np.argsort(x, kind="stable")
        rate = clocked(x[order], y[order], DOUBT / rate.rate_hz) or rate
    return rate


def _earliest(delay_s: Floats) -> Counts:
    """Number of the line with the least delay, in each stretch."""
    edges = np.linspace(0, len(delay_s), min(STRETCHES, len(delay_s) // 2) + 1).astype(int)
    return np.array([a + np.argmin(delay_s[a:b]) for a, b in itertools.pairwise(edges)])


def _missing(arrival_s: Floats, index: Counts, rate: Rate, damaged: NDArray[np.bool_]) -> Counts:
    """Lines missing before each line. After a silence lines that were only held back come in time again; where even
    the earliest of the next seconds comes later than those before the silence, that much was never sent or got lost."""
    missing = np.zeros(len(arrival_s), np.int64)
    delay = arrival_s - index / rate.rate_hz
    least = SOME + SURE * _scatter(delay) * rate.rate_hz
    wait = np.diff(arrival_s)
    usual = max(float(np.quantile(wait[wait > 0], 0.95)), 1 / rate.rate_hz)
    around = max(AROUND_S, AROUND * usual)
    for k in np.flatnonzero(wait > SILENCE * usual) + 1:
        start, end = np.searchsorted(arrival_s, (arrival_s[k - 1] - around, arrival_s[k] + around))
        if arrival_s[-1] - arrival_s[k] < around / 4:
            break  # too few to tell: what came last may all have been held back
        shift = (delay[k:end].min() - delay[start:k].min()) * rate.rate_hz
        if shift > max(least, PART * wait[k - 1] * rate.rate_hz):
            lost = round(shift)
            place = _place(arrival_s, int(k), rate.rate_hz, damaged)
            missing[place] += lost
            delay[place:] -= lost / rate.rate_hz
    return missing


def _scatter(delay_s: Floats) -> float:
    """Standard deviation of the least delays of stretches, from their differences, by the median: losses move few."""
    return float(np.median(np.abs(np.diff(delay_s[_earliest(delay_s)]))) * 1.4826 / np.sqrt(2))


def _place(arrival_s: Floats, k: int, rate_hz: float, damaged: NDArray[np.bool_]) -> int:
    """Where lines are missing after the silence before line k. What was held back came first, in a crowd: if a line in
    it or right after it is damaged, there; else at its end, or right after the silence if there was no crowd."""
    wait = np.diff(arrival_s[k:])
    alone = np.flatnonzero(wait > CROWD / rate_hz)
    end = k + (int(alone[0]) + 1 if len(alone) else len(wait))
    hurt = np.flatnonzero(damaged[k : end + 2])
    if len(hurt):
        return k + int(hurt[0])
    usual = len(arrival_s) / max(1, int(np.count_nonzero(np.diff(arrival_s) > CROWD / rate_hz)))
    return end if end - k > 2 * usual + 1 else k
