"""Agreement: what a device tells of windows, against what the host foretells; the report gets the first difference."""

from __future__ import annotations

import json
from collections.abc import Iterable

from cyberhans.difference import Difference, seen_difference
from cyberhans.hil.plugin import Record
from cyberhans.hil.station import Station
from cyberhans.judgement import Judgement
from cyberhans.messages import Memory
from cyberhans.stack import MARGIN_BYTES
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


def within_the_promise(station: Station, told: Memory) -> None:
    """The stack has been no deeper than the calls that the build found; of an image from elsewhere, whose margin is
    not known, it has not been full. Where an operating system gives the stack, nothing is promised."""
    if not told.stack_bytes:
        return
    promised = told.stack_bytes - (MARGIN_BYTES if station.build else 1)
    assert told.stack_used <= promised, f"{told.stack_used} bytes of stack used, {promised} were found to be enough"
