"""Beside: the other kinds of detector, learnt from the same recordings by the same Spec and limit, for comparison."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from cyberhans.dataset import Protocol
from cyberhans.detector import Detector
from cyberhans.detectors import KINDS
from cyberhans.errors import CyberHansError
from cyberhans.evaluate import evaluate
from cyberhans.train import train

Row = dict[str, Any]


def beside(detector: Detector, protocol: Protocol) -> dict[str, Row]:
    """By kind, the detector's own first: evaluate() of it, and of each other kind learnt from the protocol's training
    recordings with the same Spec, limit and seed; where one cannot be learnt {"reason": why}."""
    found = {detector.kind: evaluate(detector, protocol)}
    dense = dataclasses.replace(detector.spec, hop=detector.spec.window)  # the promise makes the hop
    for kind in KINDS:
        if kind not in found:
            try:
                other = train(protocol.train, kind=kind, spec=dense, promise=detector.promise, uncalibrated=True,
                              false_alarm_rate=detector.false_alarm_rate, seed=detector.provenance["seed"])  # fmt: skip
                found[kind] = evaluate(other, protocol)
            except CyberHansError as error:
                found[kind] = {"reason": str(error)}
    return found


def lines(found: dict[str, Row]) -> Iterator[str]:
    """A table for people."""
    yield "detector      AUC  pAUC alarms  found | 10 s: AUC    false    found"
    for kind, row in found.items():
        if "reason" in row:
            yield f"{kind:<11} not learnt: {row['reason']}"
            continue
        alarms, rates = row["alarms"], f"{row['false_alarm_rate']:6.1%} {row['detection_rate']:6.1%}"
        yield (
            f"{kind:<11} {row['auc']:5.3f} {row['pauc10']:5.3f} {rates} | {row['decision_auc']:9.3f}"
            f" {alarms['false']:>3}/{alarms['of_normal']:<4} {alarms['found']:>3}/{alarms['of_anomaly']:<4}"
        )
