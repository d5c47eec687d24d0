"""Verbs about firmware: build it, compare it with the host, show all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cyberhans.cli.chosen import chosen_device, chosen_recordings
from cyberhans.cli.options import Compiler, Dataset, DetectorFolder, DeviceName, Json, ProtocolName, SerialNumber, app
from cyberhans.printing import print_json, tell

MaybeDetector = Annotated[Path | None, typer.Argument(metavar="DETECTOR", help="A detector's folder, made by train.")]


@app.command()
def build(
    board: Annotated[str, typer.Option(help="The board to build for; `cyberhans boards` lists them.")],
    out: Annotated[Path, typer.Option(help="Where the image goes.")],
    folder: MaybeDetector = None,
    compiler: Compiler = "gcc",
    as_json: Json = False,
) -> None:
    """Build a board's firmware and say what it takes; without a detector it only samples, for `capture`."""
    from cyberhans.build import build as make

    tell(make(folder, board, out, compiler=compiler).to_dict(), as_json)


@app.command()
def verify(
    folder: DetectorFolder,
    files: Annotated[list[Path] | None, typer.Argument(metavar="RECORDING...", help="int16 WAV files.")] = None,
    device: DeviceName = None,
    serial: SerialNumber = None,
    dataset: Dataset = None,
    protocol: ProtocolName = None,
    image: Annotated[Path | None, typer.Option(help="With board:NAME: run this image instead of building one.")] = None,
    compiler: Compiler = "gcc",
    windows: Annotated[int | None, typer.Option(help="At most this many windows of each recording.", min=1)] = None,
    bulk: Annotated[bool, typer.Option(help="Samples from a file of this computer, not over the link.")] = False,
    as_json: Json = False,
) -> None:
    """Send samples to a device and compare its features, scores and verdicts with the host's, as bits."""
    from cyberhans.detector import load_detector
    from cyberhans.verify import verify_on

    place = chosen_device(device, serial)
    if image and not place.board:
        raise typer.BadParameter("--image goes with --device board:NAME; a device behind a port runs what it holds")
    if compiler != "gcc" and (image or not place.board):
        raise typer.BadParameter("--compiler goes with --device board:NAME without --image; nothing else is built")
    recordings = chosen_recordings(files, dataset, protocol, "test_normal", "test_anomaly")
    outcome = verify_on(
        place.url, load_detector(folder), recordings, image=image, compiler=compiler, limit=windows, bulk=bulk
    )
    tell(outcome.to_dict(), as_json)
    if not outcome.equal:
        raise typer.Exit(1)


@app.command()
def demo(
    board: Annotated[str, typer.Option(help="Where to run it; `cyberhans boards` lists them.")] = "netduinoplus2",
    out: Annotated[Path | None, typer.Option(help="Keep detectors and images here.")] = None,
    as_json: Json = False,
) -> None:
    """The main job on the synthetic demo set: train, build, start the board, compare bit for bit, and print a table."""
    from cyberhans.demo import HEADER, line
    from cyberhans.demo import demo as show

    rows: list[dict[str, Any]] = []
    for row in show(board, out, note=lambda text: typer.echo(text, err=True)):
        if not as_json:
            typer.echo(line(row) if rows else f"{HEADER}\n{line(row)}")
        rows.append(row)
    if as_json:
        print_json(rows)
    if not all(row["equal"] for row in rows):
        raise typer.Exit(1)
