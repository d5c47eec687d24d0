"""Signal: what a foreign file says about a recording; Asked: what its user says. Together they make a Recording."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyberhans import wav
from cyberhans.errors import CyberHansError
from cyberhans.formats import step
from cyberhans.ranges import RANGES, outside
from cyberhans.recording import Gap, Recording, header_hz

LARGEST = 32768 * RANGES["scale"][1]  # value that counts of the largest scale reach


@dataclass(frozen=True, eq=False)
class Signal:
    """values (n, channels): in `unit`, or counts of `scale` units each where the file states a scale.

    None and "": the file does not say. fields: whatever else it states, by its name in Recording. exact: the fields
    describe these very samples (an .about file), with their sha256. notes: what the user should hear.
    """

    values: NDArray[Any]
    axes: tuple[str, ...] = ()
    rate_hz: float | None = None
    unit: str = ""
    scale: float | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    exact: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What a user states; it wins over the file. None and "": nothing.

    rate_hz      sample frames per second
    unit, scale  unit of the values; units per count, which says that the file holds counts (whole numbers)
    full_range   the sensor's full scale in the unit: values lie within -full_range to full_range
    channels     columns or variables to take, in this order; all if empty
    key          of an HMAC signature
    """

    machine: str = ""
    label: str = ""
    session: str = ""
    load: str = ""
    speed_rpm: float | None = None
    rate_hz: float | None = None
    unit: str = ""
    scale: float | None = None
    full_range: float | None = None
    channels: tuple[str, ...] = ()
    key: str = ""

    def __post_init__(self) -> None:
        for option, name, value in (
            ("--rate", "rate_nominal_hz", self.rate_hz),
            ("--scale", "scale", self.scale),
            ("--range", "scale", self.full_range),
            ("--speed", "speed_rpm", self.speed_rpm),
        ):
            if value is not None and (value < 0 or outside(name, value)):
                raise CyberHansError(f"{option} {value:g}: {outside(name, abs(value)) or 'must be a number above 0'}")


def assemble(signal: Signal, asked: Asked, path: Path) -> tuple[Recording, float]:
    """The recording, and the largest rounding error of a value in its unit (0: lossless). Nothing is guessed."""
    refuse_unreal(signal.values, path)
    if asked.scale or asked.full_range:
        kept = {name: value for name, value in signal.fields.items() if name not in ("scale", "offset", "full_scale")}
        signal = dataclasses.replace(signal, fields=kept, exact=False)
    said = {name: value for name in ("machine", "label", "session", "load", "speed_rpm")
            if (value := getattr(asked, name)) not in (None, "")}  # fmt: skip
    stated = {**signal.fields, **said}
    stated["rate_hz"] = asked.rate_hz or stated.get("rate_hz") or signal.rate_hz
    stated["unit"] = asked.unit or stated.get("unit") or signal.unit
    if asked.channels or "axes" not in stated:
        stated["axes"] = signal.axes
    for name, option in (("machine", "--machine NAME"), ("rate_hz", "--rate HZ"), ("unit", "--unit, such as g")):
        if not stated.get(name):
            raise CyberHansError(f"{path}: does not say its {name.removesuffix('_hz')}; give {option}")
    nominal = _header_hz(stated, signal.values, path)
    samples, stated["scale"], error = _counts(signal, asked, path)
    digest = stated.pop("sha256", "")
    stated.pop("channels", None)
    if signal.exact and not asked.channels and digest != sha256(samples, nominal):
        raise CyberHansError(f"{path}: is not the file that {path.name}.about describes; copy both again, or remove"
                             " the latter")  # fmt: skip
    stated["gaps"] = tuple(Gap(*gap) for gap in stated.get("gaps", ()))
    if len(set(stated["axes"])) < len(stated["axes"]):
        raise CyberHansError(f"{path}: several channels have one name ({', '.join(stated['axes'])}); rename them in the"
                             " file, or take others with --channels")  # fmt: skip
    return Recording(samples=np.ascontiguousarray(samples), path=path, **stated), error


def _header_hz(stated: dict[str, Any], values: NDArray[Any], path: Path) -> int:
    """What the WAV header will say, before anything is made of values that it could not hold."""
    low, high = RANGES["rate_nominal_hz"]
    if not low <= stated["rate_hz"] <= high:
        raise CyberHansError(f"{path}: rate {stated['rate_hz']:g} Hz: must be {low:g} to {high:g}; give --rate HZ")
    rate = header_hz(stated.get("rate_nominal_hz") or stated["rate_hz"])
    try:
        wav.header(values.shape[1], rate, 2 * values.size)
    except CyberHansError as error:
        raise CyberHansError(f"{path}: {error}") from None
    return rate


def sha256(samples: NDArray[np.int16], rate: int) -> str:
    """Of the WAV file that save_recording writes."""
    return hashlib.sha256(wav.pack(samples, rate)).hexdigest()


def stamped(recording: Recording) -> Recording:
    """The recording with the sha256 it has once it is saved."""
    return dataclasses.replace(
        recording, sha256=sha256(recording.samples, header_hz(recording.rate_nominal_hz)), path=None, first_frame=0
    )


def refuse_unreal(values: NDArray[Any], path: Path) -> None:
    if values.size == 0:
        raise CyberHansError(f"{path}: holds no samples; export it again")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise CyberHansError(f"{path}: sample {row + 1} of channel {column + 1} is {values[row, column]}; a recording"
                             " has a number for each; cut or mend the file")  # fmt: skip
    if values.dtype.kind == "f" and (peak := np.abs(values).max()) > LARGEST:
        raise CyberHansError(f"{path}: holds {peak:g}, which no sensor says; cut or mend the file, or take other"
                             " columns with --channels")  # fmt: skip


def _counts(signal: Signal, asked: Asked, path: Path) -> tuple[NDArray[np.int16], float, float]:
    """int16 samples, units per count, largest rounding error."""
    full_scale = asked.full_range / 32768 if asked.full_range else None
    if signal.scale:
        if asked.unit not in ("", signal.unit) and not (asked.scale or full_scale):
            raise CyberHansError(
                f"{path}: its scale is in {signal.unit}; with --unit give --scale or --range in {asked.unit}"
            )
        return _whole(signal.values, path), asked.scale or full_scale or signal.scale, 0.0
    if asked.scale:
        return _whole(signal.values, path), asked.scale, 0.0
    if full_scale:
        return _within(signal.values, full_scale, 0.0, path)
    if "scale" in signal.fields:
        return _within(signal.values, float(signal.fields["scale"]), float(signal.fields.get("offset", 0.0)), path)
    if (signal.values == np.rint(signal.values)).all():
        raise CyberHansError(f"{path}: does not say its scale, and all its numbers are whole; give --scale, the unit"
                             " per count (1: they are in the unit)")  # fmt: skip
    return step.fitted(signal.values)


def _within(values: NDArray[Any], scale: float, offset: float, path: Path) -> tuple[NDArray[np.int16], float, float]:
    """Values to the nearest count; the positive rail is one count below the range."""
    peak = float(np.abs(values - offset).max())
    if peak > 32768 * scale * (1 + 1e-9):
        raise CyberHansError(
            f"{path}: holds {peak:g}, beyond the range of {32768 * scale:g}; give a --range that holds it"
        )
    counts = np.clip(np.rint((values - offset) / scale), -32768, 32767)
    return counts.astype(np.int16), scale, step.error_of(counts * scale + offset, values)


def _whole(values: NDArray[Any], path: Path) -> NDArray[np.int16]:
    if values.dtype == np.int16:
        return values
    if (values != np.rint(values)).any():
        raise CyberHansError(f"{path}: --scale is for counts, but it holds {values[values != np.rint(values)][0]:g}:"
                             " leave it out, or give --range")  # fmt: skip
    if values.min() < -32768 or values.max() > 32767:
        raise CyberHansError(f"{path}: holds counts from {values.min():g} to {values.max():g}, which 16 bits do not"
                             " hold; give --range in the unit of its numbers")  # fmt: skip
    return values.astype(np.int16)
