"""A detector whose alarm logic uses all it has, and windows that bring each of its states. Its model is a few lines of
integer C."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyberhans.alarm import Alarm
from cyberhans.core import Core
from cyberhans.detector import Detector, Model
from cyberhans.recording import Recording, save_recording
from cyberhans.spec import Family, Frame, Spec, band_edges

Windows = NDArray[np.int16]
RATE_HZ = 16_000.0
SPEC = Spec(
    round(RATE_HZ * 1000), 3, 128, 128, Family.LEVEL, (Frame(64, band_edges(64, RATE_HZ, 8)),)
)  # 125 windows a second
GRAVITY = np.array([0, 0, 8000])
TILTED = np.array([0, 800, 7960])  # by 5.7 degrees
NOISE = 300  # LSB
FULL_SCALE = 20_000
KINDS = ("healthy", "louder", "worn", "off", "tilted", "stuck", "clipped")

_MODEL = """\
#include <stdint.h>

static const int16_t centre[] = {{{centre}}};

int32_t hans_watched_entry(const int16_t *features, uint32_t *parts)
{{
    for (int i = 0; i < {features}; i++) {{
        int32_t away = features[i] - centre[i];
        parts[i] = (uint32_t)(away * away);
    }}
    return 0;
}}
"""


def windows(kind: str, count: int, seed: int = 0) -> Windows:
    """int16 (count, 128, 3). louder: all bands by an octave, within reach of a new baseline; worn: by four."""
    random = np.random.default_rng((KINDS.index(kind), seed))
    shape = (count, SPEC.window, SPEC.channels)
    size = {"louder": 2**0.5, "worn": 4.0, "off": 0.002}.get(kind, 1.0) * NOISE
    made = random.normal(0, size, shape) + (TILTED if kind == "tilted" else GRAVITY)
    if kind == "stuck":
        made[:, :, 1] = 17
    if kind == "clipped":
        made[:, ::8, 0] = FULL_SCALE
    return np.clip(made.round(), -FULL_SCALE, FULL_SCALE).astype(np.int16)


def script(parts: Iterable[tuple[str, int]], seed: int = 0) -> Windows:
    """One after the other."""
    return np.concatenate([windows(kind, count, seed + place) for place, (kind, count) in enumerate(parts)])


def watched_detector(folder: Path, slow: int = 6) -> Detector:
    """Learnt from 200 healthy windows, saved to `folder`."""
    healthy = windows("healthy", 200, seed=99)
    features = Core(SPEC).features(healthy).astype(float)
    centre = features.mean(axis=0).round().astype(np.int16)
    score = 65536 * (np.log2(((features - centre) ** 2).mean(axis=1)) - 12)
    level = SPEC.feature_names.index("c0.level")
    alarm = Alarm(
        of=7, raise_at=5, clear_at=1, fast=2, slow=slow, change=26, rise=640, idle=int(features[:, level].min()) - 1024,
        full_scale=FULL_SCALE, reach=512, clipped=8, moved=round(np.sin(np.radians(2)) ** 2 * 2**20),
        gravity=(0, 0, 8000), centre=centre,
        limit=np.maximum(3 * features.std(axis=0), 38).round().astype(np.int16),
    )  # fmt: skip
    model = Model(
        _MODEL.format(centre=", ".join(map(str, centre)), features=SPEC.features), "hans_watched", SPEC.features, 0
    )
    made = Detector(
        spec=SPEC, kind="gaussian", model=model, threshold=round(score.max()) + 16384, uncalibrated=False,
        false_alarm_rate=0.01, arrays={}, golden=healthy[:5], golden_features=features[:5].astype(np.int16),
        golden_score=score[:5].round().astype(np.int32), alarm=alarm,
        provenance={"windows": 200, "recordings": [], "decision": {"votes": 7, "needed": 4, "every_s": 10.0}},
    )  # fmt: skip
    saved = made.save(folder)
    return replace(saved, golden_score=saved.core().run(saved.golden).score).save(folder)


def recorded(folder: Path, made: Windows) -> Path:
    """The windows as a recording, for board:native,play=."""
    recording = Recording(made.reshape(-1, SPEC.channels), RATE_HZ, unit="g", scale=16 / 32768, full_scale=FULL_SCALE)
    return save_recording(recording, folder / "played.wav").path or folder
