"""What is computed from one stream: the Spec of SPEC.md section 2, its digest, and the rule that picks one."""

from __future__ import annotations

import enum
import hashlib
import itertools
import math
import struct
from dataclasses import dataclass
from typing import Any

from cyberhans.errors import CyberHansError

ARITHMETIC_VERSION = 3
FRAME_LENGTHS = (64, 128, 256, 512, 1024, 2048)
MAX_WINDOW = 1 << 20  # so that a window never holds more than 32,767 frames
MAX_FEATURES = 255
MAX_BANDS = 64
LOADABLE_FEATURES = 127  # emlearn's loadable trees take no more
SIZES = ("tiny", "small", "full")
TINY_CHANNELS = 3
RATES_HZ = (100, 100_000)
WINDOW_S = (0.2, 2.0)
WINDOW_SAMPLES = 1024  # at least, where a segment has them
IN_SEGMENT = 5  # windows
LONGEST_FRAME = {"tiny": 256, "small": 512, "full": 2048}
MOST_OF_SEVERAL = 1024  # samples in a frame of a stream of several channels
BANDS = {1: (16, 48), 2: (24, 32), 3: (22, 30), 4: (16, 16)}  # full, by channels: short and long frame
MANY_BANDS = (12, 16)  # of more channels


class Family(enum.IntFlag):
    """Feature families beside the band means, which are always computed."""

    SPREAD = 1
    LEVEL = 2
    DIFFERENCES = 4
    STEPS = 8


def _check(name: str, value: float, low: float, high: float, unit: str) -> None:
    if not low <= value <= high:
        raise CyberHansError(f"{name} {value:g} {unit}".rstrip() + f": must be {low:g} to {high:g}")


def check_rate(rate_hz: float) -> None:
    _check("rate", rate_hz, *RATES_HZ, "Hz")


def _measured(rate_hz: float) -> float:
    """A rate up to 1 % outside the range counts as its end: what is set to 100 Hz may well measure 99.9996."""
    nearest = min(max(rate_hz, RATES_HZ[0]), RATES_HZ[1])
    return nearest if abs(rate_hz / nearest - 1) <= 0.01 else rate_hz


def check_length(length: int) -> None:
    if length not in FRAME_LENGTHS:
        raise CyberHansError(f"frame length {length}: choose one of {', '.join(map(str, FRAME_LENGTHS))}")


@dataclass(frozen=True)
class Frame:
    """One frame length and its band edges in bins: band b is a triangle from edges[b] over edges[b+1] to edges[b+2]."""

    length: int
    edges: tuple[int, ...]

    def __post_init__(self) -> None:
        check_length(self.length)
        if not 1 <= self.bands <= MAX_BANDS:
            raise CyberHansError(f"frame of {self.length} has {self.bands} bands: choose 1 to {MAX_BANDS}")
        rising = all(a < b for a, b in itertools.pairwise(self.edges))
        if not rising or self.edges[0] < 1 or self.edges[-1] > self.length // 2:
            raise CyberHansError(
                f"frame of {self.length}: band edges must rise strictly within 1 to {self.length // 2}"
            )

    @property
    def bands(self) -> int:
        return len(self.edges) - 2


@dataclass(frozen=True)
class Spec:
    """See SPEC.md section 2 for every field and bound. rate_mhz is in 1/1000 Hz, window and hop in sample frames."""

    rate_mhz: int
    channels: int
    window: int
    hop: int
    families: Family
    frames: tuple[Frame, ...]

    def __post_init__(self) -> None:
        check_rate(self.rate_mhz / 1000)
        _check("channels", self.channels, 1, 6, "")
        _check("window", self.window, 64, MAX_WINDOW, "samples")
        _check("hop", self.hop, self.window, MAX_WINDOW, "samples")
        lengths = [frame.length for frame in self.frames]
        if len(lengths) not in (1, 2) or lengths != sorted(set(lengths)):
            raise CyberHansError(f"frame lengths {lengths}: give one or two different ones, short first")
        if lengths[-1] > self.window:
            raise CyberHansError(f"window of {self.window} samples is shorter than its frame of {lengths[-1]}")
        if self.features > MAX_FEATURES:
            raise CyberHansError(f"{self.features} features: at most {MAX_FEATURES}; take fewer bands or families")

    @property
    def rate_hz(self) -> float:
        return self.rate_mhz / 1000

    @property
    def longest(self) -> int:
        """The longest frame length."""
        return self.frames[-1].length

    @property
    def channel_bands(self) -> int:
        """Bands over all channels and frame lengths."""
        return self.channels * sum(frame.bands for frame in self.frames)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Channel pairs whose band means are subtracted (SPEC.md section 6)."""
        if self.channels == 3:
            return ((0, 1), (0, 2), (1, 2))
        return tuple((0, k) for k in range(1, self.channels))

    def frame_count(self, frame: Frame) -> int:
        """How many frames of this length a window holds."""
        return 1 + (self.window - frame.length) // (frame.length // 2)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name per feature, in order: 'c0.n256.b3.mean', 'c1.steps.level', 'c0-c1.n256.b3'."""
        names: list[str] = []
        for frame in self.frames:
            for kind in ("mean", "spread") if Family.SPREAD in self.families else ("mean",):
                names += [f"c{c}.n{frame.length}.b{b}.{kind}" for c in range(self.channels) for b in range(frame.bands)]
        sequences = ((Family.LEVEL, ""), (Family.STEPS, "steps."))
        asked = [prefix for family, prefix in sequences if family in self.families]
        names += [f"c{c}.{prefix}{kind}" for c in range(self.channels) for prefix in asked
                  for kind in ("level", "crest", "kurtosis")]  # fmt: skip
        if Family.DIFFERENCES in self.families:
            names += [
                f"c{i}-c{j}.n{frame.length}.b{b}"
                for frame in self.frames for i, j in self.pairs for b in range(frame.bands)
            ]  # fmt: skip
        return tuple(names)

    @property
    def features(self) -> int:
        return len(self.feature_names)

    @property
    def digest(self) -> bytes:
        """16 bytes; SPEC.md section 2 gives the packed fields."""
        packed = struct.pack("<HBBIIIB", ARITHMETIC_VERSION, self.channels, int(self.families),
                             self.rate_mhz, self.window, self.hop, len(self.frames))  # fmt: skip
        for frame in self.frames:
            packed += struct.pack(f"<HB{len(frame.edges)}H", frame.length, frame.bands, *frame.edges)
        return hashlib.sha256(packed).digest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The form in detector.json and in Spec files; spec_file.py reads it."""
        return {
            "rate_hz": self.rate_hz,
            "channels": self.channels,
            "window": self.window,
            "hop": self.hop,
            "families": [family.name.lower() for family in Family if family in self.families and family.name],
            "frames": [{"length": frame.length, "edges": list(frame.edges)} for frame in self.frames],
        }


def band_edges(
    length: int, rate_hz: float, bands: int, scale: str = "log",
    low_hz: float | None = None, high_hz: float | None = None,
) -> tuple[int, ...]:  # fmt: skip
    """bands + 2 bin numbers, evenly spaced on `scale` (log, linear or mel), each at least one bin above the last.

    mel is 2595 log10(1 + f/700) (O'Shaughnessy 1987). Defaults: from bin 1 to half the rate.
    """
    warp, unwarp = _scale(scale)
    bin_hz, top = rate_hz / length, length // 2
    low = min(max(1.0, (low_hz or 0.0) / bin_hz), float(top))
    high = min(high_hz / bin_hz if high_hz else float(top), float(top))
    if bands < 1 or high - low < bands + 1:
        raise CyberHansError(
            f"{bands} bands do not fit between {low * bin_hz:g} and {high * bin_hz:g} Hz at frame {length}"
        )
    a, b = warp(low * bin_hz), warp(high * bin_hz)
    edges: list[int] = []
    for k in range(bands + 2):
        ideal = round(unwarp(a + (b - a) * k / (bands + 1)) / bin_hz)
        latest = top - (bands + 1 - k)  # leaves room for the edges still to come
        edges.append(min(max(ideal, edges[-1] + 1 if edges else 1), latest))
    return tuple(edges)


def _scale(scale: str) -> tuple[Any, Any]:
    if scale == "log":
        return math.log, math.exp
    if scale == "linear":
        return (lambda f: f), (lambda f: f)
    if scale == "mel":
        return (lambda f: 2595 * math.log10(1 + f / 700)), (lambda m: 700 * (10 ** (m / 2595) - 1))
    raise CyberHansError(f"scale {scale!r}: choose log, linear or mel")


def size_for_ram(ram_bytes: int) -> str:
    """What `auto` takes for a board: full from 64 KiB of RAM (or 0: unbounded), small from 16 KiB, else tiny."""
    if ram_bytes == 0 or ram_bytes >= 64 * 1024:
        return "full"
    return "small" if ram_bytes >= 16 * 1024 else "tiny"


def design(size: str, rate_hz: float, channels: int, segment_len: int) -> Spec:
    """The one rule from rate, channels and segment length (samples without a gap) to a Spec of a named size.

    Window: a fifth of the segment, but 0.2 s to 2 s, at least 1024 samples, and at most the segment. Frames: the
    longest is the largest power of two within a window and the size's limit (full with several channels: 1024); `full`
    adds a short one, half of it and at most 256. Bands are mel-spaced. Level and steps always. `tiny` takes at most 3
    channels. The numbers were chosen by the mean AUC over all real protocols at hand (`cyberhans bench`), none for one
    of them.
    """
    if size not in SIZES:
        raise CyberHansError(f"spec {size!r}: choose auto, {', '.join(SIZES)} or a TOML file")
    if size == "tiny" and channels > TINY_CHANNELS:
        raise CyberHansError(f"spec tiny: at most {TINY_CHANNELS} channels, the stream has {channels}; take small")
    rate_hz = _measured(rate_hz)
    check_rate(rate_hz)
    window = _window(rate_hz, segment_len)
    if window < 2 * FRAME_LENGTHS[0]:
        raise CyberHansError(f"segments of {segment_len} samples are too short: a window needs {2 * FRAME_LENGTHS[0]}")
    limit = min(LONGEST_FRAME[size], MOST_OF_SEVERAL if channels > 1 else window, window)
    long = max(length for length in FRAME_LENGTHS if length <= limit)
    lengths = [min(256, long // 2), long] if size == "full" else [long]
    counts = BANDS.get(channels, MANY_BANDS) if size == "full" else (_few_bands(size, channels, long),)
    frames = tuple(
        Frame(length, band_edges(length, rate_hz, min(count, length // 4), "mel"))
        for length, count in zip(lengths, counts, strict=True)
    )
    return Spec(round(rate_hz * 1000), channels, window, window, Family.LEVEL | Family.STEPS, frames)


def _window(rate_hz: float, segment_len: int) -> int:
    """Samples, at most the segment."""
    seconds = min(max(segment_len / rate_hz / IN_SEGMENT, WINDOW_S[0]), WINDOW_S[1])
    return min(segment_len, MAX_WINDOW, max(WINDOW_SAMPLES, round(seconds * rate_hz)))


def _few_bands(size: str, channels: int, length: int) -> int:
    """Of `tiny`, which has 16 over all channels, and of `small`."""
    if size == "tiny":
        return 16 // channels
    wanted = 32 if channels == 1 else 16 if channels <= TINY_CHANNELS else 8
    return min(wanted, length // 4)
