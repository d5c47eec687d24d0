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
from cyberhans.alarm_rule import learn_alarm, with_rise
from cyberhans.baseline import Baseline
from cyberhans.contamination import contamination
from cyberhans.detector import Detector
from cyberhans.detectors import DEFAULT, Features
from cyberhans.detectors.heads import Head, heads_of
from cyberhans.emit import emit
from cyberhans.errors import CyberHansError
from cyberhans.limit import Limit
from cyberhans.promise import Promise
from cyberhans.quality import verdict
from cyberhans.reason import Reason
from cyberhans.recording import RATE_TOLERANCE, Recording
from cyberhans.spec import MAX_WINDOW, Spec
from cyberhans.threshold import folds

GOLDEN_WINDOWS = 3
MOST_SEED = 1 << 24
LIBRARIES = ("numpy", "scipy", "scikit-learn", "emlearn")


def train(
    recordings: Sequence[Recording], *, kind: str = DEFAULT, spec: Spec, promise: Promise | None = None,
    false_alarm_rate: float | None = None, seed: int = 0, uncalibrated: bool = False, method: str | None = None,
    dtype: str | None = None, accept: str = "", share: float = 1.0,
) -> Detector:  # fmt: skip
    """A detector of what these recordings have in common. Write it with its save().

    recordings: of normal behaviour. One labelled anomaly is an error; one without a label is taken at the user's word.
    Windows in which the machine is off, by their level (idle.py), are not learnt from.
    promise: how many false alarms a month the user can live with (threshold.kept_threshold); its every_s becomes the
    detector's hop. Instead of it false_alarm_rate: of single windows, above 0 and up to 0.5 (threshold.threshold_for).
    Too little for either is an error that says what is missing, unless `uncalibrated`: then the detector is deployed
    as learning, and never alarms. accept: why recordings that failed (quality.verdict) may be learnt from all the
    same; kept in the provenance. share: of the kind's own size, one of detectors.SHARES. seed: 0 to 2^24. Same
    recordings, Spec and seed give the same bytes. method, dtype: see emit().
    """
    _check(recordings, seed)
    limit = Limit(promise, false_alarm_rate)
    reasons = [verdict(recording) for recording in recordings]
    accepted = _accepted(recordings, reasons, accept)
    recordings, warnings = _distinct(recordings, [[str(reason) for reason in found] for found in reasons])
    final = deployed(spec, promise)
    baseline = Baseline.of(recordings, spec)
    if not uncalibrated:
        limit.refuse_too_little(baseline)
    features, heads = baseline.features, heads_of(spec)
    left_out = left_out_scores(kind, features, baseline.session_of, seed, heads, share)
    threshold = limit.threshold(left_out, baseline, kind)
    fitted = detectors.fit(kind, features, seed, heads, share)
    sized = {} if share == 1.0 else {"share": share}
    model, guard = emit(fitted, features, method=method, dtype=dtype)
    chosen = np.linspace(0, len(features) - 1, min(GOLDEN_WINDOWS, len(features))).astype(int)
    facts = {"idle_level": baseline.idle, "decision": limit.decision(baseline),
             "contamination": contamination(baseline)}  # fmt: skip
    detector = Detector(
        final, kind, model, threshold.value, threshold.uncalibrated, false_alarm_rate,
        arrays=fitted.arrays() | {"left_out_score": left_out},
        golden=np.stack([baseline.window(k) for k in chosen]),
        golden_features=features[chosen],
        golden_score=np.zeros(len(chosen), np.int32),
        provenance=_provenance(recordings, baseline.counts, warnings, seed, guard) | accepted | sized | facts,
        promise=promise,
        alarm=learn_alarm(baseline, limit.votes(baseline)),
    )  # fmt: skip
    return _told_by_the_core(detector, baseline)


def _told_by_the_core(detector: Detector, baseline: Baseline) -> Detector:
    """With what only the compiled detector can tell: how far it rises while learning, and its golden scores."""
    assert detector.alarm
    detector = dataclasses.replace(detector, alarm=with_rise(detector.alarm, detector.core(), baseline.windows))
    return dataclasses.replace(detector, golden_score=detector.core().run(detector.golden).score)


def deployed(spec: Spec, promise: Promise | None) -> Spec:
    """The Spec with the pause between windows that the promise states."""
    if promise is None or promise.every_s == 0:
        return spec
    hop = round(promise.every_s * spec.rate_hz)
    if not spec.window <= hop <= MAX_WINDOW:
        least, most = spec.window / spec.rate_hz, MAX_WINDOW / spec.rate_hz
        raise CyberHansError(
            f"a window every {promise.every_s:g} s: windows of this detector last {least:g} s and may come every"
            f" {least:g} to {most:.4g} s; choose --every in between"
        )
    return dataclasses.replace(spec, hop=hop)


def left_out_scores(
    kind: str,
    features: Features,
    recording_of: npt.NDArray[np.intp],
    seed: int,
    heads: tuple[Head, ...] | None = None,
    share: float = 1.0,
) -> npt.NDArray[np.int32]:
    """Scores in 1/65536 octave of every window by a detector that learnt only from others; see threshold.folds()."""
    scores = np.zeros(len(features), np.int32)
    for learn, out in folds(recording_of):
        octaves = detectors.fit(kind, features[learn], seed, heads, share).score(features[out])
        scores[out] = np.rint(octaves * 65536).astype(np.int32)
    return scores


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
        if recording.axes != first.axes:
            raise CyberHansError(f"{recording.name} has the axes {', '.join(recording.axes)}, {first.name} has"
                                 f" {', '.join(first.axes)}: train on recordings of one mounting")  # fmt: skip
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


def _provenance(
    recordings: Sequence[Recording], counts: list[int], warnings: list[list[str]], seed: int, guard: dict[str, Any]
) -> dict[str, Any]:
    return {
        "seed": seed,
        "windows": sum(counts),
        "sensor": _sensor(recordings[0]),
        "recordings": [_origin(*row) for row in zip(recordings, counts, warnings, strict=True)],
        "agreement_with_source": guard,
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
