"""The constants of a Spec and the C that holds them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cyberhans.core import compiler, firmware_dir
from cyberhans.spec import ARITHMETIC_VERSION, FRAME_LENGTHS, Family, Frame, Spec, band_edges
from cyberhans.tables import INTERFACE_VERSION, emit_tables, spec_symbol, tables

SPEC_MD = {64: (8, 1, 10), 128: (4, 2, 10), 256: (8, 2, 9), 512: (4, 3, 9), 1024: (8, 3, 8), 2048: (4, 4, 8)}


def one_frame(length: int) -> Spec:
    frame = Frame(length, band_edges(length, 8000, 8))
    return Spec(8_000_000, 1, 4096, 4096, Family.LEVEL, (frame,))


@pytest.mark.parametrize("length", FRAME_LENGTHS)
def test_radix_stages_and_shift_are_those_of_the_specification(length: int) -> None:
    (table,) = tables(one_frame(length))
    assert (table.radix, table.stages, table.shift) == SPEC_MD[length]
    assert table.radix * 4**table.stages == length // 2


@pytest.mark.parametrize("length", FRAME_LENGTHS)
def test_no_constant_lies_near_a_rounding_tie(length: int) -> None:
    """Every correctly rounded or merely accurate cosine then gives the same integers."""
    angle = 2 * np.pi * np.arange(length, dtype=np.longdouble) / length
    rotations = np.concatenate([32768 * np.cos(angle), 32768 * np.sin(angle), 32768 * (0.5 - 0.5 * np.cos(angle))])
    fraction = np.abs(rotations - np.floor(rotations) - 0.5)
    assert fraction.min() > 1e-9


@pytest.mark.parametrize("length", FRAME_LENGTHS)
def test_arrays_are_the_rounded_functions(length: int) -> None:
    (table,) = tables(one_frame(length))
    i = np.arange(length)
    assert np.abs(table.taper - 32768 * (0.5 - 0.5 * np.cos(2 * np.pi * i / length))).max() <= 1
    assert table.taper[0] == 0 and table.taper[length // 2] == 32767
    np.testing.assert_array_equal(table.taper[1:], table.taper[:0:-1])
    angle = 2 * np.pi * np.arange(length // 4) / length
    assert np.abs(table.split - 32768 * np.stack([np.cos(angle), np.sin(angle)], 1)).max() <= 1
    assert table.twiddle.shape == (sum(table.radix * 4**d for d in range(table.stages)), 3, 2)
    assert table.twiddle[0].tolist() == [[32767, 0]] * 3
    last = table.radix * 4 ** (table.stages - 1)
    m = np.outer(np.arange(last), [1, 2, 3]) * 2 * np.pi / (4 * last)
    assert np.abs(table.twiddle[-last:] - 32768 * np.stack([np.cos(m), np.sin(m)], 2)).max() <= 1


@pytest.mark.parametrize("length", FRAME_LENGTHS)
def test_order_is_a_permutation_that_undoes_itself(length: int) -> None:
    (table,) = tables(one_frame(length))
    np.testing.assert_array_equal(table.order[table.order], np.arange(len(table.order)))


def test_reciprocals_are_exact() -> None:
    spec = replace(one_frame(2048), frames=(Frame(2048, (1, 2, 5, 500, 1024)),))
    (table,) = tables(spec)
    assert table.reciprocal.tolist() == [int(Fraction(2**31, width)) for width in (1, 3, 495, 524)]
    assert table.reciprocal[0] == 2**31  # needs an unsigned word


def test_two_lengths_come_short_first_and_the_text_is_the_same_twice() -> None:
    frames = (Frame(64, (1, 2, 3)), Frame(256, (1, 9, 100)))
    spec = Spec(1_000_000, 3, 512, 600, Family.SPREAD, frames)
    assert [table.length for table in tables(spec)] == [64, 256]
    assert emit_tables(spec) == emit_tables(spec)
    assert spec_symbol(spec) == f"hans_spec_{spec.digest.hex()[:8]}"
    assert emit_tables(spec) != emit_tables(replace(spec, hop=601))


def compile_text(text: str, tmp_path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "tables.c").write_text(text)
    warnings = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", *flags]
    command = [*compiler(), *warnings, f"-I{firmware_dir() / 'core'}", "-c", "tables.c", "-o", "tables.o"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)


@pytest.mark.parametrize("length", FRAME_LENGTHS)
def test_the_c_compiles_without_a_warning(length: int, tmp_path: Path) -> None:
    done = compile_text(emit_tables(one_frame(length)), tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_versions_are_those_of_the_core_and_the_check_of_them_stands_once() -> None:
    header = (firmware_dir() / "core" / "hans.h").read_text()
    assert f"#define HANS_INTERFACE {INTERFACE_VERSION} " in header
    assert f"#define HANS_ARITHMETIC {ARITHMETIC_VERSION} " in header
    rooms = (firmware_dir().parent / "cyberhans").rglob("*.py")
    assert [path.name for path in rooms for _ in re.finditer("HANS_INTERFACE != ", path.read_text())] == ["tables.py"]


@pytest.mark.parametrize("version", ["HANS_INTERFACE", "HANS_ARITHMETIC"])
def test_the_c_refuses_another_version_of_the_core(version: str, tmp_path: Path) -> None:
    header = (firmware_dir() / "core" / "hans.h").read_text()
    (tmp_path / "hans.h").write_text(re.sub(rf"(#define {version}) \d+", r"\1 99", header))
    done = compile_text(emit_tables(one_frame(256)), tmp_path, "-I.")
    assert done.returncode != 0 and "generate it anew" in done.stderr
