"""The verb about packet logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cyberhans.cli.chosen import chosen_device
from cyberhans.cli.options import DeviceName, Json, SerialNumber, app
from cyberhans.printing import tell


@app.command()
def replay(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="A log of packets, lines of JSON.")],
    detector: Annotated[
        Path | None, typer.Option(help="Its folder: the host computes with it; board:NAME is built from it.")
    ] = None,
    device: DeviceName = None,
    serial: SerialNumber = None,
    image: Annotated[Path | None, typer.Option(help="With board:NAME: run this image instead of building one.")] = None,
    as_json: Json = False,
) -> None:
    """Play a log of packets back to the host, or to a device, and compare what they say with the log, as bits."""
    from cyberhans.detector import load_detector
    from cyberhans.replay import replay as play
    from cyberhans.replay import replay_on

    place = chosen_device(device, serial) if device is not None or serial is not None else None
    if image and not (place and place.board):
        raise typer.BadParameter("--image goes with --device board:NAME; a device behind a port runs what it holds")
    if detector is None and (place is None or (place.board and image is None)):
        raise typer.BadParameter("give --detector FOLDER, or --device with what holds a detector, or both")
    made = load_detector(detector) if detector else None
    outcome = replay_on(place.url, log, made, image) if place else play(log, detector=made)
    tell(outcome.to_dict(), as_json)
    if not outcome.equal:
        raise typer.Exit(1)
