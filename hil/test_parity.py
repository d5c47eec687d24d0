"""The whole path on real recordings: train, build, run on each board by each compiler, and demand 0 differing bits.

`make parity` takes every test window of four protocols and prints the table of the README.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counts import ENDURANCE

from cyberhans.boards import COMPILERS, boards
from cyberhans.build import build
from cyberhans.dataset import Protocol, load_protocol
from cyberhans.detector import Detector
from cyberhans.device import open_device
from cyberhans.spec import SIZES, design, size_for_ram
from cyberhans.train import train
from cyberhans.verify import adversarial_windows, gather_windows, verify

Record = Callable[[str, object], None]
SCRATCH = tempfile.TemporaryDirectory(prefix="parity-")  # goes when Python ends
DETECTORS = ("gaussian", "autoencoder", "forest", "trees")
# Each protocol with the largest Spec it is learnt with, where the board has the memory: so every size runs on every
# board that holds it; and the windows taken of each test recording in the ordinary run: a few dozen in all.
PROTOCOLS = {
    "engine_idle/car01": ("full", 2),
    "adxl356_pooled": ("full", 1),
    "cwru_smoke": ("small", 12),
    "ceiling_fan/low": ("tiny", 40),
}
FOR_BOTH_COMPILERS = "adxl356_pooled"  # in the ordinary run the second compiler has one protocol
LINK_PROTOCOL, LINK_WINDOWS = "ceiling_fan/low", 40  # short windows; of each of two recordings
ROWS = {row.name: row for row in boards()}


def cases(*columns: tuple[str, ...]) -> list[Any]:
    """Parameters from tuples that begin with a board's name: all but `native` are marked as emulated."""
    return [
        pytest.param(*values, id="-".join(values), marks=[pytest.mark.emulator] if ROWS[values[0]].bare else [])
        for values in columns
    ]


PAIRS = [(name, compiler) for name in ROWS for compiler in COMPILERS]
FROM_A_FILE = [
    (*pair, protocol) for pair in PAIRS for protocol in PROTOCOLS
    if ENDURANCE or pair[1] == "gcc" or protocol == FOR_BOTH_COMPILERS
]  # fmt: skip


def turn(name: str, protocol: str) -> list[str]:
    """Kinds: in the ordinary run half, so that over its protocols a board has all, and over the boards a protocol."""
    first = (list(ROWS).index(name) + list(PROTOCOLS).index(protocol)) % 2
    return list(DETECTORS if ENDURANCE else DETECTORS[first::2])


FILES = [(name, compiler, protocol, kind) for name, compiler, protocol in FROM_A_FILE for kind in turn(name, protocol)]
LINKS = [(*pair, kind) for number, pair in enumerate(PAIRS)
         for kind in (DETECTORS if ENDURANCE else [DETECTORS[(number // 2 + number) % len(DETECTORS)]])]  # fmt: skip
pytestmark = [pytest.mark.recordings, pytest.mark.slow]


@functools.cache
def learn(folder: Path, protocol: str, kind: str, size: str) -> tuple[Detector, Protocol]:
    """A detector in a folder of its own; the false-alarm rate does not matter here."""
    part = load_protocol(folder, protocol)
    first, segment = part.train[0], min(recording.segment_len for recording in part.train)
    spec = design(size, first.rate_hz, first.channels, segment)
    detector = train(part.train, kind=kind, spec=spec, false_alarm_rate=0.05, uncalibrated=True)
    return detector.save(Path(tempfile.mkdtemp(dir=SCRATCH.name)) / "detector"), part


def size_on(name: str, protocol: str) -> str:
    """The smaller of the protocol's largest Spec and of what the board holds."""
    return min(PROTOCOLS[protocol][0], size_for_ram(ROWS[name].ram_bytes), key=SIZES.index)


def compare(
    learnt: tuple[Detector, Protocol], most: int | None, pair: tuple[str, str], bulk: bool, out: Path, record: Record
) -> None:
    """Real test windows, normal and anomalous, `most` of each recording, then the adversarial ones."""
    detector, part = learnt
    assert detector.folder
    real = gather_windows(part.test_normal + part.test_anomaly, detector.spec, most)
    windows = np.concatenate([real, adversarial_windows(detector.spec)])
    image = build(detector.folder, pair[0], out, compiler=pair[1]).image
    with open_device(f"board:{pair[0]}", image=image) as device:
        outcome = verify(detector, windows, device, bulk=bulk)
    record("parity_pair", pair)
    record("parity_way", "file" if bulk else "link")
    record("parity_windows", outcome.windows)
    record("parity_differing_bits", sum(outcome.differing_bits.values()))
    assert outcome.first_difference is None
    assert outcome.equal and outcome.windows == len(windows)


@pytest.mark.parametrize(("name", "compiler", "protocol", "kind"), cases(*FILES))
def test_every_bit_of_every_window(
    recordings: Path, protocol: str, kind: str, name: str, compiler: str, tmp_path: Path, record_property: Record
) -> None:
    most = None if ENDURANCE else PROTOCOLS[protocol][1]
    learnt = learn(recordings, protocol, kind, size_on(name, protocol))
    compare(learnt, most, (name, compiler), True, tmp_path, record_property)


@pytest.mark.parametrize(("name", "compiler", "kind"), cases(*LINKS))
def test_every_bit_over_the_link(
    recordings: Path, kind: str, name: str, compiler: str, tmp_path: Path, record_property: Record
) -> None:
    learnt = learn(recordings, LINK_PROTOCOL, kind, size_on(name, LINK_PROTOCOL))
    compare(learnt, LINK_WINDOWS, (name, compiler), False, tmp_path, record_property)
