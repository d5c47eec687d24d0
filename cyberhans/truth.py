"""The truth guard: generated C compiled here and compared with what it was made from, in floats before any rounding."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from cyberhans.core import firmware_dir, load_library
from cyberhans.detector import Model
from cyberhans.detectors import PART_STEP, Features, Fitted, Reals, log2_mean
from cyberhans.detectors.forest import Forest
from cyberhans.detectors.gaussian import Gaussian
from cyberhans.errors import CyberHansError

SCORE_LIMIT = 1e-6  # forest: scikit-learn's anomaly score, absolute
PART_LIMIT = 1e-3  # autoencoder: a head's mean square, relative, at the 99.9th percentile
ROUNDING_LIMIT = 0.25  # gaussian: octaves of the score, against float64 before any rounding
MOST_SQUARE = 2.0**12  # of a head, in deviations; above 2^20 / features its part saturates
STRANGE = 8  # windows this many times as far from the mean are compared too

_VALUES = """
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
_PARTS = """
void truth(const int16_t *features, long rows, long width, uint32_t *parts, long count);
void truth(const int16_t *features, long rows, long width, uint32_t *parts, long count)
{
    for (long row = 0; row < rows; row++) {
        %s_entry(features + row * width, parts + row * count);
    }
}
"""


def compare(fitted: Fitted, model: Model, features: Features) -> dict[str, Any]:
    """How far `model` is from what it was made of, on (k, n) real windows and on the same, made strange.

    Raises CyberHansError beyond the limits above, and where a gaussian's C is not NumPy's integers bit for bit. Gives
    the windows, the largest errors and the limit.
    """
    seen = np.concatenate([features, _strange(features)])
    if isinstance(fitted, Gaussian):
        errors, limit = _rounding(fitted, model, seen), ROUNDING_LIMIT
        found = float(errors.max())
    elif isinstance(fitted, Forest):
        paths = run(model, seen).astype(np.float64)[:, 0]
        errors, limit = np.abs(np.exp2(-paths / fitted.typical_path) - np.exp2(fitted.score(seen))), SCORE_LIMIT
        found = float(errors.max())
    else:
        wanted = np.exp2(fitted.score(seen))
        errors, limit = np.abs(np.exp2(log2_mean(run(model, seen).astype(np.float64))) - wanted) / wanted, PART_LIMIT
        found = float(np.percentile(errors, 99.9))
    if not found <= limit:  # not a number is an error too
        raise CyberHansError(f"the C differs from its source by {found:.2g}, more than {limit:g}: it is not emitted")
    return {"windows": len(seen), "error": found, "largest_error": float(errors.max()), "limit": limit}


def _rounding(fitted: Gaussian, model: Model, seen: Features) -> Reals:
    """How many octaves the integers are from float64, which knows no limits; what saturates in either is left out."""
    parts = run_parts(model, seen)
    if not np.array_equal(parts, fitted.parts(seen)):
        raise CyberHansError("the C of the gaussian differs from NumPy's integers: it is not emitted")
    squares = fitted.squares(seen)
    within = (squares < MOST_SQUARE).all(axis=1)
    errors: Reals = np.abs(log2_mean(parts.astype(np.float64) * PART_STEP) - log2_mean(squares))[within]
    return errors if len(errors) else np.zeros(1)


def run(model: Model, features: Features) -> npt.NDArray[np.float32]:
    """The model's own floats before any rounding: float32 (k, heads), or (k, 1) path lengths of a forest."""
    return _run(model, features, _VALUES, np.zeros((len(features), model.parts or 1), np.float32))


def run_parts(model: Model, features: Features) -> npt.NDArray[np.uint32]:
    """What its entry fills: (k, heads), Q12."""
    return _run(model, features, _PARTS, np.zeros((len(features), model.parts), np.uint32))


def _run(model: Model, features: Features, call: str, found: npt.NDArray[Any]) -> npt.NDArray[Any]:
    library = load_library([model.text + call % model.prefix], [firmware_dir() / "core"])
    rows = np.ascontiguousarray(features, np.int16)
    library.truth(rows.ctypes.data_as(ctypes.c_void_p), ctypes.c_long(len(rows)), ctypes.c_long(rows.shape[1]),
                  found.ctypes.data_as(ctypes.c_void_p), ctypes.c_long(found.shape[1]))  # fmt: skip
    return found


def _strange(features: Features) -> Features:
    mean = features.mean(axis=0)
    moved: Features = np.clip(np.rint(mean + STRANGE * (features - mean)), -32768, 32767).astype(np.int16)
    return moved
