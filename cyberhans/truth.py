"""The truth guard: generated C compiled here and compared with scikit-learn, in floats before any rounding."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from cyberhans.core import firmware_dir, load_library
from cyberhans.detector import Model
from cyberhans.detectors import Features, Fitted, mean_part
from cyberhans.detectors.forest import Forest
from cyberhans.errors import CyberHansError

SCORE_LIMIT = 1e-6  # forest: scikit-learn's anomaly score, absolute
PART_LIMIT = 1e-3  # autoencoder, gaussian: mean part, relative, at the 99.9th percentile
STRANGE = 8  # windows this many times as far from the mean are compared too

_EXPOSED = """
void truth(const int16_t *features, long rows, long width, float *values, long count);
void truth(const int16_t *features, long rows, long width, float *values, long count)
{
    for (long row = 0; row < rows; row++) {
        const float *value = %s_values(features + row * width);
        for (long i = 0; i < count; i++) {
            values[row * count + i] = value[i];
        }
    }
}
"""


def compare(fitted: Fitted, model: Model, features: Features) -> dict[str, Any]:
    """How far `model` is from what it was made of, on (k, n) real windows and on the same, made strange.

    Raises CyberHansError beyond the limits above. Gives the windows, the largest errors and the limit.
    """
    seen = np.concatenate([features, _strange(features)])
    values = run(model, seen).astype(np.float64)
    wanted = np.exp2(fitted.score(seen))
    if isinstance(fitted, Forest):
        errors = np.abs(np.exp2(-values[:, 0] / fitted.typical_path) - wanted)
        found, limit = float(errors.max()), SCORE_LIMIT
    else:
        errors = np.abs(mean_part(values) - wanted) / wanted
        found, limit = float(np.percentile(errors, 99.9)), PART_LIMIT
    if not found <= limit:  # not a number is an error too
        raise CyberHansError(f"the C differs from scikit-learn by {found:.2g}, more than {limit:g}: it is not emitted")
    return {"windows": len(seen), "error": found, "largest_error": float(errors.max()), "limit": limit}


def run(model: Model, features: Features) -> npt.NDArray[np.float32]:
    """The model's own floats before any rounding: float32 (k, parts), or (k, 1) path lengths of a forest."""
    library = load_library([model.text + _EXPOSED % model.prefix], [firmware_dir() / "core"])
    rows = np.ascontiguousarray(features, np.int16)
    values = np.zeros((len(rows), model.parts or 1), np.float32)
    library.truth(rows.ctypes.data_as(ctypes.c_void_p), ctypes.c_long(len(rows)), ctypes.c_long(rows.shape[1]),
                  values.ctypes.data_as(ctypes.c_void_p), ctypes.c_long(values.shape[1]))  # fmt: skip
    return values


def _strange(features: Features) -> Features:
    mean = features.mean(axis=0)
    moved: Features = np.clip(np.rint(mean + STRANGE * (features - mean)), -32768, 32767).astype(np.int16)
    return moved
