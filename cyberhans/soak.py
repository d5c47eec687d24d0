"""Soak: a simulated healthy machine runs for a day, and its detector's false alarms are counted against the promise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cyberhans.alarm import State
from cyberhans.detector import Detector
from cyberhans.detectors import KINDS
from cyberhans.errors import CyberHansError
from cyberhans.evaluate import binomial_interval
from cyberhans.looks import looks
from cyberhans.machines import BY_NAME
from cyberhans.promise import Promise
from cyberhans.recording import Recording
from cyberhans.running import running
from cyberhans.simulate import chosen
from cyberhans.spec import Spec, design
from cyberhans.train import train

MONTH_H = 720.0  # 30 days
LEVEL = 0.95  # of the intervals, and of the tests that call a promise broken
LOOK_S = 0.2  # a look is at least as long as this
HEARD_LATE = 0.5  # share of looks in alarm, of those with the fault, that counts as heard

Verdicts = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Settings:
    """What all machines of a soak have in common.

    machine     one of machines.BY_NAME
    hours       of healthy running, one window every every_s seconds
    sessions    recordings to learn from, on so many occasions, session_hours each, at the same pace
    per_month   false alarms promised, at most so many in 30 days; confidence: of machines that keep it
    fault       starts fault_hours before the end, with `severity`; "none": healthy throughout
    """

    machine: str
    hours: float = 24.0
    every_s: float = 10.0
    sessions: int = 6
    session_hours: float = 1.0
    kind: str = "gaussian"
    per_month: float = 1.0
    confidence: float = 0.8
    fault: str = "none"
    severity: float = 0.0
    fault_hours: float = 1.0

    def __post_init__(self) -> None:
        chosen(self.machine, self.fault)
        if self.kind not in KINDS:
            raise CyberHansError(f"detector {self.kind!r}: choose {', '.join(KINDS)}")
        for name, value, least, most in (("hours", self.hours, 0.1, 8760.0), ("seconds", self.every_s, 1.0, 3600.0),
                                         ("severity", self.severity, 0.0, 1.0)):  # fmt: skip
            if not least <= value <= most:
                raise CyberHansError(f"a soak of {value:g} {name}: give {least:g} to {most:g}")
        Promise(self.per_month, self.every_s, self.confidence)
        if (self.fault != "none") != (self.severity > 0):
            raise CyberHansError(f"fault {self.fault} of severity {self.severity:g}: give both, or neither")
        if self.sessions < 2 or min(self.hours, self.session_hours, self.every_s, self.per_month) <= 0:
            raise CyberHansError("a soak needs 2 sessions or more, and hours, seconds and a promise above 0")
        if self.healthy_hours <= 0:
            raise CyberHansError(f"a fault of {self.fault_hours:g} h in {self.hours:g} h: leave healthy ones before it")

    @property
    def spec(self) -> Spec:
        """The project's rule, for looks of a fifth of a second or 1,024 samples."""
        kind = BY_NAME[self.machine]
        return design("full", kind.rate_hz, len(kind.axes), max(1024, round(LOOK_S * kind.rate_hz)))

    @property
    def healthy_hours(self) -> float:
        return self.hours - (self.fault_hours if self.fault != "none" else 0.0)


@dataclass(frozen=True)
class Day:
    """One machine's day: windows and those over the threshold, alarms (they begin, as episodes) and windows in alarm,
    all healthy; of those with a fault the share in alarm, None without one."""

    seed: int
    windows: int
    anomalies: int
    alarms: int
    alarmed: int
    heard: float | None


def soak(
    settings: Settings, seeds: Iterable[int], note: Callable[[int, Day], None] = lambda done, day: None
) -> dict[str, Any]:
    """A day of each seed's machine with a detector of its own; figures, and whether the promise was kept.

    Each seed is a machine: it is recorded on `sessions` occasions, learnt from by train(), and then runs; all verdicts
    are those of the integer core. Same settings and seeds give the same figures. `note` is told how many days are done.
    """
    days: list[Day] = []
    for seed in seeds:
        days.append(_day(settings, seed))
        note(len(days), days[-1])
    if not days:
        raise CyberHansError("a soak of no machine: give at least one seed")
    return {"settings": dataclasses.asdict(settings), **figures(days, settings),
            "days": [dataclasses.asdict(day) for day in days]}  # fmt: skip


def _day(settings: Settings, seed: int) -> Day:
    """The device's own alarm logic, from a detector as built."""
    detector = learn(_baseline(settings, seed), settings)
    faulty_from = round(settings.healthy_hours * 3600 / settings.every_s)
    watch, states, verdicts, faulty = detector.core().watch(), [], [], []
    for recording in _looks(settings, seed, 0, settings.hours, settings.fault, settings.severity, faulty_from):
        watched = watch.run(recording.windows(settings.spec))
        states.append(watched.state)
        verdicts.append(watched.verdict > 0)
        faulty.append(np.full(len(watched.state), recording.label == "anomaly"))
    alarm, verdict, ill = np.concatenate(states) == State.ALARM, np.concatenate(verdicts), np.concatenate(faulty)
    votes = detector.alarm.of if detector.alarm else 0
    heard = float(alarm[ill][votes:].mean()) if ill.sum() > votes else None
    begun = alarm & ~np.concatenate([[False], alarm[:-1]])
    windows, anomalies, alarms, alarmed = (int((part & ~ill).sum()) for part in (~ill, verdict, begun, alarm))
    return Day(seed, windows, anomalies, alarms, alarmed, heard)


def learn(recordings: Sequence[Recording], settings: Settings) -> Detector:
    """The one place that says what is promised."""
    promise = Promise(settings.per_month, settings.every_s, settings.confidence)
    return train(recordings, kind=settings.kind, spec=settings.spec, promise=promise)


def _baseline(settings: Settings, seed: int) -> list[Recording]:
    """One recording of each session, its looks one after the other."""
    return [
        _joined(list(_looks(settings, seed, session, settings.session_hours)))
        for session in range(1, settings.sessions + 1)
    ]


def _joined(parts: list[Recording]) -> Recording:
    return dataclasses.replace(parts[0], samples=np.concatenate([part.samples for part in parts]))


def _looks(
    settings: Settings, seed: int, session: int, hours: float, fault: str = "none", severity: float = 0.0,
    faulty_from: int = 0,
) -> Iterable[Recording]:  # fmt: skip
    use = running(BY_NAME[settings.machine], seed, session, hours=hours, every_s=settings.every_s)
    return looks(settings.machine, use, seed=seed, session=session, samples=settings.spec.window,
                 every_s=settings.every_s, fault=fault, severity=severity, faulty_from=faulty_from)  # fmt: skip


def figures(days: Sequence[Day], settings: Settings) -> dict[str, Any]:
    """Of all machines together and one by one; intervals are exact, at LEVEL.

    alarms_per_month: observed, with Garwood's (1936) interval for a Poisson count. A machine keeps its promise unless a
    Poisson count with the promised mean reaches its alarms in less than 1 - LEVEL of all days; machines_kept has
    Clopper and Pearson's (1934) interval. outcome: "kept" where at least the promise's confidence of machines keep it,
    "broken" where not even the interval's upper end is as high, else "not refuted". kept_together: all alarms together
    are no more than the promise may bring at LEVEL.
    """
    from scipy.stats import poisson

    alarms, windows = sum(day.alarms for day in days), sum(day.windows for day in days)
    months = windows * settings.every_s / 3600 / MONTH_H
    promised = settings.per_month * months / len(days)
    low, high = _poisson_interval(alarms)
    kept = sum(poisson.sf(day.alarms - 1, promised) > 1 - LEVEL or day.alarms == 0 for day in days)
    share = binomial_interval(int(kept), len(days), LEVEL)
    return {
        "machines": len(days),
        "windows": windows,
        "anomalies": sum(day.anomalies for day in days),
        "alarms": alarms,
        "alarms_promised": promised * len(days),
        "alarms_per_month": [alarms / months, low / months, high / months],
        "machines_kept": [int(kept), *share],
        "kept_together": bool(poisson.sf(alarms - 1, promised * len(days)) > 1 - LEVEL),
        "outcome": _outcome(kept / len(days), share[1], settings.confidence),
        "heard": [day.heard for day in days if day.heard is not None],
    }


def _poisson_interval(count: int) -> tuple[float, float]:
    from scipy.stats import chi2

    tail = (1 - LEVEL) / 2
    low = float(chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf(1 - tail, 2 * count + 2)) / 2


def _outcome(share: float, upper: float, confidence: float) -> str:
    return "kept" if share >= confidence else "broken" if upper < confidence else "not refuted"


def lines(report: dict[str, Any]) -> list[str]:
    """What a person wants to know of a soak."""
    settings, (rate, low, high) = report["settings"], report["alarms_per_month"]
    kept, least, most = report["machines_kept"]
    told = [
        f"{report['machines']} simulated healthy {settings['machine']}s, {settings['hours']:g} h each, a window every"
        f" {settings['every_s']:g} s: {report['windows']:,} windows, {report['anomalies']:,} over the threshold",
        f"false alarms {report['alarms']}, promised at most {report['alarms_promised']:.2f};"
        f" {rate:.2f} a month ({low:.2f} to {high:.2f}), promised {settings['per_month']:g}",
        f"machines that keep their promise {kept} of {report['machines']} ({least:.0%} to {most:.0%}), promised"
        f" {settings['confidence']:.0%}: {report['outcome'].upper()}",
    ]
    if report["heard"]:
        heard = sum(share >= HEARD_LATE for share in report["heard"])
        told.append(f"{settings['fault']} of severity {settings['severity']:g} in the last"
                    f" {settings['fault_hours']:g} h: heard on {heard} of {len(report['heard'])} machines")  # fmt: skip
    return told
