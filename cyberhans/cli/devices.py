"""Verbs about boards and devices."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cyberhans.cli.options import Json, app
from cyberhans.printing import print_json, print_table


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
    print_table([("port", "VID:PID", "serial", "what", "detector", "rate", "mode", "verdicts"), *map(_cells, rows)])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A line of the table, without control signs: devices tell what they like."""
    texts = _texts(row, row["device"])
    return tuple("".join(sign if sign.isprintable() else "?" for sign in text) for text in texts)


def _texts(row: dict[str, Any], device: dict[str, Any] | None) -> tuple[str, ...]:
    port = (row["url"], row["vid_pid"] or "-")
    if device is None:
        return (*port, row["serial"] or "-", f"{row['description'] or '-'}: {row['why']}")
    windows = "-" if device["windows"] is None else f"{device['windows']}, last {device['last_verdict'] or '-'}"
    return (
        *port, row["serial"] or device["serial"], f"{device['board']} {device['firmware']}",
        (device["detector"] or "none")[:8], f"{device['rate_hz']:g} Hz", device["mode"], windows,
    )  # fmt: skip
