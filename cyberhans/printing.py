"""What a verb tells: JSON or lines for people on standard output, progress and failures on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from cyberhans.errors import CyberHansError
from cyberhans.reason import Reason


def tell(row: dict[str, Any], as_json: bool) -> None:
    """A flat report: JSON, or one aligned line per field, nested fields indented."""
    if as_json:
        return print_json(row)
    if row.get("uncalibrated"):
        typer.secho(
            "LEARNING: too little baseline for what was asked; the node never alarms, treat every verdict as a hint.",
            fg="yellow",
        )
    for warning in row.get("warnings", ()):
        typer.secho(f"Warning: {warning}", fg="yellow")
    _print_fields({key: value for key, value in row.items() if key != "warnings"}, "")


def _print_fields(row: dict[str, Any], indent: str) -> None:
    width = max((len(str(key)) for key in row), default=0)
    for key, value in row.items():
        if isinstance(value, dict):
            typer.echo(f"{indent}{key}")
            _print_fields(value, indent + "  ")
        else:
            shown = _short(value) if isinstance(value, float) else value
            typer.echo(f"{indent}{key!s:<{width}}  {'-' if shown is None else shown}")


def _short(value: float) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1000:
        return f"{value:.4f}"
    return f"{value:.7g}" if abs(value) >= 1000 else f"{value:.3g}"


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as their widest cell; the last cell of a line may be longer."""
    widths = [max(len(row[i]) for row in rows if len(row) > i + 1) for i in range(max(map(len, rows)) - 1)]
    for row in rows:
        typer.echo("  ".join([*(f"{cell:<{width}}" for cell, width in zip(row[:-1], widths, strict=False)), row[-1]]))


def tell_reasons(reasons: Iterable[Reason]) -> None:
    """What is wrong with a recording, a line each: those for which training refuses it are red."""
    for reason in reasons:
        typer.secho(f"{'Failed' if reason.fatal else 'Warning'}: {reason}", fg="red" if reason.fatal else "yellow")


def print_json(value: Any) -> None:
    """On standard output, and nothing else there."""
    typer.echo(json.dumps(value, indent=2))


def progress(done: int, of: int, what: str) -> None:
    """On a terminal: one line that is written over, and gone when all is done."""
    if sys.stderr.isatty():
        typer.echo(f"\r\033[K{f'{done}/{of} {what}' if done < of else ''}", nl=False, err=True)


def print_failure(error: Exception, file: object = "") -> None:
    """One line: what is wrong, where, how to mend it. file: what was read; an expected failure names it itself."""
    where = "" if isinstance(error, CyberHansError) or not file else f"{file}: "
    typer.echo(f"cyberhans: {where}{' '.join(_cause(error).split())}", err=True)


def _cause(error: Exception) -> str:
    if isinstance(error, CyberHansError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'this computer'}: {error.strerror}; mend that and try again"
    return f"unexpected {type(error).__name__} ({error}); please report it with what `cyberhans --debug ...` shows"
