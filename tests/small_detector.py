"""A small detector for tests of the link: its model is a few lines of integer C, so nothing has to be trained."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyberhans import boards
from cyberhans.alarm import NEVER_IDLE, Alarm
from cyberhans.build import build
from cyberhans.core import Core
from cyberhans.detector import Detector, Model
from cyberhans.spec import Family, Spec, design, size_for_ram

_SCRATCH = tempfile.TemporaryDirectory(prefix="cyberhans-test-")

MODEL = """\
#include <stdint.h>

#define CENTRE {centre}

int32_t hans_toy_entry(const int16_t *features, uint32_t *parts)
{{
    for (int i = 0; i < {features}; i++) {{
        int32_t away = features[i] - CENTRE;
        parts[i] = (uint32_t)(away * away);
    }}
    return 0;
}}
"""


def small_spec(channels: int = 3, size: str = "small", rate_hz: float = 20_000, segment_len: int = 1024) -> Spec:
    """Of design(); that of few bands with the channels' differences too, so that all families but spread are there."""
    spec = design(size, rate_hz, channels, segment_len)
    few = channels > 1 and size != "full"
    return replace(spec, families=spec.families | Family.DIFFERENCES) if few else spec


def noise(spec: Spec, count: int, seed: int = 1) -> NDArray[np.int16]:
    """Windows of coloured noise with a tone: int16 (count, window, channels)."""
    random = np.random.default_rng(seed)
    raw = random.normal(0, 1500, (count, spec.window, spec.channels)).cumsum(axis=1) / 20
    tone = 2000 * np.sin(np.arange(spec.window) * 0.3)[None, :, None]
    return np.clip(raw + tone + random.normal(0, 200, raw.shape), -32768, 32767).astype(np.int16)


def steady_alarm(centre: NDArray[np.int16], **changes: object) -> Alarm:
    """3 of 5 votes and a change of 0.1 octave raise it."""
    settings = Alarm(
        of=5, raise_at=3, clear_at=1, fast=2, slow=0, change=26, rise=0, idle=NEVER_IDLE, full_scale=0, reach=512,
        clipped=0, moved=0, gravity=(0, 0, 0), centre=centre, limit=np.zeros_like(centre),
    )  # fmt: skip
    return replace(settings, **changes)  # type: ignore[arg-type]


def small_detector(folder: Path, spec: Spec | None = None, centre: int = 3000, uncalibrated: bool = False,
                   alarm: Alarm | None = None) -> Detector:  # fmt: skip
    """Saved to `folder`; its threshold lies in the middle of the golden windows' scores. Its alarm logic judges, but
    follows nothing, unless another is given: so scores depend on their window alone."""
    spec = spec or small_spec()
    model = Model(MODEL.format(centre=centre, features=spec.features), "hans_toy", spec.features, 0, plain=True)
    golden = noise(spec, 5, seed=7)
    features = Core(spec).features(golden)
    alarm = alarm or steady_alarm(features.mean(axis=0).round().astype(np.int16))
    parts = (features.astype(np.int64) - centre) ** 2
    score = np.round(65536 * (np.log2(parts.mean(axis=1)) - 12)).astype(np.int32)
    made = Detector(
        spec=spec, kind="gaussian", model=model, threshold=int(np.median(score)), uncalibrated=uncalibrated,
        false_alarm_rate=0.01, arrays={}, golden=golden, golden_features=features, golden_score=score,
        provenance={"windows": 5, "recordings": [], "decision": {"votes": 7, "needed": 4, "every_s": 10.0}},
        alarm=alarm,
    )  # fmt: skip
    saved = made.save(folder)
    score = saved.core().run(golden).score  # the model's own, which the estimate above is near
    return replace(saved, golden_score=score, threshold=int(np.median(score))).save(folder)


@cache
def small_image(board: str = "native", centre: int = 3000) -> tuple[Detector, Path]:
    """A small detector and its firmware for `board`, once per run of the tests; tiny where small does not fit."""
    folder = Path(_SCRATCH.name) / f"{board}{centre}"
    tiny = size_for_ram(boards.board(board).ram_bytes) == "tiny"
    detector = small_detector(folder / "detector", small_spec(size="tiny" if tiny else "small"), centre=centre)
    return detector, build(folder / "detector", board, folder / "build").image
