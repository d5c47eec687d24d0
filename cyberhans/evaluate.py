"""How good a detector is on a protocol's test recordings, by the integer path that ships. The only room with pandas."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cyberhans.dataset import Protocol
from cyberhans.decision import disjoint, interval_s, sliding, votes_every
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
    on about ten seconds each, one from every window on (decision.py). windows, decisions: how many. alarms: see
    alarm_counts(). warnings: the detector's, then those of the test recordings; that it was trained on one is among
    them.
    """
    warnings = _check(protocol) + _learnt_from(detector, protocol)
    windows = window_table(detector, protocol)
    decisions = decision_table(detector, windows)
    return {
        **_figures(windows),
        **{f"decision_{name}": value for name, value in _figures(decisions).items()},
        "windows": {"train": detector.provenance["windows"], **_counts(windows)},
        "decisions": _counts(decisions),
        "alarms": alarm_counts(decisions),
        "uncalibrated": detector.uncalibrated,
        "warnings": list(dict.fromkeys(detector.warnings + warnings)),
    }


def alarm_counts(decisions: pd.DataFrame) -> dict[str, Any]:
    """What the deployed threshold gives, in decisions that share no window, of a decision_table().

    false, of_normal; found, of_anomaly: counts. false_share, found_share: [least, largest] by the exact binomial 95 %
    interval (Clopper and Pearson 1934). found_sliding: the share of all sliding decisions on anomalies that alarm.
    """
    counts = {"normal": [0, 0], "anomaly": [0, 0]}
    for (_, label), part in decisions.groupby(["part", "label"], sort=False):
        count, verdicts = int(part["votes"].iloc[0]), part["verdict"].to_numpy(bool)
        counts[str(label)][0] += disjoint(verdicts, count)
        counts[str(label)][1] += disjoint(np.ones_like(verdicts), count)
    false, of_normal = counts["normal"]
    found, of_anomaly = counts["anomaly"]
    anomalies = decisions[decisions["label"] == "anomaly"]
    return {
        "false": false, "of_normal": of_normal, "false_share": binomial_interval(false, of_normal),
        "found": found, "of_anomaly": of_anomaly, "found_share": binomial_interval(found, of_anomaly),
        "found_sliding": float(anomalies["verdict"].mean()),
    }  # fmt: skip


def binomial_interval(hits: int, of: int, confidence: float = 0.95) -> list[float]:
    """[least, largest] share that is compatible with so many hits (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, of - hits)) if hits < of else 1.0
    return [low, high]


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
    """One row per test window in which the machine is not off (idle.py), in order, however seldom the node would look.

    recording (name), label (normal, anomaly), part (number of the test recording), window (number), votes (windows
    that one decision takes), score (int32), verdict (0, 1).
    """
    core = detector.core()
    dense = dataclasses.replace(detector.spec, hop=detector.spec.window)
    labelled = [
        (label, recording) for label in ("normal", "anomaly") for recording in getattr(protocol, f"test_{label}")
    ]
    tables = []
    for part, (label, recording) in enumerate(labelled):
        result = core.run(recording.windows(dense))
        judged = np.flatnonzero(running(detector.spec, result.features, detector.idle_level))
        fixed = {"recording": recording.name, "label": label, "part": part,
                 "votes": votes_every(interval_s(recording, dense))}  # fmt: skip
        columns = {"window": judged, "score": result.score[judged], "verdict": result.verdict[judged]}
        tables.append(pd.DataFrame({**fixed, **columns}))
    table = pd.concat(tables, ignore_index=True)
    for label in ("normal", "anomaly"):
        if not (table["label"] == label).any():
            raise all_idle(f"protocol {protocol.name}, test recordings labelled {label}")
    return table


def decision_table(detector: Detector, windows: pd.DataFrame) -> pd.DataFrame:
    """One row per sliding decision of a window_table(): recording, label, part, votes (its windows: fewer where the
    recording has fewer), score (int32), verdict (0, 1)."""
    tables = []
    for _, part in windows.groupby("part", sort=False):
        first = part.iloc[0]
        count = min(int(first["votes"]), len(part))
        scores = sliding(part["score"].to_numpy(), count)
        fixed = {name: first[name] for name in ("recording", "label", "part")}
        tables.append(pd.DataFrame({**fixed, "votes": count, "score": scores}))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(verdict=(table["score"] > detector.threshold).astype(np.uint8))


def roc(scores: Reals, anomaly: npt.NDArray[np.bool_]) -> tuple[Reals, Reals]:
    """False-alarm and hit rates at every threshold that the scores allow, from (0, 0) to (1, 1); ties are one step."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(anomaly[order])[last]
    alarms = np.cumsum(~anomaly[order])[last]
    return np.append(0, alarms) / max(alarms[-1], 1), np.append(0, hits) / max(hits[-1], 1)


def auc(normal: npt.NDArray[np.int32], anomaly: npt.NDArray[np.int32]) -> float:
    """Of scores: the chance that an anomaly's lies above a normal one's."""
    scores = np.concatenate([normal, anomaly]).astype(np.float64)
    return area(*roc(scores, np.repeat([False, True], [len(normal), len(anomaly)])))


def area(false_alarms: Reals, hits: Reals) -> float:
    return float(np.trapezoid(hits, false_alarms))


def standardised_area(false_alarms: Reals, hits: Reals, limit: float) -> float:
    """Area up to `limit`, mapped linearly so that chance is 0.5 and perfect is 1."""
    stop = int(np.searchsorted(false_alarms, limit, side="right"))
    at_limit = np.interp(limit, false_alarms, hits)
    found = area(np.append(false_alarms[:stop], limit), np.append(hits[:stop], at_limit))
    chance = limit * limit / 2
    return 0.5 * (1 + (found - chance) / (limit - chance))
