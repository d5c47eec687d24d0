"""Comparison: a recording against the machine's earlier ones: off, rate, axes, orientation, a sensor come loose."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cyberhans.profile import PER_OCTAVE, Profile
from cyberhans.quality.figures import Floats
from cyberhans.reason import Reason
from cyberhans.recording import RATE_TOLERANCE

OFF_DB, OFF_FEW_DB, FEW = -15.0, -20.0, 3  # below the quietest earlier recording: off; the second if they are fewer
IDLE_DB, DEAD_DB, NOTHING_DB = -6.0, -20.0, 200.0  # the last: a channel that never changes, told elsewhere
TURNED, TURNED_DEGREES = 0.25, 14  # a change of DC that is told, as a share of the usual DC: this angle
SPREAD = 2.0  # times the scatter of earlier recordings that a change must exceed besides
BAND_DB = 1.0  # scatter of a band, at least
OTHER_AXES, FIT_AXES, FIT_FEW = 0.25, 0.6, 0.75  # exchanged axes lessen the misfit by so much, and to this share
SURE_AXES = 1.0  # by so much even one earlier recording tells it for sure
SAME_DC = 0.3  # of the slack by which DC may fit worse
WRONG_RATE_DB, FITS = 2.2, 0.5  # misfit of the spectrum as it is, and its share when it is moved
MOST_SHIFT, LEAST_BANDS = 12, 9  # bands: of shift; that overlap
TILT_DB = 6.0  # loss of the upper bands against the lower ones
IMPACTS = 2.0  # times the usual kurtosis, plus one


@dataclass(frozen=True)
class History:
    """The recording's figures and, in front of an axis for the occasions, those of earlier ones; bands both have."""

    now: Profile
    level: Floats  # (occasions, channels)
    dc: Floats
    kurtosis: Floats
    correlation: Floats  # (occasions, pairs)
    bands: Floats  # (occasions, channels, bands), dB
    bands_now: Floats  # (channels, bands)

    @property
    def drop(self) -> Floats:
        """(channels,) dB above the quietest earlier recording."""
        quietest = np.maximum(self.level.min(axis=0), 1e-30)
        drop: Floats = 20 * np.log10(np.maximum(self.now.level, 1e-30) / quietest)
        return drop

    @property
    def moved(self) -> Floats:
        """(channels,) change of DC in the unit."""
        return np.array(self.now.dc) - np.median(self.dc, axis=0)

    def dc_distance(self, order: tuple[int, ...], sign: tuple[int, ...]) -> float:
        """From the usual DC, in the unit, if channel order[c] times sign[c] is taken for channel c."""
        return float(np.linalg.norm(np.array(self.now.dc)[list(order)] * sign - np.median(self.dc, axis=0)))

    @property
    def dc_slack(self) -> float:
        """How far DC may move: a turn of some degrees; more if it has varied more or is small beside the level."""
        usual = np.median(self.dc, axis=0)
        scatter = float(np.linalg.norm(self.dc - usual, axis=1).max())
        return max(TURNED * float(np.linalg.norm(usual)), SPREAD * scatter, float(np.median(self.level)))


def history(now: Profile, earlier: Sequence[Profile]) -> History:
    """Only of recordings with these axes and this unit; at least one."""
    everyone = [now, *earlier]
    first = max(one.lowest_band for one in everyone)
    last = min(one.lowest_band + len(one.bands[0]) for one in everyone)
    rows = [
        [row[first - one.lowest_band : max(first, last) - one.lowest_band] for row in one.bands] for one in everyone
    ]
    bands = np.array(rows, dtype=np.float64).reshape(len(everyone), len(now.axes), -1)
    level, dc, kurtosis, correlation = (
        np.array([getattr(before, name) for before in earlier])
        for name in ("level", "dc", "kurtosis", "correlation")
    )  # fmt: skip
    return History(now, level, dc, kurtosis, correlation, bands[1:], bands[0])


def compared(now: Profile, earlier: Sequence[Profile], *, healthy: bool) -> list[Reason]:
    """Reasons from earlier recordings. healthy: not labelled an anomaly, so a change of sound is the sensor's too."""
    if not earlier:
        return []
    past = history(now, earlier)
    found = _silence(past) or _dead(past)
    rate = _rate(now, earlier) + _spectrum_shifted(past)
    if found:
        return found + rate
    axes = _axes(past) or _turned(past)
    return rate + axes + (_loose(past) if healthy and not rate else [])


def resolution(now: Profile, earlier: Sequence[Profile]) -> list[Reason]:
    """Low bits that never change: told of a sensor that never had them once, in its first recording."""
    usual = [max((before.step[c] for before in earlier), default=1.0) for c in range(len(now.axes))]
    coarse = [c for c, step in enumerate(now.step) if step > max(usual[c], 1.0)]
    if not coarse:
        return []
    bits = " and ".join(sorted({f"{math.log2(now.step[c]):.0f}" for c in coarse}))
    mend = "they did in earlier recordings; check the sensor and its bus"
    mend = mend if earlier else "fine if the sensor has no more, else check its bus"
    return [Reason(f"channel {', '.join(now.axes[c] for c in coarse)}: the lowest {bits} bits never change: {mend}")]


def _silence(past: History) -> list[Reason]:
    drop = float(past.drop.max())
    text = f"{-drop:.0f} dB below the quietest earlier recording"
    if drop < (OFF_FEW_DB if len(past.level) < FEW else OFF_DB):
        return [Reason(f"the machine is off or idle: {text}; record it at work", fatal=True)]
    return [Reason(f"the machine may be idle: {text}; record it at its usual speed and load")] * (drop < IDLE_DB)


def _dead(past: History) -> list[Reason]:
    return [
        Reason(f"channel {axis} is dead: {-drop:.0f} dB below the quietest earlier recording, others are not; check"
               " its wiring", fatal=True)
        for axis, drop in zip(past.now.axes, past.drop, strict=True) if -NOTHING_DB < drop < DEAD_DB
    ]  # fmt: skip


def _rate(now: Profile, earlier: Sequence[Profile]) -> list[Reason]:
    usual = float(np.median([before.rate_hz for before in earlier]))
    if abs(now.rate_hz / usual - 1) <= RATE_TOLERANCE:
        return []
    return [Reason(f"rate {now.rate_hz:.6g} Hz, but {usual:.6g} Hz in earlier recordings: a detector takes one rate;"
                   " set the sensor as before")]  # fmt: skip


def _spectrum_shifted(past: History) -> list[Reason]:
    """The spectrum fits earlier ones only when it is moved along the frequency: the samples had another rate."""
    usual = np.median(past.bands, axis=0)
    count = usual.shape[1]

    def misfit(shift: int) -> float:
        here = past.bands_now[:, max(0, shift) : count + min(0, shift)]
        there = usual[:, max(0, -shift) : count + min(0, -shift)]
        off = here - there
        return float(np.mean(np.abs(off - np.median(off))))

    most = min(MOST_SHIFT, count - LEAST_BANDS)
    if most < 2:
        return []
    costs = {shift: misfit(shift) for shift in range(-most, most + 1)}
    best = min(costs, key=lambda shift: costs[shift])
    if abs(best) < 2 or costs[0] < WRONG_RATE_DB or costs[best] > FITS * costs[0]:
        return []
    true = past.now.rate_hz / 2 ** (best / PER_OCTAVE)
    return [Reason(f"wrong rate: the spectrum fits earlier recordings if it was sampled at about {true:.2g} Hz, not"
                   f" {past.now.rate_hz:.6g} Hz; check the output data rate, or mend rate_hz", fatal=True)]  # fmt: skip


def _axes(past: History) -> list[Reason]:
    """Channels exchanged or turned round, if that explains the change of DC, spectrum and correlation much better."""
    axes = past.now.axes
    if not 2 <= len(axes) <= 4:
        return []
    signs = list(itertools.product((1, -1), repeat=len(axes)))
    ways = [(order, sign) for order in itertools.permutations(range(len(axes))) for sign in signs]
    still = past.dc_distance(*ways[0]) + SAME_DC * past.dc_slack
    costs = {way: _misfit(past, *way) for way in ways if past.dc_distance(*way) <= still}
    least, plain = min(costs.values()), costs[ways[0]]
    few = len(past.level) < FEW
    if plain - least < OTHER_AXES or least > (FIT_FEW if few else FIT_AXES) * plain:
        return []
    alike = [way for way in costs if costs[way] < least + OTHER_AXES / 2]
    order, sign = min(alike, key=lambda way: sum(a != b for a, b in enumerate(way[0])) - sum(way[1]))
    if past.dc_distance(order, sign) > past.dc_slack:
        return []  # turned by another angle
    sure = plain - least > SURE_AXES or not few
    text = _exchange(axes, order, sign, sure)
    return [Reason(f"{text} against earlier recordings: wire or mount the sensor as before", fatal=sure)]


def _exchange(axes: tuple[str, ...], order: tuple[int, ...], sign: tuple[int, ...], sure: bool) -> str:
    swapped = [axes[c] for c, other in enumerate(order) if c != other]
    turned = [axes[other] for other, way in zip(order, sign, strict=True) if way < 0]
    told = [f"channels {', '.join(swapped)} {'are' if sure else 'may be'} swapped"] * bool(swapped)
    told += [f"channel {', '.join(turned)} {'has' if sure else 'may have'} its sign reversed"] * bool(turned)
    return " and ".join(told)


def _misfit(past: History, order: tuple[int, ...], sign: tuple[int, ...]) -> float:
    """How badly channel order[c] times sign[c], taken for channel c, fits: DC, bands, correlation."""
    chosen = list(order)
    before = past.bands - past.bands.mean(axis=1, keepdims=True)  # what differs between channels: load moves all alike
    usual, now = np.median(before, axis=0), past.bands_now - past.bands_now.mean(axis=0)
    scatter = np.maximum(np.abs(before - usual).max(axis=0), BAND_DB)
    off = np.clip((now[chosen] - usual) / (SPREAD * scatter), -3, 3) if usual.size else np.zeros(1)
    moved = max(0.0, past.dc_distance(order, sign) / past.dc_slack - 1)
    return moved + float(np.mean(off**2)) + _correlation_misfit(past, order, sign)


def _correlation_misfit(past: History, order: tuple[int, ...], sign: tuple[int, ...]) -> float:
    """Of pairs that were always correlated in one sense."""
    pairs = list(itertools.combinations(range(len(order)), 2))
    cost = 0.0
    for number, (a, b) in enumerate(pairs):
        usual = past.correlation[:, number]
        now = past.now.correlation[pairs.index((min(order[a], order[b]), max(order[a], order[b])))]
        cost += abs(np.median(usual) - now * sign[a] * sign[b]) * (len(usual) > 1 and np.abs(usual).min() > 0.3
                                                                  and np.ptp(np.sign(usual)) == 0)  # fmt: skip
    return cost


def _turned(past: History) -> list[Reason]:
    usual, now = np.median(past.dc, axis=0), np.array(past.now.dc)
    if np.linalg.norm(past.moved) <= past.dc_slack:
        return []
    length = float(np.linalg.norm(usual) * np.linalg.norm(now))
    if len(now) == 3 and length > 0:
        angle = math.degrees(math.acos(max(-1.0, min(1.0, float(usual @ now) / length))))
        if angle > TURNED_DEGREES / 2:
            return [Reason(f"orientation: the sensor is turned by {angle:.0f} degrees against earlier recordings; mount"
                           " it as before, or begin anew under another machine name")]  # fmt: skip
    c = int(np.argmax(np.abs(past.moved)))
    text = f"channel {past.now.axes[c]}: DC is {past.moved[c]:.3g} {past.now.unit} away from earlier recordings"
    return [Reason(f"{text}; check sensor, range and mounting")]


def _loose(past: History) -> list[Reason]:
    """A sensor that no longer sits fast passes on less of the high frequencies, rattles, and hangs askew."""
    tilt, usual = _tilt(past)
    weaker = f"the upper frequencies are {-tilt:.0f} dB weaker" if tilt < -(TILT_DB + SPREAD * usual) else ""
    rattles = (np.array(past.now.kurtosis) > IMPACTS * past.kurtosis.max(axis=0) + 1).any()
    impacts = f"impacts, kurtosis {max(past.now.kurtosis):.2g}" if rattles else ""
    askew = "it hangs otherwise" if len(past.now.axes) == 3 and np.linalg.norm(past.moved) > past.dc_slack else ""
    signs = [sign for sign in (weaker, impacts, askew) if sign]
    if len(signs) > 1:
        return [Reason(f"the sensor has come loose: {'; '.join(signs)}, against earlier recordings; fasten it and"
                       " record again", fatal=True)]  # fmt: skip
    if weaker or impacts:
        return [Reason(f"{signs[0]}, against earlier recordings: has the sensor come loose, or is it the machine?")]
    return []


def _tilt(past: History) -> tuple[float, float]:
    """Change of the upper third of the bands against the lower third, dB; the largest among earlier recordings."""
    third = past.bands_now.shape[1] // 3
    if not third:
        return 0.0, 0.0
    usual = np.median(past.bands, axis=0)

    def tilt(bands: Floats) -> float:
        off = bands - usual
        return float(np.median(off[:, -third:]) - np.median(off[:, :third]))

    return tilt(past.bands_now), max(abs(tilt(before)) for before in past.bands)
