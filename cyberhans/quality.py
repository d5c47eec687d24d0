"""Quality: the verdict that every recording ends with: good, warning or failed, and the reasons."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from cyberhans import sidecar
from cyberhans.errors import CyberHansError
from cyberhans.profile import Profile
from cyberhans.reason import Reason, grade, united
from cyberhans.recording import Recording, check

__all__ = ["Profile", "Reason", "assess", "assessed", "earlier", "grade", "profile"]
MOST_EARLIER = 20  # the latest of a machine's recordings are what a new one is compared with


def assess(recording: Recording, earlier: Sequence[Profile] = ()) -> list[Reason]:
    """Everything wrong with a recording, fatal reasons first; empty if it is good.

    earlier: profiles of the same machine's recordings that were made before; see earlier().
    """
    return united(check(recording))


def assessed(recording: Recording, earlier: Sequence[Profile] = ()) -> Recording:
    """The recording with its reasons (those it has and those of assess()) and its profile: ready to be saved."""
    reasons = united(recording.reasons, assess(recording, earlier))
    return dataclasses.replace(recording, reasons=tuple(reasons), profile=profile(recording))


def profile(recording: Recording) -> Profile:
    """What later recordings of the machine are compared with."""
    none = tuple(0.0 for _ in recording.axes)
    nothing: tuple[tuple[float, ...], ...] = tuple(() for _ in recording.axes)
    pairs = tuple(0.0 for c in range(recording.channels) for _ in range(c))
    return Profile(
        recording.rate_hz, recording.unit, recording.axes, none, none, none, none, 0, nothing, nothing, pairs
    )


def earlier(folder: str | Path, before: Recording) -> list[Profile]:
    """Profiles of the latest recordings in a machine's folder that began earlier than `before`; latest last.

    Those that failed, show an anomaly, or are of another machine, unit, sensor or other axes do not count, nor does a
    sidecar that cannot be read. Without start_utc none is earlier.
    """
    found: list[tuple[str, Profile]] = []
    for path in Path(folder).glob("*.json"):
        try:
            fields = sidecar.read(path)
        except CyberHansError:
            continue
        if isinstance(fields.get("profile"), Profile) and _counts(fields, before):
            found.append((fields["start_utc"], fields["profile"]))
    return [entry[1] for entry in sorted(found, key=lambda entry: entry[0])[-MOST_EARLIER:]]


def _counts(fields: dict[str, object], before: Recording) -> bool:
    made = fields["profile"]
    assert isinstance(made, Profile)
    reasons = fields.get("reasons", ())
    assert isinstance(reasons, tuple)
    return (
        "" < str(fields.get("start_utc", "")) < before.start_utc
        and grade(reasons) != "failed"
        and fields.get("label") != "anomaly"
        and (fields.get("machine"), fields.get("sensor", "")) == (before.machine, before.sensor)
        and (made.unit, made.axes) == (before.unit, before.axes)
    )
