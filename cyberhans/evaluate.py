"""How good a detector is on a protocol's test recordings, by the integer path that ships. The only room with pandas."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cyberhans import decision
from cyberhans.dataset import Protocol
from cyberhans.decision import stretches, votes
from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError
from cyberhans.idle import all_idle, running
from cyberhans.recording import refuse_bad

PARTIAL = 0.1  # pauc10: false-alarm rates up to here

Reals = npt.NDArray[np.float64]


def evaluate(detector: Detector, protocol: Protocol) -> dict[str, Any]:
    """Figures of recordings that refuse_bad() lets pass; at least one of each class.

    Of single windows: auc: chance that an anomalous one scores above a normal one. pauc10: area under the same curve
    up to a false-alarm rate of 0.1, standardised so that 0.5 is chance and 1 is perfect (McClish 1989).
    false_alarm_rate and detection_rate: at the detector's threshold. The same with the prefix decision_: of decisions
    on about ten seconds each (decision.py). windows, decisions: how many. warnings: the detector's, then those of the
    test recordings; that it was trained on one is among them.
    """
    warnings = _check(protocol) + _learnt_from(detector, protocol)
    windows = window_table(detector, protocol)
    decisions = decision_table(detector, windows)
    return {
        **_figures(windows),
        **{f"decision_{name}": value for name, value in _figures(decisions).items()},
        "windows": {"train": detector.provenance["windows"], **_counts(windows)},
        "decisions": _counts(decisions),
        "uncalibrated": detector.uncalibrated,
        "warnings": list(dict.fromkeys(detector.warnings + warnings)),
    }


def _figures(table: pd.DataFrame) -> dict[str, float]:
    """Of a table with columns label, score and verdict, both labels in it."""
    anomaly = (table["label"] == "anomaly").to_numpy()
    curve = roc(table["score"].to_numpy(np.float64), anomaly)
    verdict = table["verdict"].to_numpy()
    return {
        "auc": area(*curve),
        "pauc10": standardised_area(*curve, PARTIAL),
        "false_alarm_rate": float(verdict[~anomaly].mean()),
        "detection_rate": float(verdict[anomaly].mean()),
    }


def _counts(table: pd.DataFrame) -> dict[str, int]:
    return {label: int((table["label"] == label).sum()) for label in ("normal", "anomaly")}


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
    """One row per test window in which the machine is not off (idle.py), in order.

    recording (name), label (normal, anomaly), part (number of the test recording), window (number), decision (number
    within the part, -1: it votes in none), score (int32), verdict (0, 1).
    """
    core = detector.core()
    labelled = [
        (label, recording) for label in ("normal", "anomaly") for recording in getattr(protocol, f"test_{label}")
    ]
    tables = []
    for part, (label, recording) in enumerate(labelled):
        result = core.run(recording.windows(detector.spec))
        judged = np.flatnonzero(running(detector.spec, result.features, detector.idle_level))
        fixed = {"recording": recording.name, "label": label, "part": part}
        columns = {"window": judged, "decision": stretches(len(judged), votes(recording, detector.spec)),
                   "score": result.score[judged], "verdict": result.verdict[judged]}  # fmt: skip
        tables.append(pd.DataFrame({**fixed, **columns}))
    table = pd.concat(tables, ignore_index=True)
    for label in ("normal", "anomaly"):
        if not (table["label"] == label).any():
            raise all_idle(f"protocol {protocol.name}, test recordings labelled {label}")
    return table


def decision_table(detector: Detector, windows: pd.DataFrame) -> pd.DataFrame:
    """One row per decision of a window_table(): recording, label, part, decision, score (int32), verdict (0, 1)."""
    voting = windows[windows["decision"] >= 0]
    groups = voting.groupby(["part", "decision", "recording", "label"], sort=False)["score"]
    table = groups.apply(lambda scores: decision.score(scores.to_numpy())).astype(np.int32).reset_index()
    return table.assign(verdict=(table["score"] > detector.threshold).astype(np.uint8))


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
