"""Run the command line in this process, as a user would see it."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest.mock import patch

from cyberhans import cli


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def cyberhans(*arguments: object) -> Outcome:
    """`cyberhans ARGUMENTS...`: exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        patch.object(sys, "argv", ["cyberhans", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return Outcome(code, out.getvalue(), err.getvalue())
