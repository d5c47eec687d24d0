"""The second implementation of SPEC.md section 7.1 to 7.7, in Python's integers, from that document alone.

It takes what sections 5 to 7 give of a window (features, means, extremes, clipped samples) and a way to score features,
so that it can be held against the core over any sequence, also such that no sensor would give.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from oracle import channel_pairs

from cyberhans.alarm import Alarm
from cyberhans.spec import Family, Spec

LEARNING, NORMAL, SUSPICIOUS, ALARM, IDLE, MOVED, FAULT = range(7)
SCORE, RISE, STUCK, CLIPPED, TILTED, OFF, GATHERING, FEW = (1 << bit for bit in range(8))
NONE, UNDER_WAY, DONE, TOO_FAR, UNDONE, STOPPED = range(6)


def sat(v: int) -> int:
    return min(max(v, -(2**15)), 2**15 - 1)


def coarse(v: int) -> int:
    return sat((v + 128) >> 8)


def average(numbers: Sequence[int]) -> int:
    return (sum(numbers) + len(numbers) // 2) // len(numbers)


def places(spec: Spec) -> tuple[list[int], list[int]]:
    """Where the band means and the level features are among the features (section 6)."""
    bands: list[int] = []
    at = 0
    for frame in spec.frames:
        count = spec.channels * frame.bands
        bands += range(at, at + count)
        at += count * (2 if Family.SPREAD in spec.families else 1)
    each = 3 * sum(family in spec.families for family in (Family.LEVEL, Family.STEPS))
    levels = [at + each * c for c in range(spec.channels)] if Family.LEVEL in spec.families else []
    last = at + each * spec.channels
    if Family.DIFFERENCES in spec.families:
        last += len(channel_pairs(spec.channels)) * sum(frame.bands for frame in spec.frames)
    assert last == spec.features
    return bands, levels


class Window(NamedTuple):
    """What comes before the alarm: features; per channel mean, smallest and largest sample; clipped samples."""

    features: Sequence[int]
    mean: Sequence[int]
    extremes: Sequence[tuple[int, int]]
    clipped: int


class Told(NamedTuple):
    score: int
    anomaly: int
    state: int
    votes: int
    reasons: int
    change: int
    rise: int


@dataclass
class Machine:
    """One device; every method is a paragraph of section 7."""

    spec: Spec
    alarm: Alarm
    threshold: int
    score: Callable[[Sequence[int]], int]
    digest: bytes = bytes(16)
    uncalibrated: bool = False
    b: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bands, self.levels = places(self.spec)
        self.c = [int(v) for v in self.alarm.centre]
        self.l = [int(v) for v in self.alarm.limit]
        self.as_built()

    # --- 7.2, 7.6: what it remembers

    def as_built(self) -> None:
        f = self.spec.features
        self.b, self.b_before = [0] * f, [0] * f
        self.g, self.g_before = list(self.alarm.gravity), list(self.alarm.gravity)
        self.revision = self.gathered = self.wanted = self.found = 0
        self.outcome, self.dc_sum = NONE, [0, 0, 0]
        self.aside = False
        self.G: list[int] | None = None
        self.anew()

    def reset(self, how: int) -> None:
        if how == 0:
            self.as_built()
            return
        if self.outcome == UNDER_WAY:
            self.outcome = STOPPED
        self.aside, self.G = how == 2, None
        self.anew()

    def anew(self) -> None:
        f = self.spec.features
        self.e, self.F = [0] * f, [0] * f
        self.V = self.R = self.alarmed = 0
        self.Q = self.mean_offset()

    def o(self) -> list[int]:
        return [(0 if self.aside else 256 * b) + e for b, e in zip(self.b, self.e, strict=True)]

    def mean_offset(self) -> int:
        o = self.o()
        return average([o[j] for j in self.bands])

    # --- 7.2 to 7.5: a window

    def window(self, w: Window) -> Told:
        x, o = w.features, self.o()
        score = self.score([sat(xi - ((oi + 128) >> 8)) for xi, oi in zip(x, o, strict=True)])
        anomaly = int(score > self.threshold)
        gathering = self.outcome == UNDER_WAY
        reasons = self.conditions(w)
        reasons |= (GATHERING if gathering else 0) | (FEW if self.uncalibrated else 0)
        change = rise = 0
        judged = not reasons & (STUCK | CLIPPED | TILTED | OFF | GATHERING)
        if judged:
            change, rise = self.votes(x, o, anomaly)
            reasons |= self.alarmed or self.suspicion()
        state = self.state(reasons)
        if judged:
            self.track(x, o, state)
        if gathering and not reasons & (STUCK | CLIPPED | OFF):
            self.gather(x, w.mean)
        return Told(score, anomaly, state, self.V.bit_count(), reasons, change, rise)

    def conditions(self, w: Window) -> int:
        a, found = self.alarm, 0
        if self.levels and any(low == high for low, high in w.extremes):
            found |= STUCK
        if a.full_scale and w.clipped > a.clipped:
            found |= CLIPPED
        if a.idle != -(2**15) and all(w.features[place] < a.idle for place in self.levels):
            found |= OFF
        if a.moved and not found:
            found |= TILTED if self.tilted(w.mean) else 0
        return found

    def tilted(self, mean: Sequence[int]) -> bool:
        if self.G is None:
            self.G = [256 * m for m in mean[:3]]
        else:
            self.G = [G + ((256 * m - G) >> 2) for G, m in zip(self.G, mean, strict=False)]
        g = list(self.alarm.gravity) if self.aside else self.g
        h = [sat((G + 128) >> 8) for G in self.G]
        cross = [g[1] * h[2] - g[2] * h[1], g[2] * h[0] - g[0] * h[2], g[0] * h[1] - g[1] * h[0]]
        dot, gg, hh = (sum(p * q for p, q in zip(u, v, strict=True)) for u, v in ((g, h), (g, g), (h, h)))
        return dot < 0 or sum(v * v for v in cross) > ((gg * hh) >> 20) * self.alarm.moved

    def d(self, x: Sequence[int], o: list[int], i: int) -> int:
        return 256 * (x[i] - self.c[i]) - o[i]

    def votes(self, x: Sequence[int], o: list[int], anomaly: int) -> tuple[int, int]:
        a = self.alarm
        for j in self.bands:
            self.F[j] += (self.d(x, o, j) - self.F[j]) >> a.fast
        fast = [self.F[j] for j in self.bands]
        self.Q = min(self.Q, self.mean_offset())
        change, rise = coarse(average([abs(v) for v in fast])), coarse(average(fast) + self.mean_offset() - self.Q)
        self.V = (2 * self.V + anomaly) % 2**a.of
        self.R = (2 * self.R + int(a.rise > 0 and rise > a.rise)) % 2**a.of
        votes, rises = self.V.bit_count(), self.R.bit_count()
        if not self.uncalibrated:
            self.alarmed |= SCORE if votes >= a.raise_at and change >= a.change else 0
            self.alarmed |= RISE if rises >= a.raise_at else 0
        if votes <= a.clear_at and rises <= a.clear_at:
            self.alarmed = 0
        return change, rise

    def suspicion(self) -> int:
        k = self.alarm.raise_at
        return (SCORE if 2 * self.V.bit_count() >= k else 0) | (RISE if 2 * self.R.bit_count() >= k else 0)

    def state(self, reasons: int) -> int:
        for bits, state in ((STUCK | CLIPPED, FAULT), (OFF, IDLE), (TILTED, MOVED), (GATHERING | FEW, LEARNING)):
            if reasons & bits:
                return state
        return ALARM if self.alarmed else SUSPICIOUS if self.suspicion() else NORMAL

    def track(self, x: Sequence[int], o: list[int], state: int) -> None:
        slow = self.alarm.slow
        if slow == 0 or state not in (NORMAL, SUSPICIOUS):
            return
        t = slow if state == NORMAL else slow + 3
        for i, limit in enumerate(self.l):
            step = min(max(self.d(x, o, i), -256 * limit), 256 * limit)
            self.e[i] = min(max(self.e[i] + ((step + 2 ** (t - 1)) >> t), -(2**19)), 2**19)

    # --- 7.6: re-baselining

    def rebaseline(self, windows: int) -> None:
        self.F = [0] * self.spec.features
        self.gathered, self.wanted, self.outcome, self.dc_sum = 0, windows, UNDER_WAY, [0, 0, 0]

    def gather(self, x: Sequence[int], mean: Sequence[int]) -> None:
        self.F = [F + xi - ci for F, xi, ci in zip(self.F, x, self.c, strict=True)]
        padded = [*mean, 0, 0][:3]
        self.dc_sum = [s + m for s, m in zip(self.dc_sum, padded, strict=True)]
        self.gathered += 1
        if self.gathered < self.wanted:
            return
        w = self.wanted
        n = [sat((F + w // 2) // w) for F in self.F]
        self.found = average([abs(n[j]) for j in self.bands])
        self.F = [0] * self.spec.features
        if self.found > self.alarm.reach:
            self.outcome = TOO_FAR
            return
        self.b_before, self.b = self.b, n
        self.g_before, self.g = self.g, [(s + w // 2) // w for s in self.dc_sum]
        self.outcome, self.aside = DONE, False
        self.revision += 1
        self.anew()

    def undo(self) -> bool:
        """Whether there was anything to undo."""
        if self.outcome == UNDER_WAY:
            self.outcome, self.F = STOPPED, [0] * self.spec.features
            return True
        if self.revision == 0:
            return False
        self.b, self.b_before, self.g, self.g_before = self.b_before, self.b, self.g_before, self.g
        self.outcome, self.aside = UNDONE, False
        self.revision += 1
        self.anew()
        return True

    # --- 7.7: memory

    def memory(self) -> bytes:
        f = self.spec.features
        body = self.digest + struct.pack(
            "<IIIi3i3i3h3h3H3B7x", self.revision, self.V, self.R, self.Q, *(self.G or [0, 0, 0]), *self.dc_sum,
            *self.g, *self.g_before, self.gathered, self.wanted, self.found, self.outcome, self.alarmed,
            self.G is not None,
        )  # fmt: skip
        body += struct.pack(f"<{f}i{f}i{f}h{f}h", *self.e, *self.F, *self.b, *self.b_before)
        return struct.pack("<I", zlib.crc32(body)) + body
