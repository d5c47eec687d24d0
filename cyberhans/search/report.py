"""Report of a search: what it comes to so far, written as it grows, and the table for people."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError
from cyberhans.search import front
from cyberhans.search.fidelity import Fidelity
from cyberhans.search.front import Limits, Row
from cyberhans.search.material import Material
from cyberhans.search.plot import plot
from cyberhans.search.walk import margin
from cyberhans.search.yardstick import Yardstick


class Report:
    """Of one search. out: its folder, or None: nothing is written."""

    def __init__(
        self, out: str | Path | None, material: Material, yardstick: Yardstick, length: int, board_name: str,
        limits: Limits, not_counted: str,
    ) -> None:  # fmt: skip
        self.out = Path(out) if out is not None else None
        self.yardstick, self.limits = yardstick, limits
        self.found: dict[str, Any] = {
            "complete": False,
            "board": board_name,
            "quality": yardstick.name,
            "quality_error": yardstick.method,
            "span_s": length / material.learn[0].rate_hz,
            "left_out": material.left_out or None,
            "taken_as_normal": material.unlabelled,
            "limits": asdict(limits),
            "not_counted": not_counted or None,
        }
        if isinstance(yardstick, Fidelity):
            self.found |= {"full_size": yardstick.full, "full_size_to_itself": yardstick.to_itself}

    def update(self, rows: Sequence[Row]) -> None:
        """With all rows so far; which of them are on the front, within the limits, recommended."""
        numbers = [row["number"] for row in front.front(rows)]
        told = [{**row, "front": row["number"] in numbers,
                 "exceeds": [words for words, _ in self.limits.exceeded(row)] if row["reason"] is None else []}
                for row in rows]  # fmt: skip
        best = front.best(rows, self.limits)
        chosen = None
        if best:
            slack = margin(self.yardstick, best)
            chosen = next(front.as_good(rows, self.limits, best["quality"] - slack))
            self.found |= {"margin": slack}
        self.found |= {
            "best": best and best["number"], "recommended": chosen and chosen["number"], "front": numbers,
            "rows": told,
        }  # fmt: skip
        self._write()

    def finish(self, detector: Detector, figures: Row) -> dict[str, Any]:
        """All that was found; with `out` the detector lies in its folder there."""
        kept = ("flash_bytes", "image_bytes", "model_bytes", "ram_bytes", "stack_bytes", "instructions_per_window",
                "instructions_per_s", "digest")  # fmt: skip
        lacking = [f"delivered as LEARNING, which never alarms: {figures['lacking']}"] if figures["lacking"] else []
        self.found |= {"recommended": figures["number"], "complete": True, "warnings": lacking + detector.warnings}
        asked = {name: value for name, value in detector.summary().items() if name in ASKED}
        self.found["detector"] = {name: figures[name] for name in kept} | asked
        if self.out is not None:
            detector.save(self.out / "detector")
            self.found["detector"] = {"folder": str(self.out / "detector"), **self.found["detector"]}
        self._write()
        return self.found

    def _write(self) -> None:
        if self.out is None:
            return
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            for name, text in (
                ("search.json", json.dumps(self.found, indent=2) + "\n"),
                ("pareto.svg", plot(self.found)),
            ):
                draft = self.out / f".{name}"
                draft.write_text(text, encoding="utf-8")
                os.replace(draft, self.out / name)
        except OSError as error:
            raise CyberHansError(f"{self.out}: cannot be written: {error.strerror or error};"
                                 " choose another --out") from None  # fmt: skip


ASKED = ("uncalibrated", "false_alarms_per_month", "confidence", "false_alarm_rate", "alarm", "window_every_s")
HEADER = ("", "no", "detector", "size", "window", "frames", "bands", "families", "features", "quality", "flash B",
          "RAM B", "instr/window", "instr/s")  # fmt: skip
TEXT = (2, 5, 6, 7)  # columns that are words


def lines(found: dict[str, Any]) -> list[str]:
    """The table, smallest flash first, what was refused and why, and what is recommended and why."""
    rows = sorted(front.whole(found["rows"]), key=lambda row: (row["flash_bytes"], row["number"]))
    cells = [HEADER, *(_cells(row, found) for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(HEADER))]
    table = ["  ".join(f"{cell:<{w}}" if k in TEXT else f"{cell:>{w}}" for k, (cell, w) in
                       enumerate(zip(line, widths, strict=True))).rstrip() for line in cells]  # fmt: skip
    refused = [f"Refused: {_named(row)}: {row['reason']}" for row in found["rows"] if row["reason"] is not None]
    return [*table, "", *refused, *_told(found)]


def _cells(row: Row, found: dict[str, Any]) -> tuple[str, ...]:
    marks = {">": row["number"] == found["recommended"], "*": row["front"], "x": row["exceeds"]}
    mark = "".join(sign for sign, meant in marks.items() if meant)
    counted = ["not counted" if row[f"instructions_per_{per}"] is None else f"{row[f'instructions_per_{per}']:,}"
               for per in ("window", "s")]  # fmt: skip
    share = "" if row["share"] == 1 else f" {row['share']:g}"
    return (mark, str(row["number"]), row["detector"] + share, row["size"], f"{row['window_s']:.3g} s",
            "+".join(map(str, row["frames"])), "+".join(map(str, row["bands"])), ",".join(row["families"]) or "-",
            str(row["features"]), f"{row['quality']:.4f} ± {row['quality_error']:.4f}", f"{row['flash_bytes']:,}",
            f"{row['ram_bytes']:,}", *counted)  # fmt: skip


def _named(row: Row) -> str:
    steps = ", ".join(f"{name} {value}" for name, value in row["steps"].items())
    return f"{row['number']} ({row['detector']} {row['share']:g}, {row['size']}{', ' if steps else ''}{steps})"


def _told(found: dict[str, Any]) -> list[str]:
    by_number = {row["number"]: row for row in found["rows"]}
    best, chosen = by_number[found["best"]], by_number[found["recommended"]]
    what = f"AUC of stretches of {found['span_s']:.3g} s, by labelled anomalies"
    if found["quality"] == "fidelity":
        what = (f"fidelity: no labelled anomalies, so the rank correlation with the full-size detector"
                f" ({found['full_size']}; to itself {found['full_size_to_itself']:.4f}), over stretches of"
                f" {found['span_s']:.3g} s")  # fmt: skip
    told = ["> recommended  * on the Pareto front of quality, flash and instructions per second  x outside a limit",
            f"Quality is {what}; ± one standard error ({found['quality_error']})."]  # fmt: skip
    if found["left_out"]:
        told.append(f"Not learnt, but measured on: {found['left_out']}. The detector in the end learns them too.")
    if found["taken_as_normal"]:
        told.append(f"Taken as normal without a label: {', '.join(found['taken_as_normal'])}.")
    told += [f"Warning: {warning}" for warning in found.get("warnings", ())]
    told.append(
        f"Recommended: {chosen['number']}, the smallest with a quality of at least {best['quality']:.4f} (number"
        f" {best['number']}, the best) less {found['margin']:.4f}, its uncertainty."
    )
    made = found["detector"]
    counted = made["instructions_per_window"]
    told.append(f"It takes {made['flash_bytes']:,} bytes of flash ({made['image_bytes']:,} with the stored waveform),"
                f" {made['ram_bytes']:,} of RAM with the stack, and "
                + (f"{counted:,} instructions a window." if counted else f"instructions: {found['not_counted']}.")
                + (f" It lies in {made['folder']}." if "folder" in made else ""))  # fmt: skip
    if not made["uncalibrated"]:
        told.append(_kept(made))
    return told


def _kept(made: dict[str, Any]) -> str:
    """What the threshold of the recommended detector keeps."""
    if "false_alarms_per_month" not in made:
        return f"Its threshold is for a false-alarm rate of {made['false_alarm_rate']:g} of single windows."
    return (
        f"It promises at most {made['false_alarms_per_month']:g} false alarms a month (confidence"
        f" {made['confidence']:g}); {made['alarm']}, one every {made['window_every_s']:.3g} s, make an alarm."
    )
