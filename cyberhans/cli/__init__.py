"""The verbs: parse, call, print. Heavy imports stay inside the verbs, so that --help is instant."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cyberhans import __version__
from cyberhans.cli import (  # each adds its verbs
    bench,
    capture,
    catalogue,
    detectors,
    devices,
    firmware,
    formats,
    recordings,
    replay,
    search,
)
from cyberhans.cli.options import app
from cyberhans.printing import print_failure

__all__ = [
    "app",
    "bench",
    "capture",
    "catalogue",
    "detectors",
    "devices",
    "firmware",
    "formats",
    "main",
    "recordings",
    "replay",
    "search",
]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"cyberhans {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every verb."""


def main() -> None:
    """Entry point: a failure is one line on standard error and exit code 1; bad usage 2; --debug shows tracebacks."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        print_failure(error)
        sys.exit(1)
