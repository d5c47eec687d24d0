"""Reason: one thing that is wrong with a recording, in one line a person can act on; and the grade they add up to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


class Reason(str):
    """What is wrong, where (channel, time), how to mend it. `fatal`: training refuses the recording; else it warns."""

    fatal: bool

    def __new__(cls, text: str, *, fatal: bool = False) -> Reason:
        reason = super().__new__(cls, text)
        reason.fatal = bool(fatal)  # numpy has bools that JSON does not know
        return reason


def grade(reasons: Sequence[Reason]) -> str:
    """ "good" without a reason, "failed" with a fatal one, else "warning"."""
    return "failed" if any(reason.fatal for reason in reasons) else "warning" if reasons else "good"


def united(*lists: Iterable[Reason]) -> list[Reason]:
    """All reasons, fatal ones first; of two that differ in figures only, the first told, fatal if either is."""
    found: dict[str, Reason] = {}
    for reason in (reason for reasons in lists for reason in reasons):
        kind = re.sub(r"\d[\d.,]*", "#", reason)
        known = found.get(kind, reason)
        found[kind] = Reason(known, fatal=known.fatal or reason.fatal)
    return sorted(found.values(), key=lambda reason: not reason.fatal)
