"""Machine file: machine.toml in a machine's folder, what is fixed about it; recordings/README.md gives every key."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyberhans.errors import CyberHansError
from cyberhans.wav import content, write_whole

NAME = "machine.toml"
FOLDER = re.compile(r"\w(?:[\w .+-]{0,98}\w)?")  # a folder's name on any system
TEXTS = ("mounting", "position", "notes")
KEYS = ("speed_rpm", *TEXTS, "axes", "bearing")
BEARING_KEYS = ("balls", "ball_diameter_mm", "pitch_diameter_mm", "contact_angle_deg")
TEMPLATE = """\
# What is fixed about this machine. Take away the leading # where you know it; recordings/README.md explains each key.

# speed_rpm = 1480.0                  # nominal speed of the shaft, 1/min
# mounting = "magnet"                 # how the sensor is fastened
# position = "drive end, horizontal"  # where it sits
# axes = ["x", "y", "z"]              # one name per channel, in the order of the samples
# notes = ""

# [bearing]
# balls = 9
# ball_diameter_mm = 7.94
# pitch_diameter_mm = 39.04
# contact_angle_deg = 0.0
"""


@dataclass(frozen=True)
class Bearing:
    """Geometry of a rolling bearing: what its fault frequencies follow from. Angle in degrees, 0 to below 90."""

    balls: int
    ball_diameter_mm: float
    pitch_diameter_mm: float
    contact_angle_deg: float = 0.0


@dataclass(frozen=True)
class Machine:
    """What machine.toml states. speed_rpm: nominal, None if unknown; axes: one name per channel, () if unknown."""

    speed_rpm: float | None = None
    mounting: str = ""
    position: str = ""
    axes: tuple[str, ...] = ()
    notes: str = ""
    bearing: Bearing | None = None


def folder_name(machine: str) -> str:
    """The machine's name, which must do as the name of a folder."""
    if not FOLDER.fullmatch(machine):
        raise CyberHansError(f"machine {machine!r}: is to be a folder's name: use letters, digits, spaces and - _ . +,"
                             " and begin and end with a letter or digit")  # fmt: skip
    return machine


def load(folder: str | Path) -> Machine:
    """What is known about the machine of a folder; nothing if it has no machine.toml. An unknown key is an error."""
    path = Path(folder) / NAME
    try:
        fields = tomllib.loads(content(path).decode())
    except (FileNotFoundError, NotADirectoryError):
        return Machine()
    except OSError as error:
        raise CyberHansError(f"{path}: {error.strerror}") from None
    except (RecursionError, ValueError) as error:  # nested without end; not TOML, or not UTF-8
        raise CyberHansError(f"{path}: not TOML ({error}); mend or remove it") from None
    _refuse_unknown(path, fields, KEYS, "")
    checked = {key: _checked(path, key, value) for key, value in fields.items()}
    return Machine(**checked)


def ensure(folder: str | Path) -> Path:
    """Write a template, all of it comments, if the folder has no machine.toml; gives its path."""
    path = Path(folder) / NAME
    if not path.exists():
        try:
            write_whole(path, TEMPLATE.encode())
        except CyberHansError:
            if not path.exists():  # else another capture was quicker
                raise
    return path


def _refuse_unknown(path: Path, fields: Iterable[str], known: tuple[str, ...], table: str) -> None:
    for key in fields:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it may have {', '.join(known)}"
            raise CyberHansError(f"{path}: unknown key {table + key!r}; {hint}")


def _checked(path: Path, key: str, value: Any) -> Any:
    if key == "bearing" and isinstance(value, dict):
        return _bearing(path, value)
    if key == "speed_rpm" and _positive(value):
        return float(value)
    if key in TEXTS and isinstance(value, str):
        return value
    named = key == "axes" and isinstance(value, list) and all(isinstance(axis, str) and axis for axis in value)
    if named and len(set(value)) == len(value):
        return tuple(value)
    raise CyberHansError(f"{path}: {key} cannot be {value!r}; see recordings/README.md")


def _bearing(path: Path, fields: dict[str, Any]) -> Bearing:
    _refuse_unknown(path, fields, BEARING_KEYS, "bearing.")
    missing = [key for key in BEARING_KEYS[:3] if key not in fields]
    if missing:
        raise CyberHansError(f"{path}: bearing lacks {', '.join(missing)}; state them, or leave [bearing] out")
    balls, angle = fields["balls"], fields.get("contact_angle_deg", 0.0)
    whole = isinstance(balls, int) and not isinstance(balls, bool) and balls >= 1
    for key, good in (("balls", whole), ("ball_diameter_mm", _positive(fields["ball_diameter_mm"])),
                      ("pitch_diameter_mm", _positive(fields["pitch_diameter_mm"])),
                      ("contact_angle_deg", angle == 0 or (_positive(angle) and angle < 90))):  # fmt: skip
        if not good:
            raise CyberHansError(f"{path}: bearing.{key} cannot be {fields[key]!r}; see recordings/README.md")
    bearing = Bearing(balls, float(fields["ball_diameter_mm"]), float(fields["pitch_diameter_mm"]), float(angle))
    if bearing.ball_diameter_mm >= bearing.pitch_diameter_mm:
        raise CyberHansError(f"{path}: bearing.ball_diameter_mm must be below pitch_diameter_mm; exchange them?")
    return bearing


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf
