"""The recordings, the device and the promise that a command line names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from cyberhans.ports import Place
    from cyberhans.promise import Promise
    from cyberhans.recording import Recording


def chosen_recordings(
    files: list[Path] | None, dataset: Path | None, protocol: str | None, *roles: str
) -> tuple[Recording, ...]:
    """The files named, or those roles of the protocol."""
    from cyberhans.dataset import load_protocol
    from cyberhans.recording import load_recording

    if files and dataset is None and protocol is None:
        return tuple(load_recording(path) for path in files)
    if not files and dataset is not None and protocol is not None:
        part = load_protocol(dataset, protocol)
        return tuple(recording for role in roles for recording in getattr(part, role))
    raise typer.BadParameter("give RECORDING..., or --dataset DIR with --protocol NAME")


def chosen_promise(
    per_month: float | None, every: float, confidence: float | None, rate: float | None
) -> Promise | None:
    """One false alarm a month unless asked otherwise; none where a rate of single windows is asked for."""
    from cyberhans.promise import Promise

    if rate is None:
        return Promise(1.0 if per_month is None else per_month, every, 0.8 if confidence is None else confidence)
    if per_month is not None or every or confidence is not None:
        raise typer.BadParameter(
            "--false-alarms, a rate of single windows, goes without --alarms-per-month, --every and --confidence"
        )
    return None


def chosen_device(device: str | None, serial: str | None) -> Place:
    """The place of the one device that is named by --device or by --serial."""
    from cyberhans.ports import find

    if (device is None) == (serial is None):
        raise typer.BadParameter("give --device URL, --device board:NAME or --serial NUMBER; `cyberhans devices` lists")
    return find(device, serial)
