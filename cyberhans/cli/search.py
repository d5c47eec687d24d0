"""The verb that looks for the right size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cyberhans.cli.options import AlarmsPerMonth, Confidence, Dataset, Every, FalseAlarms, Json, ProtocolName, app
from cyberhans.printing import print_json, progress

if TYPE_CHECKING:
    from cyberhans.search import Material

Files = Annotated[
    list[Path] | None,
    typer.Argument(metavar="RECORDING...", help="Healthy ones; with some labelled anomaly, these tell the quality."),
]


@app.command()
def search(
    board: Annotated[str, typer.Option(help="Whose flash, RAM and instructions count; `cyberhans boards` lists them.")],
    files: Files = None,
    dataset: Dataset = None,
    protocol: ProtocolName = None,
    max_flash: Annotated[int | None, typer.Option(help="Bytes, without the stored waveform.", min=1)] = None,
    max_ram: Annotated[int | None, typer.Option(help="Bytes, with the stack.", min=1)] = None,
    max_instructions: Annotated[int | None, typer.Option(help="For each window.", min=1)] = None,
    min_quality: Annotated[float | None, typer.Option(help="AUC, or fidelity where nothing is labelled anomaly.",
                                                      min=0.0, max=1.0)] = None,
    detector: Annotated[list[str] | None, typer.Option(metavar="KIND", help="Only these kinds; default all.")] = None,
    points: Annotated[int | None, typer.Option(help="How many points to measure; default 36.", min=1)] = None,
    quick: Annotated[bool, typer.Option("--quick", help="12 points.")] = False,
    seed: Annotated[int, typer.Option(help="Same recordings and seed, same rows.")] = 0,
    alarms_per_month: AlarmsPerMonth = None,
    every: Every = 0.0,
    confidence: Confidence = None,
    false_alarms: FalseAlarms = None,
    accept: Annotated[str, typer.Option(metavar="REASON", help="Learn from recordings that failed too.")] = "",
    out: Annotated[Path | None, typer.Option(help="For search.json, pareto.svg and the recommended detector.")] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Find the smallest detector for a board that is as good as the best: every point is trained, built and counted.

    Quality is AUC where there are recordings labelled anomaly, otherwise fidelity to the full-size detector. Ctrl-C
    leaves in --out what is done. The recommended detector keeps the limit of false alarms as `train` does; with too
    little baseline for it, it is delivered as learning, which never alarms, and the first warning says what is missing.
    """
    from cyberhans.cli.chosen import chosen_promise
    from cyberhans.detectors import KINDS
    from cyberhans.search import POINTS, QUICK, Limits
    from cyberhans.search import search as walk
    from cyberhans.search.report import lines

    if quick and points is not None:
        raise typer.BadParameter("--quick is --points 12: give one of them")
    found = walk(
        _material(files, dataset, protocol), board, kinds=tuple(detector or KINDS),
        limits=Limits(max_flash, max_ram, max_instructions, min_quality), points=points or (QUICK if quick else POINTS),
        seed=seed, promise=chosen_promise(alarms_per_month, every, confidence, false_alarms),
        false_alarm_rate=false_alarms, accept=accept, out=out, note=progress,
    )  # fmt: skip
    if as_json:
        print_json(found)
    else:
        typer.echo("\n".join(lines(found)))


def _material(files: list[Path] | None, dataset: Path | None, protocol: str | None) -> Material:
    from cyberhans.cli.chosen import chosen_recordings
    from cyberhans.dataset import load_protocol
    from cyberhans.search import of_protocol, of_recordings

    if not files and dataset is not None and protocol is not None:
        return of_protocol(load_protocol(dataset, protocol))
    return of_recordings(chosen_recordings(files, dataset, protocol))
