"""Repetition: a stored waveform that is played again and again looks like no machine, and misleads the other rules."""

from __future__ import annotations

from collections.abc import Iterator

from cyberhans.reason import Reason
from cyberhans.recording import Recording

PROBE = 64  # sample frames that no sensor gives twice


def period(recording: Recording) -> int:
    """Sample frames after which all that comes before the first gap repeats itself to the bit; 0: it does not."""
    end = recording.gaps[0].at if recording.gaps else recording.frames
    samples = recording.samples[: min(end, recording.segment_len)]
    if len(samples) < 2 * PROBE or (samples[:PROBE] == samples[0]).all(axis=0).any():
        return 0
    content, size = samples.tobytes(), samples[0].nbytes
    place = content.find(content[: PROBE * size], size)
    while place % size:  # found between two samples: -1 is none
        if place < 0:
            return 0
        place = content.find(content[: PROBE * size], place + 1)
    again = content[place:] == content[: len(content) - place]
    return place // size if again and place >= PROBE * size else 0


def repeated(recording: Recording, frames: int) -> Iterator[Reason]:
    if frames:
        yield Reason(f"repeats itself to the bit every {frames} samples ({frames / recording.rate_hz:.3g} s): a stored "
                     "waveform, not a machine; capture from a sensor, or play a longer recording")  # fmt: skip
