"""The oracle and the C core, two implementations of SPEC.md, give the same bits; and it keeps SPEC.md's promises."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import inputs
import numpy as np
import oracle
import pytest
import toy_detector
from counts import full
from hypothesis import given, settings
from hypothesis import strategies as st

from cyberhans.core import Core, Stage
from cyberhans.spec import FRAME_LENGTHS, SIZES, Family, Frame, Spec, design
from cyberhans.watch import Verdict

SPECS = inputs.specs()
RANDOM_PER_SPEC = full(240, 2_400)
REAL_PER_RECORDING = 36


def differing_bits(a: np.ndarray, b: np.ndarray) -> int:
    """Bits in which two integer arrays of one type and shape differ."""
    assert a.shape == b.shape and a.dtype == b.dtype
    different = np.ascontiguousarray(a).view(np.uint8) ^ np.ascontiguousarray(b).view(np.uint8)
    return int(np.bitwise_count(different).sum())


def compare(spec: Spec, windows: inputs.Samples, core: Core | None = None) -> int:
    """Assert that features and means of all windows are the same bits; returns how many windows that were."""
    results = (core or Core(spec)).run(windows)
    assert differing_bits(results.features, oracle.features(windows, spec)) == 0, spec
    assert differing_bits(results.mean, oracle.means(windows)) == 0, spec
    return len(windows)


def compare_stages(spec: Spec, window: inputs.Samples, core: Core) -> None:
    traced = core.trace(window)
    for stage, items in oracle.stages(window, spec).items():
        seen = traced[Stage(stage)]
        assert len(seen) == len(items), (spec, stage)
        first = next((i for i, (a, b) in enumerate(zip(seen, items, strict=True)) if a != b), None)
        assert first is None, f"stage {stage}, item {first} of {spec}"


# --- oracle against C -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_random_windows_give_the_same_bits() -> None:
    compared = 0
    for seed, spec in enumerate(SPECS):
        core = Core(spec)
        windows = inputs.random_windows(RANDOM_PER_SPEC, spec.window, spec.channels, seed)
        compared += compare(spec, windows, core)
        compare_stages(spec, windows[seed], core)
    assert compared == len(SPECS) * RANDOM_PER_SPEC >= 10_000


def test_the_specs_cover_what_a_spec_may_be() -> None:
    assert {frame.length for spec in SPECS for frame in spec.frames} == set(FRAME_LENGTHS)
    assert {len(spec.frames) for spec in SPECS} == {1, 2}
    assert {spec.channels for spec in SPECS} == set(range(1, 7))
    assert {int(spec.families) for spec in SPECS} == set(range(16))
    assert any(spec.hop > spec.window for spec in SPECS) and any(spec.hop == spec.window for spec in SPECS)
    assert any((spec.window - spec.longest) % (spec.longest // 2) for spec in SPECS)
    assert max(spec.features for spec in SPECS) > 245


def real_specs(channels: int) -> list[Spec]:
    found = [
        inputs.spec_for((256, 1024), channels, Family(14), "log", 2048, 2048),
        inputs.spec_for((512,), channels, Family(15), "mel", 1100, 1100),
        inputs.spec_for((64, 128), channels, Family(9), "linear", 400, 500),
        inputs.spec_for((2048,), channels, Family(2), "log", 4096, 4096),
    ]
    return found + [design(size, 16000.0, channels, 4096) for size in SIZES]


@pytest.mark.slow
@pytest.mark.recordings
def test_real_windows_give_the_same_bits(recordings: Path) -> None:
    cores = {channels: [(spec, Core(spec)) for spec in real_specs(channels)] for channels in (1, 2, 3)}
    compared = 0
    for turn, (_, windows) in enumerate(inputs.real_windows(recordings, 4096, REAL_PER_RECORDING)):
        choice = cores[windows.shape[2]]
        for spec, core in (choice[turn % len(choice)], choice[(turn * 3 + 1) % len(choice)]):
            compared += compare(spec, np.ascontiguousarray(windows[:, : spec.window]), core)
    assert compared >= 20_000


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("lengths", [(64, 256), (128, 512), (1024, 2048)])
def test_adversarial_windows_give_the_same_bits_in_every_stage(lengths: tuple[int, ...], channels: int) -> None:
    n = 2 * lengths[-1] + 1
    rows = inputs.adversarial(n)
    rows = rows[: len(rows) - len(rows) % channels]
    windows = np.ascontiguousarray(rows.reshape(-1, channels, n).transpose(0, 2, 1))
    spec = inputs.spec_for(lengths, channels, Family(15), "log", n, n)
    core = Core(spec)
    assert compare(spec, windows, core) == len(windows)
    for window in windows[:: 1 + len(windows) // 20]:
        compare_stages(spec, window, core)


@pytest.mark.parametrize("frame", inputs.frames_at_the_bounds(), ids=lambda frame: f"{frame.length}-{frame.bands}")
def test_band_edges_at_their_bounds_give_the_same_bits(frame: Frame) -> None:
    spec = Spec(16_000_000, 1, frame.length + 100, frame.length + 100, Family.SPREAD, (frame,))
    compare(spec, inputs.random_windows(full(100, 1_000), spec.window, 1, seed=frame.length + frame.bands))


def test_the_shortest_window_gives_the_same_bits() -> None:
    """64 samples are one frame: the spread is that of one value, level and steps are those of 64 and 63."""
    spec = inputs.spec_for((64,), 1, Family(11), "linear", 64, 64)
    rows = inputs.adversarial(64)[:, :, np.newaxis]
    compare(spec, np.ascontiguousarray(rows))


@pytest.mark.slow
def test_the_longest_window_gives_the_same_bits() -> None:
    """2^20 samples of 16 bits: the exact power sums reach their bounds of section 5."""
    n = 1 << 20
    spec = inputs.spec_for((64,), 1, Family(11), "log", n, n)
    i = np.arange(n)
    rng = np.random.default_rng(5)
    rows = [np.where(i % 2, 32767, -32768), np.where(i, -32768, 32767), np.full(n, -32768)]
    rows.append(rng.integers(-32768, 32768, n))
    compare(spec, np.array(rows).astype(np.int16)[:, :, np.newaxis])


@settings(max_examples=full(60, 2_000), deadline=None)
@given(st.lists(st.sampled_from([0, 1, -1, 2, -2, 181, -182, 32767, -32768]), min_size=3, max_size=96))
def test_any_pattern_of_extremes_gives_the_same_bits(pattern: list[int]) -> None:
    spec = inputs.spec_for((64, 128), 2, Family(7), "mel", 200, 200)
    window = np.resize(np.array(pattern, dtype=np.int16), (1, 200, 2))
    compare(spec, window)


def verdicts_of_stream(core: Core, stream: inputs.Samples, seed: int) -> list[tuple[int, int, list[int]]]:
    """(window, first sample, features) of every window of a stream (n, C) pushed in pieces of random size."""
    c, instance, verdict = core._c, core._instance(), Verdict()
    rng, found, at = np.random.default_rng(seed), [], 0
    while at < len(stream):
        piece = np.ascontiguousarray(stream[at : at + int(rng.integers(0, 400))])
        at += c.hans_push(instance.hans, piece.ctypes.data, len(piece))
        if c.hans_poll(instance.hans, ctypes.byref(verdict)) == 1:
            features = np.zeros(core.spec.features, np.int16)
            ctypes.memmove(features.ctypes.data, c.hans_features(instance.hans), features.nbytes)
            found.append((verdict.window, verdict.first, features.tolist()))
    return found


@pytest.mark.parametrize("hop", [700, 701, 1000, 3000])
def test_a_stream_in_pieces_gives_a_window_every_hop(hop: int) -> None:
    spec = inputs.spec_for((64, 512), 2, Family(7), "log", 700, hop)
    stream = inputs.random_windows(1, 12_000, 2, seed=hop)[0]
    starts = range(0, len(stream) - spec.window + 1, hop)
    expected = oracle.features(np.stack([stream[start : start + spec.window] for start in starts]), spec)
    found = verdicts_of_stream(Core(spec), stream, seed=hop)
    assert found == [(i, start, expected[i].tolist()) for i, start in enumerate(starts)]


def test_score_and_verdict_are_the_same_bits(tmp_path: Path) -> None:
    spec = inputs.spec_for((64, 256), 3, Family(7), "log", 300, 300)
    windows = inputs.random_windows(300, spec.window, spec.channels, seed=8)
    scores = [toy_detector.score(row) for row in oracle.features(windows, spec)]
    threshold = sorted(scores)[150]
    results = Core(spec, toy_detector.write(tmp_path, spec, threshold)).run(windows)
    assert results.score.tolist() == scores
    assert results.verdict.tolist() == [oracle.verdict(score, threshold) for score in scores]


# --- what SPEC.md promises of its own arithmetic --------------------------------------------------------------------


def test_the_rule_gives_the_table_of_section_3() -> None:
    table = [(8, 1, 10), (4, 2, 10), (8, 2, 9), (4, 3, 9), (8, 3, 8), (4, 4, 8)]
    assert [oracle.shape_of(length) for length in FRAME_LENGTHS] == table


@pytest.mark.parametrize("length", FRAME_LENGTHS)
def test_no_spectrum_leaves_its_bounds(length: int) -> None:
    """|X| <= 2^30 and sum P < 2^53, on patterns that drive one bin as high as samples can."""
    x = oracle.transform(inputs.adversarial(length)).astype(np.float64)
    assert np.hypot(*x).max() <= 2**30
    assert oracle.power(inputs.adversarial(length)).sum(axis=1).max() < 2**53


@pytest.mark.parametrize("length", FRAME_LENGTHS)
def test_every_spectrum_word_fits_32_bits(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the C keeps in int32: both sides of every product and of every butterfly, those of the split included."""
    largest: list[int] = []
    for name in ("mul", "crossed"):
        plain = getattr(oracle, name)

        def watched(*values: oracle.Ints, plain: Callable[..., oracle.Ints] = plain) -> oracle.Ints:
            result = plain(*values)
            largest.extend(int(np.abs(value).max()) for value in (*values, *result))
            return result

        monkeypatch.setattr(oracle, name, watched)
    oracle.transform(inputs.adversarial(length))
    assert 2**28 < max(largest) < 2**31


@pytest.mark.parametrize("size", [1, 2, 3, 7, 500, 1022])
def test_a_triangle_is_the_exact_one_but_for_rounding(size: int) -> None:
    """Each reciprocal loses less than 2^-31 of the weighted sum, each shift less than a unit."""
    rng = np.random.default_rng(size)
    p = rng.integers(0, 2**42, (8, 1024)).astype(np.uint64)
    found = oracle.band_powers(p, (1, 1 + size, 1024))
    for row, (value,) in zip(p.tolist(), found.tolist(), strict=True):
        rise = sum(i * row[1 + i] for i in range(size)) / size
        tail = 1024 - (1 + size)
        fall = sum((tail - i) * row[1 + size + i] for i in range(tail)) / tail
        assert abs(value - (rise + fall)) <= 4 + sum(row) * 1024 / 2**31


# --- logarithm, statistics, score -----------------------------------------------------------------------------------

BIG = st.integers(0, 2**192)


@given(BIG, BIG)
def test_log16_is_monotone(a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert low == 0 or oracle.log16(low) <= oracle.log16(high)


@given(st.integers(1, 2**192), st.integers(0, 64))
def test_a_power_of_two_adds_whole_octaves(v: int, k: int) -> None:
    assert oracle.log16(v << k) == oracle.log16(v) + 65536 * k


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_log16_of_arrays_is_that_of_integers(values: list[int]) -> None:
    edges = [0, 1, 2, 2**32 - 1, 2**32, 2**32 + 1, 2**53 - 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
    array = np.array(values + edges, dtype=np.uint64)
    assert oracle.log16_array(array).tolist() == [oracle.log16(v) for v in values + edges]


@given(st.lists(st.integers(-65535, 65535), min_size=2, max_size=50), st.integers(0, 65535))
def test_power_sums_are_exact(values: list[int], spike: int) -> None:
    u = [*values, spike]
    found = oracle.sums(np.array([u], dtype=np.int64))[0]
    assert found[:5] == (len(u), *(sum(v**power for v in u) for power in (1, 2, 3, 4)))
    assert found[5:] == (min(u), max(u))


@given(st.lists(st.integers(-3000, 3000), min_size=4, max_size=40), st.integers(-20000, 20000))
def test_statistics_ignore_an_offset_and_scale_in_octaves(values: list[int], offset: int) -> None:
    u = np.array([values], dtype=np.int64)
    level, crest, kurtosis = oracle.statistics_of(oracle.sums(u)[0])
    assert oracle.statistics_of(oracle.sums(u + offset)[0]) == (level, crest, kurtosis)
    louder = (level + 512, crest, kurtosis) if len(set(values)) > 1 else (0, 0, 0)
    assert oracle.statistics_of(oracle.sums(2 * u)[0]) == louder


@given(st.integers(0, 2**32 - 1), st.integers(0, 7))
def test_the_score_of_equal_parts_is_that_of_one(part: int, doublings: int) -> None:
    one = oracle.log16(part) - 12 * 65536
    if part:
        assert oracle.score([part] * 2**doublings) == one
    assert oracle.score([4096] * 255) == 0
    assert oracle.score([0, 0]) == -13 * 65536
    assert oracle.score([0xFFFFFFFF]) == oracle.log16(0xFFFFFFFF) - 12 * 65536


def test_a_verdict_needs_more_than_the_threshold() -> None:
    assert [oracle.verdict(score, 5) for score in (4, 5, 6)] == [0, 0, 1]


# --- constants ------------------------------------------------------------------------------------------------------


def distance_to_tie(values: np.ndarray) -> float:
    return float(np.abs(values - np.floor(values) - 0.5).min())


@pytest.mark.parametrize("length", FRAME_LENGTHS)
def test_no_cosine_lies_near_a_rounding_tie(length: int) -> None:
    """So every correct cosine gives the same integers. All angles of section 3 are whole multiples of a turn / N."""
    angle = 2 * np.pi * np.arange(length) / length
    assert distance_to_tie(32768 * np.cos(angle)) > 1e-9
    assert distance_to_tie(32768 * np.sin(angle)) > 1e-9
    assert distance_to_tie(32768 * (0.5 - 0.5 * np.cos(angle))) > 1e-9


def test_no_entry_of_the_log_table_lies_near_a_rounding_tie() -> None:
    assert distance_to_tie(65536 * np.log2(1 + np.arange(33) / 32)) > 1e-6
