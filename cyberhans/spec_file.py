"""The written form of a Spec, in detector.json and in TOML files: every field is known, and of its own type."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from cyberhans.errors import CyberHansError
from cyberhans.spec import Family, Frame, Spec, band_edges, check_length, check_rate

FIELDS = ("rate_hz", "channels", "window", "hop", "families", "frames")
EDGES_FIELDS = ("length", "edges")
BANDS_FIELDS = ("length", "bands", "scale", "low_hz", "high_hz")

Fields = Mapping[str, Any]


def load_spec(path: str | Path) -> Spec:
    """Read a Spec from a TOML file with the fields of spec_from_dict()."""
    try:
        with open(path, "rb") as file:
            fields = tomllib.load(file)
    except OSError as error:
        raise CyberHansError(f"{path}: {error.strerror}; --spec takes auto, tiny, small, full or a TOML file") from None
    except ValueError as error:  # TOML is UTF-8 too
        raise CyberHansError(f"{path}: not TOML: {error}") from None
    try:
        return spec_from_dict(fields)
    except CyberHansError as wrong:
        raise CyberHansError(f"{path}: {wrong}") from None


def spec_from_dict(fields: Fields) -> Spec:
    """From Spec.to_dict(), or with a frame's `bands`, `scale`, `low_hz`, `high_hz` in place of its `edges`.

    `hop` is `window` and `families` none where they are left out. Raises CyberHansError, in one line.
    """
    try:
        _refuse_unknown("the Spec", fields, FIELDS)
        rate = _number("rate_hz", fields["rate_hz"])
        check_rate(rate)
        window = _whole("window", fields["window"])
        return Spec(
            rate_mhz=round(rate * 1000),
            channels=_whole("channels", fields["channels"]),
            window=window,
            hop=_whole("hop", fields.get("hop", window)),
            families=_families(fields.get("families", [])),
            frames=tuple(_frame(frame, rate) for frame in fields["frames"]),
        )
    except KeyError as missing:
        raise CyberHansError(f"Spec: missing field {missing}; see SPEC.md section 2") from None
    except (ArithmeticError, AttributeError, TypeError, ValueError) as wrong:
        raise CyberHansError(f"Spec: {wrong}; see SPEC.md section 2") from None


def _refuse_unknown(what: str, fields: Fields, known: Collection[str]) -> None:
    for name in fields:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known)}"
            raise CyberHansError(f"Spec: {what} has no field {name!r}; {hint}")


def _whole(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise CyberHansError(f"Spec: {name} {value!r}: write a whole number")
    return value


def _number(name: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise CyberHansError(f"Spec: {name} {value!r}: write a number")
    return float(value)


def _families(names: Iterable[object]) -> Family:
    """Names to flags; an unknown one, or one that stands twice, is an error."""
    known = {family.name.lower(): family for family in Family if family.name}
    found = Family(0)
    for name in names:
        family = known.get(str(name).lower())
        if name == "statistics":  # of arithmetic version 1
            raise CyberHansError("Spec: family 'statistics' has become two: choose 'level' (of the signal), "
                                 "'steps' (of its first difference), or both")  # fmt: skip
        if family is None:
            raise CyberHansError(f"Spec: family {name!r}: choose {', '.join(known)}")
        if family in found:
            raise CyberHansError(f"Spec: family {name!r} stands twice; name it once")
        found |= family
    return found


def _frame(fields: Fields, rate_hz: float) -> Frame:
    if not isinstance(fields, Mapping):
        raise CyberHansError(f"Spec: frame {fields!r}: write each frame as a table, below [[frames]]")
    if "edges" in fields:
        _refuse_unknown("a frame with edges", fields, EDGES_FIELDS)
        edges = tuple(_whole("edge", edge) for edge in fields["edges"])
        return Frame(_whole("length", fields["length"]), edges)
    _refuse_unknown("a frame", fields, BANDS_FIELDS)
    length, bands = _whole("length", fields["length"]), _whole("bands", fields["bands"])
    check_length(length)
    return Frame(length, band_edges(length, rate_hz, bands, fields.get("scale", "log"),
                                    _bound(fields, "low_hz"), _bound(fields, "high_hz")))  # fmt: skip


def _bound(fields: Fields, name: str) -> float | None:
    if name not in fields:
        return None
    value = _number(name, fields[name])
    if not (math.isfinite(value) and value >= 0):
        raise CyberHansError(f"Spec: {name} {value:g}: write a frequency in Hz, 0 or more")
    return value
