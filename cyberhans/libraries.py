"""The libraries that a compiler links without being told: it is asked by a link in words (-v)."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cyberhans.errors import CyberHansError


def libraries(compiler: Sequence[str], options: Sequence[str], example: Path) -> list[Path]:
    """Archives in the linker's order. compiler: its command; options: of the link; example: any object of it.

    The link itself may fail, for lack of an entry or of a linker script: its command is told before.
    """
    with tempfile.TemporaryDirectory(prefix="cyberhans-") as scratch:
        command = [*compiler, *options, "-nostartfiles", "-v", str(example), "-o", str(Path(scratch, "image"))]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    for line in done.stderr.splitlines():
        words = shlex.split(line) if str(example) in line and " -o " in line else []
        if words and Path(words[0]).stem in ("collect2", "ld"):
            return named(words)
    said = done.stderr.strip().splitlines()[-1:]
    raise CyberHansError(f"{' '.join(compiler)} does not tell what it links: {' '.join(said)}; install it again")


def named(words: Sequence[str]) -> list[Path]:
    """The archives that a linker's command names, by path or as -lNAME in the folders of -L, each once."""
    folders = [Path(word[2:]) for word in words if word.startswith("-L")]
    found: dict[Path, None] = {}
    for word in words:
        if word.startswith("-l"):
            there = [path for folder in folders if (path := folder / f"lib{word[2:]}.a").is_file()]
            found |= dict.fromkeys(there[:1])
        elif word.endswith(".a"):
            found[Path(word)] = None
    return list(found)
