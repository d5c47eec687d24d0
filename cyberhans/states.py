"""States: what a device would say of a protocol's test recordings, window after window, and after a re-baselining."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from cyberhans.alarm import Outcome, State
from cyberhans.dataset import Protocol
from cyberhans.detector import Detector
from cyberhans.evaluate import auc
from cyberhans.recording import Recording
from cyberhans.watch import Watch

RECENTRED_ON = 5  # windows

Samples = npt.NDArray[np.int16]


def states(detector: Detector, protocol: Protocol) -> dict[str, Any]:
    """Of normal and of anomaly: how many windows in each state, every recording watched from a detector as built.

    recentred: by name, recentred() of each normal test recording of more than RECENTRED_ON windows, most of them moved.
    """
    told: dict[str, Any] = {"recentred": {}}
    for label in ("normal", "anomaly"):
        counts = dict.fromkeys((state.name.lower() for state in State), 0)
        for recording in getattr(protocol, f"test_{label}"):
            found = _watch(detector).run(_windows(detector, recording)).state
            for state in State:
                counts[state.name.lower()] += int((found == state).sum())
            if label == "normal" and len(found) > RECENTRED_ON and (found == State.MOVED).mean() > 0.5:
                told["recentred"][recording.name] = recentred(detector, recording, protocol)
        told[label] = {name: count for name, count in counts.items() if count}
    return told


def recentred(detector: Detector, recording: Recording, protocol: Protocol) -> float:
    """AUC of the rest of a healthy recording against the anomalies, once the detector is re-centred on its first
    RECENTRED_ON windows; nothing is tracked. 0 where the core refuses to."""
    windows = _windows(detector, recording)
    watch = _watch(detector)
    watch.rebaseline(RECENTRED_ON)
    watch.run(windows[:RECENTRED_ON])
    if watch.baseline().outcome != Outcome.DONE:
        return 0.0
    saved = watch.save()
    normal = _scores(watch, saved, windows[RECENTRED_ON:])
    anomaly = np.concatenate([_scores(watch, saved, _windows(detector, part)) for part in protocol.test_anomaly])
    return auc(normal, anomaly)


def _scores(watch: Watch, saved: bytes, windows: Samples) -> npt.NDArray[np.int32]:
    """(k,) each by itself, as the re-baselining left it."""
    found = []
    for window in windows:
        watch.resume(saved)
        found.append(int(watch.run(window[None]).score[0]))
    return np.array(found, np.int32)


def _windows(detector: Detector, recording: Recording) -> Samples:
    return recording.windows(dataclasses.replace(detector.spec, hop=detector.spec.window))


def _watch(detector: Detector) -> Watch:
    return detector.core().watch()
