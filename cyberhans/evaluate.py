"""How good a detector is on a protocol's test recordings, by the integer path that ships. The only room with pandas."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cyberhans.dataset import Protocol
from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError
from cyberhans.recording import refuse_bad

PARTIAL = 0.1  # pauc10: false-alarm rates up to here

Reals = npt.NDArray[np.float64]


def evaluate(detector: Detector, protocol: Protocol) -> dict[str, Any]:
    """Figures over single windows of recordings that refuse_bad() lets pass; at least one of each class.

    auc: chance that an anomalous window scores above a normal one. pauc10: area under the same curve up to a
    false-alarm rate of 0.1, standardised so that 0.5 is chance and 1 is perfect (McClish 1989). false_alarm_rate and
    detection_rate: at the detector's threshold. warnings: the detector's, then those of the test recordings; that
    it was trained on one is among them.
    """
    warnings = _check(protocol) + _learnt_from(detector, protocol)
    table = window_table(detector, protocol)
    anomaly = table["label"] == "anomaly"
    scores = table["score"].to_numpy(np.float64)
    rates = table.groupby("label")["verdict"].mean()
    false_alarms, hits = roc(scores, anomaly.to_numpy())
    return {
        "auc": area(false_alarms, hits),
        "pauc10": standardised_area(false_alarms, hits, PARTIAL),
        "false_alarm_rate": float(rates["normal"]),
        "detection_rate": float(rates["anomaly"]),
        "windows": {
            "train": detector.provenance["windows"],
            "normal": int((~anomaly).sum()),
            "anomaly": int(anomaly.sum()),
        },
        "uncalibrated": detector.uncalibrated,
        "warnings": list(dict.fromkeys(detector.warnings + warnings)),
    }


def _check(protocol: Protocol) -> list[str]:
    """Refuse what cannot be measured on; what to warn of."""
    if not (protocol.test_normal and protocol.test_anomaly):
        raise CyberHansError(f"protocol {protocol.name}: needs a normal and an anomalous test recording; add one")
    tests = protocol.test_normal + protocol.test_anomaly
    return [f"{recording.name}: {reason}" for recording in tests for reason in refuse_bad(recording)]


def _learnt_from(detector: Detector, protocol: Protocol) -> list[str]:
    """A warning for each test recording that the detector has seen, by its provenance."""
    origins = [(part["sha256"], part["first_frame"], part["frames"]) for part in detector.provenance["recordings"]]
    return [
        f"{recording.name}: the detector was trained on it, so it looks better than it is; test on another"
        for recording in protocol.test_normal + protocol.test_anomaly
        if any(recording.overlaps(*origin) for origin in origins)
    ]


def window_table(detector: Detector, protocol: Protocol) -> pd.DataFrame:
    """One row per test window: recording, label (normal, anomaly), window (number), score (int32), verdict (0, 1)."""
    core = detector.core()
    parts = []
    for label, recordings in (("normal", protocol.test_normal), ("anomaly", protocol.test_anomaly)):
        for recording in recordings:
            result = core.run(recording.windows(detector.spec))
            columns = {"window": np.arange(len(result.score)), "score": result.score, "verdict": result.verdict}
            parts.append(pd.DataFrame({"recording": recording.name, "label": label, **columns}))
    return pd.concat(parts, ignore_index=True)


def roc(scores: Reals, anomaly: npt.NDArray[np.bool_]) -> tuple[Reals, Reals]:
    """False-alarm and hit rates at every threshold that the scores allow, from (0, 0) to (1, 1); ties are one step."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(anomaly[order])[last]
    alarms = np.cumsum(~anomaly[order])[last]
    return np.append(0, alarms) / max(alarms[-1], 1), np.append(0, hits) / max(hits[-1], 1)


def area(false_alarms: Reals, hits: Reals) -> float:
    return float(np.trapezoid(hits, false_alarms))


def standardised_area(false_alarms: Reals, hits: Reals, limit: float) -> float:
    """Area up to `limit`, mapped linearly so that chance is 0.5 and perfect is 1."""
    stop = int(np.searchsorted(false_alarms, limit, side="right"))
    at_limit = np.interp(limit, false_alarms, hits)
    found = area(np.append(false_alarms[:stop], limit), np.append(hits[:stop], at_limit))
    chance = limit * limit / 2
    return 0.5 * (1 + (found - chance) / (limit - chance))
