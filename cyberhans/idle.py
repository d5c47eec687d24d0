"""Idle: windows in which the machine is off, told by how loud it is; neither learnt from nor judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cyberhans.errors import CyberHansError
from cyberhans.spec import Family, Spec

DROP = 4 * 256  # 1/256 octave of power, 12 dB: so far below its usual level no machine runs

Features = npt.NDArray[np.int16]


def loudest(spec: Spec, features: Features) -> Features | None:
    """(k, features) to (k,): the level of each window's loudest channel, 1/256 octave; None without that family."""
    if Family.LEVEL not in spec.families:
        return None
    places = [spec.feature_names.index(f"c{channel}.level") for channel in range(spec.channels)]
    levels: Features = features[:, places].max(axis=1)
    return levels


def idle_level(levels_by_recording: Sequence[Features]) -> int:
    """DROP below the level that three quarters of the quietest recording's windows stay below, 1/256 octave.

    levels_by_recording: loudest() of each training recording, none empty. A recording may be off for most of its time.
    """
    usual = min(float(np.percentile(levels, 75)) for levels in levels_by_recording)
    return int(np.floor(usual)) - DROP


def running(spec: Spec, features: Features, level: int | None) -> npt.NDArray[np.bool_]:
    """(k,): False where the loudest channel lies below `level`; all True where that is None."""
    levels = loudest(spec, features)
    if level is None or levels is None:
        return np.ones(len(features), np.bool_)
    return levels >= level


def idle_level_of(spec: Spec, features_by_recording: Sequence[Features]) -> int | None:
    """idle_level() of training recordings' features, each (k, features) with k > 0; None without levels."""
    levels = [loudest(spec, features) for features in features_by_recording if len(features)]
    found = [part for part in levels if part is not None]
    return idle_level(found) if found else None


def all_idle(name: str) -> CyberHansError:
    return CyberHansError(f"{name}: the machine is off in all windows, by their level: record it at work")
