"""The verb that lists recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cyberhans.cli.options import Json, app
from cyberhans.printing import print_json, print_table

if TYPE_CHECKING:
    from cyberhans.catalogue import Entry, Total


@app.command()
def recordings(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of recordings, such as capture's --out.")],
    machine: Annotated[str, typer.Option(help="Only this machine's.")] = "",
    label: Annotated[str, typer.Option(help="Only normal, anomaly or unknown ones.")] = "",
    as_json: Json = False,
) -> None:
    """List recordings by machine, session and label: length, rate, quality, and what is wrong with a folder."""
    from cyberhans.catalogue import catalogue

    found = catalogue(folder, machine=machine, label=label)
    if as_json:
        return print_json(found.to_dict())
    if not found.entries:
        return typer.echo(f"No recording in {folder}.")
    head = ("machine", "session", "label", "length", "rate", "channels", "quality", "file")
    print_table([head, *map(_cells, found.entries)])
    typer.echo()
    for total in found.totals:
        typer.echo(_line(total))


def _cells(row: Entry) -> tuple[str, ...]:
    rate = "-" if row.rate_hz is None else f"{row.rate_hz:g} Hz"
    told = "; ".join([row.file, *([row.problem] if row.problem else []), *row.reasons])
    return (row.machine, row.session or "-", row.label or "-", _length(row.seconds), rate, str(row.channels or "-"),
            row.quality or "-", told)  # fmt: skip


def _length(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    hours, rest = divmod(seconds, 3600)
    if not hours:
        return f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
    return f"{hours:.0f} h {rest // 60:.0f} min"


def _line(total: Total) -> str:
    """What there is of a machine, in one line."""
    counts = ", ".join(f"{count} {word}" for word, count in [*total.labels.items(), *total.qualities.items()])
    parts = [f"{total.machine}: {total.recordings} recordings, {_length(total.seconds)}", counts]
    parts += [f"{total.problems} with a problem"] if total.problems else []
    parts += [f"{total.speed_rpm:g}/min"] if total.speed_rpm else []
    return "; ".join(part for part in [*parts, total.mounting] if part)
