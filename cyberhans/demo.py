"""The main job from end to end on the synthetic demo set, for every machine and detector."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
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
DETECTORS = ("gaussian", "autoencoder", "forest")
FALSE_ALARM_RATE = 0.02
LINK_WINDOWS = 10  # of each test recording, over the link
HEADER = (
    f"{'machine':<7} {'detector':<11} {'AUC':>5} {'alarms':>7} {'found':>6} {'flash B':>8} {'RAM B':>7} "
    f"{'instr/window':>12} {'windows':>7}"
)


def demo(board_name: str, out: Path | None, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """Train, evaluate, build and verify each detector of each demo machine; one row each, also told to `progress`.

    Falls back to the board `native`, and says so, where the compiler or emulator of `board_name` is missing.
    """
    board = boards.board(board_name)
    missing = boards.missing(board)
    if missing:
        board = boards.board("native")
        compiler = " ".join(boards.compiler(board)[-3:]) or "no compiler"
        progress(f"{board_name} cannot run here ({missing}).")
        progress(f"Using `native`: the same firmware as a process, compiled with {compiler}.")
    progress(f"Demo set: synthetic recordings. Board: {board.title}. False-alarm rate asked for: {FALSE_ALARM_RATE:g}.")
    progress(HEADER)
    rows = []
    with tempfile.TemporaryDirectory(prefix="cyberhans-demo-") as scratch:
        for machine in MACHINES:
            protocol = load_protocol(_demo_set(), machine)
            for kind in DETECTORS:
                rows.append(_run(board, protocol, kind, (out or Path(scratch)) / f"{machine}-{kind}"))
                progress(_line(rows[-1]))
    return rows


def _demo_set() -> Path:
    return firmware_dir().parent / "recordings" / "demo"


def _run(board: boards.Board, protocol: Protocol, kind: str, folder: Path) -> dict[str, Any]:
    """One machine, one detector: from recordings to the device's verdicts."""
    first = protocol.train[0]
    spec = design(size_for_ram(board.ram_bytes), first.rate_hz, first.samples.shape[1], first.segment_len)
    detector = train(protocol.train, kind=kind, spec=spec, false_alarm_rate=FALSE_ALARM_RATE, seed=0)
    detector.save(folder)
    quality = evaluate(detector, protocol)
    built = build(folder, board.name, folder / "build")
    tests = protocol.test_normal + protocol.test_anomaly
    outcome = verify_on(f"board:{board.name}", detector, tests, image=built.image, limit=LINK_WINDOWS)
    return {
        "machine": protocol.name,
        "detector": kind,
        "board": board.name,
        "auc": quality["auc"],
        "false_alarm_rate": quality["false_alarm_rate"],
        "detection_rate": quality["detection_rate"],
        "flash_bytes": built.flash_bytes,
        "ram_bytes": built.ram_bytes,
        "instructions_per_window": outcome.instructions,
        "windows": outcome.windows,
        "differing_bits": sum(outcome.differing_bits.values()),
    }


def _line(row: dict[str, Any]) -> str:
    instructions = f"{row['instructions_per_window']:,}" if row["instructions_per_window"] else "not counted"
    return (
        f"{row['machine']:<7} {row['detector']:<11} {row['auc']:>5.3f} {row['false_alarm_rate']:>7.1%} "
        f"{row['detection_rate']:>6.1%} {row['flash_bytes']:>8,} {row['ram_bytes']:>7,} {instructions:>12} "
        f"{row['windows']:>7}  {row['differing_bits']} differing bits"
    )
