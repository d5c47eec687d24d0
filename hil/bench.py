"""`make bench`: instructions of each stage, counted on the board, and the bytes beside them.

One load for all boards: one channel of sound at 8 kHz, frames of 1024 samples every 512, 32 bands, the family level, a
window of 200 frames. The image holds the core and the model and nothing else (firmware/bench/bench.c), so its memory is
what the core costs in somebody's own firmware. `make size` tells what our firmware takes.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cyberhans.boards import Board, boards, missing
from cyberhans.boards import board as board_named
from cyberhans.build import Build, TooLargeError, build
from cyberhans.detector import Detector
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.simulate import simulate
from cyberhans.spec import Family, Frame, Spec, band_edges
from cyberhans.train import train

RATE_HZ = 8000
LENGTH, FRAMES, BANDS = 1024, 200, 32
WINDOW = LENGTH + (FRAMES - 1) * LENGTH // 2
SPEC = Spec(RATE_HZ * 1000, 1, WINDOW, WINDOW, Family.LEVEL, (Frame(LENGTH, band_edges(LENGTH, RATE_HZ, BANDS)),))
DETECTORS = ("gaussian", "autoencoder", "forest", "trees")
SCRATCH = tempfile.TemporaryDirectory(prefix="bench-")  # goes when Python ends
SESSIONS, WINDOWS_EACH = 10, 8
STAGES = ("spectrum", "bands", "level", "features", "alarm", "window")
TOO_LARGE = "does not fit: "
SHORT_LOOP, LONG_LOOP = 2_000, 2_000_000  # instructions: rounds of firmware/bench/bench.c, two each
ANSWER_SECONDS, KNOCK_SECONDS = 120.0, 1.0


@functools.cache
def learn(kind: str, spec: Spec = SPEC) -> Detector:
    """A detector of a simulated fan, in a folder of its own. Its figures of quality are of no interest here."""
    seconds = WINDOWS_EACH * spec.window / RATE_HZ
    sound = [simulate("fan", seconds=seconds, seed=seed) for seed in range(SESSIONS)]
    made = train(sound, kind=kind, spec=spec, false_alarm_rate=0.05, uncalibrated=True)
    return made.save(Path(SCRATCH.name) / f"{kind}-{spec.digest.hex()}")


def bench(board: Board, kind: str, scratch: Path, spec: Spec = SPEC) -> dict[str, Any]:
    """One row: instructions by stage (per frame; features, score and alarm per window; window: all of it), and bytes.

    code: the core's, without packets, which this image does not use. Raises CyberHansError where it does not fit.
    """
    detector = learn(kind, spec)
    assert detector.folder
    folder = scratch / f"{board.name}-{detector.folder.name}"
    built = build(detector.folder, board.name, folder, app="bench")
    return {"board": board.name, "core": board.core, "detector": kind, **counts(board, built.image), **sizes(built)}


def sizes(built: Build) -> dict[str, int | None]:
    """Bytes: the core's code, its tables, the model with its slot; RAM without the stack; the stack."""
    shares = built.shares
    return {
        "code": shares["core"],
        "tables": shares["tables"],
        "model": shares["model"],
        "ram": built.ram_bytes,
        "stack": built.stack_bytes,
    }


def counts(board: Board, image: Path) -> dict[str, int]:
    """Instructions by stage, without the measuring itself: an empty region is subtracted.

    A loop of 2,000 instructions must then read 2,000 and the few that call it, or no count is believed. What is longer
    than a tick is interrupted by it, and scaled by what a loop of 2,000,000, interrupted as often, reads: right but for
    one interrupt, a few dozen instructions.
    """
    ticks = _listen(board, image)
    if missing := {"empty", "short", "long", "score", *STAGES} - set(ticks):
        raise CyberHansError(f"{board.name}: the image did not tell {', '.join(sorted(missing))}: try again")
    exact = {name: (board.instructions(value - ticks["empty"]) or 0) for name, value in ticks.items()}
    if not SHORT_LOOP <= exact["short"] <= SHORT_LOOP + 4:
        raise CyberHansError(f"{board.name}: a loop of {SHORT_LOOP} instructions read {exact['short']}: check tick_hz "
                             "and icount_shift in boards.toml")  # fmt: skip
    tick = 10**6 >> board.icount_shift  # instructions between two interrupts, a millisecond apart
    scaled = {name: round(n * LONG_LOOP / exact["long"]) if n > tick else n for name, n in exact.items()}
    return {name: scaled[name] for name in (*STAGES, "score")} | {"loop": exact["short"]}


def _listen(board: Board, image: Path) -> dict[str, int]:
    """What the image says when a byte comes: `name ticks` lines up to a zero."""
    heard = b""
    deadline = time.monotonic() + ANSWER_SECONDS
    with Emulator(board, image, counting=True) as emulator:
        host, port = emulator.url.removeprefix("socket://").split(":")
        with socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS) as line:
            while not heard.endswith(b"\0"):
                if not heard:
                    line.sendall(b"?")  # again and again: one that comes before the port is open is lost
                with contextlib.suppress(TimeoutError):
                    heard += line.recv(4096)
                if time.monotonic() > deadline:
                    raise CyberHansError(f"{board.name}: the image fell silent after {heard[-40:]!r}")
    rows = [row.split() for row in heard.rstrip(b"\0").decode().splitlines()]
    return {name: int(value) for name, value in rows}


def rows(chosen: Sequence[Board], note: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """A row per board and detector; what cannot be measured is told to `note`."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        for board in chosen:
            lacking = missing(board) or (None if board.bare else "nothing counts its instructions")
            if lacking:
                note(f"{board.name}: skipped: {lacking}")
                continue
            for kind in DETECTORS:
                try:
                    yield bench(board, kind, Path(scratch))
                except TooLargeError as error:
                    note(f"{TOO_LARGE}{board.name}, {kind}: {error}")
                except CyberHansError as error:
                    note(f"{board.name}, {kind}: {error}")


HEADER = (
    f"{'board':<18} {'detector':<11} {'spectrum':>9} {'bands':>7} {'level':>7} {'features':>8} {'score':>9} "
    f"{'alarm':>6} {'window':>12} {'code':>6} {'tables':>6} {'model':>7} {'RAM':>6} {'stack':>5}"
)


def line(row: dict[str, Any]) -> str:
    stages = f"{row['spectrum']:>9,} {row['bands']:>7,} {row['level']:>7,} {row['features']:>8,} {row['score']:>9,}"
    memory = f"{row['code']:>6,} {row['tables']:>6,} {row['model']:>7,} {row['ram']:>6,} {row['stack'] or '-':>5}"
    return f"{row['board']:<18} {row['detector']:<11} {stages} {row['alarm']:>6,} {row['window']:>12,} {memory}"


def main() -> int:
    """0 if every board asked for was measured, but for detectors that do not fit it, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("boards", nargs="*", help="boards to measure; where none is named all that count")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    try:
        chosen = [board_named(name) for name in asked.boards] or [board for board in boards() if board.bare]
    except CyberHansError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    found, notes = [], []
    for row in rows(chosen, notes.append):
        if not asked.json:
            print(line(row) if found else f"{HEADER}\n{line(row)}", flush=True)
        found.append(row)
    if asked.json:
        print(json.dumps(found, indent=2))
    for text in notes:
        print(text, file=sys.stderr)
    return 0 if all(text.startswith(TOO_LARGE) for text in notes) else 1


if __name__ == "__main__":
    sys.exit(main())
