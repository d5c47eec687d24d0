"""The alarm logic on every board: one stream in which states come and go and the baseline moves, bit for bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counts import ENDURANCE, full
from watched import Windows, script, watched_detector

from cyberhans.alarm import Outcome, State
from cyberhans.boards import COMPILERS, boards
from cyberhans.build import build
from cyberhans.detector import Detector
from cyberhans.device import Device, open_device
from cyberhans.judgement import Judgement
from cyberhans.messages import STOP, UNDO, Option
from cyberhans.protocol import Packet
from cyberhans.watch import Watch

Record = Callable[[str, object], None]
ROUNDS = full(1, 9)
# What is asked for before the windows that follow: a re-baselining on so many, UNDO, STOP or nothing.
ROUND: tuple[tuple[int | None, list[tuple[str, int]]], ...] = (
    (None, [("healthy", 60), ("worn", 30), ("healthy", 40), ("tilted", 20), ("healthy", 20), ("stuck", 5),
            ("clipped", 5), ("off", 15), ("louder", 60)]),
    (20, [("louder", 60), ("worn", 15), ("louder", 30), ("off", 5), ("louder", 10)]),
    (10, [("stuck", 3), ("tilted", 40)]),
    (UNDO, [("tilted", 5), ("louder", 30)]),
    (UNDO, [("healthy", 5), ("tilted", 20)]),
    (10, [("worn", 20), ("healthy", 20)]),
    (4096, [("healthy", 30)]),
    (STOP, [("healthy", 30)]),
    (40, [("healthy", 60)]),
)  # fmt: skip
VALUES = ("state", "votes", "reasons", "change", "rise", "score")
ROWS = {row.name: row for row in boards()}
PAIRS = [
    pytest.param(name, compiler, id=f"{name}-{compiler}", marks=[pytest.mark.emulator] if row.bare else [])
    for name, row in ROWS.items()
    for compiler in COMPILERS
    if ENDURANCE or compiler == "gcc"
]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return watched_detector(tmp_path_factory.mktemp("alarm") / "detector")


@cache
def parts() -> list[tuple[int | None, Windows]]:
    return [(asked, script(kinds, seed=100 * turn + 10 * place))
            for turn in range(ROUNDS) for place, (asked, kinds) in enumerate(ROUND)]  # fmt: skip


def ask(watch: Watch, asked: int | None) -> None:
    if asked == UNDO or (asked == STOP and watch.baseline().outcome == Outcome.UNDER_WAY):
        watch.undo()
    elif asked is not None and asked != STOP:
        watch.rebaseline(asked)


def foretold(detector: Detector) -> tuple[dict[str, list[int]], Counter[str], Counter[str]]:
    """Of every window: values, features under their own names; how many there are of each state; outcomes."""
    watch, found, outcomes = detector.core().watch(), [], Counter[str]()
    for asked, made in parts():
        ask(watch, asked)
        found.append(watch.run(made))
        outcomes[watch.baseline().outcome.name] += 1
    values: dict[str, list[int]] = {
        name: np.concatenate([getattr(one, name) for one in found]).tolist() for name in VALUES
    }
    values["anomaly"] = np.concatenate([one.verdict for one in found]).tolist()
    values["features"] = np.concatenate([one.features for one in found]).tolist()
    return values, Counter(State(state).name for state in values["state"]), outcomes


def judged_by(device: Device, folder: Path) -> list[Judgement]:
    """The same parts, each from a file."""
    files = []
    for place, (asked, made) in enumerate(parts()):
        files.append((asked, folder / str(place), len(made)))
        files[-1][1].write_bytes(made.tobytes())

    def feed(first: int, number: int) -> Iterator[Packet]:
        device.start(Option.FEATURES, number - first)
        for asked, path, count in files:
            if asked is not None:
                device.rebaseline(asked)
            yield from device._read_file(path, count)

    return list(device._judged(feed, Option.FEATURES, sum(count for _, _, count in files)))


def value(judgement: Judgement, name: str) -> Any:
    found = getattr(judgement, name)
    return found.tolist() if name == "features" else found


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "compiler"), PAIRS)
def test_every_state_has_the_same_bits(
    name: str, compiler: str, detector: Detector, tmp_path: Path, record_property: Record
) -> None:
    assert detector.folder
    expected, states, outcomes = foretold(detector)
    assert set(states) == {state.name for state in State}
    assert set(outcomes) == {"NONE", "DONE", "UNDER_WAY", "TOO_FAR", "UNDONE", "STOPPED"}
    image = build(detector.folder, name, tmp_path / "out", compiler=compiler).image
    with open_device(f"board:{name}", image=image) as device:
        device.require(detector)
        judged = judged_by(device, tmp_path)
    for what, host in expected.items():
        assert [value(one, what) for one in judged] == host, what
    changes = int(np.count_nonzero(np.diff(expected["state"])))
    assert len(judged) >= (5_000 if ENDURANCE else 500) and changes > 20 * ROUNDS
    record_property(f"total alarm on {name}, windows with every bit of state and score right", len(judged))
    record_property(f"total alarm on {name}, changes of state among them", changes)
