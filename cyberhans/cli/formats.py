"""Verbs that bring recordings in from other programs, and out to them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cyberhans.cli.options import Json, app
from cyberhans.errors import CyberHansError
from cyberhans.printing import print_failure, print_json

FORMAT = "csv, dcase (WAV files), matlab (.mat) or edge-impulse (.json)"
Key = Annotated[
    str,
    typer.Option(envvar="EDGE_IMPULSE_HMAC_KEY", show_envvar=True, help="Sign, or check, Edge Impulse files with it."),
]


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Recordings go to OUT/MACHINE/, as captures do.")],
    format_name: Annotated[str, typer.Option("--format", help=f"{FORMAT}; default by suffix.")] = "",
    machine: Annotated[str, typer.Option(help="Name of the machine, where the file does not say it.")] = "",
    label: Annotated[str, typer.Option(help="normal, anomaly or unknown.")] = "",
    session: Annotated[str, typer.Option(help="Which visit.")] = "",
    rate: Annotated[float | None, typer.Option(help="Sample frames per second.")] = None,
    unit: Annotated[str, typer.Option(help="Of the values: g, m/s2, V, full-scale, ...")] = "",
    scale: Annotated[float | None, typer.Option(help="The file holds counts: units per count.")] = None,
    full_range: Annotated[float | None, typer.Option("--range", help="The sensor's full scale, in the unit.")] = None,
    speed: Annotated[float | None, typer.Option(help="Of the shaft, 1/min.")] = None,
    load: Annotated[str, typer.Option(help="In your own words.")] = "",
    channels: Annotated[str, typer.Option(help="Columns, variables or sensors to take: x,y,z")] = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Bring in recordings of other programs. What a file does not say is asked for; nothing is guessed."""
    from cyberhans.formats import import_recording, sources
    from cyberhans.formats.signal import Asked

    asked = Asked(machine=machine, label=label, session=session, load=load, speed_rpm=speed, rate_hz=rate, unit=unit,
                  scale=scale, full_range=full_range, channels=tuple(filter(None, channels.split(","))),
                  key=key)  # fmt: skip
    rows: list[dict[str, Any]] = []
    failed = False
    for path in sources(files, format_name):
        try:
            rows.append(import_recording(path, out, asked, format_name))
        except Exception as error:  # whatever it is, the others are brought in nevertheless
            if "--debug" in sys.argv and not isinstance(error, CyberHansError):
                raise
            print_failure(error, path)
            failed = True
        else:
            _tell(rows[-1], as_json)
    if as_json:
        print_json(rows)
    if failed:
        raise typer.Exit(1)


@app.command()
def export(
    files: Annotated[list[Path], typer.Argument(metavar="RECORDING...", help="int16 WAV files.")],
    format_name: Annotated[str, typer.Option("--format", help=f"{FORMAT}.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")],
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Write recordings as other programs read them; what a format cannot hold goes beside it, into FILE.about."""
    from cyberhans.formats import export_recording
    from cyberhans.recording import load_recording

    rows = []
    for number, path in enumerate(files):
        rows.append(export_recording(load_recording(path), out, format_name, number, key))
        _tell(rows[-1], as_json)
    if as_json:
        print_json(rows)


def _tell(row: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return
    rounding = row.get("rounding")
    told = (
        []
        if rounding is None
        else ["lossless" if row["lossless"] else f"rounded by up to {rounding:.2g} {row['unit']}"]
    )
    lost = [f"{row['lost_samples']} sample frames are missing"] if row.get("lost_samples") else []
    typer.echo("; ".join([f"{row['file']}  {row['samples']} samples", *told, *lost, *_reasons(row), *row["notes"]]))


def _reasons(row: dict[str, Any]) -> list[str]:
    return [f"{row['quality']}: {', '.join(row['reasons'])}"] if row.get("reasons") else []
