"""Verbs about detectors: learn, measure."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cyberhans.cli.chosen import chosen_promise, chosen_recordings
from cyberhans.cli.options import (
    AlarmsPerMonth,
    Confidence,
    Dataset,
    DetectorFolder,
    Every,
    FalseAlarms,
    Json,
    ProtocolName,
    app,
)
from cyberhans.errors import CyberHansError
from cyberhans.printing import tell

if TYPE_CHECKING:
    from cyberhans.recording import Recording
    from cyberhans.spec import Spec

Kind = Annotated[str, typer.Option("--detector", help="autoencoder, forest, gaussian or trees.")]
BoardName = Annotated[str, typer.Option("--board", help="What the detector is for; `cyberhans boards` lists them.")]


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="The detector's folder.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RECORDING...", help="Healthy recordings; one labelled anomaly is refused."),
    ] = None,
    dataset: Dataset = None,
    protocol: ProtocolName = None,
    detector: Kind = "gaussian",
    spec: Annotated[str, typer.Option(help="auto, tiny, small, full or a TOML file.")] = "auto",
    board: BoardName = "netduinoplus2",
    alarms_per_month: AlarmsPerMonth = None,
    every: Every = 0.0,
    confidence: Confidence = None,
    false_alarms: FalseAlarms = None,
    seed: Annotated[int, typer.Option(help="Same recordings and seed, same bytes.")] = 0,
    learning: Annotated[
        bool, typer.Option("--learning", "--uncalibrated", help="With too little baseline: deploy it, but never alarm.")
    ] = False,
    accept: Annotated[
        str, typer.Option(metavar="REASON", help="Learn from recordings that failed too; why is kept in detector.json.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Learn a machine's normal behaviour from its recordings and write a detector's folder."""
    from cyberhans.train import train as fit

    normal = tuple(_taken_as_normal(recording) for recording in chosen_recordings(files, dataset, protocol, "train"))
    made = fit(normal, kind=detector, spec=_choose_spec(spec, normal, board), false_alarm_rate=false_alarms,
               promise=chosen_promise(alarms_per_month, every, confidence, false_alarms), seed=seed,
               uncalibrated=learning, accept=accept)  # fmt: skip
    made.save(out)
    tell({"detector": str(out), **made.summary()}, as_json)


@app.command()
def evaluate(
    folder: DetectorFolder,
    dataset: Annotated[Path, typer.Option(help="A folder with manifest.csv and protocols.csv.")],
    protocol: Annotated[str, typer.Option(help="A protocol of the data set.")],
    alone: Annotated[bool, typer.Option("--alone", help="Do not train the other kinds for comparison.")] = False,
    as_json: Json = False,
) -> None:
    """Measure a detector on a protocol's test recordings, by the integer path that ships, beside the other kinds."""
    from cyberhans.beside import beside, lines
    from cyberhans.dataset import load_protocol
    from cyberhans.detector import load_detector
    from cyberhans.evaluate import evaluate as measure

    made, recordings = load_detector(folder), load_protocol(dataset, protocol)
    found = {made.kind: measure(made, recordings)} if alone else beside(made, recordings)
    own = found[made.kind]
    tell(own if alone else {**own, "beside": found} if as_json else own, as_json)
    if not as_json and not alone:
        typer.echo("\n".join(["", *lines(found)]))


def _taken_as_normal(recording: Recording) -> Recording:
    """Whoever names an unlabelled recording to learn from says that it is normal; a labelled anomaly stays one."""
    return dataclasses.replace(recording, label="normal") if recording.label == "unknown" else recording


def _choose_spec(name: str, recordings: tuple[Recording, ...], board_name: str) -> Spec:
    """`auto` and the named sizes through the one rule of spec.design; anything else is a TOML file."""
    from cyberhans.boards import board
    from cyberhans.spec import SIZES, design, size_for_ram
    from cyberhans.spec_file import load_spec

    if not recordings:
        raise CyberHansError("no recordings to learn from: give at least one labelled normal")
    if name != "auto" and name not in SIZES:
        return load_spec(name)
    size = size_for_ram(board(board_name).ram_bytes) if name == "auto" else name
    first = recordings[0]
    return design(size, first.rate_hz, first.samples.shape[1], min(r.segment_len for r in recordings))
