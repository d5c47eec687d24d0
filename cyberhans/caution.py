"""Caution: what a person should know before trusting a detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cyberhans.detector import Detector

FEW_RECORDINGS = 4
HIGH = 4.0  # octaves of score: so far above healthy windows a threshold misses early faults
ONE_RECORDING = (
    "threshold from one recording: sessions of a machine differ, expect more false alarms than asked for;"
    f" record it on at least {FEW_RECORDINGS - 1} more occasions"
)


def cautions(detector: Detector) -> list[str]:
    """One line each: what does not fit the rest of the baseline, too few recordings, a threshold that is far above
    healthy windows, and what was wrong with the recordings."""
    origins = detector.provenance["recordings"]
    found = list(detector.provenance.get("contamination", ())) + _few(origins) + _far_threshold(detector)
    failed = detector.provenance.get("accepted", {}).get("recordings", {})
    found += [f"{name} failed, but was accepted" for name in failed]
    found += [f"{part['name']}: {reason}" for part in origins for reason in part.get("warnings", ())]
    return list(dict.fromkeys(found))


def _few(origins: list[dict[str, object]]) -> list[str]:
    """Parts of one file count once."""
    files = len({part.get("sha256") or number for number, part in enumerate(origins)})
    few = f"{files} recordings: {FEW_RECORDINGS} or more, made on different days, keep the false-alarm rate better"
    return [ONE_RECORDING] if files == 1 else [few] if files < FEW_RECORDINGS else []


def _far_threshold(detector: Detector) -> list[str]:
    """A promise that few or unlike sessions can keep only by a threshold far above healthy windows."""
    scores = detector.arrays.get("left_out_score")
    if detector.promise is None or detector.uncalibrated or detector.kind == "forest" or scores is None:
        return []
    above = (detector.threshold - float(np.median(scores))) / 65536
    if above <= HIGH:
        return []
    return [
        f"the threshold lies {above:.1f} octaves above healthy windows, as the sessions are few, short or unlike each"
        " other: only strong faults are found; record more sessions, each for longer"
    ]
