"""The comparison of oracle and C has teeth: a unit more in a constant is seen, in the stage where it belongs.

A patch that no longer applies fails its test, so the list follows the C.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import inputs
import numpy as np
import oracle
import pytest
import toy_detector

from cyberhans import core as core_room
from cyberhans.core import Core, Stage, firmware_dir
from cyberhans.spec import Family

SPEC = inputs.spec_for((128, 256), 3, Family(15), "log", 700, 700)  # radix 4 and radix 8
Patch = Callable[[str], str]


def swap(old: str, new: str) -> Patch:
    def patch(text: str) -> str:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the C: mend the mutant"
        return text.replace(old, new)

    return patch


def bump(array: str, index: int, by: int = 1) -> Patch:
    """Add to one entry of an array of tables.c."""

    def patch(text: str) -> str:
        found = re.search(rf"{array}\[\d+\] = {{(.*?)}};", text, re.DOTALL)
        assert found, f"tables.c has no array {array}: mend the mutant"
        entry = list(re.finditer(r"(0x[0-9a-f]+|-?\d+)", found[1]))[index]
        start, end = found.start(1) + entry.start(), found.start(1) + entry.end()
        return text[:start] + str(int(entry[0], 0) + by) + text[end:]

    return patch


TABLES = "detector/tables.c"
MUTANTS = [
    ("core/hans.c", swap("memcpy(frame, frame + half,", "memcpy(frame, frame + half + 1,"), oracle.SAMPLES),
    ("core/spectrum.c", swap("23170", "23171"), oracle.SPECTRUM),
    ("core/spectrum.c", swap("sum.re >> 1", "sum.re / 2"), oracle.SPECTRUM),
    ("core/spectrum.c", swap("{a.re >> 1, a.im >> 1}", "{a.re / 2, a.im >> 1}"), oracle.SPECTRUM),
    ("core/multiply.h", swap("* 65536)) >> 32)", "* 65536) + 2147483648) >> 32)"), oracle.SPECTRUM),
    ("core/multiply.h", swap("(int64_t)im * im) >> 6", "(int64_t)im * im + 32) >> 6"), oracle.SPECTRUM),
    (TABLES, bump("taper_256", 77), oracle.SPECTRUM),
    (TABLES, bump("twiddle_128", 16), oracle.SPECTRUM),
    (TABLES, bump("twiddle_256", 9, by=1 << 16), oracle.SPECTRUM),
    (TABLES, bump("split_128", 21), oracle.SPECTRUM),
    (TABLES, bump("reciprocal_256", -1, by=-(2**20)), oracle.BANDS),  # a unit is 2^-31, far below 1/256 octave
    (TABLES, bump("edge_128", -2), oracle.BANDS),
    ("core/log2.c", swap("36346", "36347"), oracle.BANDS),
    ("core/log2.c", swap("(hans_log16(v) + 128)", "(hans_log16(v) + 127)"), oracle.BANDS),
    ("core/bands.c", swap("low * reciprocal) >> 31", "low * reciprocal) >> 32"), oracle.BANDS),
    ("core/features.c", swap("frames / 2)", "(frames - 1) / 2)"), oracle.FEATURES),
    ("core/features.c", swap("- 2 * log_frames", "- 2 * log_frames + 1"), oracle.FEATURES),
    ("core/spectrum.c", swap("(int32_t)32768", "(int32_t)32767"), oracle.SPECTRUM),
    ("core/moments.c", swap("reach < 65536", "reach < 131072"), oracle.FEATURES),
    ("core/moments.c", swap("6 * moments->s2", "7 * moments->s2"), oracle.FEATURES),
    ("core/moments.c", swap("(crest + 128)", "(crest + 127)"), oracle.FEATURES),
    ("core/hans.c", swap("(int32_t)12 * 65536", "(int32_t)12 * 65536 + 1"), oracle.SCORE),
    ("core/hans.c", swap("verdict->score > model", "verdict->score >= model"), oracle.VERDICT),
]


@cache
def windows() -> inputs.Samples:
    return inputs.random_windows(40, SPEC.window, SPEC.channels, seed=11)


@cache
def expected() -> tuple[int, list[dict[int, list[bytes]]]]:
    """The threshold, which is the score of one of the windows, and all stages of all windows."""
    scores = [toy_detector.score(row) for row in oracle.features(windows(), SPEC)]
    threshold = sorted(scores)[len(scores) // 2]
    every = []
    for window, score in zip(windows(), scores, strict=True):
        items = oracle.stages(window, SPEC)
        items[oracle.SCORE] = [np.int32(score).astype("<i4").tobytes()]
        items[oracle.VERDICT] = [bytes([oracle.verdict(score, threshold)])]
        items[oracle.ALARM] = [bytes([1]) + bytes(7)]  # without settings; with them: test_alarm_core
        every.append(items)
    return threshold, every


def first_difference(core: Core) -> int | None:
    """The earliest stage in which any window differs from the oracle."""
    different = set()
    for window, items in zip(windows(), expected()[1], strict=True):
        traced = core.trace(window)
        different |= {stage for stage in Stage if traced[stage] != items[stage]}
    return min(different, default=None)


@pytest.fixture
def mutated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Patch], Core]:
    """Compiles the core and the toy detector with one file patched, in a cache of its own."""

    def build(name: str, patch: Patch) -> Core:
        shutil.copytree(firmware_dir() / "core", tmp_path / "core")
        folder = toy_detector.write(tmp_path / "detector", SPEC, expected()[0])
        path = tmp_path / name
        path.write_text(patch(path.read_text()))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr(core_room, "firmware_dir", lambda: tmp_path)
        return Core(SPEC, folder)

    return build


def test_the_unchanged_core_agrees_in_every_stage(mutated: Callable[[str, Patch], Core]) -> None:
    assert first_difference(mutated("core/log2.c", lambda text: text)) is None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "patch", "stage"), MUTANTS, ids=range(len(MUTANTS)))
def test_a_changed_constant_is_seen_in_its_stage(
    mutated: Callable[[str, Patch], Core], name: str, patch: Patch, stage: int
) -> None:
    assert first_difference(mutated(name, patch)) == stage


def test_every_stage_has_a_mutant() -> None:
    assert {stage for _, _, stage in MUTANTS} == set(range(6))  # the alarm's are in test_alarm_core


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["-O0", "-O3", "-DHANS_SMALL_MULTIPLIER", "-fwrapv", "-funsigned-char"])
def test_no_compiler_option_changes_a_bit(flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutants' counterpart: what must not matter does not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = toy_detector.write(tmp_path / "detector", SPEC, expected()[0])
    compile_library = core_room.compile_library
    flags = (*core_room.FLAGS, flag)
    monkeypatch.setattr(core_room, "compile_library", lambda sources, include: compile_library(sources, include, flags))
    assert first_difference(Core(SPEC, folder)) is None
