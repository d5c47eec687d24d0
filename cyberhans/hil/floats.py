"""Windows for models that compute in floats: those whose score tips where sums of floats are rounded otherwise.

A compiler that fuses products and sums, or reorders them, changes the last bits of a float32 sum. The rounding of parts
and score to integers hides that in all but one window of some hundred; so those are looked for on the host, with the
model compiled in each of the wrong ways beside the right one.
"""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyberhans.core import Core
from cyberhans.detector import Detector
from cyberhans.spec import Spec

Windows = NDArray[np.int16]
EACH = 4  # windows for each wrong way
SEARCHED = 128 << 20  # bytes of samples that are looked through at most
BLOCK = 4 << 20
OCTAVES = 3.0  # golden windows made louder or softer by so much, and noise of all sizes added
# What stands before the model's C. A compiler that does not know a pragma computes the right way, so that nothing tips.
WAYS = {
    "wider": "#define float double\n",
    "reordered": '#pragma GCC optimize("O3,associative-math,no-signed-zeros,no-trapping-math")\n',
    "fused": '#pragma GCC target("fma")\n#pragma GCC optimize("fp-contract=fast")\n',
}


def has_floats(detector: Detector) -> bool:
    """Whether its model computes in floats."""
    return bool(re.search(r"\bfloat\b", detector.model.text))


def tipping_windows(detector: Detector, seed: int = 0) -> Windows:
    """int16 (k, window, channels): EACH that tip for each of WAYS; where too few are found, others of their kind."""
    core, wrong = detector.core(), [_compiled(detector, WAYS[way]) for way in WAYS if way != "fused" or _fuses()]
    found: list[list[Windows]] = [[] for _ in wrong]
    others: list[Windows] = []
    for block in _candidates(detector.golden, detector.spec, np.random.default_rng(seed)):
        score = core.run(block).score
        for windows, other in zip(found, wrong, strict=True):
            windows.extend(block[other.run(block).score != score] if len(windows) < EACH else [])
        others = others or list(block)
        if all(len(windows) >= EACH for windows in found):
            break
    return np.stack([window for windows in found for window in (windows + others)[:EACH]])


def _compiled(detector: Detector, before: str) -> Core:
    """The host's core with this text before its model."""
    assert detector.folder
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("tables.c", "detector.c", "detector.h"):
            shutil.copy(detector.folder / name, folder)
        (folder / "model.c").write_text(before + detector.model.text)
        return Core(detector.spec, folder)


def _fuses() -> bool:
    """Whether this computer has the instruction that the pragma asks for."""
    try:
        known = re.search(r"^flags\s*:.*\bfma\b", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return False
    return platform.machine() == "x86_64" and known is not None


def _candidates(golden: Windows, spec: Spec, random: np.random.Generator) -> Iterator[Windows]:
    """Blocks of windows, BLOCK bytes each but at least EACH windows."""
    size, channels = spec.window, spec.channels
    count = max(EACH, BLOCK // (2 * size * channels))
    noise = random.normal(0, 1, (size * 4, channels)).astype(np.float32)
    for _ in range(max(1, SEARCHED // (2 * count * size * channels))):
        gain = 2.0 ** random.uniform(-OCTAVES, OCTAVES, (count, 1, 1)).astype(np.float32)
        added = 2.0 ** random.uniform(-1, 12, (count, 1, 1)).astype(np.float32)
        made = golden[random.integers(0, len(golden), count)] * gain
        made += np.stack([noise[first : first + size] for first in random.integers(0, 3 * size, count)]) * added
        yield np.clip(made.round(), -32768, 32767).astype(np.int16)
