"""Specs and windows on which the oracle and the C core are compared: random, adversarial and real ones."""

from __future__ import annotations

import itertools
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyberhans.spec import FRAME_LENGTHS, MAX_BANDS, MAX_FEATURES, Family, Frame, Spec, band_edges

Samples = NDArray[np.int16]
SCALES = ("log", "linear", "mel")
RATE_HZ = 16000.0
LOW, HIGH = -32768, 32767


def spec_for(lengths: tuple[int, ...], channels: int, families: Family, scale: str, window: int, hop: int) -> Spec:
    """A Spec with as many bands as 255 features allow, evenly over its frame lengths."""
    per_band = channels * (1 + (Family.SPREAD in families))
    if Family.DIFFERENCES in families:
        per_band += 3 if channels == 3 else channels - 1
    free = MAX_FEATURES - 3 * channels * ((Family.LEVEL in families) + (Family.STEPS in families))
    most = free // (per_band * len(lengths))
    frames = tuple(
        Frame(length, band_edges(length, RATE_HZ, min(most, MAX_BANDS, length // 2 - 2), scale)) for length in lengths
    )
    return Spec(round(RATE_HZ * 1000), channels, window, hop, families, frames)


def specs() -> list[Spec]:
    """Every frame length and pair of lengths twice; channels, families, scales, window and hop take turns."""
    singles = [(length,) for length in FRAME_LENGTHS]
    lengths = [*singles, *itertools.combinations(FRAME_LENGTHS, 2)] * 2
    found = []
    for i, chosen in enumerate(lengths):
        window = max(128, chosen[-1]) + (0, 1, 37, chosen[-1] // 2, chosen[-1])[i % 5]
        hop = window + (0, 0, 1, 999)[i % 4]
        found.append(spec_for(chosen, 1 + (i + i // 21) % 6, Family((i * 5 + 15) % 16), SCALES[i % 3], window, hop))
    return found


def frames_at_the_bounds() -> list[Frame]:
    """Band edges as narrow, as wide, as many and as far up as SPEC.md section 2 allows."""
    return [
        Frame(64, (1, 2, 3)),
        Frame(64, (30, 31, 32)),
        Frame(64, tuple(range(1, 33))),
        Frame(2048, (1, 1023, 1024)),
        Frame(2048, (1, 2, 1024)),
        Frame(256, (*range(1, 65), 127, 128)),
        Frame(1024, (510, 511, 512)),
    ]


def adversarial(n: int) -> Samples:
    """Windows of one channel that reach for a bound, (k, n)."""
    i = np.arange(n)
    rng = np.random.default_rng(n)
    rows = [np.full(n, value) for value in (0, 1, -1, LOW, HIGH)]
    rows += [np.where(i // half % 2, LOW, HIGH) for half in (1, 2, 3, 4, 7, 8, 16, 33, 64, 512)]
    rows += [np.where(i == at, value, 0) for at in (0, 1, n // 2, n - 1) for value in (1, -1, LOW, HIGH)]
    rows += [i % 2, np.where(i % 2, LOW, 0), i * 257 % 65536 + LOW, *np.linspace((LOW, HIGH), (HIGH, LOW), n).T]
    rows += [np.clip(80000 * np.sin(2 * np.pi * f * i), LOW, HIGH) for f in (1 / 64, 0.01, 0.123, 0.25, 0.499)]
    # the pattern that drives one bin, and the partial sums towards it, as high as samples can
    turns = rng.uniform(0, 0.5, 12)[:, np.newaxis] * i + rng.uniform(0, 1, 12)[:, np.newaxis]
    rows += list(np.where(np.cos(2 * np.pi * turns) < 0, LOW, HIGH))
    rows += list(rng.choice([LOW, HIGH], (4, n))) + list(rng.integers(LOW, HIGH + 1, (4, n))) + [rng.integers(0, 2, n)]
    return np.array(rows).astype(np.int16)


def random_windows(count: int, n: int, channels: int, seed: int) -> Samples:
    """Noise, tones, bursts and offsets at every level, a fifth of the channels adversarial: (count, n, channels)."""
    rng = np.random.default_rng(seed)
    rows = count * channels
    level = 2.0 ** rng.uniform(-1, 16, (rows, 1))
    turns = rng.uniform(0, 0.5, (rows, 1)) * np.arange(n) + rng.uniform(0, 1, (rows, 1))
    tone = rng.choice([0, 0, 1, 1], (rows, 1)) * np.sin(2 * np.pi * turns)
    burst = rng.choice([0, 8], (rows, 1)) * (rng.uniform(size=(rows, n)) < 0.01)
    noise = rng.choice([0, 0.001, 0.3], (rows, 1)) * rng.standard_normal((rows, n))
    offset = rng.choice([0, 0, 0, 1], (rows, 1)) * rng.uniform(LOW, HIGH, (rows, 1))
    x = np.clip(np.rint(level * (tone + burst + noise) + offset), LOW, HIGH).astype(np.int16)
    hard = adversarial(n)
    chosen = rng.uniform(size=rows) < 0.2
    x[chosen] = hard[rng.integers(0, len(hard), chosen.sum())]
    return np.ascontiguousarray(x.reshape(count, channels, n).transpose(0, 2, 1))


def wav_samples(path: Path) -> Samples:
    """All samples of an int16 WAV, (n, channels)."""
    with wave.open(str(path)) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        return data.reshape(-1, file.getnchannels())


def real_windows(recordings: Path, n: int, count: int) -> Iterator[tuple[Path, Samples]]:
    """Of every recording up to `count` windows of n samples, evenly spread: (k, n, channels). Segment borders are not
    heeded: a jump inside a window is as good as any other input here."""
    for path in sorted(recordings.rglob("*.wav")):
        x = wav_samples(path)
        if len(x) >= n:
            starts = np.unique(np.linspace(0, len(x) - n, count).astype(np.int64))
            yield path, np.stack([x[start : start + n] for start in starts])
