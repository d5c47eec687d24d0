"""Watch: one instance of the C core that goes on from window to window, and what it makes of the machine's state."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cyberhans.alarm import Outcome, Reset
from cyberhans.errors import CyberHansError

Samples = NDArray[np.int16]


class Verdict(ctypes.Structure):
    """struct hans_verdict."""

    _fields_ = (
        ("window", ctypes.c_uint32),
        ("first", ctypes.c_uint32),
        ("score", ctypes.c_int32),
        ("threshold", ctypes.c_int32),
        ("anomaly", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("mean", ctypes.c_int16 * 6),
        ("state", ctypes.c_uint8),
        ("votes", ctypes.c_uint8),
        ("reasons", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8),
        ("change", ctypes.c_int16),
        ("rise", ctypes.c_int16),
    )


class _Baseline(ctypes.Structure):
    _fields_ = (
        ("revision", ctypes.c_uint32),
        ("gathered", ctypes.c_uint16),
        ("wanted", ctypes.c_uint16),
        ("change", ctypes.c_uint16),
        ("outcome", ctypes.c_uint8),
        ("alarmed", ctypes.c_uint8),
    )


@dataclass(frozen=True)
class Baseline:
    """How the last re-baselining goes or went: struct hans_baseline; change in 1/256 octave."""

    revision: int
    gathered: int
    wanted: int
    change: int
    outcome: Outcome
    alarmed: bool


@dataclass(frozen=True, eq=False)
class Watched:
    """Of k windows in turn: features int16 (k, f), score int32 (k,), mean int16 (k, channels); verdict, state, votes,
    reasons uint8 (k,); change, rise int16 (k,), in 1/256 octave."""

    features: NDArray[np.int16]
    score: NDArray[np.int32]
    verdict: NDArray[np.uint8]
    mean: NDArray[np.int16]
    state: NDArray[np.uint8]
    votes: NDArray[np.uint8]
    reasons: NDArray[np.uint8]
    change: NDArray[np.int16]
    rise: NDArray[np.int16]


class Instance:
    """One struct hans and its work memory, kept alive together."""

    def __init__(self, c: Any, size: int, spec: ctypes.c_void_p, model: ctypes.c_void_p) -> None:
        """Raises CyberHansError if the core refuses the detector."""
        self.c = c
        work_size = c.hans_work_size(spec)
        self.work = (ctypes.c_uint64 * (work_size // 8))()
        self.hans = (ctypes.c_uint64 * ((size + 7) // 8))()
        status = c.hans_init(self.hans, spec, model, self.work, work_size)
        if status != 0:
            raise CyberHansError(f"the core refuses the detector: {c.hans_error(status).decode()}; train it again")

    def window(self, samples: Samples) -> Verdict:
        """Of one whole window (n, channels), the next that the alarm logic sees."""
        verdict = Verdict()
        self.c.hans_restart(self.hans)
        used = self.c.hans_push(self.hans, samples.ctypes.data, len(samples))
        judged = self.c.hans_poll(self.hans, ctypes.byref(verdict))
        if used != len(samples) or judged != 1:
            raise AssertionError("the core did not finish a window with its last sample")
        return verdict

    def reset(self, how: Reset = Reset.AS_BUILT) -> int:
        """HANS_OK, or HANS_E_ALARM without alarm settings."""
        return int(self.c.hans_reset(self.hans, how))


class Watch:
    """A machine watched without a gap, as a device does it; begins as built. Made by Core.watch()."""

    def __init__(
        self, instance: Instance, features: int, turn: threading.Lock, checked: Callable[[ArrayLike], Samples]
    ) -> None:
        self._instance, self._count, self._turn, self._checked = instance, features, turn, checked

    def run(self, windows: ArrayLike) -> Watched:
        """int16 windows (k, n, channels), the next k in turn."""
        samples, c = self._checked(windows), self._instance.c
        features = np.zeros((len(samples), self._count), np.int16)
        verdicts = []
        for window, row in zip(samples, features, strict=True):
            with self._turn:
                verdicts.append(self._instance.window(window))
                ctypes.memmove(row.ctypes.data, c.hans_features(self._instance.hans), row.nbytes)
        return _watched(verdicts, features, samples.shape[2])

    def rebaseline(self, windows: int) -> None:
        """Gather the next `windows` (2 to 4096): hans_rebaseline."""
        if not 2 <= windows <= 4096:
            raise CyberHansError(f"{windows} windows: re-baseline on 2 to 4096")
        self._call("hans_rebaseline", windows)

    def undo(self) -> None:
        """Back to the baseline before; stops a re-baselining under way instead."""
        self._call("hans_undo")

    def reset(self, how: Reset = Reset.AS_BUILT) -> None:
        """Forget, and how much."""
        self._call("hans_reset", how)

    def baseline(self) -> Baseline:
        told = _Baseline()
        self._call("hans_baseline", ctypes.byref(told))
        fields = {name: getattr(told, name) for name, _ in _Baseline._fields_}
        return Baseline(**fields | {"outcome": Outcome(told.outcome), "alarmed": bool(told.alarmed)})

    def save(self) -> bytes:
        """All that the alarm logic remembers (SPEC.md section 7.7); none without alarm settings."""
        size = ctypes.c_size_t()
        place = self._instance.c.hans_save(self._instance.hans, ctypes.byref(size))
        return ctypes.string_at(place, size.value) if place else b""

    def resume(self, saved: bytes) -> None:
        """Go on from what save() gave; CyberHansError if that is damaged or another detector's."""
        self._call("hans_resume", saved, len(saved))

    def _call(self, name: str, *arguments: Any) -> None:
        c = self._instance.c
        status = getattr(c, name)(self._instance.hans, *arguments)
        if status != 0:
            raise CyberHansError(f"{name.removeprefix('hans_')}: {c.hans_error(status).decode()}")


def _watched(verdicts: list[Verdict], features: NDArray[np.int16], channels: int) -> Watched:
    def column(name: str, kind: type[Any]) -> NDArray[Any]:
        return np.array([getattr(verdict, name) for verdict in verdicts], kind)

    return Watched(
        features=features,
        score=column("score", np.int32),
        verdict=column("anomaly", np.uint8),
        mean=np.array([verdict.mean[:channels] for verdict in verdicts], np.int16).reshape(len(verdicts), channels),
        state=column("state", np.uint8),
        votes=column("votes", np.uint8),
        reasons=column("reasons", np.uint8),
        change=column("change", np.int16),
        rise=column("rise", np.int16),
    )
