"""Soak: a day of a healthy machine is counted against the promise; the counting itself, and days in full."""

from __future__ import annotations

import dataclasses

import pytest
from counts import full

from cyberhans.errors import CyberHansError
from cyberhans.soak import Day, Settings, figures, lines, soak

SHORT = Settings("fan", hours=2.0, session_hours=0.3, sessions=5, fault="bearing_outer", severity=0.8, fault_hours=1.0)


def day(alarms: int, windows: int = 8640) -> Day:
    return Day(seed=1, windows=windows, anomalies=5, alarms=alarms, alarmed=alarms, heard=None)


def test_a_quiet_machine_keeps_its_promise() -> None:
    report = figures([day(0)] * 20, Settings("pump"))
    assert (report["alarms"], report["windows"], report["machines_kept"][0]) == (0, 172800, 20)
    assert report["outcome"] == "kept" and report["kept_together"]
    assert report["alarms_promised"] == pytest.approx(20 / 30)
    rate, low, high = report["alarms_per_month"]
    assert (rate, low) == (0, 0) and high == pytest.approx(3.689 * 30 / 20, rel=1e-3)  # Garwood, none seen


def test_alarms_on_most_machines_break_it() -> None:
    report = figures([day(3)] * 12 + [day(0)] * 8, Settings("pump"))
    assert report["outcome"] == "broken" and not report["kept_together"]
    assert report["machines_kept"][0] == 8
    assert "BROKEN" in "\n".join(lines({"settings": dataclasses.asdict(Settings("pump")), **report}))


def test_confidence_allows_for_a_few_machines() -> None:
    """Of twenty at 80 %, four may alarm; the interval is Clopper and Pearson's."""
    report = figures([day(9)] * 4 + [day(0)] * 16, Settings("pump"))
    kept, low, high = report["machines_kept"]
    assert kept == 16 and (low, high) == (pytest.approx(0.5634, abs=1e-3), pytest.approx(0.9427, abs=1e-3))
    assert report["outcome"] == "kept" and not report["kept_together"]


def test_what_is_neither_kept_nor_broken_is_told_so() -> None:
    """Fifteen of twenty are fewer than 80 %, and may well be 80 % of many; one machine of one breaks nothing."""
    assert figures([day(9)] * 5 + [day(0)] * 15, Settings("pump"))["outcome"] == "not refuted"
    assert figures([day(9)], Settings("pump"))["outcome"] == "not refuted"


def test_many_promised_alarms_may_come() -> None:
    report = figures([day(1)] * 20, Settings("pump", per_month=30.0))
    assert report["outcome"] == "kept" and report["kept_together"]


@pytest.mark.parametrize(("wrong", "expected"), [
    ({"machine": "mill"}, "machine 'mill': choose pump, fan"),
    ({"fault": "rust"}, "fault 'rust': a pump can have"),
    ({"sessions": 1}, "2 sessions or more"),
    ({"hours": 0}, "0 hours: give 0.1 to 8760"),
    ({"hours": float("nan")}, "nan hours"),
    ({"every_s": 0.001}, "0.001 seconds: give 1 to 3600"),
    ({"fault": "gear", "severity": 7.0}, "7 severity: give 0 to 1"),
    ({"fault": "gear"}, "give both, or neither"),
    ({"kind": "svm"}, "detector 'svm'"),
    ({"fault": "gear", "severity": 0.5, "fault_hours": 25}, "leave healthy ones"),
])  # fmt: skip
def test_impossible_wishes_are_refused(wrong: dict[str, object], expected: str) -> None:
    with pytest.raises(CyberHansError, match=expected):
        Settings(**{"machine": "pump", **wrong})


def test_no_machine_is_no_soak() -> None:
    with pytest.raises(CyberHansError, match="no machine"):
        soak(SHORT, [])


@pytest.mark.slow
def test_two_hours_of_a_fan_are_quiet_until_its_bearing_goes() -> None:
    told: list[int] = []
    report = soak(SHORT, [3], note=lambda done, day: told.append(day.seed))
    assert told == [3] and report["machines"] == 1
    (found,) = report["days"]
    assert found["windows"] == 360 and found["alarms"] == 0
    assert found["heard"] > 0.9
    text = lines(report)
    assert "360 windows" in text[0] and "false alarms 0" in text[1] and "heard on 1 of 1" in text[3]
    assert soak(SHORT, [3])["days"] == report["days"]


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["pump", "fan"])
def test_days_keep_the_promise_within_its_confidence(machine: str) -> None:
    settings = Settings(machine, hours=full(3, 24), fault="bearing_outer", severity=0.8)
    report = soak(settings, range(full(1, 20)))
    assert report["outcome"] == "kept" and report["alarms"] <= full(0, 3), lines(report)
    assert sum(share >= 0.5 for share in report["heard"]) >= 0.8 * len(report["heard"])
