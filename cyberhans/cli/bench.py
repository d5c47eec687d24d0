"""Verbs that measure detectors: on a data set's protocols, over a machine's life, and over simulated days."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cyberhans.cli.options import Json, app
from cyberhans.printing import print_json, progress

Kind = Annotated[str, typer.Option("--detector", help="gaussian, autoencoder, forest or trees.")]


@app.command()
def bench(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A folder with manifest.csv and protocols.csv.")],
    protocol: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Which protocols: 'pump*'.")] = None,
    seeds: Annotated[int, typer.Option(help="How many random starts: 0, 1, ...", min=1)] = 1,
    detector: Annotated[list[str] | None, typer.Option(help="autoencoder, forest, gaussian; default all.")] = None,
    alarms_per_month: Annotated[float, typer.Option(help="False alarms a month to promise.")] = 1.0,
    fewer: Annotated[bool, typer.Option(help="Also with the first 1, 2, ... training recordings only.")] = False,
    board: Annotated[str, typer.Option(help="Whose flash to fill; `cyberhans boards` lists them.")] = "netduinoplus2",
    jobs: Annotated[int, typer.Option(help="Processes; 0: one for each core. The figures are the same.", min=0)] = 0,
    together: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Protocols that are one group.")] = None,
    apart: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Protocols that are in no group.")] = None,
    as_json: Json = False,
) -> None:
    """Train and measure every detector on every protocol of a data set, by one rule: figures, and their means."""
    from cyberhans.bench import bench as measure
    from cyberhans.bench_summary import lines
    from cyberhans.detectors import KINDS

    found = measure(
        dataset, protocols=tuple(protocol or ["*"]), kinds=tuple(detector or KINDS), seeds=seeds,
        per_month=alarms_per_month, board_name=board, jobs=jobs, together=together or (), apart=apart or (),
        fewer=fewer, note=progress,
    )  # fmt: skip
    if as_json:
        print_json(found)
    else:
        typer.echo("\n".join(lines(found)))
    if all(row["reason"] for row in found["rows"]):
        raise typer.Exit(1)  # nothing was measured


@app.command()
def life(
    files: Annotated[list[Path], typer.Argument(metavar="RECORDING...", help="Each ends with its machine's failure.")],
    dataset: Annotated[Path | None, typer.Option(help="A folder with manifest.csv that describes them.")] = None,
    learn: Annotated[
        list[str] | None, typer.Option(help="Segments to learn from, or a share: 20%. Repeatable.")
    ] = None,
    detector: Kind = "gaussian",
    false_alarms: Annotated[float, typer.Option(help="False-alarm rate of single windows to ask for.")] = 0.02,
    as_json: Json = False,
) -> None:
    """Watch machines from their first day to their failure: false alarms in health, and how early the warning comes."""
    from cyberhans.dataset import load_listed
    from cyberhans.life import life as watch
    from cyberhans.life import line, segments
    from cyberhans.recording import load_recording

    rows = []
    for file in files:
        recording = load_listed(dataset, str(file)) if dataset else load_recording(file)
        for amount in learn or ["20%", "120"]:
            count = segments(recording, amount)
            rows.append(watch(recording, count, kind=detector, false_alarm_rate=false_alarms))
            if not as_json:
                typer.echo(line(rows[-1]))
    if as_json:
        print_json(rows)


@app.command()
def soak(
    machine: Annotated[
        str, typer.Argument(help="A simulated machine; `cyberhans simulate --help` lists them.")
    ] = "pump",
    seeds: Annotated[int, typer.Option(help="How many machines, each with its own baseline.", min=1)] = 20,
    hours: Annotated[float, typer.Option(help="Of running, each.")] = 24.0,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="A window once in so long.")] = 10.0,
    alarms_per_month: Annotated[float, typer.Option(help="False alarms a month to promise.")] = 1.0,
    detector: Kind = "gaussian",
    fault: Annotated[str, typer.Option(help="A fault in the last hour; none: healthy throughout.")] = "none",
    severity: Annotated[float, typer.Option(help="Of that fault, 0 to 1.")] = 0.4,
    as_json: Json = False,
) -> None:
    """Let simulated healthy machines run at changing speed and load, and count false alarms against the promise."""
    from cyberhans.soak import Settings, lines
    from cyberhans.soak import soak as run

    settings = Settings(machine, hours=hours, every_s=every, kind=detector, per_month=alarms_per_month, fault=fault,
                        severity=severity if fault != "none" else 0.0)  # fmt: skip
    found = run(settings, range(seeds), note=lambda done, day: progress(done, seeds, f"machine {done}"))
    if as_json:
        print_json(found)
    else:
        typer.echo("\n".join(lines(found)))
