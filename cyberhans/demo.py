"""The main job from end to end on the synthetic demo set, for every machine and detector."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cyberhans import boards
from cyberhans.build import build
from cyberhans.core import firmware_dir
from cyberhans.dataset import Protocol, load_protocol
from cyberhans.evaluate import evaluate
from cyberhans.spec import design, size_for_ram
from cyberhans.train import train
from cyberhans.verify import verify_on

MACHINES = ("pump", "fan")
DETECTORS = ("gaussian", "autoencoder", "forest", "trees")
FALSE_ALARM_RATE = 0.05  # of 20 windows of training, four recordings of 10 s, no smaller one can be told
LINK_WINDOWS = 10  # of each test recording, over the link
HEADER = (
    f"{'machine':<7} {'detector':<11} {'AUC':>5} {'alarms':>6} {'found':>6} {'flash B':>7} {'RAM B':>6} {'stack B':>7} "
    f"{'instr/window':>12} {'windows':>7}"
)


def demo(board_name: str, out: Path | None, note: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Train, evaluate, build and verify each detector of each demo machine: one row each, as it is done.

    `note` is told what it runs on: `native`, and why, where the compiler or emulator of `board_name` is missing.
    """
    board = _runnable(board_name, note)
    note(f"Demo set: synthetic recordings. Board: {board.title}. False-alarm rate asked for: {FALSE_ALARM_RATE:g}.")
    with tempfile.TemporaryDirectory(prefix="cyberhans-demo-") as scratch:
        for machine in MACHINES:
            protocol = load_protocol(_demo_set(), machine)
            for kind in DETECTORS:
                yield _run(board, protocol, kind, (out or Path(scratch)) / f"{machine}-{kind}")


def _runnable(board_name: str, note: Callable[[str], None]) -> boards.Board:
    board = boards.board(board_name)
    missing = boards.missing(board)
    if not missing:
        return board
    native = boards.board("native")
    compiler = " ".join(boards.compiler(native)[-3:]) or "no compiler"
    note(f"{board_name} cannot run here ({missing}).")
    note(f"Using `native`: the same firmware as a process, compiled with {compiler}.")
    return native


def _demo_set() -> Path:
    return firmware_dir().parent / "recordings" / "demo"


def _run(board: boards.Board, protocol: Protocol, kind: str, folder: Path) -> dict[str, Any]:
    """One machine, one detector: from recordings to the device's verdicts."""
    first = protocol.train[0]
    spec = design(size_for_ram(board.ram_bytes), first.rate_hz, first.channels, first.segment_len)
    detector = train(protocol.train, kind=kind, spec=spec, false_alarm_rate=FALSE_ALARM_RATE, seed=0).save(folder)
    quality = evaluate(detector, protocol)
    built = build(folder, board.name, folder.with_name(f"{folder.name}-{board.name}"))
    tests = protocol.test_normal + protocol.test_anomaly
    outcome = verify_on(f"board:{board.name}", detector, tests, image=built.image, limit=LINK_WINDOWS)
    return {
        "machine": protocol.name,
        "detector": kind,
        "board": board.name,
        **{name: quality[name] for name in ("auc", "false_alarm_rate", "detection_rate")},
        **{name: getattr(built, name) for name in ("flash_bytes", "ram_bytes", "stack_bytes")},
        "instructions_per_window": outcome.instructions,
        "windows": outcome.windows,
        "differing_bits": sum(outcome.differing_bits.values()),
        "equal": outcome.equal,
        "first_difference": outcome.first_difference.to_dict() if outcome.first_difference else None,
    }


def line(row: dict[str, Any]) -> str:
    """A row as HEADER's columns, ended by what the device said."""
    counted, first = row["instructions_per_window"], row["first_difference"]
    instructions = f"{counted:,}" if counted else "not counted"
    return (
        f"{row['machine']:<7} {row['detector']:<11} {row['auc']:>5.3f} {row['false_alarm_rate']:>6.1%} "
        f"{row['detection_rate']:>6.1%} {row['flash_bytes']:>7,} {row['ram_bytes']:>6,} {row['stack_bytes'] or '-':>7} "
        f"{instructions:>12} {row['windows']:>7}  {row['differing_bits']} differing bits"
        + (f", first in stage {first['stage']} of window {first['window']}" if first else "")
    )
