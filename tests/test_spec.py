"""The Spec: bounds, digest, and the one rule that picks it."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import struct

import pytest

from cyberhans.errors import CyberHansError
from cyberhans.spec import (
    LONGEST_FRAME,
    SIZES,
    Family,
    Frame,
    Spec,
    band_edges,
    design,
    size_for_ram,
)

SMALL = Spec(
    rate_mhz=16_000_000,
    channels=3,
    window=4000,
    hop=4000,
    families=Family(15),
    frames=(Frame(64, (1, 2, 4, 8)), Frame(256, (1, 5, 20, 60, 128))),
)


def test_feature_order_and_count() -> None:
    names = SMALL.feature_names
    assert SMALL.features == len(names) == 3 * 2 * 2 + 3 * 3 * 2 + 3 * 6 + 3 * (2 + 3)
    assert names[0] == "c0.n64.b0.mean"
    assert names[6] == "c0.n64.b0.spread"
    assert names[12] == "c0.n256.b0.mean"
    assert names[30:33] == ("c0.level", "c0.crest", "c0.kurtosis")
    assert names[33:37] == ("c0.steps.level", "c0.steps.crest", "c0.steps.kurtosis", "c1.level")
    assert names[-1] == "c1-c2.n256.b2"
    assert len(set(names)) == len(names)


def test_pairs_follow_the_channel_count() -> None:
    def pairs(channels: int) -> tuple[tuple[int, int], ...]:
        return dataclasses.replace(SMALL, channels=channels, families=Family(0)).pairs

    assert pairs(1) == ()
    assert pairs(2) == ((0, 1),)
    assert pairs(3) == ((0, 1), (0, 2), (1, 2))
    assert pairs(5) == ((0, 1), (0, 2), (0, 3), (0, 4))


def test_no_window_holds_more_frames_than_the_spread_allows() -> None:
    frame = Frame(64, (1, 2, 3))
    assert dataclasses.replace(SMALL, window=1 << 20, hop=1 << 20, frames=(frame,)).frame_count(frame) == 32767


def test_frame_count() -> None:
    assert SMALL.frame_count(SMALL.frames[0]) == 1 + (4000 - 64) // 32
    assert SMALL.frame_count(SMALL.frames[1]) == 1 + (4000 - 256) // 128


def test_digest_is_the_one_in_the_specification() -> None:
    packed = struct.pack("<HBBIIIB", 3, 3, 15, 16_000_000, 4000, 4000, 2)
    packed += struct.pack("<HB4H", 64, 2, 1, 2, 4, 8) + struct.pack("<HB5H", 256, 3, 1, 5, 20, 60, 128)
    assert SMALL.digest == hashlib.sha256(packed).digest()[:16]


@pytest.mark.parametrize(
    "change",
    [{"rate_mhz": 16_000_001}, {"channels": 2}, {"window": 4001, "hop": 4001}, {"hop": 4001}, {"families": Family(0)}],
)
def test_every_field_changes_the_digest(change: dict[str, object]) -> None:
    assert dataclasses.replace(SMALL, **change).digest != SMALL.digest  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate_mhz": 99_999}, "rate"),
        ({"rate_mhz": 100_000_001}, "rate"),
        ({"channels": 0}, "channels"),
        ({"channels": 7}, "channels"),
        ({"window": 63, "hop": 63}, "window"),
        ({"hop": 3999}, "hop"),
        ({"window": 1 << 21, "hop": 1 << 21}, "window"),
        ({"frames": ()}, "frame lengths"),
        ({"frames": (Frame(256, (1, 2, 3)), Frame(64, (1, 2, 3)))}, "short first"),
        ({"window": 255, "hop": 255}, "shorter than its frame"),
        ({"channels": 6, "frames": (Frame(256, tuple(range(1, 67))),)}, "features"),
    ],
)
def test_bounds_are_refused_in_one_line(change: dict[str, object], words: str) -> None:
    with pytest.raises(CyberHansError, match=words) as error:
        dataclasses.replace(SMALL, **change)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("edges", [(1, 2), (0, 1, 2), (1, 3, 3), (1, 2, 33), tuple(range(1, 68))])
def test_bad_edges_are_refused(edges: tuple[int, ...]) -> None:
    with pytest.raises(CyberHansError):
        Frame(64, edges)


def test_frame_length_must_be_known() -> None:
    with pytest.raises(CyberHansError, match="frame length 100"):
        Frame(100, (1, 2, 3))


@pytest.mark.parametrize("scale", ["log", "linear", "mel"])
@pytest.mark.parametrize("bands", [1, 5, 30, 62])
def test_edges_rise_and_stay_inside(scale: str, bands: int) -> None:
    edges = band_edges(128, 8000, bands, scale)
    assert len(edges) == bands + 2
    assert edges[0] >= 1 and edges[-1] == 64
    assert all(a < b for a, b in itertools.pairwise(edges))


def test_linear_edges_are_even_and_log_edges_widen() -> None:
    linear = band_edges(2048, 8000, 20, "linear")
    log = band_edges(2048, 8000, 20, "log")
    steps = [b - a for a, b in itertools.pairwise(linear)]
    assert max(steps) - min(steps) <= 1
    assert log[-1] - log[-2] > 5 * (log[5] - log[4])


def test_too_many_bands_for_the_range() -> None:
    with pytest.raises(CyberHansError, match="do not fit"):
        band_edges(64, 8000, 40)
    with pytest.raises(CyberHansError, match="do not fit"):
        band_edges(1024, 8000, 16, "log", 100, 150)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rate", [100.0, 200.0, 1600.0, 16000.0, 25600.0, 100_000.0])
@pytest.mark.parametrize("channels", range(1, 7))
@pytest.mark.parametrize("segment", [128, 200, 780, 2560, 40_000, 10_000_000])
def test_the_rule_gives_a_spec_for_every_stream(size: str, rate: float, channels: int, segment: int) -> None:
    if size == "tiny" and channels > 3:
        with pytest.raises(
            CyberHansError, match=f"spec tiny: at most 3 channels, the stream has {channels}; take small"
        ):
            design(size, rate, channels, segment)
        return
    spec = design(size, rate, channels, segment)
    assert spec.window <= segment
    assert spec.longest <= LONGEST_FRAME[size]
    assert len(spec.frames) == 1 or size == "full"
    if size == "tiny":
        assert spec.channel_bands <= 16


def test_the_rule_names_its_sizes_and_needs_enough_samples() -> None:
    with pytest.raises(CyberHansError, match="choose auto"):
        design("huge", 1000, 1, 10_000)
    with pytest.raises(CyberHansError, match="too short"):
        design("full", 1000, 1, 100)
    with pytest.raises(CyberHansError, match="rate 0 Hz"):
        design("full", 0, 1, 10_000)


def test_window_lengths_of_the_rule() -> None:
    assert design("full", 16_000, 1, 960_000).window == 32_000  # 2 s of a long recording
    assert design("full", 16_000, 1, 80_000).window == 16_000  # a fifth of a shorter one
    assert design("full", 20_000, 3, 15_000).window == 4000  # 0.2 s at least
    assert design("full", 200, 3, 200).window == 200  # a snapshot
    assert design("full", 3200, 3, 4000).window == 1024  # never fewer samples than that


def test_auto_size_follows_the_ram() -> None:
    assert [size_for_ram(kib * 1024) for kib in (8, 16, 63, 64, 192, 0)] == [
        "tiny", "small", "small", "full", "full", "full"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "channels", "segment", "frames", "features"),
    [
        (16_000, 1, 960_000, [(256, 16), (2048, 48)], 70),
        (25_600, 2, 2560, [(256, 24), (1024, 32)], 124),
        (20_000, 3, 40_000, [(256, 22), (1024, 30)], 174),
        (1600, 3, 780, [(256, 22), (512, 30)], 174),
        (200, 3, 200, [(64, 16), (128, 30)], 156),
        (3200, 6, 32_000, [(256, 12), (1024, 16)], 204),
    ],
)
def test_what_the_rule_gives_for_real_sensors(
    rate: float, channels: int, segment: int, frames: list[tuple[int, int]], features: int
) -> None:
    spec = design("full", rate, channels, segment)
    assert [(frame.length, frame.bands) for frame in spec.frames] == frames
    assert spec.features == features
    assert spec.families == Family.LEVEL | Family.STEPS


@pytest.mark.parametrize(("measured", "made"), [(99.9996, 100.0), (99.1, 100.0), (100_900.0, 100_000.0)])
def test_a_rate_that_measures_a_little_outside_is_within(measured: float, made: float) -> None:
    assert design("small", measured, 1, 100_000).rate_hz == made


@pytest.mark.parametrize("rate", [98.0, 102_000.0])
def test_a_rate_that_is_outside_is_refused(rate: float) -> None:
    with pytest.raises(CyberHansError, match="must be 100 to 100000"):
        design("small", rate, 1, 100_000)
