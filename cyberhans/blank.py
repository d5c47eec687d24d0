"""Firmware without a detector: a board that samples for a host and judges nothing. Its image is built once and kept.

`python -m cyberhans.blank > firmware/blank/waveform.c` makes the waveform that such an image plays where there is no
sensor: a simulated healthy machine with three axes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from cyberhans import boards
from cyberhans.build import build
from cyberhans.core import cache_dir, firmware_dir
from cyberhans.waveform import Meaning, waveform_source

FRAMES = 1024  # sample frames of the waveform


def blank_image(board_name: str, compiler: str = "gcc") -> Path:
    """The image for a board, from the cache (cyberhans.core), where it is built if need be.

    Raises CyberHansError: unknown board, or no compiler for it.
    """
    board = boards.board(board_name)
    target = cache_dir() / f"{board.name}-{_content_hash([board, *boards.compiler(board, compiler)])}.elf"
    if not target.is_file():
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            os.replace(build(None, board.name, scratch, compiler=compiler).image, target)
    return target


def _content_hash(command: list[object]) -> str:
    """Of every source of the firmware, and of what it is built with."""
    root = firmware_dir()
    digest = hashlib.sha256(repr(command).encode())
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


def _waveform() -> str:
    from cyberhans.simulate import simulate

    made = simulate("pump", seconds=1.0, seed=1)
    meaning = Meaning("simulated pump", made.unit, made.scale, made.full_scale)
    return waveform_source(made.samples[:FRAMES], round(made.rate_hz * 1000), meaning)


if __name__ == "__main__":
    print("/* Generated: python -m cyberhans.blank > firmware/blank/waveform.c */\n" + _waveform(), end="")
