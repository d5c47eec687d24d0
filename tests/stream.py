"""Programs of tests/c with a spec's tables and the core in them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyberhans.core import compiler, core_sources, firmware_dir
from cyberhans.spec import Spec
from cyberhans.tables import emit_tables, spec_symbol

DRIVERS = Path(__file__).parent / "c"
Samples = NDArray[np.int16]


def build_stream(spec: Spec, folder: Path, *flags: str, driver: str = "stream.c") -> Path:
    """A driver of tests/c, compiled with this spec's tables and the core into `folder`."""
    (folder / "tables.c").write_text(emit_tables(spec))
    program = folder / f"{driver}{'_'.join(flags)}"
    command = [*compiler(), "-std=c99", "-Wall", "-Wextra", "-Werror", *flags, f"-I{firmware_dir() / 'core'}"]
    sources = [*map(str, core_sources()), str(DRIVERS / driver), str(folder / "tables.c")]
    subprocess.run([*command, f"-DSPEC={spec_symbol(spec)}", *sources, "-o", str(program)], check=True)
    return program


def stream(program: Path, samples: Samples, chunk: int = 1 << 24, restart: int = 0) -> str:
    """What stream.c prints: a line per verdict."""
    done = subprocess.run([program, str(chunk), str(restart)], input=samples.tobytes(), capture_output=True, check=True)
    return done.stdout.decode()
