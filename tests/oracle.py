"""The second implementation of SPEC.md, in NumPy, from that document alone: the firmware must give the same bits.

Nothing here is shared with the C or with the tables the host generates. Complex arrays carry real and imaginary part
in a leading axis of two; frames and windows are vectorised behind it. All data is int64 or uint64, powers of whole
sequences are Python integers, so nothing can overflow without SPEC.md being wrong.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cyberhans.spec import Family, Frame, Spec

Ints = NDArray[np.int64]
Powers = NDArray[np.uint64]
Samples = NDArray[np.int16]
SAMPLES, SPECTRUM, BANDS, FEATURES, SCORE, VERDICT, ALARM = range(7)

# --- Section 1.1: logarithm -----------------------------------------------------------------------------------------

LOG_TABLE = np.rint(65536 * np.log2(1 + np.arange(33) / 32)).astype(np.int64)
_LOG = [int(value) for value in LOG_TABLE]


def log16(v: int) -> int:
    """L16 of an integer of any size >= 0, in 1/65536 octave."""
    if v == 0:
        return 0
    n = v.bit_length() - 1
    u = v << (63 - n) if n <= 63 else v >> (n - 63)
    i, f = (u >> 58) & 31, (u >> 42) & 0xFFFF
    return n * 65536 + _LOG[i] + (((_LOG[i + 1] - _LOG[i]) * f) >> 16)


def log16_array(v: Powers) -> Ints:
    """L16 of every element of a uint64 array."""
    high, low = v >> np.uint64(32), v & np.uint64(0xFFFFFFFF)
    # frexp is exact below 2^53; its exponent is floor(log2) + 1
    n = np.where(high > 0, np.frexp(high.astype(np.float64))[1] + 31, np.frexp(low.astype(np.float64))[1] - 1)
    n = np.maximum(n, 0).astype(np.int64)
    u = v << (63 - n).astype(np.uint64)
    i = ((u >> np.uint64(58)) & np.uint64(31)).astype(np.int64)
    f = ((u >> np.uint64(42)) & np.uint64(0xFFFF)).astype(np.int64)
    value = n * 65536 + LOG_TABLE[i] + (((LOG_TABLE[i + 1] - LOG_TABLE[i]) * f) >> 16)
    return np.where(v > 0, value, 0)


def log8(v: Powers) -> Ints:
    """L8 of every element of a uint64 array, in 1/256 octave."""
    return (log16_array(v) + 128) >> 8


# --- Section 3: spectrum of one frame -------------------------------------------------------------------------------


@cache
def taper(length: int) -> Ints:
    """Hann, Q15."""
    turn = 2 * np.pi * np.arange(length) / length
    rising = np.rint(32768 * (0.5 - 0.5 * np.cos(turn))).astype(np.int64)[: length // 2]
    return np.concatenate((rising, 32768 - rising))


def q15(turns: NDArray[np.float64]) -> tuple[Ints, Ints]:
    """(c15, s15) of angles given in full turns."""
    angle = 2 * np.pi * turns
    cos, sin = np.rint(32768 * np.cos(angle)), np.rint(32768 * np.sin(angle))
    return cos.clip(-32768, 32767).astype(np.int64), sin.clip(-32768, 32767).astype(np.int64)


def digits(count: int, base: int) -> Ints:
    """r(p) for p = 0 ... base^count - 1: p with its digits reversed."""
    order = np.zeros(base**count, dtype=np.int64)
    rest = np.arange(base**count)
    for _ in range(count):
        order = order * base + rest % base
        rest = rest // base
    return order


def shape_of(length: int) -> tuple[int, int, int]:
    """(R, D, S) of section 3, from its rule (not from its table)."""
    log_half = length.bit_length() - 2
    first_log = 3 if log_half % 2 else 2
    stages = (log_half - first_log) // 2
    return 1 << first_log, stages, 15 - (log_half + 1) + stages


def mul(a: Ints, w: Ints) -> Ints:
    return (a * w) >> 16


def minus_j(a: Ints) -> Ints:
    return np.stack((a[1], -a[0]))


def turned(x: Ints, cos: Ints, sin: Ints) -> Ints:
    """x times cos - j sin, halved."""
    return np.stack((mul(x[0], cos) + mul(x[1], sin) + 1, mul(x[1], cos) - mul(x[0], sin)))


def crossed(even: Ints, even_difference: Ints, odd: Ints, odd_difference: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """The four outputs of a radix-4 butterfly from A, B, C, D."""
    spun = minus_j(odd_difference)
    return even + odd, even_difference + spun, even - odd, even_difference - spun


def dft4(a: Ints, b: Ints, c: Ints, d: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    return crossed(a + c, a - c, b + d, b - d)


def dft8(z: list[Ints]) -> list[Ints]:
    def rt(v: Ints) -> Ints:
        return 2 * ((v * 23170) >> 16)

    even, odd = dft4(*z[0::2]), dft4(*z[1::2])
    (r1, i1), (r3, i3) = odd[1], odd[3]
    turns = (
        odd[0],
        np.stack((rt(r1 + i1), rt(i1 - r1))),
        minus_j(odd[2]),
        np.stack((rt(i3 - r3), -rt(r3 + i3))),
    )
    return [e + t for e, t in zip(even, turns, strict=True)] + [e - t for e, t in zip(even, turns, strict=True)]


def first_pass(z: Ints, radix: int, count: int) -> Ints:
    """Section 3.2. z and result: (2, frames, H)."""
    _, frames, half = z.shape
    columns = z.reshape(2, frames, radix, half // radix)[..., digits(count, 4)]
    inputs = [columns[:, :, k] for k in range(radix)]
    outputs = dft4(*inputs) if radix == 4 else dft8(inputs)
    return np.stack(outputs, axis=-1).reshape(z.shape)


def stage(z: Ints, q: int) -> Ints:
    """One stage of section 3.3. z and result: (2, frames, H)."""
    cells = z.reshape(2, z.shape[1], -1, 4, q)
    a, b, c, d = (cells[..., leg, :] for leg in range(4))
    legs = [turned(x, *q15(np.arange(q) * m / (4 * q))) for m, x in ((1, b), (2, c), (3, d))]
    a_half = a >> 1
    parts = [a_half + legs[1], a_half - legs[1], legs[0] + legs[2], legs[0] - legs[2]]
    for part, whole in zip(parts, (a + c, a - c, b + d, b - d), strict=True):
        part[..., 0] = whole[..., 0] >> 1  # j = 0 needs no twiddle and loses nothing to one
    return np.stack(crossed(*parts), axis=-2).reshape(z.shape)


def split(z: Ints, length: int) -> Ints:
    """Section 3.4: from the complex transform to X, (2, frames, N/2)."""
    half = length // 2
    k = np.arange(1, half // 2)
    a, b = z[..., k], z[..., half - k]
    cos, sin = q15(k / length)
    (sr, si), (dr, di) = a + b, a - b
    t, u = mul(si, cos) - mul(dr, sin), mul(dr, cos) + mul(si, sin) + 1
    x = np.empty_like(z)
    x[0][:, 0], x[1][:, 0] = z[0][:, 0] + z[1][:, 0], 0
    x[0][:, half // 2], x[1][:, half // 2] = z[0][:, half // 2], -z[1][:, half // 2]
    x[0][:, k], x[1][:, k] = t + (sr >> 1), (di >> 1) - u
    x[0][:, half - k], x[1][:, half - k] = (sr >> 1) - t, -((di >> 1) + u)
    return x


def transform(frames: Samples) -> Ints:
    """X of section 3 for int16 frames (k, N): (2, k, N/2)."""
    length = frames.shape[1]
    radix, count, shift = shape_of(length)
    tapered = (frames.astype(np.int64) * taper(length) + (1 << (14 - shift))) >> (15 - shift)
    z = np.stack((tapered[:, 0::2], tapered[:, 1::2]))
    z = first_pass(z, radix, count)
    q = radix
    while q < length // 2:
        z = stage(z, q)
        q *= 4
    return split(z, length)


def power(frames: Samples) -> Powers:
    """P of section 3.4 for int16 frames (k, N): (k, N/2). In blocks, so that a block stays in the cache."""
    block = max(1, 65536 // frames.shape[1])
    parts = [transform(frames[start : start + block]) for start in range(0, len(frames), block)]
    return np.concatenate([((x[0] ** 2 + x[1] ** 2) >> 6).astype(np.uint64) for x in parts])


# --- Section 4: bands of one frame ----------------------------------------------------------------------------------


def band_powers(p: Powers, edges: tuple[int, ...]) -> Powers:
    """The triangles' powers before the logarithm, (k, B), from P (k, N/2)."""
    rise, fall = [], []
    for low, high in pairwise(edges):
        size = high - low
        segment = p[:, low:high]
        weights = np.arange(size, 0, -1, dtype=np.uint64)
        total, weighted = segment.sum(axis=1), (segment * weights).sum(axis=1)
        reciprocal, low_bits = np.uint64(2**31 // size), np.uint64(2**31 - 1)
        down = (weighted >> np.uint64(31)) * reciprocal + (((weighted & low_bits) * reciprocal) >> np.uint64(31))
        fall.append(down)
        rise.append(total - down)
    return np.stack([up + down for up, down in zip(rise, fall[1:], strict=False)], axis=1)


def bands(p: Powers, edges: tuple[int, ...]) -> Ints:
    """q of section 4, (k, B)."""
    return log8(band_powers(p, edges))


# --- Section 5: a window of one channel -----------------------------------------------------------------------------


def band_mean(q: Ints) -> Ints:
    """(..., F, B) -> (..., B)."""
    count = q.shape[-2]
    mean: Ints = (q.sum(axis=-2) + count // 2) // count
    return mean


def band_spread(q: Ints) -> Ints:
    """(..., F, B) -> (..., B)."""
    count = q.shape[-2]
    variance = count * (q**2).sum(axis=-2) - q.sum(axis=-2) ** 2
    return np.maximum(0, log8(variance.astype(np.uint64)) - 2 * ((log16(count) + 128) >> 8))


class Sums(NamedTuple):
    """Exact power sums and extremes of one sequence of m values."""

    m: int
    s1: int
    s2: int
    s3: int
    s4: int
    low: int
    high: int


def sums(u: Ints) -> list[Sums]:
    """Of every row of u (rows, m). Squares are cut at 17 bits, so that no partial sum of 2^20 values leaves int64."""
    square = u * u
    high, low = square >> 17, square & (2**17 - 1)
    columns = (u, square, u * high, u * low, high * high, high * low, low * low)
    rows = zip(*(column.sum(axis=1).tolist() for column in columns), strict=True)
    extremes = zip(u.min(axis=1).tolist(), u.max(axis=1).tolist(), strict=True)
    return [
        Sums(u.shape[1], s1, s2, (uh << 17) + ul, (hh << 34) + (hl << 18) + ll, least, most)
        for (s1, s2, uh, ul, hh, hl, ll), (least, most) in zip(rows, extremes, strict=True)
    ]


def statistics_of(s: Sums) -> tuple[int, int, int]:
    """(level, crest, kurtosis)."""
    m = s.m
    c2 = m * s.s2 - s.s1**2
    if c2 == 0:
        return 0, 0, 0
    c4 = m**3 * s.s4 - 4 * m**2 * s.s1 * s.s3 + 6 * m * s.s1**2 * s.s2 - 3 * s.s1**4
    peak = max(m * s.high - s.s1, s.s1 - m * s.low)
    level16 = log16(c2) - 2 * log16(m)
    crest = (2 * (log16(peak) - log16(m)) - level16 + 128) >> 8
    return (level16 + 128) >> 8, crest, (log16(c4) - 4 * log16(m) - 2 * level16 + 128) >> 8


def statistics(x: Samples, families: Family = Family.LEVEL | Family.STEPS) -> Ints:
    """Three numbers of every row of x (rows, n) per family asked for: of the signal, then of its first difference."""
    wide = x.astype(np.int64)
    asked = [(Family.LEVEL, wide), (Family.STEPS, np.diff(wide, axis=1))]
    groups = [[statistics_of(row) for row in sums(u)] for family, u in asked if family in families]
    return np.concatenate(groups, axis=1).astype(np.int64)


def means(windows: Samples) -> Samples:
    """The mean of every channel of windows (k, n, C), as reported with the verdict: (k, C)."""
    n = windows.shape[1]
    mean: Ints = (windows.astype(np.int64).sum(axis=1) + n // 2) // n
    return mean.astype(np.int16)


# --- Section 6: features --------------------------------------------------------------------------------------------


def cut(windows: Samples, length: int) -> Samples:
    """Every frame of windows (k, n, C): (k, C, F, N)."""
    frames = np.lib.stride_tricks.sliding_window_view(windows, length, axis=1)[:, :: length // 2]
    return np.ascontiguousarray(frames.transpose(0, 2, 1, 3))


def frame_bands(windows: Samples, frame: Frame) -> Ints:
    """q of every frame of windows (k, n, C): (k, C, F, B)."""
    frames = cut(windows, frame.length)
    q = bands(power(frames.reshape(-1, frame.length)), frame.edges)
    return q.reshape(*frames.shape[:3], frame.bands)


def channel_pairs(channels: int) -> list[tuple[int, int]]:
    return [(0, 1), (0, 2), (1, 2)] if channels == 3 else [(0, k) for k in range(1, channels)]


def features(windows: Samples, spec: Spec) -> Samples:
    """(k, n, C) -> (k, features)."""
    count, n, channels = windows.shape
    groups: list[Ints] = []
    differences: list[Ints] = []
    for frame in spec.frames:
        q = frame_bands(windows, frame)
        mean = band_mean(q)
        groups.append(mean)
        if Family.SPREAD in spec.families:
            groups.append(band_spread(q))
        differences += [mean[:, i] - mean[:, j] for i, j in channel_pairs(channels)]
    if spec.families & (Family.LEVEL | Family.STEPS):
        groups.append(statistics(windows.transpose(0, 2, 1).reshape(count * channels, n), spec.families))
    if Family.DIFFERENCES in spec.families:
        groups += differences
    vector = np.concatenate([group.reshape(count, -1) for group in groups], axis=1)
    assert np.abs(vector).max(initial=0) < 2**15, "SPEC.md says that a feature is an int16"
    return vector.astype(np.int16)


# --- Sections 7 and 9: score and stages -----------------------------------------------------------------------------


def score(parts: list[int]) -> int:
    """From a model's parts, unsigned Q12."""
    return log16(sum(parts)) - log16(len(parts)) - 12 * 65536


def verdict(value: int, threshold: int) -> int:
    return int(value > threshold)


def stages(window: Samples, spec: Spec) -> dict[int, list[bytes]]:
    """Stages 0 to 3 of one window (n, C): the bytes of every item, in the order of section 9."""
    items: dict[int, list[bytes]] = {SAMPLES: [], SPECTRUM: [], BANDS: []}
    arrivals = sorted(
        (f * frame.length // 2 + frame.length, index, channel, f)
        for index, frame in enumerate(spec.frames)
        for channel in range(spec.channels)
        for f in range(1 + (spec.window - frame.length) // (frame.length // 2))
    )
    for end, index, channel, _ in arrivals:
        frame = spec.frames[index]
        samples = window[end - frame.length : end, channel]
        p = power(samples[np.newaxis])
        items[SAMPLES].append(samples.astype("<i2").tobytes())
        items[SPECTRUM].append(p.astype("<u8").tobytes())
        items[BANDS].append(bands(p, frame.edges).astype("<i2").tobytes())
    items[FEATURES] = [features(window[np.newaxis], spec).astype("<i2").tobytes()]
    return items
