"""The detectors that mutants of the firmware are tried with: small ones of a toy model, so that nothing has to be
trained, and three trained on the demo set, whose models have leaves and floats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyberhans.core import firmware_dir
from cyberhans.dataset import load_protocol
from cyberhans.detector import Detector
from cyberhans.spec import Family, Spec, design
from cyberhans.train import train
from tests.small_detector import small_detector, small_spec
from tests.watched import GRAVITY, Windows, script, watched_detector, windows

MACHINE = "pump"
# Golden windows of the subject `states`: all that its alarm logic can say, one after the other.
STATES = (("healthy", 20), ("worn", 20), ("healthy", 25), ("tilted", 10), ("healthy", 15), ("stuck", 3), ("clipped", 3),
          ("off", 8), ("healthy", 5), ("louder", 40), ("healthy", 20))  # fmt: skip
SOFTER = 20  # windows at half the amplitude: votes, and no rise
WAVERING = 24  # windows that waver about the healthy ones by two octaves: votes, and less change than asked for
CHANGE = 150  # 1/256 octave
LONG = 16_384  # samples: five windows are more than 2^16


def subject(name: str, folder: Path) -> Detector:
    """The detector of that name, saved to `folder`."""
    if name in TOYS:
        return _scored(small_detector(folder, TOYS[name]()), folder)
    return _states(folder) if name == "states" else _trained(name, folder)


def _full() -> Spec:
    """Two frame lengths, and the family spread."""
    made = small_spec(1, "full")
    return replace(made, families=made.families | Family.SPREAD)


def _long() -> Spec:
    return replace(small_spec(1, "tiny"), window=LONG, hop=LONG)


def _gap() -> Spec:
    """Samples between windows that are skipped."""
    return replace(small_spec(size="tiny"), hop=1100)


TOYS: dict[str, Callable[[], Spec]] = {
    "small": small_spec,
    "tiny": lambda: small_spec(size="tiny", rate_hz=4000),  # which a Cortex-M0 keeps up with
    "full": _full,
    "long": _long,
    "gap": _gap,
}
SUBJECTS = (*TOYS, "states", "gaussian", "autoencoder", "forest")


def _scored(made: Detector, folder: Path) -> Detector:
    """With the core's own golden scores, and the first of them as threshold: so > and >= differ."""
    score = made.core().run(made.golden).score
    return replace(made, golden_score=score, threshold=int(score[0])).save(folder)


def _scaled(gain: NDArray[np.float64]) -> Windows:
    """Healthy windows, each with its gain."""
    return ((windows("healthy", len(gain)) - GRAVITY) * gain[:, None, None] + GRAVITY).round().astype(np.int16)


def _golden() -> Windows:
    healthy, softer = windows("healthy", 20), np.full(SOFTER, 0.5)
    wavering = 2.0 ** np.where(np.arange(WAVERING) % 2, 1.0, -1.0)
    return np.concatenate([script(STATES), _scaled(softer), healthy, _scaled(wavering), healthy])


def _states(folder: Path) -> Detector:
    made, golden = watched_detector(folder), _golden()
    assert made.alarm
    alone = made.core().run(golden)
    return replace(made, alarm=replace(made.alarm, change=CHANGE), golden=golden, golden_features=alone.features,
                   golden_score=alone.score).save(folder)  # fmt: skip


def _trained(kind: str, folder: Path) -> Detector:
    recordings = load_protocol(firmware_dir().parent / "recordings" / "demo", MACHINE).train
    first = recordings[0]
    spec = design("tiny", first.rate_hz, first.channels, first.segment_len)
    return train(recordings, kind=kind, spec=spec, false_alarm_rate=0.05, seed=0).save(folder)
