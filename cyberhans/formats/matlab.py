"""MATLAB: .mat files up to version 7, a variable per channel, named as Case Western Reserve's bearing data is.

X097_DE_time, X097_FE_time, X097_BA_time: columns of values; X097RPM: speed of the shaft
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyberhans.errors import CyberHansError
from cyberhans.formats import about
from cyberhans.formats.place import fresh
from cyberhans.formats.signal import Asked, Signal
from cyberhans.recording import LABELS, Recording
from cyberhans.wav import write_whole

SUFFIXES = (".mat",)
LACKS = "the scale, the session and what else is known"
LARGEST = 1 << 28  # numbers in a file: 2 GiB of them
CHANNEL = re.compile(r"(X\d+)_(\w+)_time")
NUMERIC = ("double", "single", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
HEADER = b"MATLAB 5.0 MAT-file, written by cyberhans".ljust(116)  # scipy's own holds the time of day
RATES = ("rate_hz", "fs", "Fs")


def read(path: Path, asked: Asked) -> Signal:
    """All channels of one X number, else every numeric vector; rate_hz, fs, unit and label are taken where they are."""
    found = _variables(path)
    names = list(asked.channels) or _channels(found, path)
    for name in names:
        if name not in found:
            raise CyberHansError(f"{path}: no variable {name!r}; it has {', '.join(found)}")
    scalars = [name for name, shape in found.items() if np.prod(shape) <= 64 and name not in names]
    loaded = _loaded(path, [*names, *scalars])
    columns = [_column(loaded[name], name, path) for name in names]
    lengths = {name: len(column) for name, column in zip(names, columns, strict=True)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise CyberHansError(f"{path}: lengths differ: {told}; take those of one length with --channels")
    described = about.read(path)
    rate = next((value for name in RATES if (value := _number(loaded.get(name)))), None)
    label, unit = _text(loaded.get("label")), _text(loaded.get("unit"))
    fields: dict[str, Any] = {"label": label} if label in LABELS else {}
    if speed := _number(loaded.get(f"{names[0].split('_')[0]}RPM")):
        fields["speed_rpm"] = speed
    return Signal(
        values=np.column_stack(columns), axes=_axes(names), rate_hz=rate, unit=unit,
        fields={**fields, **described}, exact="sha256" in described,
    )  # fmt: skip


def write(recording: Recording, folder: Path, number: int, key: str = "") -> Path:
    """NAME.mat: values in the unit as doubles, rate_hz, unit, label; and NAME.mat.about."""
    from scipy.io import savemat

    path = fresh(folder / f"{recording.path.stem if recording.path else recording.machine}.mat")
    values = recording.samples * recording.scale + recording.offset
    axes = [re.sub(r"\W", "_", axis) for axis in recording.axes]
    axes = axes if len(set(axes)) == len(axes) else [f"c{c}" for c in range(len(axes))]
    table: dict[str, Any] = {f"X{number:03d}_{axis}_time": values[:, [c]] for c, axis in enumerate(axes)}
    if recording.speed_rpm:
        table[f"X{number:03d}RPM"] = recording.speed_rpm
    table |= {"rate_hz": recording.rate_hz, "unit": recording.unit, "label": recording.label}
    content = io.BytesIO()
    savemat(content, table, do_compression=True)
    about.write(path, recording)
    write_whole(path, HEADER + content.getvalue()[len(HEADER) :])
    return path


def _variables(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape of each numeric or text variable; nothing is loaded yet."""
    from scipy.io import whosmat

    listed = _guarded(path, lambda: whosmat(str(path), appendmat=False))
    found = {name: tuple(shape) for name, shape, kind in listed if kind in (*NUMERIC, "char")}
    if sum(int(np.prod(shape, dtype=object)) for shape in found.values()) > LARGEST:
        raise CyberHansError(f"{path}: holds more than {LARGEST >> 20} million numbers; save it in parts")
    return found


def _loaded(path: Path, names: list[str]) -> dict[str, Any]:
    from scipy.io import loadmat

    loaded: dict[str, Any] = _guarded(path, lambda: loadmat(str(path), variable_names=names, appendmat=False))
    return loaded


def _guarded(path: Path, load: Any) -> Any:
    """What scipy raises on a damaged file is of any kind: struct, zlib, value, type and memory errors."""
    try:
        return load()
    except NotImplementedError:
        raise CyberHansError(f"{path}: is MATLAB's version 7.3; save it with save(..., '-v7')") from None
    except Exception as error:
        raise CyberHansError(
            f"{path}: not a MATLAB file, or damaged ({type(error).__name__}); export it again"
        ) from None


def _channels(found: dict[str, tuple[int, ...]], path: Path) -> list[str]:
    named = [name for name in found if CHANNEL.fullmatch(name)]
    if len({name.split("_")[0] for name in named}) > 1:
        raise CyberHansError(f"{path}: holds several recordings ({', '.join(named)}); take one with --channels")
    vectors = [name for name, shape in found.items() if np.prod(shape) > 64 and max(shape) == np.prod(shape)]
    if not named and not vectors:
        raise CyberHansError(f"{path}: no variable is a column of more than 64 numbers; name them with --channels")
    return named or vectors


def _column(values: Any, name: str, path: Path) -> NDArray[Any]:
    good = isinstance(values, np.ndarray) and values.dtype.kind in "fiu" and values.size == max(values.shape, default=0)
    if not good:
        raise CyberHansError(f"{path}: variable {name} is not a column of real numbers; name others with --channels")
    return np.asarray(values).ravel()


def _axes(names: list[str]) -> tuple[str, ...]:
    """DE of X097_DE_time; the whole name where channels of two recordings would have one."""
    short = tuple(found[2] if (found := CHANNEL.fullmatch(name)) else name for name in names)
    return short if len(set(short)) == len(short) else tuple(names)


def _number(value: Any) -> float | None:
    one = isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "fiu"
    return float(value.ravel()[0]) if one and 0 < float(value.ravel()[0]) < 1e300 else None


def _text(value: Any) -> str:
    one = isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind == "U"
    return str(value.ravel()[0]) if one else ""
