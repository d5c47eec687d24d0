"""What verbs share: the application they belong to, and options that mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn how one machine normally behaves, and put that ear on a microcontroller, bit for bit.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
DetectorFolder = Annotated[Path, typer.Argument(metavar="DETECTOR", help="A detector's folder, made by train.")]
Compiler = Annotated[str, typer.Option(help="gcc, or zig: the clang of the pip package ziglang, for every board.")]
Dataset = Annotated[Path | None, typer.Option(help="A folder with manifest.csv and protocols.csv.")]
ProtocolName = Annotated[str | None, typer.Option("--protocol", help="A protocol of the data set.")]
DeviceName = Annotated[
    str | None, typer.Option(help="A pyserial URL, such as /dev/ttyACM0; or board:NAME, which builds and starts it.")
]
SerialNumber = Annotated[str | None, typer.Option(help="Instead of --device: the device with this serial number.")]
