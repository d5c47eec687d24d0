"""Quality: the verdict that every recording ends with: good, warning or failed, and the reasons."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyberhans import sidecar
from cyberhans.profile import Profile
from cyberhans.quality.codes import amplitudes, step
from cyberhans.quality.comparison import compared, resolution
from cyberhans.quality.figures import Figures, figures
from cyberhans.quality.repetition import period, repeated
from cyberhans.quality.spectrum import bands, hum, humming, mere_noise
from cyberhans.quality.timing import timing
from cyberhans.quality.track import course
from cyberhans.reason import Reason, grade, united
from cyberhans.recording import Recording, load_recording

__all__ = ["Profile", "Reason", "assess", "assessed", "earlier", "grade", "profile", "verdict"]
MOST_EARLIER = 20  # the latest of a machine's recordings are what a new one is compared with
COMPANIONS = 3  # of fewer that do not say when they were made, nobody knows which is right
REMEMBERED = 4096  # sidecars
NEVER = datetime.min.replace(tzinfo=UTC)


def assess(recording: Recording, earlier: Sequence[Profile] = ()) -> list[Reason]:
    """Everything wrong with a recording, fatal reasons first; empty if it is good.

    earlier: profiles of the same machine's recordings that were made before; see earlier().
    """
    return _judged(recording, earlier)[0]


def assessed(recording: Recording, earlier: Sequence[Profile] = ()) -> Recording:
    """The recording with its reasons (those it has and those of assess()) and its profile: ready to be saved."""
    found, now = _judged(recording, earlier)
    return dataclasses.replace(recording, reasons=tuple(united(recording.reasons, found)), profile=now)


def _judged(recording: Recording, earlier: Sequence[Profile]) -> tuple[list[Reason], Profile]:
    """Of what repeats itself only the first time tells anything."""
    frames = period(recording)
    once = recording
    if frames:
        once = dataclasses.replace(recording, samples=recording.samples[:frames], segment_len=frames, gaps=())
    seen = figures(once)
    now = _profile(once, seen)
    return united(repeated(recording, frames), timing(recording), _reasons(once, seen, now, earlier)), now


def verdict(recording: Recording) -> list[Reason]:
    """What was told when the recording was made and what is found now, beside the earlier ones in its folder."""
    told = recording.reasons if recording.profile else ()  # else they are those of check(), which assess() tells better
    before = earlier(recording.path.parent, recording) if recording.path else []
    return united(told, assess(recording, before))


def profile(recording: Recording) -> Profile:
    """What later recordings of the machine are compared with."""
    return _profile(recording, figures(recording))


def _profile(recording: Recording, seen: Figures) -> Profile:
    lowest, levels = bands(recording, seen)
    channels, scale = range(recording.channels), recording.scale
    return Profile(
        rate_hz=recording.rate_hz,
        unit=recording.unit,
        axes=recording.axes,
        dc=tuple(_short(seen.mean[c] * scale + recording.offset) for c in channels),
        level=tuple(_short(seen.rms[c] * abs(scale)) for c in channels),
        kurtosis=tuple(_short(seen.kurtosis[c]) for c in channels),
        step=tuple(float(step(seen, c)) for c in channels),
        lowest_band=lowest,
        bands=levels,
        hum=hum(seen),
        correlation=tuple(round(value, 3) for value in seen.correlation.values()),
    )


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _reasons(recording: Recording, seen: Figures, now: Profile, earlier: Sequence[Profile]) -> list[Reason]:
    by_samples = amplitudes(recording, seen)
    if (seen.rms == 0).all():
        return by_samples
    by_past = compared(now, earlier, healthy=recording.label != "anomaly")
    by_past += resolution(now, earlier)
    noise = mere_noise(recording, seen)
    return united(by_samples, noise, by_past, course(recording, seen), humming(recording, seen, earlier))


def earlier(folder: str | Path, before: Recording) -> list[Profile]:
    """Profiles of the latest recordings in a machine's folder that began earlier than `before`; latest last.

    If it has no start_utc: of others that have none, if they are three or more, in the order of their names. Those
    that failed, show an anomaly, or are of another machine, unit, sensor or other axes do not count, nor does what
    cannot be read. One without a profile in its sidecar is looked at now.
    """
    now = _time(before.start_utc)
    found = []
    for path in Path(folder).glob("*.json"):
        with contextlib.suppress(Exception):  # whatever is wrong with a neighbour, it must not cost the new recording
            fields = _sidecar(path, _stamp(path))
            began = _time(fields.get("start_utc", ""))
            in_time = began < now if began and now else began is None and now is None
            if in_time and path.with_suffix(".wav") != before.path and _counts(fields, before):
                found.append((began or NEVER, path, fields.get("profile")))
    latest = sorted(found, key=lambda entry: entry[:2])[-MOST_EARLIER:]
    if now is None and len(latest) < COMPANIONS:
        return []
    profiles = [made or _profile_of(path.with_suffix(".wav")) for _, path, made in latest]
    return [made for made in profiles if made and (made.unit, made.axes) == (before.unit, before.axes)]


def _time(text: str) -> datetime | None:
    """ISO 8601, UTC if it does not say; None if it is no such text."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _counts(fields: dict[str, Any], before: Recording) -> bool:
    same = all(fields.get(name, default) == getattr(before, name) for name, default in (
        ("machine", None), ("sensor", ""), ("unit", before.unit), ("axes", before.axes)
    ))  # fmt: skip
    return same and grade(fields.get("reasons", ())) != "failed" and fields.get("label") != "anomaly"


def _stamp(path: Path) -> tuple[int, ...]:
    """Another one when the file is: so each file is read once only, however many recordings of its folder are asked."""
    try:
        state = path.stat()
    except OSError:
        return ()
    return state.st_ino, state.st_mtime_ns, state.st_size


def _profile_of(path: Path) -> Profile | None:
    return _looked_at(path, _stamp(path), _stamp(path.with_suffix(".json")))


@functools.lru_cache(REMEMBERED)
def _sidecar(path: Path, _stamp: tuple[int, ...]) -> dict[str, Any]:
    return sidecar.read(path)


@functools.lru_cache(REMEMBERED)
def _looked_at(path: Path, *_stamps: tuple[int, ...]) -> Profile | None:
    with contextlib.suppress(Exception):
        return profile(load_recording(path))
    return None
