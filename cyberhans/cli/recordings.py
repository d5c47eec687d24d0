"""Verbs about recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cyberhans.cli.options import Json, app
from cyberhans.printing import print_json, tell, tell_reasons


@app.command()
def simulate(
    machine: Annotated[str, typer.Argument(help="Which machine: pump (3-axis vibration) or fan (sound).")],
    out: Annotated[Path, typer.Option(help="The WAV file to write; its sidecar goes beside it.")],
    seconds: Annotated[float, typer.Option(help="Length.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    fault: Annotated[str, typer.Option(help="none, imbalance, bearing_outer, ...: a wrong one lists all.")] = "none",
    severity: Annotated[float, typer.Option(help="0 (just begun) to 1 (about to fail).")] = 0.5,
    speed_rpm: Annotated[float | None, typer.Option(help="Shaft speed; default the machine's nominal one.")] = None,
    load: Annotated[float | None, typer.Option(help="Load, 0 to 1.")] = None,
    as_json: Json = False,
) -> None:
    """Make a physically based, synthetic recording of a machine, healthy or with a fault."""
    from cyberhans.recording import save_recording
    from cyberhans.simulate import simulate as make

    recording = make(
        machine, seconds=seconds, seed=seed, fault=fault, severity=severity, speed_rpm=speed_rpm, load=load
    )
    save_recording(recording, out)
    told = {"file": str(out), "samples": len(recording.samples), "rate_hz": recording.rate_hz, "synthetic": True}
    tell(told, as_json)


@app.command()
def inspect(
    files: Annotated[list[Path], typer.Argument(metavar="RECORDING...", help="int16 WAV files.")],
    as_json: Json = False,
) -> None:
    """Say what is in recordings: length, rate, level, crest, kurtosis; whether they are good, and why if not."""
    from cyberhans.inspection import inspect as look
    from cyberhans.recording import load_recording

    seen = [look(load_recording(path)) for path in files]
    if as_json:
        return print_json(seen)
    for row in seen:
        tell({name: value for name, value in row.items() if name not in ("reasons", "bad")}, False)
        tell_reasons(row["reasons"])
