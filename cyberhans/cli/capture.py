"""The verb that records a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cyberhans.cli.chosen import chosen_device
from cyberhans.cli.options import DeviceName, Json, SerialNumber, app
from cyberhans.printing import tell

if TYPE_CHECKING:
    from cyberhans.capture import Again, MakeView, Open, Wish
    from cyberhans.capture.plan import Plan
    from cyberhans.live import Live
    from cyberhans.messages import Sensor
    from cyberhans.ports import Place

LINES = "With --lines: any firmware that prints numbers"
Lines = Annotated[
    bool, typer.Option("--lines", help="A line for each sample: numbers, by comma or TAB.", rich_help_panel=LINES)
]
Range = Annotated[
    float | None,
    typer.Option("--range", help="The most that the sensor can tell, in the unit: 16.", rich_help_panel=LINES),
]
Scale = Annotated[
    float | None,
    typer.Option(help="Unit per count, if counts are printed; else the last digit is 1.", rich_help_panel=LINES),
]
IndexColumn = Annotated[
    int | None,
    typer.Option(help="The column, from 1, that counts lines: losses are then exact.", rich_help_panel=LINES),
]


@app.command()
def capture(
    machine: Annotated[str, typer.Option(help="Which machine: its recordings lie in OUT/MACHINE.")],
    label: Annotated[str, typer.Option(help="normal, anomaly or unknown.")],
    seconds: Annotated[float, typer.Option(help="How long; Ctrl-C ends it earlier, and keeps what there is.")],
    out: Annotated[Path, typer.Option(help="The folder of all recordings.")],
    device: DeviceName = None,
    serial: SerialNumber = None,
    channels: Annotated[int | None, typer.Option(help="The first so many; default all of the sensor's.")] = None,
    rate: Annotated[float | None, typer.Option(help="Hz; default the sensor's own.")] = None,
    axes: Annotated[str, typer.Option(help="Names of the channels: x,y,z.")] = "",
    speed: Annotated[float | None, typer.Option(help="Of the shaft, 1/min.")] = None,
    load: Annotated[str, typer.Option(help="In your own words: '4000 N', half.")] = "",
    notes: Annotated[str, typer.Option(help="Anything else.")] = "",
    session: Annotated[str, typer.Option(help="Which visit: what is recorded without moving the sensor; "
                                              "default the date.")] = "",
    patience: Annotated[float, typer.Option(help="Seconds to wait for a device that was unplugged.", min=0)] = 60.0,
    live: Annotated[bool, typer.Option("--live/--no-live", help="Show the samples on a terminal as they come.")] = True,
    lines: Lines = False,
    unit: Annotated[str, typer.Option(help="Of the numbers: g, m/s2, V, ..., counts.", rich_help_panel=LINES)] = "",
    baud: Annotated[int | None, typer.Option(help="Default 115200.", min=1, rich_help_panel=LINES)] = None,
    most: Range = None,
    scale: Scale = None,
    index_column: IndexColumn = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Record a machine into OUT/MACHINE, and say what the recording is worth.

    Exit code 0 also where its quality is `failed`: it is kept, and `train` refuses it. 1: nothing was recorded.
    """
    from cyberhans.capture import Wish

    wish = Wish(machine, label, seconds, out, channels, rate, _names(axes), speed, load, notes, session).completed()
    place = chosen_device(device, serial)
    if lines:
        how = {"unit": unit, "baud": baud, "index": index_column, "scale": scale, "most": most}
        tell(_capture_lines(wish, place, live, how), as_json)
    elif unit or baud or most or scale or index_column:
        raise typer.BadParameter(
            "--unit, --baud, --range, --scale and --index-column go with --lines; a device says it"
        )
    else:
        tell(_capture_packets(wish, place, live, patience), as_json)


def _capture_packets(wish: Wish, place: Place, live: bool, patience: float) -> dict[str, Any]:
    from cyberhans.capture import capture as record
    from cyberhans.player import synthetic

    if place.board:
        wish = replace(wish, synthetic=synthetic(place.url.removeprefix("board:")))
    again = None if place.board else _finder(place)
    return record(wish, _opener(place), again, view=_views(wish, live), patience_s=patience).to_dict()


def _capture_lines(wish: Wish, place: Place, live: bool, how: dict[str, Any]) -> dict[str, Any]:
    from cyberhans.lines.capture import BAUD, LineWish, capture_lines
    from cyberhans.live import Live

    def view(axes: Sequence[str], rate_hz: float, path: Path) -> Live:
        full_scale = how["most"]
        return Live(
            wish.machine, axes, how["unit"], 1.0, full_scale, wish.rate_hz or rate_hz, wish.seconds, file=path.name,
            claimed=wish.rate_hz is not None, plain=not live, quiet=not live,
        )  # fmt: skip

    return capture_lines(wish, LineWish(**how | {"baud": how["baud"] or BAUD}), place.url, view=view).to_dict()


def _names(axes: str) -> tuple[str, ...]:
    return tuple(axis.strip() for axis in axes.split(",")) if axes else ()


def _opener(place: Place) -> Open:
    from cyberhans.blank import blank_image
    from cyberhans.device import Device, open_device

    def opened() -> Device:
        image = blank_image(place.board) if place.board else None
        return open_device(place.url, image=image, pump=image is not None)

    return opened


def _finder(place: Place) -> Again:
    from cyberhans.device import Device, open_device

    def found(seconds: float) -> Device | None:
        url = place.again(seconds)
        return open_device(url) if url else None

    return found


def _views(wish: Wish, live: bool) -> MakeView:
    from cyberhans.live import Live

    def view(plan: Plan, sensor: Sensor, path: Path) -> Live:
        axes = wish.axes or tuple(f"c{c}" for c in range(plan.channels))
        return Live(
            wish.machine, axes, sensor.unit, sensor.scale_numerator / sensor.scale_denominator, sensor.full_scale,
            plan.rate_hz, wish.seconds, file=path.name, plain=not live, quiet=not live,
        )  # fmt: skip

    return view
