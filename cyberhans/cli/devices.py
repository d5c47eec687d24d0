"""Verbs about boards and devices."""

from __future__ import annotations

import typer

from cyberhans.cli.options import Json, app
from cyberhans.printing import print_json


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
