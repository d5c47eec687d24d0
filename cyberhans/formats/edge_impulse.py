"""Edge Impulse: data acquisition JSON, signed or not; the label is what its file's name has before the first dot.

Fields as its documentation has them (docs.edgeimpulse.com, "Data acquisition format"): protected {ver "v1", alg "HS256"
or "none", iat}, signature (64 hex digits), payload {device_name, device_type, interval_ms, sensors [{name, units}],
values}. The signature is the HMAC-SHA256 of the file with 64 zeros in its place.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from cyberhans.errors import CyberHansError
from cyberhans.formats import about
from cyberhans.formats.csv import texts
from cyberhans.formats.place import fresh
from cyberhans.formats.signal import Asked, Signal
from cyberhans.ranges import writable
from cyberhans.recording import LABELS, Recording
from cyberhans.wav import write_whole

SUFFIXES = (".json",)
LACKS = "the scale, the session and what else is known"
LARGEST = 1 << 29  # bytes
UNSIGNED = "0" * 64
SOUND = "wav"  # units of plain int16 sound
DIGITS = 12  # of the rate that interval_ms gives: 1000 / (1000 / rate) is not always rate


def read(path: Path, asked: Asked) -> Signal:
    """A file with sensors of one unit; with a key, its signature is checked."""
    content = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    if not content:
        raise CyberHansError(f"{path}: empty, or above {LARGEST >> 20} MiB; export it in parts")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CyberHansError(f"{path}: not JSON ({type(error).__name__}: {error}); export it again") from None
    payload = _payload(found, path)
    notes = _checked(found, content, asked.key, path)
    described = about.read(path)
    names, units = _sensors(payload, asked, path)
    values = _values(payload, names, path)
    if asked.channels:
        values = values[:, [names.index(name) for name in asked.channels]]
    label = path.name.split(".")[0]
    fields = {"label": label} if label in LABELS else {"notes": f"Edge Impulse label {label}"}
    fields |= {field: payload[key] for field, key in (("serial", "device_name"), ("sensor", "device_type"))
               if isinstance(payload.get(key), str)}  # fmt: skip
    sound = units == SOUND
    return Signal(
        values=values, axes=asked.channels or tuple(names), rate_hz=_rate(payload, path),
        unit="full-scale" if sound else units, scale=1 / 32768 if sound else None,
        fields={**fields, **described}, exact="sha256" in described, notes=notes,
    )  # fmt: skip


def write(recording: Recording, folder: Path, number: int, key: str = "") -> Path:
    """LABEL.NAME.json in the unit, signed with the key if there is one; and LABEL.NAME.json.about."""
    path = fresh(folder / f"{recording.label}.{recording.path.stem if recording.path else recording.machine}.json")
    sound = (recording.unit, recording.scale, recording.offset) == ("full-scale", 1 / 32768, 0.0)
    units = SOUND if sound else recording.unit
    columns = [map(str, column) for column in recording.samples.T.tolist()] if sound else texts(recording)
    one = recording.channels == 1
    values = ",".join(columns[0]) if one else ",".join(map("[{}]".format, map(",".join, zip(*columns, strict=True))))
    protected: dict[str, Any] = {"ver": "v1", "alg": "HS256" if key else "none", **_when(recording)}
    payload = {
        **({"device_name": recording.serial} if recording.serial else {}),
        "device_type": recording.sensor or "cyberhans",
        "interval_ms": 1000 / recording.rate_hz,
        "sensors": [{"name": axis, "units": units} for axis in recording.axes],
        "values": [],
    }
    text = json.dumps({"protected": protected, "signature": UNSIGNED, "payload": payload})
    content = f"{text.removesuffix('[]}}')}[{values}]}}}}".encode()
    if key:
        content = content.replace(UNSIGNED.encode(), _signature(content, key).encode(), 1)
    about.write(path, recording)
    write_whole(path, content)
    return path


def _when(recording: Recording) -> dict[str, int]:
    """iat, seconds since 1970: only what a clock told."""
    try:
        began = datetime.fromisoformat(recording.start_utc)
        return {"iat": int((began if began.tzinfo else began.replace(tzinfo=UTC)).timestamp())}
    except ValueError:
        return {}


def _signature(content: bytes, key: str) -> str:
    if not writable(key):
        raise CyberHansError("--key is no text in UTF-8; give the key as Edge Impulse shows it")
    return hmac.new(key.encode(), content, hashlib.sha256).hexdigest()


def _payload(found: Any, path: Path) -> dict[str, Any]:
    protected, payload = (found.get("protected"), found.get("payload")) if isinstance(found, dict) else (None, None)
    if not isinstance(protected, dict) or not isinstance(payload, dict) or protected.get("ver") != "v1":
        raise CyberHansError(f"{path}: not an Edge Impulse acquisition (protected.ver v1, payload); export it again")
    return payload


def _checked(found: dict[str, Any], content: bytes, key: str, path: Path) -> tuple[str, ...]:
    """Notes; a signature that does not fit the key is an error."""
    algorithm, signature = found["protected"].get("alg"), found.get("signature")
    if algorithm not in ("none", "HS256"):
        raise CyberHansError(f"{path}: alg {algorithm!r}: HS256 or none; export it again")
    if algorithm == "none":
        if key:
            raise CyberHansError(f"{path}: is not signed; leave out --key to take it nevertheless")
        return ()
    if not isinstance(signature, str) or not re.fullmatch("[0-9a-f]{64}", signature):
        raise CyberHansError(f"{path}: its signature is not 64 hex digits; export it again")
    if not key:
        return ("its signature was not checked: give --key",)
    unsigned = content.replace(signature.encode(), UNSIGNED.encode(), 1)
    if not hmac.compare_digest(_signature(unsigned, key), signature):
        raise CyberHansError(f"{path}: its signature does not fit --key: it was changed, or the key is another's")
    return ()


def _sensors(payload: dict[str, Any], asked: Asked, path: Path) -> tuple[list[str], str]:
    sensors = payload.get("sensors")
    good = isinstance(sensors, list) and sensors and all(
        isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("units"), str)
        for one in sensors
    )  # fmt: skip
    if not good or not isinstance(sensors, list):
        raise CyberHansError(f"{path}: payload.sensors must be a list of {{name, units}}; export it again")
    names = [one["name"] for one in sensors]
    if len(set(names)) < len(names):
        raise CyberHansError(
            f"{path}: several of its sensors have one name ({', '.join(names)}); rename them in the file"
        )
    unit_of = {one["name"]: one["units"] for one in sensors}
    missing = [name for name in asked.channels if name not in unit_of]
    if missing:
        raise CyberHansError(f"{path}: no sensor {missing[0]!r}; it has {', '.join(unit_of)}")
    units = {unit_of[name] for name in asked.channels or unit_of}
    if len(units) > 1 and not asked.unit:
        raise CyberHansError(f"{path}: its sensors have units {', '.join(sorted(units))}; take those of one unit with"
                             " --channels")  # fmt: skip
    return names, units.pop()


def _values(payload: dict[str, Any], names: list[str], path: Path) -> Any:
    """float64 (n, sensors); one sensor's values may be a plain list."""
    rows = payload.get("values")
    rows = [[row] for row in rows] if isinstance(rows, list) and rows and not isinstance(rows[0], list) else rows
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise CyberHansError(f"{path}: payload.values must be rows of {len(names)} numbers; export it again")
    if not all(type(value) in (int, float) for row in rows for value in row):
        raise CyberHansError(f"{path}: payload.values holds something that is not a number; export it again")
    try:
        return np.array(rows, np.float64).reshape(-1, len(names))
    except OverflowError:
        raise CyberHansError(f"{path}: payload.values holds a number that no float holds; export it again") from None


def _rate(payload: dict[str, Any], path: Path) -> float | None:
    interval = payload.get("interval_ms")
    if isinstance(interval, bool) or not isinstance(interval, (int, float)) or not 1e-9 < interval < 1e9:
        return None
    return float(f"{1000 / interval:.{DIGITS}g}")
