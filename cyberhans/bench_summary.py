"""What the rows of a bench come to: means over protocols and over groups of them, spread over seeds; and as text."""

from __future__ import annotations

import fnmatch
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from cyberhans.states import RECENTRED_ON

Row = dict[str, Any]

FIGURES = tuple(
    prefix + name for prefix in ("", "decision_") for name in ("auc", "pauc10", "false_alarm_rate", "detection_rate")
)


BAR = 0.9
LABELS = ("normal", "anomaly")


def group(protocol: str, together: Sequence[str] = (), apart: Sequence[str] = ()) -> str | None:
    """Which group a protocol counts in: none if it fits a glob of `apart`, else the first of `together` that it fits,
    else one of its own."""
    if any(fnmatch.fnmatchcase(protocol, pattern) for pattern in apart):
        return None
    return next((pattern for pattern in together if fnmatch.fnmatchcase(protocol, pattern)), protocol)


def summary(rows: Sequence[Row]) -> dict[str, Row]:
    """By detector: protocols and groups counted, those that could not be measured, and every figure's mean.

    over_protocols: the mean over all protocols; over_groups: over the groups, each the mean of its protocols. Each is
    taken for every seed by itself; told are mean, min, max and standard deviation (of the seeds, n - 1) of these.
    groups: each group's figures, mean over its protocols and seeds. heard: the protocols whose deployed threshold
    gives, with every seed, at most one false decision and finds BAR of those on anomalies. A protocol counts if every
    seed of it is measured; rows of fewer recordings count nowhere.
    """
    rows = [row for row in rows if not row.get("fewer")]
    return {kind: _of_kind([row for row in rows if row["detector"] == kind])
            for kind in dict.fromkeys(row["detector"] for row in rows)}  # fmt: skip


def _of_kind(rows: Sequence[Row]) -> Row:
    failed = list(dict.fromkeys(row["protocol"] for row in rows if row["reason"]))
    sound = [row for row in rows if row["protocol"] not in failed]
    protocols = list(dict.fromkeys(row["protocol"] for row in sound))
    groups = {row["protocol"]: row["group"] for row in sound}
    members: dict[str, list[str]] = {}
    for name in protocols:
        if groups[name] is not None:
            members.setdefault(groups[name], []).append(name)
    by_place = {(row["protocol"], row["seed"]): row for row in sound}
    seeds = sorted({row["seed"] for row in sound})

    def mean(figure: str, seed: int, names: Sequence[str]) -> float:
        return statistics.fmean(by_place[name, seed][figure] for name in names)

    def over_groups(figure: str, seed: int) -> float:
        return statistics.fmean(mean(figure, seed, names) for names in members.values())

    sizes = [row["flash_bytes"] for row in sound if row["flash_bytes"] is not None]
    return {
        "protocols": len(protocols),
        "not_measured": failed,
        "over_protocols": {f: _spread([mean(f, seed, protocols) for seed in seeds]) for f in FIGURES},
        "heard": [name for name in protocols if all(_heard(by_place[name, seed]) for seed in seeds)],
        "groups_counted": len(members),
        "over_groups": {f: _spread([over_groups(f, seed) for seed in seeds] if members else []) for f in FIGURES},
        "groups": {place: {f: statistics.fmean(mean(f, seed, names) for seed in seeds) for f in FIGURES}
                   for place, names in members.items()},
        "largest_flash_bytes": max(sizes, default=None),
    }  # fmt: skip


def _heard(row: Row) -> bool:
    """The deployed threshold gives at most one false decision, and finds BAR of those on anomalies."""
    return bool(row["alarms"]["false"] <= 1 and row["alarms"]["found_sliding"] >= BAR)


def _spread(values: Sequence[float]) -> Row | None:
    """None without values."""
    if not values:
        return None
    return {
        "mean": statistics.fmean(values),
        "min": min(values),
        "max": max(values),
        "std": statistics.stdev(values) if len(values) > 1 else 0.0,
    }


def lines(found: Row) -> Iterator[str]:
    """The outcome of bench() for people: a line per protocol and detector, then what they come to."""
    settings, rows = found["settings"], found["rows"]
    width = max([len("protocol"), *(len(row["protocol"]) for row in rows)])
    promised = f"promised: {settings['false_alarms_per_month']:g} false alarms a month"
    yield f"{settings['seeds']} seeds; {promised}; {settings['rule']}"
    yield (
        f"{'protocol':<{width}}  {'detector':<11} rec   AUC   min…max    pAUC alarms  found   10 s: AUC    false"
        "     found share  95 %     features  flash B"
    )
    places = dict.fromkeys((row["protocol"], row["detector"], row.get("recordings")) for row in rows)
    warned = 0
    for name, kind, recordings in places:
        told = [
            row for row in rows if (row["protocol"], row["detector"], row.get("recordings")) == (name, kind, recordings)
        ]
        mark = "!" if any(row.get("warnings") for row in told) else " "
        warned += mark == "!"
        yield f"{name + mark:<{width + 1}} {kind:<11} {_line(told)}"
    yield from _moved(rows)
    yield "* learning: too little baseline for a promise. Mean over seeds; min…max over seeds; 10 s: counts of seed 0."
    if warned:
        yield f"! warned of, {warned} of {len(places)} rows: few recordings, or something wrong with one; see --json"
    for kind, means in found["summary"].items():
        for what, count in (("protocols", means["protocols"]), ("groups", means["groups_counted"])):
            yield f"{kind:<11} {f'mean over {count} {what}:':<24} " + _means(means[f"over_{what}"])
        yield f"{kind:<11} at most one false, {BAR:.0%} found: {len(means['heard'])} of {means['protocols']} protocols"
    if reason := next((row["flash_reason"] for row in rows if row.get("flash_reason")), None):
        yield f"No flash bytes: {reason}"


def _moved(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each protocol in whose healthy test recordings the sensor was moved."""
    for row in rows:
        told = row.get("states")
        if told and told["recentred"] and row["seed"] == 0 and not row.get("fewer"):
            shares = [f"{label} {told[label].get('moved', 0)} of {sum(told[label].values())}" for label in LABELS]
            after = [f"{name} {auc:.3f}" for name, auc in told["recentred"].items()]
            yield (
                f"{row['protocol']} {row['detector']}: windows told as `sensor moved`: {', '.join(shares)};"
                f" AUC re-centred on {RECENTRED_ON} windows: {', '.join(after)}"
            )


def _line(rows: Sequence[Row]) -> str:
    if reason := next((row["reason"] for row in rows if row["reason"]), None):
        return f"not measured: {reason}"
    mean = {figure: statistics.fmean(row[figure] for row in rows) for figure in FIGURES}
    aucs = [row["auc"] for row in rows]
    flash = [row["flash_bytes"] for row in rows if row["flash_bytes"] is not None]
    rate = f"{mean['false_alarm_rate']:.3f}{'*' if rows[0]['uncalibrated'] else ' '}"
    return (
        f"{rows[0]['recordings']:>3} {mean['auc']:5.3f} {min(aucs):5.3f}…{max(aucs):5.3f} {mean['pauc10']:5.3f}"
        f" {rate:>6} {mean['detection_rate']:6.3f}   {mean['decision_auc']:9.3f} {_alarms(rows[0]['alarms'])} "
        f"{rows[0]['features']:8} {max(flash) if flash else '-':>8}"
    )


def _alarms(alarms: Row) -> str:
    """Of decisions that share no window: false ones, found ones, and the share found with its 95 % interval."""
    low, high = alarms["found_share"]
    false, found = (f"{alarms[hit]}/{alarms[of]}" for hit, of in (("false", "of_normal"), ("found", "of_anomaly")))
    return f"{false:>8} {found:>9} {alarms['found_sliding']:5.3f} {low:4.2f}…{high:4.2f}"


def _means(spreads: Row) -> str:
    auc = spreads["auc"]
    if auc is None:
        return "-"
    shown = [("pAUC", "pauc10"), ("alarms", "false_alarm_rate"), ("found", "detection_rate")]
    shown += [("| 10 s: AUC", "decision_auc"), *((label, f"decision_{name}") for label, name in shown[1:])]
    others = " ".join(f"{label} {spreads[name]['mean']:.3f}" for label, name in shown)
    return f"AUC {auc['mean']:.4f} ({auc['min']:.4f}…{auc['max']:.4f}, std {auc['std']:.4f}) {others}"
