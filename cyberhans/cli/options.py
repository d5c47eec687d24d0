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
AlarmsPerMonth = Annotated[
    float | None, typer.Option(help="False alarms you can live with in a month of healthy running; default 1.")
]
Every = Annotated[
    float, typer.Option(metavar="SECONDS", help="The node looks once in so long, 2^20 samples at most; 0: no pause.")
]
Confidence = Annotated[float | None, typer.Option(help="Confidence of that promise; default 0.8.")]
FalseAlarms = Annotated[
    float | None, typer.Option(help="Instead: false-alarm rate of single windows; 0.01 is one in a hundred.")
]
