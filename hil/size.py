"""`make size`: what our firmware takes of each board, read from its image; `make size-diff`: against a commit.

One detector of each kind, of the synthetic pump of recordings/demo, in the largest Spec that the board's RAM takes.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cyberhans.boards import Board, boards, toolchain_missing
from cyberhans.build import build
from cyberhans.dataset import load_protocol
from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError
from cyberhans.spec import design, size_for_ram
from cyberhans.train import train

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "recordings" / "demo"
MACHINE = "pump"
DETECTORS = ("gaussian", "autoencoder", "forest", "trees")
SCRATCH = tempfile.TemporaryDirectory(prefix="size-")  # goes when Python ends
COLUMNS = ("flash", "core", "tables", "model", "app", "port", "waveform", "library", "ram", "stack")


@functools.cache
def learn(kind: str, size: str) -> Detector:
    """The pump's detector, in a folder of its own."""
    recordings = load_protocol(DEMO, MACHINE).train
    first = recordings[0]
    spec = design(size, first.rate_hz, first.channels, first.segment_len)
    made = train(recordings, kind=kind, spec=spec, false_alarm_rate=0.05, uncalibrated=True)
    return made.save(Path(SCRATCH.name) / f"{kind}-{size}")


def measure(board: Board, kind: str, scratch: Path) -> dict[str, Any]:
    """One row, in bytes: flash, which is the sum of core to library; RAM without the stack; stack."""
    size = size_for_ram(board.ram_bytes)
    detector = learn(kind, size)
    assert detector.folder
    built = build(detector.folder, board.name, scratch / f"{board.name}-{kind}")
    shares = built.shares
    return {
        "board": board.name,
        "detector": kind,
        "spec": size,
        "flash": built.flash_bytes,
        **{name: shares[name] for name in ("core", "tables", "model", "app", "waveform", "library")},
        "port": shares["board"],
        "ram": built.ram_bytes,
        "stack": built.stack_bytes,
    }


def rows(note: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """A row per board that owns its machine, and detector; what cannot be built is told to `note`."""
    with tempfile.TemporaryDirectory(prefix="size-") as scratch:
        for board in boards():
            if not board.bare:
                continue  # a process has no flash
            if lacking := toolchain_missing(board):
                note(f"{board.name}: skipped: {lacking}")
                continue
            for kind in DETECTORS:
                try:
                    yield measure(board, kind, Path(scratch))
                except CyberHansError as error:
                    note(f"{board.name}, {kind}: {error}")


def rows_of_commit(commit: str) -> list[dict[str, Any]]:
    """The same rows by the code of another commit."""
    with tempfile.TemporaryDirectory(prefix="size-") as scratch:
        tree = Path(scratch) / "tree"
        _run(["git", "worktree", "add", "--detach", str(tree), commit], ROOT)
        try:
            if not (tree / "hil" / "size.py").exists():
                raise CyberHansError(f"{commit} has no hil/size.py: name a later commit")
            found: list[dict[str, Any]] = json.loads(_run([sys.executable, "-m", "hil.size", "--json"], tree))
        finally:
            _run(["git", "worktree", "remove", "--force", str(tree)], ROOT)
    return found


def _run(command: list[str], folder: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CyberHansError(f"{' '.join(command)}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return done.stdout


HEADER = f"{'board':<18} {'detector':<11} {'spec':<5} " + " ".join(f"{name:>9}" for name in COLUMNS)


def line(row: dict[str, Any]) -> str:
    values = (f"{row[name]:>9,}" if row[name] is not None else f"{'-':>9}" for name in COLUMNS)
    return f"{row['board']:<18} {row['detector']:<11} {row['spec']:<5} {' '.join(values)}"


def difference(now: dict[str, Any], then: dict[str, Any] | None) -> str:
    """The row's changes since `then`: bytes more or fewer, and per cent of flash; equal columns are a dot."""
    name = f"{now['board']:<18} {now['detector']:<11} {now['spec']:<5} "
    if then is None:
        return f"{name}{'new':>9}"
    changes = [(now[column] or 0) - (then[column] or 0) for column in COLUMNS]
    shown = " ".join(f"{change:>+9,}" if change else f"{'.':>9}" for change in changes)
    return f"{name}{shown}  {changes[0] / then['flash']:+.2%}"


def differences(now: list[dict[str, Any]], then: list[dict[str, Any]]) -> list[str]:
    """A line per row of now, and one for each that is gone."""
    known = {_name(row): row for row in then}
    lines = [difference(row, known.pop(_name(row), None)) for row in now]
    return lines + [f"{board:<18} {kind:<11} {'':<5} {'gone':>9}" for board, kind in known]


def _name(row: dict[str, Any]) -> tuple[str, str]:
    return row["board"], row["detector"]


def main() -> int:
    """0 if every board was measured, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--diff", metavar="COMMIT", help="changes since that commit, uncommitted ones included")
    asked = parser.parse_args()
    notes: list[str] = []
    try:
        found = list(rows(notes.append))
        then = rows_of_commit(asked.diff) if asked.diff else []
    except CyberHansError as error:
        print(f"size: {error}", file=sys.stderr)
        return 1
    for text in notes:
        print(text, file=sys.stderr)
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        lines = differences(found, then) if asked.diff else [line(row) for row in found]
        print("\n".join([HEADER, *lines]))
    return 1 if notes else 0


if __name__ == "__main__":
    sys.exit(main())
