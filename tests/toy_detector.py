"""A detector folder whose model is a few lines of integer C, known here too: it shows the core's score and verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracle

from cyberhans.spec import Spec
from cyberhans.tables import emit_tables, spec_symbol

CENTRE, FACTOR = 1500, 1021

_MODEL = """\
#include "hans.h"

int32_t toy_entry(const int16_t *features, uint32_t *parts);

int32_t toy_entry(const int16_t *features, uint32_t *parts)
{{
    for (int i = 0; i < {features}; i++) {{
        int32_t residual = features[i] - {centre};
        parts[i] = (uint32_t)(residual * residual) * {factor}u;
    }}
    return 0;
}}
"""

_DETECTOR = """\
#include "detector.h"

int32_t toy_entry(const int16_t *features, uint32_t *parts);

const struct hans_model toy_model = {{
    .magic = HANS_MODEL_MAGIC, .interface = HANS_INTERFACE, .kind = HANS_PARTS, .spec = {{{digest}}},
    .features = {features}, .parts = {features}, .threshold = {threshold}, .entry = toy_entry,
}};
"""

_HEADER = """\
#include "hans.h"
extern const struct hans_spec {symbol};
extern const struct hans_model toy_model;
#define HANS_DETECTOR_SPEC {symbol}
#define HANS_DETECTOR_MODEL toy_model
"""


def write(folder: Path, spec: Spec, threshold: int) -> Path:
    """Write tables.c, model.c, detector.c and detector.h."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = ", ".join(str(byte) for byte in spec.digest)
    (folder / "tables.c").write_text(emit_tables(spec))
    (folder / "model.c").write_text(_MODEL.format(features=spec.features, centre=CENTRE, factor=FACTOR))
    (folder / "detector.c").write_text(_DETECTOR.format(digest=digest, features=spec.features, threshold=threshold))
    (folder / "detector.h").write_text(_HEADER.format(symbol=spec_symbol(spec)))
    return folder


def score(features: oracle.Samples) -> int:
    """What the core must make of one window's features."""
    residuals = features.astype(np.int64) - CENTRE
    return oracle.score([int(part) for part in (residuals**2 * FACTOR) & 0xFFFFFFFF])
