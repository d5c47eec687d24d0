"""Verbs about boards and devices."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cyberhans.cli.chosen import chosen_device
from cyberhans.cli.options import DeviceName, Json, SerialNumber, app
from cyberhans.printing import print_json, print_table, progress, tell

if TYPE_CHECKING:
    from cyberhans.device import Device
    from cyberhans.ports import Place
    from cyberhans.rebaseline import Change


@app.command()
def boards(as_json: Json = False) -> None:
    """List the boards: core, memory, and what this machine lacks to build for or run them."""
    from cyberhans import boards as rooms

    rows = [rooms.describe(board) for board in rooms.boards()]
    if as_json:
        return print_json(rows)
    for row in rows:
        memory = (
            f"{row['flash_bytes'] // 1024} KiB flash, {row['ram_bytes'] // 1024} KiB RAM" if row["ram_bytes"] else ""
        )
        typer.echo(f"{row['name']:<17} {row['title']:<57} {memory:<30} {row['missing'] or 'ready'}")


@app.command()
def devices(
    ask_all: Annotated[
        bool, typer.Option("--all", help="Ask every port; else only USB ones are opened, the others listed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the serial ports, and what is behind those where Cyber-Hans answers; opening a port resets some boards."""
    from cyberhans.probe import Found, probe
    from cyberhans.serial_port import serial_ports

    ports = serial_ports()
    found = {row.port.url: row for row in probe(port for port in ports if ask_all or port.usb)}
    unasked = "not USB: not asked (--all asks it)"
    rows = [found.get(port.url, Found(port, why=unasked)).to_dict() for port in ports]
    if as_json:
        return print_json(rows)
    if not rows:
        return typer.echo("No serial port. --device board:native starts the firmware on this computer.")
    print_table([("port", "VID:PID", "serial", "what", "detector", "rate", "mode", "baseline", "state", "verdicts"),
                 *map(_cells, rows)])  # fmt: skip


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A line of the table, without control signs: devices tell what they like."""
    texts = _texts(row, row["device"])
    return tuple("".join(sign if sign.isprintable() else "?" for sign in text) for text in texts)


def _texts(row: dict[str, Any], device: dict[str, Any] | None) -> tuple[str, ...]:
    port = (row["url"], row["vid_pid"] or "-")
    if device is None:
        return (*port, row["serial"] or "-", f"{row['description'] or '-'}: {row['why']}")
    windows = "-" if device["windows"] is None else f"{device['windows']}, last {device['last_verdict'] or '-'}"
    detector = (device["detector"] or "none")[:8]
    watched = ("-", "-") if device["detector"] is None else (f"revision {device['revision']}", device["state"])
    return (
        *port, row["serial"] or device["serial"], f"{device['board']} {device['firmware']}",
        detector, f"{device['rate_hz']:g} Hz", device["mode"], *watched, windows,
    )  # fmt: skip


@app.command()
def rebaseline(
    device: DeviceName = None,
    serial: SerialNumber = None,
    windows: Annotated[int | None, typer.Option(help="So many of the next windows: 2 to 4096.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Set the baseline back to the one before.")] = False,
    detector: Annotated[
        Path | None, typer.Option(help="Its folder: the device must hold it; board:NAME is built from it.")
    ] = None,
    log: Annotated[Path, typer.Option(help="A line of JSON is added to this file.")] = Path("baselines.jsonl"),
    as_json: Json = False,
) -> None:
    """Let a device take its machine as it runs now, known to be healthy, as normal; bounded, undoable, written down."""
    from cyberhans.detector import load_detector
    from cyberhans.device import open_device

    if undo == (windows is not None):
        raise typer.BadParameter("give --windows N, or --undo")
    place = chosen_device(device, serial)
    if place.board and detector is None:
        raise typer.BadParameter("--device board:NAME needs --detector FOLDER, of which its image is built")
    with tempfile.TemporaryDirectory(prefix="cyberhans-") as scratch:
        image = _image(place, detector, Path(scratch))
        with open_device(place.url, image=image) as opened:
            if detector:
                opened.require(load_detector(detector))
            change = _moved(opened, windows, log)
    tell(change.to_dict() | {"warnings": change.warnings}, as_json)


def _moved(device: Device, windows: int | None, log: Path) -> Change:
    """None: set back."""
    from cyberhans.rebaseline import rebaseline, undo

    if windows is None:
        return undo(device, log)
    try:
        return rebaseline(device, windows, log, lambda told: progress(told.gathered, told.wanted, "windows"))
    finally:
        progress(1, 1, "")


def _image(place: Place, detector: Path | None, scratch: Path) -> Path | None:
    from cyberhans.build import build

    return build(detector, place.board, scratch).image if place.board else None
