"""Detector: Spec, model as C, threshold and where all came from; on disk a folder of plain files."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import re
import shutil
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cyberhans import detector_source
from cyberhans.alarm import ARRAYS, Alarm
from cyberhans.caution import cautions
from cyberhans.core import Core
from cyberhans.errors import CyberHansError
from cyberhans.promise import Promise
from cyberhans.spec import Spec
from cyberhans.spec_file import spec_from_dict
from cyberhans.tables import emit_tables

SCHEMA = 2
UNCALIBRATED = 1  # flag of struct hans_model


@dataclass(frozen=True)
class Model:
    """model.c: its text, its symbols' prefix, how many heads its entry fills (0: it gives the score), bytes of RAM.

    plain: its parts are not heads but squared residuals, of which the score takes log2 of the mean.
    """

    text: str
    prefix: str
    parts: int
    ram: int
    plain: bool = False

    @property
    def interface_kind(self) -> str:
        """Of enum hans_model_kind."""
        return "HANS_DIRECT" if not self.parts else "HANS_PARTS" if self.plain else "HANS_HEADS"

    @property
    def digest(self) -> bytes:
        """16 bytes, of the text (SPEC.md section 8)."""
        return hashlib.sha256(self.text.encode()).digest()[:16]


@dataclass(frozen=True, eq=False)
class Detector:
    """What one machine's node needs.

    kind              autoencoder, forest or gaussian
    threshold         1/65536 octave; an anomaly is a score above it
    uncalibrated      the threshold rests on too few windows for the rate asked for
    false_alarm_rate  asked for, per window; None where a promise was
    arrays            what was learnt, and the left-out scores behind the threshold (int32, 1/65536 octave)
    golden            windows int16 (g, n, channels) of the training recordings, with the features and scores expected
    provenance        recordings with their sha256, seed, windows, versions, how well the C agreed with scikit-learn;
                      `accepted`: recordings that failed, with their reasons, and why they were accepted
    promise           how many false alarms a month; None where a rate per window was asked for
    folder            where it lies on disk, None before it is saved
    alarm             settings of the alarm logic; None: every state is normal
    """

    spec: Spec
    kind: str
    model: Model
    threshold: int
    uncalibrated: bool
    false_alarm_rate: float | None
    arrays: dict[str, npt.NDArray[Any]]
    golden: npt.NDArray[np.int16]
    golden_features: npt.NDArray[np.int16]
    golden_score: npt.NDArray[np.int32]
    provenance: dict[str, Any]
    promise: Promise | None = None
    folder: Path | None = None
    alarm: Alarm | None = None

    @property
    def flags(self) -> int:
        return UNCALIBRATED if self.uncalibrated else 0

    @property
    def digest(self) -> bytes:
        """16 bytes, of Spec, model, threshold, flags and alarm settings (SPEC.md section 8)."""
        settings = struct.pack("<iH", self.threshold, self.flags) + (self.alarm.pack() if self.alarm else b"")
        return hashlib.sha256(self.spec.digest + self.model.digest + settings).digest()[:16]

    @property
    def idle_level(self) -> int | None:
        """Below this the loudest channel's level says that the machine is off, 1/256 octave; None: not told."""
        level: int | None = self.provenance.get("idle_level")
        return level

    @property
    def false_alarms_per_hour(self) -> float | None:
        """What a rate per window means on a machine that runs without pause."""
        if self.false_alarm_rate is None:
            return None
        return self.false_alarm_rate * 3600 * self.spec.rate_hz / self.spec.hop

    def core(self) -> Core:
        """The C core with this detector's model, compiled for this machine."""
        if self.folder is not None:
            return Core(self.spec, self.folder)
        with tempfile.TemporaryDirectory() as scratch:
            return Core(self.spec, self.save(Path(scratch) / "detector").folder)

    def summary(self) -> dict[str, Any]:
        """The few facts that a person wants first; ready for JSON."""
        return {
            "kind": self.kind,
            "features": self.spec.features,
            "window_s": self.spec.window / self.spec.rate_hz,
            **({"tells_moved_sensor": bool(self.alarm and self.alarm.moved)} if self.spec.channels >= 3 else {}),
            "threshold_octaves": self.threshold / 65536,
            **self._limit(),
            "uncalibrated": self.uncalibrated,
            "windows": self.provenance["windows"],
            "recordings": len(self.provenance["recordings"]),
            "warnings": self.warnings,
            "digest": self.digest.hex(),
        }

    def _limit(self) -> dict[str, Any]:
        """What the threshold keeps, and by which vote."""
        vote = self.provenance["decision"]
        alarm = {"alarm": f"{vote['needed']} of {vote['votes']} windows", "window_every_s": vote["every_s"]}
        if self.promise is None:
            rates = {"false_alarm_rate": self.false_alarm_rate, "false_alarms_per_hour": self.false_alarms_per_hour}
            return rates | alarm
        return {"false_alarms_per_month": self.promise.per_month, "confidence": self.promise.confidence} | alarm

    @property
    def warnings(self) -> list[str]:
        """What to know before trusting it, one line each."""
        return cautions(self)

    def save(self, folder: str | Path) -> Detector:
        """Write the folder, whole or not at all; gives the detector as it lies there.

        An earlier detector at that place is replaced; anything else there, a file beside it too, is an error.
        """
        folder = Path(folder)
        files = self._files()
        try:
            _refuse_foreign(folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
                made = Path(scratch) / "made"
                made.mkdir()
                for name, content in files.items():
                    (made / name).write_bytes(content)
                _put(made, folder, aside=Path(f"{scratch}.old"))
        except OSError as error:
            reason = error.strerror or error
            raise CyberHansError(f"{folder}: cannot be written: {reason}; choose another --out") from None
        return dataclasses.replace(self, folder=folder)

    def _files(self) -> dict[str, bytes]:
        """Name and content of every file; detector.json, which lists the others' SHA-256, last."""
        texts = {
            "tables.c": emit_tables(self.spec),
            "model.c": self.model.text,
            "detector.c": detector_source.source(self),
            "detector.h": detector_source.header(self),
        }
        arrays: dict[str, npt.NDArray[Any]] = {
            **self.arrays,
            "golden": self.golden,
            "golden_features": self.golden_features,
            "golden_score": self.golden_score,
        }
        if self.alarm:
            arrays |= {f"alarm_{name}": getattr(self.alarm, name) for name in ARRAYS}
        files = {name: text.encode() for name, text in texts.items()}
        files |= {f"{name}.npy": _npy(array) for name, array in sorted(arrays.items())}
        return files | {"detector.json": (json.dumps(self._described(files), indent=2) + "\n").encode()}

    def _described(self, files: dict[str, bytes]) -> dict[str, Any]:
        digests = {"spec": self.spec.digest, "model": self.model.digest, "detector": self.digest}
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "threshold": self.threshold,
            "uncalibrated": self.uncalibrated,
            "false_alarm_rate": self.false_alarm_rate,
            "promise": self.promise.to_dict() if self.promise else None,
            "warnings": self.warnings,
            "alarm": self.alarm.to_dict() if self.alarm else None,
            "digests": {name: digest.hex() for name, digest in digests.items()},
            "spec": self.spec.to_dict(),
            "model": {name: getattr(self.model, name) for name in ("prefix", "parts", "ram", "plain")},
            "provenance": self.provenance,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        }


def load_detector(folder: str | Path) -> Detector:
    """Read a detector's folder; a file that is missing or has changed since training is an error that names it."""
    folder = Path(folder)
    described = folder / "detector.json"
    fields = _read_json(described)
    try:
        files = {name: _read_unchanged(folder / name, digest) for name, digest in fields["files"].items()}
        arrays = {name[:-4]: np.load(io.BytesIO(data)) for name, data in files.items() if name.endswith(".npy")}
        detector = Detector(
            spec=_spec_of(fields["spec"], described),
            model=Model(text=files["model.c"].decode(), **fields["model"]),
            golden=arrays.pop("golden"),
            golden_features=arrays.pop("golden_features"),
            golden_score=arrays.pop("golden_score"),
            alarm=_alarm_of(fields, arrays, described),
            arrays=arrays,
            folder=folder,
            promise=_promise_of(fields["promise"]),
            **{name: fields[name] for name in ("kind", "threshold", "uncalibrated", "false_alarm_rate", "provenance")},
        )
        stated = dict(fields["digests"])
        for name in ("tables.c", "detector.c", "detector.h"):
            files[name]  # what is compiled must be among the files that were compared
        _check_told(detector)
    except (AttributeError, EOFError, IndexError, KeyError, TypeError, ValueError) as wrong:
        raise CyberHansError(f"{described}: a field is missing or wrong ({wrong}); train again") from None
    if detector.alarm and len(detector.alarm.centre) != detector.spec.features:
        raise CyberHansError(f"{described}: the alarm's centre is not one number per feature; train again")
    if not isinstance(detector.threshold, int) or not -(2**31) <= detector.threshold < 2**31:
        raise CyberHansError(f"{described}: threshold {detector.threshold} is no int32; train again")
    found = {"spec": detector.spec.digest, "model": detector.model.digest, "detector": detector.digest}
    for name, digest in found.items():
        if stated.get(name) != digest.hex():
            raise CyberHansError(f"{described}: its {name} digest does not fit its contents; train again")
    return detector


def _check_told(detector: Detector) -> None:
    """Raise ValueError or what Python does where something that is used later is missing or no such thing."""
    whole = (detector.golden.ndim, len(detector.golden) > 0, detector.golden.dtype) == (3, True, np.dtype(np.int16))
    if not whole or not re.fullmatch(r"hans_\w+", detector.model.prefix):
        raise ValueError("golden windows, or the prefix of the model")
    if not 0 <= detector.model.parts <= detector.spec.features or not 0 <= detector.model.ram < 2**20:
        raise ValueError("parts or ram of the model")
    detector.summary()
    if "sensor" in detector.provenance and float(detector.provenance["sensor"]["scale"]) == 0:
        raise ValueError("the sensor's scale is 0")


def _alarm_of(fields: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], described: Path) -> Alarm | None:
    """Takes its arrays out of `arrays`."""
    if fields["alarm"] is None:
        return None
    try:
        alarm = Alarm.from_dict(fields["alarm"], *(arrays.pop(f"alarm_{name}") for name in ARRAYS))
    except CyberHansError as wrong:
        raise CyberHansError(f"{described}: {wrong}; train again") from None
    return alarm


def _promise_of(fields: dict[str, Any] | None) -> Promise | None:
    try:
        return Promise(**fields) if fields else None
    except CyberHansError as wrong:
        raise ValueError(f"promise: {wrong}") from None


def _spec_of(fields: dict[str, Any], described: Path) -> Spec:
    try:
        return spec_from_dict(fields)
    except CyberHansError as wrong:
        raise CyberHansError(f"{described}: {wrong}; if an older version made it, train again") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text())
    except OSError as error:
        raise CyberHansError(f"{path}: {error.strerror}; give a folder that `cyberhans train` has made") from None
    except (ValueError, RecursionError) as error:
        raise CyberHansError(f"{path}: not JSON ({error}); train again") from None
    if not isinstance(fields, dict) or fields.get("schema") != SCHEMA:
        raise CyberHansError(f"{path}: not a detector of schema {SCHEMA}; train again with this version")
    return fields


def _read_unchanged(path: Path, digest: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CyberHansError(f"{path}: {error.strerror}; copy the whole folder, or train again") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise CyberHansError(f"{path}: has changed since training; restore it, or train again")
    return content


def _refuse_foreign(folder: Path) -> None:
    """Raise unless there is nothing at `folder`, or an empty folder, or a detector with nothing beside its files."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise CyberHansError(f"{folder}: is a file; choose another --out")
    foreign = {path.name for path in folder.iterdir()} - _listed(folder / "detector.json")
    if foreign:
        raise CyberHansError(f"{folder}: holds {min(foreign)}, which no detector has; move it, or choose another --out")


def _listed(described: Path) -> set[str]:
    """The names of a detector's files by its detector.json; none if that is no such thing."""
    try:
        return {described.name, *json.loads(described.read_text())["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _put(made: Path, folder: Path, aside: Path) -> None:
    """Move `made` to `folder`. What was there lies `aside` meanwhile, comes back if that fails, and goes last."""
    if not folder.exists():
        os.replace(made, folder)
        return
    os.replace(folder, aside)
    try:
        os.replace(made, folder)
    except BaseException:
        try:
            os.replace(aside, folder)
        except OSError as error:
            reason = error.strerror or error
            raise CyberHansError(f"{folder}: {reason}; the earlier detector is kept in {aside}") from None
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
