"""Sidecar: the JSON beside a WAV that says what the WAV cannot. recordings/README.md gives every field."""

from __future__ import annotations

import dataclasses
import difflib
import json
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cyberhans import wav
from cyberhans.errors import CyberHansError
from cyberhans.profile import Profile
from cyberhans.ranges import RANGES, outside, writable
from cyberhans.reason import Reason

SCHEMA = "cyberhans.recording/1"
TEXTS = ("machine", "session", "label", "unit", "sensor", "serial", "firmware", "firmware_digest", "detector_digest",
         "start_utc", "load", "sha256", "notes")  # fmt: skip
COUNTS = ("channels", "full_scale", "segment_len", "lost_samples")
LARGEST = 1e300  # keeps infinities out, NaN too, and integers that no float holds
SHOWN = 60  # characters of a value in a message
DERIVED = ("clipped_samples", "quality")  # for people: the one follows from the samples, the other from `reasons`
NOTHING: dict[str, Any] = {"segment_period_s": 0.0, "rate_uncertainty_hz": 0.0, "jitter_s": None, "gaps": [],
                           "firmware": "", "profile": None}  # is left out of the text  # fmt: skip
ORDER = ("machine", "session", "label", "synthetic", "unit", "scale", "offset", "full_scale", "rate_hz",
         "rate_nominal_hz", "rate_uncertainty_hz", "jitter_s", "channels", "axes", "sensor", "serial",
         "firmware", "firmware_digest", "detector_digest", "start_utc", "speed_rpm", "load", "segment_len",
         "segment_period_s", "lost_samples", "gaps", "clipped_samples", "quality", "reasons", "sha256", "notes",
         "profile")  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    """Checked fields by their name in Recording (and `channels`); none if there is no such file."""
    try:
        fields = json.loads(wav.content(path).decode())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CyberHansError(f"{path}: {error.strerror}") from None
    except (RecursionError, ValueError) as error:  # nested without end; not JSON, or not UTF-8
        raise CyberHansError(f"{path}: not JSON ({error}); mend or remove it") from None
    if not isinstance(fields, dict):
        raise CyberHansError(f"{path}: must be a JSON object of fields; see recordings/README.md")
    if fields.pop("schema", SCHEMA) != SCHEMA:
        raise CyberHansError(f"{path}: unknown schema; this version reads {SCHEMA}")
    stated = {name: value for name, value in fields.items() if name not in DERIVED and value is not None}
    return {name: _checked(path, name, value) for name, value in stated.items()}


def _checked(path: Path, name: str, value: Any) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST
    if name in TEXTS and isinstance(value, str) and writable(value):
        return value
    if name in RANGES and number and not outside(name, value):
        return float(value)
    if name in COUNTS and number and value == int(value) >= 0:
        return int(value)
    if name == "axes" and isinstance(value, list) and all(isinstance(axis, str) and writable(axis) for axis in value):
        return tuple(value)
    if name == "synthetic" and isinstance(value, bool):
        return value
    if name in PARSED:
        try:
            return PARSED[name](value)
        except (KeyError, OverflowError, RecursionError, TypeError, ValueError):
            pass
    if name in ORDER:
        range_of = f": it {outside(name, value)}" if name in RANGES and number else ""
        raise CyberHansError(f"{path}: {name} cannot be {_shown(value)}{range_of}; see recordings/README.md")
    near = difflib.get_close_matches(name, ORDER, n=1)
    raise CyberHansError(f"{path}: unknown field {name[:SHOWN]!a}{f'; did you mean {near[0]!r}?' if near else ''}")


def _shown(value: Any) -> str:
    """As JSON has it, cut where it is long."""
    try:
        text = json.dumps(value)
    except RecursionError:
        text = "nested so deep"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _gaps(rows: Any) -> tuple[tuple[int, int, bool], ...]:
    """What recording.Gap is made of."""
    return tuple((operator.index(row["at"]), operator.index(row["lost"]), bool(row["counted"])) for row in rows)


def _reasons(rows: Any) -> tuple[Reason, ...]:
    reasons = tuple(Reason(str(row["text"]), fatal=bool(row["fatal"])) for row in rows)
    if not all(map(writable, reasons)):
        raise ValueError("not text")
    return reasons


PARSED: dict[str, Callable[[Any], Any]] = {"gaps": _gaps, "reasons": _reasons, "profile": Profile.from_dict}


def pack(recording: Any, *, clipped: int) -> str:
    """The sidecar's text; the same recording gives the same text. The profile, for machines, is one long line."""
    told = {
        "clipped_samples": clipped,
        "gaps": [dataclasses.asdict(gap) for gap in recording.gaps],
        "reasons": [{"text": str(reason), "fatal": reason.fatal} for reason in recording.reasons],
        "profile": recording.profile and recording.profile.to_dict(),
    }
    fields = {name: told[name] if name in told else getattr(recording, name) for name in ORDER}
    kept = {name: value for name, value in fields.items() if name not in NOTHING or value != NOTHING[name]}
    profile = kept.pop("profile", None)
    text = json.dumps({"schema": SCHEMA, **kept}, indent=2, ensure_ascii=False, allow_nan=False)
    if profile:
        text = f'{text[:-2]},\n  "profile": {json.dumps(profile, ensure_ascii=False, allow_nan=False)}\n}}'
    return text + "\n"
