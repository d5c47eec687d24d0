"""Normal recordings become a detector: features, fit, threshold from windows left out, C, provenance."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cyberhans import __version__, detectors
from cyberhans.contamination import contamination
from cyberhans.core import Core
from cyberhans.detector import Detector
from cyberhans.detectors import Features
from cyberhans.emit import emit
from cyberhans.errors import CyberHansError
from cyberhans.quality import verdict
from cyberhans.reason import Reason
from cyberhans.recording import RATE_TOLERANCE, Recording
from cyberhans.spec import Spec
from cyberhans.threshold import folds, rank, threshold_for, too_few

GOLDEN_WINDOWS = 3
MOST_SEED = 1 << 24
LIBRARIES = ("numpy", "scipy", "scikit-learn", "emlearn")


def train(
    recordings: Sequence[Recording], *, kind: str = "autoencoder", spec: Spec, false_alarm_rate: float,
    seed: int = 0, uncalibrated: bool = False, method: str | None = None, dtype: str | None = None,
    accept: str = "",
) -> Detector:  # fmt: skip
    """A detector of what these recordings have in common. Write it with its save().

    recordings: of normal behaviour. One labelled anomaly is an error; one without a label is taken at the user's word.
    false_alarm_rate: per window, above 0 and up to 0.5; too few windows for it are an error unless `uncalibrated`.
    accept: why recordings that failed (quality.verdict) may be learnt from all the same; kept in the provenance.
    seed: 0 to 2^24. Same recordings, Spec and seed give the same bytes. method, dtype: see emit().
    """
    _check(recordings, seed)
    reasons = [verdict(recording) for recording in recordings]
    accepted = _accepted(recordings, reasons, accept)
    recordings, warnings = _distinct(recordings, [[str(reason) for reason in found] for found in reasons])
    windows = [recording.windows(spec) for recording in recordings]
    counts = [len(part) for part in windows]
    if rank(sum(counts), false_alarm_rate) == 0 and not uncalibrated:
        raise too_few(sum(counts), false_alarm_rate, spec.hop / spec.rate_hz)
    core = Core(spec)
    features = np.concatenate([core.features(part) for part in windows])
    left_out = left_out_scores(kind, features, np.repeat(_files(recordings), counts), seed)
    threshold = threshold_for(left_out, false_alarm_rate)
    fitted = detectors.fit(kind, features, seed)
    model, guard = emit(fitted, features, method=method, dtype=dtype)
    chosen = np.linspace(0, sum(counts) - 1, min(GOLDEN_WINDOWS, sum(counts))).astype(int)
    detector = Detector(
        spec, kind, model, threshold.value, threshold.uncalibrated, false_alarm_rate,
        arrays=fitted.arrays() | {"left_out_score": left_out},
        golden=np.stack([_window(windows, k) for k in chosen]),
        golden_features=features[chosen],
        golden_score=np.zeros(len(chosen), np.int32),
        provenance=_provenance(recordings, counts, warnings, seed, guard) | accepted
        | {"contamination": contamination(features, recordings, spec)},
    )  # fmt: skip
    return dataclasses.replace(detector, golden_score=detector.core().run(detector.golden).score)


def left_out_scores(
    kind: str, features: Features, recording_of: npt.NDArray[np.intp], seed: int
) -> npt.NDArray[np.int32]:
    """Scores in 1/65536 octave of every window by a detector that learnt only from others; see threshold.folds()."""
    scores = np.zeros(len(features), np.int32)
    for learn, out in folds(recording_of):
        octaves = detectors.fit(kind, features[learn], seed).score(features[out])
        scores[out] = np.rint(octaves * 65536).astype(np.int32)
    return scores


def _files(recordings: Sequence[Recording]) -> list[int]:
    """A number for each recording; parts of one file, which are alike, have the same."""
    numbers: dict[object, int] = {}
    return [numbers.setdefault(part.sha256 or place, len(numbers)) for place, part in enumerate(recordings)]


def _distinct(recordings: Sequence[Recording], warnings: list[list[str]]) -> tuple[list[Recording], list[list[str]]]:
    """Each recording once: of a copy no window is left out while its twin is learnt from. Parts may not overlap."""
    kept: list[tuple[Recording, list[str]]] = []
    for recording, told in zip(recordings, warnings, strict=True):
        span = (recording.sha256, recording.first_frame, recording.frames)
        twin = next((entry for entry in kept if entry[0].overlaps(*span)), None)
        if twin is None:
            kept.append((recording, list(told)))
        elif (twin[0].first_frame, twin[0].frames) == span[1:]:
            twin[1].append(f"{recording.name} holds the same samples: counted once")
        else:
            raise CyberHansError(f"{recording.name}: shares samples with {twin[0].name}: give each part once")
    return [entry[0] for entry in kept], [entry[1] for entry in kept]


def _check(recordings: Sequence[Recording], seed: int) -> None:
    """Refuse what cannot be learnt from together."""
    if not recordings:
        raise CyberHansError("no recordings to learn from: give at least one labelled normal")
    if not 0 <= seed <= MOST_SEED:
        raise CyberHansError(f"seed {seed}: must be 0 to {MOST_SEED}")
    first = recordings[0]
    for recording in recordings:
        if recording.label == "anomaly":
            raise CyberHansError(f"{recording.name}: is labelled anomaly, but training takes normal recordings only:"
                                 " leave it out, or mend the label in its sidecar")  # fmt: skip
        if recording.channels != first.channels:
            raise CyberHansError(f"{recording.name} has {recording.channels} channels, {first.name} has"
                                 f" {first.channels}: train on recordings of one sensor")  # fmt: skip
        if (recording.unit, recording.scale) != (first.unit, first.scale):
            raise CyberHansError(f"{recording.name} has {recording.scale:g} {recording.unit} per LSB, {first.name} has"
                                 f" {first.scale:g} {first.unit}: train on one sensor at one range")  # fmt: skip
        if abs(recording.rate_hz / first.rate_hz - 1) > RATE_TOLERANCE:
            raise CyberHansError(f"{recording.name} has {recording.rate_hz:g} Hz, {first.name} has"
                                 f" {first.rate_hz:g} Hz: train on recordings of one rate")  # fmt: skip


def _accepted(recordings: Sequence[Recording], reasons: list[list[Reason]], accept: str) -> dict[str, Any]:
    """Refuse recordings that failed, by name and reason, unless they are accepted; then what the provenance says."""
    failed = {
        recording.name: [str(reason) for reason in found if reason.fatal]
        for recording, found in zip(recordings, reasons, strict=True) if found and found[0].fatal
    }  # fmt: skip
    if failed and not accept.strip():
        name, told = next(iter(failed.items()))
        more = f"; {len(failed) - 1} more failed: {', '.join(list(failed)[1:])}" if len(failed) > 1 else ""
        raise CyberHansError(f"{name}: failed: {'; '.join(told)}{more}: record again, or say why it may be learnt from:"
                             " --accept REASON")  # fmt: skip
    return {"accepted": {"reason": accept.strip(), "recordings": failed}} if failed else {}


def _window(windows: Sequence[npt.NDArray[np.int16]], place: int) -> npt.NDArray[np.int16]:
    for part in windows:
        if place < len(part):
            window: npt.NDArray[np.int16] = part[place]
            return window
        place -= len(part)
    raise IndexError(place)


def _provenance(
    recordings: Sequence[Recording], counts: list[int], warnings: list[list[str]], seed: int, guard: dict[str, Any]
) -> dict[str, Any]:
    return {
        "seed": seed,
        "windows": sum(counts),
        "sensor": _sensor(recordings[0]),
        "recordings": [_origin(*row) for row in zip(recordings, counts, warnings, strict=True)],
        "agreement_with_scikit_learn": guard,
        "versions": {
            "cyberhans": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in LIBRARIES},
        },
    }


def _sensor(recording: Recording) -> dict[str, Any]:
    """What a sample meant: one sensor at one range gave all recordings."""
    return {
        "name": recording.sensor,
        "unit": recording.unit,
        "scale": recording.scale,
        "full_scale": recording.full_scale,
    }


def _origin(recording: Recording, windows: int, warnings: list[str]) -> dict[str, Any]:
    return {
        "name": recording.name,
        "sha256": recording.sha256,
        "machine": recording.machine,
        "session": recording.session,
        "synthetic": recording.synthetic,
        "first_frame": recording.first_frame,
        "frames": recording.frames,
        "windows": windows,
        "warnings": warnings,
    }
