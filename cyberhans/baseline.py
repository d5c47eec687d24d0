"""Baseline: the windows of a machine's normal recordings in which it runs; what a detector learns from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cyberhans.core import Core, Results
from cyberhans.decision import interval_s
from cyberhans.detectors import Features
from cyberhans.idle import idle_level_of, running
from cyberhans.recording import Recording
from cyberhans.spec import Spec

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Baseline:
    """Of each recording its windows (k, n, channels) without a pause between them, and what the core says of them.

    idle  below this the loudest channel's level says that the machine is off, 1/256 octave; None: no levels
    """

    spec: Spec
    recordings: Sequence[Recording]
    windows: Sequence[Samples]
    results: Sequence[Results]
    idle: int | None

    @classmethod
    def of(cls, recordings: Sequence[Recording], spec: Spec) -> Baseline:
        """However seldom a node will look (spec.hop), all that was recorded is learnt from."""
        dense = dataclasses.replace(spec, hop=spec.window)
        windows = [recording.windows(dense) for recording in recordings]
        core = Core(dense)
        results = [core.run(part) for part in windows]
        return cls(dense, recordings, windows, results, idle_level_of(dense, [part.features for part in results]))

    @property
    def at_work(self) -> list[npt.NDArray[np.bool_]]:
        """Of each recording (k,): whether the machine runs."""
        return [running(self.spec, part.features, self.idle) for part in self.results]

    @property
    def counts(self) -> list[int]:
        """Of each recording how many windows are learnt from."""
        return [int(kept.sum()) for kept in self.at_work]

    @property
    def features(self) -> Features:
        """(k, features) of all windows that are learnt from, recording by recording."""
        return np.concatenate([part.features[kept] for part, kept in zip(self.results, self.at_work, strict=True)])

    @property
    def session_of(self) -> npt.NDArray[np.intp]:
        """(k,) the number of each learnt window's session.

        Recordings of one session, and parts of one file, are alike: they have one number. Where a session is not named
        every file is taken for one.
        """
        numbers: dict[object, int] = {}
        keys = [(part.machine, part.session) if part.session else part.sha256 or place
                for place, part in enumerate(self.recordings)]  # fmt: skip
        return np.repeat([numbers.setdefault(key, len(numbers)) for key in keys], self.counts)

    @property
    def interval_s(self) -> float:
        """Seconds on the clock from window to window."""
        return interval_s(self.recordings[0], self.spec)

    def window(self, place: int) -> Samples:
        """(n, channels) of the learnt window with that number."""
        chosen: Samples = np.concatenate(self.windows)[np.flatnonzero(np.concatenate(self.at_work))[place]]
        return chosen
