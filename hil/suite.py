"""`make suite`: the suite that ships in cyberhans.hil on every board, with detectors of the demo set, as users run it.

Arguments: boards (all), then whatever pytest takes: `-k costs --update-baseline` writes hil/baseline.json.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from conftest import ROOT
from cyberhans.boards import boards, missing
from cyberhans.dataset import load_protocol
from cyberhans.decision import needed
from cyberhans.detector import Detector
from cyberhans.hil.sources import sources
from cyberhans.spec import design
from cyberhans.train import train

KINDS = ("gaussian", "autoencoder", "forest", "trees")
WINDOW = 2048
VOTES = 7
BASELINE = ROOT / "hil" / "baseline.json"
PER_PAIR, PER_SOURCE = 50, 2  # tests of a device with a detector; and for each source of windows


def learn(kind: str, folder: Path, window: int = WINDOW) -> Detector:
    """Of the demo fan, with windows short enough for an emulator's serial line, of which few vote so that each state
    comes; in a folder called after its kind."""
    part = load_protocol(ROOT / "recordings" / "demo", "fan")
    first = part.train[0]
    spec = replace(design("tiny", first.rate_hz, first.channels, window), window=window, hop=window)
    made = train(part.train, kind=kind, spec=spec, false_alarm_rate=0.05)
    assert made.alarm
    return replace(made, alarm=replace(made.alarm, of=VOTES, raise_at=needed(VOTES), clear_at=1)).save(folder / kind)


def tests_of(detector: Detector) -> int:
    """How many tests of the suite there are for a device with this detector."""
    return PER_PAIR + PER_SOURCE * len(sources(detector, None, 0))


def command(names: Sequence[str], detectors: Sequence[Detector], *more: str) -> list[str]:
    """The line that runs the suite on these boards; without -k it fails unless every test runs."""
    each = sum(tests_of(detector) for detector in detectors)
    return [
        sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "--pyargs", "cyberhans.hil.suite",
        *(f"--device=board:{name}" for name in names), *(f"--detector={detector.folder}" for detector in detectors),
        f"--hil-baseline={BASELINE}", "--hil-require", *([] if "-k" in more else [f"--hil-count={len(names) * each}"]),
        *more,
    ]  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """The exit code of pytest."""
    known = [board.name for board in boards()]
    names = [argument for argument in arguments if argument in known] or known
    for lacking in [f"{board.name}: {missing(board)}" for board in boards() if board.name in names and missing(board)]:
        print(f"suite: {lacking}", file=sys.stderr)
        return 1
    more = [argument for argument in arguments if argument not in known]
    with tempfile.TemporaryDirectory(prefix="suite-") as scratch:
        detectors = [learn(kind, Path(scratch)) for kind in KINDS]
        return subprocess.run(command(names, detectors, *more), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
