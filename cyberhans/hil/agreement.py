"""Agreement: what a device tells of windows, against what the host foretells; the report gets the first difference."""

from __future__ import annotations

import json
from collections.abc import Iterable

from cyberhans.difference import Difference, seen_difference
from cyberhans.hil.plugin import Record
from cyberhans.hil.station import Station
from cyberhans.judgement import Judgement
from cyberhans.watch import Watched


def agree(
    station: Station, judged: Iterable[Judgement], expected: Watched, record: Record, first: int = 0
) -> list[Judgement]:
    """All of one stream, window by window from number `first` of those expected on. The test fails at the first value
    that differs, and where a window was lost and sent again. Gives them as a list."""
    all_of_them = []
    for number, told in enumerate(judged, first):
        agree_on(station, told, expected, number, number, record)
        assert told.begun == 0, f"window {number} was lost and sent again"
        all_of_them.append(told)
    return all_of_them


def agree_on(station: Station, told: Judgement, expected: Watched, at: int, number: int, record: Record) -> None:
    """Window `number` is what is expected at place `at`: features where it tells them, score, verdict, means, alarm."""
    require_none(seen_difference(told, expected, at, number, station.detector.spec.feature_names), record)


def require_none(found: Difference | None, record: Record) -> None:
    """Fail, and keep the difference for the report."""
    if found:
        record("difference", json.dumps(found.to_dict()))
        raise AssertionError(f"{found.what} of window {found.window}: device {found.device}, host {found.host}")
