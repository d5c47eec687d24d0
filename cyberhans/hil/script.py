"""Script: windows that bring a machine's states and let them go again, made of a detector's golden ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cyberhans.alarm import NEVER_IDLE, Alarm, Cause, State
from cyberhans.core import Core
from cyberhans.detector import Detector
from cyberhans.spec import Family
from cyberhans.watch import Watch

Windows = NDArray[np.int16]
Way = Callable[[Windows], Windows]
LARGEST = 32_767  # that a sample may have without being at the rail
HINDRANCES = Cause.STUCK | Cause.CLIPPED | Cause.OFF | Cause.TILTED
TRIALS = 12  # windows of each kind that are looked at to find the strangest


@dataclass(frozen=True)
class Script:
    """int16 windows (k, window, channels) in turn, what each is meant as, and what the host's core makes of them."""

    windows: Windows
    kinds: list[str]
    states: list[int]


class Kinds:
    """Windows of a kind by its name, endless, each made of the next golden one: calm, strange, odd (strange, but no
    louder), off, stuck, clipped, tilted; what the detector has no use for is left out."""

    def __init__(self, detector: Detector, core: Core) -> None:
        self._detector, self._core = detector, core
        golden = detector.golden
        scores = core.run(golden)
        calm = golden[scores.verdict == 0]
        self._of: dict[str, Iterator[Windows]] = {"calm": _over(calm if len(calm) else golden)}
        ways = self._ways()
        self._of["strange"] = map(max(ways, key=self._worth), _over(golden))
        self._of["odd"] = map(max(ways, key=lambda way: self._worth(way, louder=False)), _over(golden))
        for name, change in self._hindrances():
            self._of[name] = map(change, _over(golden))

    def __contains__(self, name: str) -> bool:
        return name in self._of

    def next(self, name: str) -> Windows:
        return next(self._of[name])

    def _ways(self) -> list[Way]:
        """To make a window strange."""
        full = self._full_scale()
        return [
            lambda window: _scaled(window, 4.0, full), lambda window: _scaled(window, 32.0, full),
            lambda window: _scaled(window, 0.25, full), lambda window: _harsh(window, full),
            lambda window: _scaled(_harsh(window, full), 0.25, full), lambda window: _scaled(window, 0.06, full),
        ]  # fmt: skip

    def _worth(self, way: Way, louder: bool = True) -> tuple[int, int]:
        """How many windows in alarm it brings, and votes; none where it is louder and must not be."""
        made = map(way, _over(self._detector.golden))
        seen = self._core.watch().run(np.stack([next(made) for _ in range(TRIALS)]))
        if not louder and self._detector.alarm and (seen.rise > self._detector.alarm.rise).any():
            return 0, 0
        judged = (seen.reasons & int(HINDRANCES)) == 0
        return int((seen.state == State.ALARM).sum()), int((seen.verdict[judged]).sum())

    def _full_scale(self) -> int:
        alarm = self._detector.alarm
        return (alarm.full_scale - 1 if alarm and alarm.full_scale else LARGEST) or LARGEST

    def _hindrances(self) -> Iterator[tuple[str, Way]]:
        spec, alarm = self._detector.spec, self._detector.alarm
        if alarm is None:
            return
        if Family.LEVEL in spec.families:
            yield "stuck", _stuck
        if alarm.idle != NEVER_IDLE:
            yield "off", _faint
        if alarm.full_scale and alarm.clipped < spec.window * spec.channels:
            yield "clipped", lambda window: _clipped(window, alarm)
        if alarm.moved and any(alarm.gravity):
            yield "tilted", lambda window: _tilted(window, alarm)


def allowed(detector: Detector, kinds: Kinds) -> set[State]:
    """The states that its settings allow, as far as windows of these kinds are meant to bring them."""
    found = {State.FAULT} if "stuck" in kinds or "clipped" in kinds else set[State]()
    found |= {State.IDLE} if "off" in kinds else set()
    found |= {State.MOVED} if "tilted" in kinds else set()
    if detector.alarm is None or detector.uncalibrated:
        return found | {State.LEARNING if detector.uncalibrated else State.NORMAL}
    return found | {State.NORMAL, State.ALARM} | ({State.SUSPICIOUS} if detector.alarm.raise_at > 1 else set())


def script(detector: Detector, core: Core, most: int) -> Script:
    """At most so many windows: states come and go, each that the settings allow where windows can bring it."""
    made = _Making(Kinds(detector, core), core.watch(), most)
    alarm = detector.alarm
    votes = alarm.of if alarm else 3
    made.some("calm", 2)
    made.until("strange", State.SUSPICIOUS, votes)
    made.until("strange", State.ALARM, 4 * votes)
    for kind in ("off", "stuck", "clipped"):  # in which an alarm is neither voted on nor forgotten
        made.some(kind, 1)
    made.some("strange", 1)
    made.until("tilted", State.MOVED, 8)
    made.until("calm", State.NORMAL, 4 * votes)
    for kind in ("off", "clipped", "stuck"):
        made.some(kind, 1)
    made.until("odd", State.ALARM, 2 * votes)  # which votes alone raise, and end
    made.until("calm", State.NORMAL, 2 * votes)
    made.mixed(2 * votes)
    return made.script()


class _Making:
    def __init__(self, kinds: Kinds, watch: Watch, most: int) -> None:
        self._kinds, self._watch, self._most = kinds, watch, most
        self._windows: list[Windows] = []
        self._named: list[str] = []
        self._states: list[int] = []

    def some(self, kind: str, count: int) -> None:
        """No more where the script is as long as it may be; none of a kind that there is not."""
        for _ in range(count):
            if kind in self._kinds and len(self._windows) < self._most:
                self._windows.append(self._kinds.next(kind))
                self._named.append(kind)
                self._states.append(int(self._watch.run(self._windows[-1][None]).state[0]))

    def until(self, kind: str, state: State, most: int) -> None:
        """Until that state comes, at most so many."""
        for _ in range(most):
            if self._states[-1] == state:
                return
            self.some(kind, 1)

    def mixed(self, count: int) -> None:
        """By chance, the same each time: so every number of votes comes."""
        random = np.random.default_rng(1)
        for strange in random.random(count) < 0.5:
            self.some("strange" if strange else "calm", 1)

    def script(self) -> Script:
        return Script(np.stack(self._windows), self._named, self._states)


def _over(windows: Windows) -> Iterator[Windows]:
    while True:
        yield from windows


def _means(window: Windows) -> NDArray[np.float64]:
    means: NDArray[np.float64] = window.mean(axis=0).round()
    return means


def whole(values: NDArray[np.float64], full: int = LARGEST) -> Windows:
    """Rounded to samples, none beyond `full`."""
    samples: Windows = np.clip(values.round(), -full, full).astype(np.int16)
    return samples


def _scaled(window: Windows, factor: float, full: int) -> Windows:
    """About its means, and never as far as `full`: it must not clip."""
    means = np.clip(_means(window), -full, full)
    parts = window - means
    room = (full - np.abs(means).max()) / max(1.0, np.abs(parts).max())
    return whole(means + parts * min(factor, room), full)


def _harsh(window: Windows, full: int) -> Windows:
    """High pitches in place of low ones: each second sample turned about the means."""
    turned = (window - _means(window)) * np.where(np.arange(len(window)) % 2, -1, 1)[:, None]
    return whole(turned + _means(window), full)


def _faint(window: Windows) -> Windows:
    """Of one LSB only: the machine is off, and the sensor works."""
    made = np.broadcast_to(_means(window), window.shape).copy()
    made[:: max(2, len(window) // 4)] += np.where(made[0] > 0, -1, 1)
    return whole(made)


def _stuck(window: Windows) -> Windows:
    made = window.copy()
    made[:, -1] = made[0, -1]
    return made


def _clipped(window: Windows, alarm: Alarm) -> Windows:
    made = window.copy().reshape(-1)
    made[: alarm.clipped + 1] = min(alarm.full_scale, LARGEST)
    return made.reshape(window.shape)


def _tilted(window: Windows, alarm: Alarm) -> Windows:
    """Gravity turned by a right angle, from axis to axis."""
    turned = np.zeros(window.shape[1])
    turned[:3] = np.roll(np.array(alarm.gravity), 1) - np.array(alarm.gravity)
    return whole(window + turned)
