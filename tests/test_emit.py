"""model.c: self-contained, reproducible, guarded, and its integers are the rounded floats of the model it came from."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from learnt import features, fitted, model
from numpy.typing import NDArray

from conftest import needs
from cyberhans import amalgamation, emit, truth
from cyberhans.core import FLAGS, compile_library, compiler, firmware_dir
from cyberhans.detector import Model
from cyberhans.detectors import KINDS
from cyberhans.detectors.forest import Forest
from cyberhans.errors import CyberHansError

CORE = firmware_dir() / "core"
ROWS = np.concatenate([features(seed=3), np.random.default_rng(0).integers(-32768, 32768, (50, 20)).astype(np.int16)])
MODELS = [("autoencoder", None), ("gaussian", None), ("forest", "loadable"), ("forest", "inline"), ("trees", None)]


def entries(made: Model, rows: NDArray[np.int16], library: ctypes.CDLL | None = None) -> NDArray[np.int64]:
    """(rows, parts or 1): what the model's entry gives for each row, its parts or its score."""
    library = library or ctypes.CDLL(str(compile_library([made.text], [CORE])))
    entry = getattr(library, f"{made.prefix}_entry")
    entry.restype = ctypes.c_int32
    found = []
    for row in np.ascontiguousarray(rows):
        parts = np.zeros(made.parts, np.uint32)
        score = entry(row.ctypes.data_as(ctypes.c_void_p), parts.ctypes.data_as(ctypes.c_void_p))
        found.append(parts if made.parts else [score])
    return np.array(found).astype(np.int64)


def exactly_rounded(squares: NDArray[np.float32]) -> NDArray[np.int64]:
    """SPEC.md section 7: floor(r * r * 4096 + 0.5), saturated; float64 holds all of it exactly."""
    scaled = squares.astype(np.float64) * 4096
    return np.where(scaled < 2**32, np.floor(scaled + 0.5), 2**32 - 1).astype(np.int64)


def compiles(text: str, *flags: str, include: Path = CORE) -> bool:
    command = [*compiler(), "-x", "c", "-std=c99", "-fsyntax-only", f"-I{include}", *flags, "-"]
    return subprocess.run(command, input=text, text=True, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("kind", ["autoencoder", "trees"])
def test_parts_are_the_rounded_squares(kind: str) -> None:
    made = model(kind)
    np.testing.assert_array_equal(entries(made, ROWS), exactly_rounded(truth.run(made, ROWS)))


@pytest.mark.parametrize("method", ["loadable", "inline"])
def test_a_forest_score_is_the_rounded_path(method: str) -> None:
    made, forest = model("forest", method=method), fitted("forest")
    assert isinstance(forest, Forest)
    path = truth.run(made, ROWS)[:, 0]
    product = path * np.float32(65536 / forest.typical_path)
    wanted = np.floor(-product.astype(np.float64) + 0.5).astype(np.int64)
    found = entries(made, ROWS)[:, 0]
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_allclose(found / 65536, forest.score(ROWS), atol=2e-5)


def test_both_ways_of_a_forest_give_the_same_bits() -> None:
    a, b = (entries(model("forest", method=method), ROWS) for method in ("loadable", "inline"))
    np.testing.assert_array_equal(a, b)


def test_rounding_at_its_bounds() -> None:
    """Ties go up; just below 2^32 is kept, from there on and for no number it saturates; no float32 sum is taken."""
    made = model("autoencoder")
    test = f"""
void round_all(const float *x, uint32_t *y, int n);
void round_all(const float *x, uint32_t *y, int n)
{{
    for (int i = 0; i < n; i++)
        y[i] = {made.prefix}_part(x[i]);
}}
"""
    library = ctypes.CDLL(str(compile_library([made.text + test], [CORE])))
    half = np.float32(0.5 / 4096)
    below_half, below_top = np.nextafter(half, np.float32(0)), np.nextafter(np.float32(2**20), np.float32(0))
    given = np.array(
        [0, half, below_half, 1.5 / 4096, 1, below_top, 2**20, 3e38, np.inf, np.nan, 2**12 + 0.5], np.float32
    )
    found = np.zeros(len(given), np.uint32)
    library.round_all(given.ctypes.data_as(ctypes.c_void_p), found.ctypes.data_as(ctypes.c_void_p), len(given))
    top = 2**32 - 1
    assert found.tolist() == [0, 1, 0, 2, 4096, 2**32 - 256, top, top, top, top, 2**24 + 2048]


@pytest.mark.parametrize(("kind", "method"), MODELS)
def test_same_inputs_same_bytes(kind: str, method: str | None) -> None:
    again, _ = emit.emit(fitted(kind), features(), method=method)
    assert again == model(kind, method=method)


@pytest.mark.parametrize(("kind", "method"), MODELS)
def test_the_text(kind: str, method: str | None) -> None:
    made = model(kind, method=method)
    assert made.text.startswith('#include "hans.h"\n')
    licensed = "Copyright 2018-2023 Jon Nordby" in made.text and "WITHOUT WARRANTY OF ANY KIND" in made.text
    assert licensed == (kind != "gaussian")  # which has nothing of emlearn
    assert kind != "gaussian" or not re.search(r"\bfloat\b|\bdouble\b|\d\.\d", made.text)
    assert emit.P not in made.text and re.fullmatch(r"hans_[0-9a-f]{8}", made.prefix)
    assert not re.search(r"20[2-9]\d-\d\d|/tmp|/home", made.text), "a time stamp or a path"
    assert max(len(line) for line in made.text.splitlines() if not line.startswith("#define")) <= 120
    assert all(line == line.rstrip() for line in made.text.splitlines())


@pytest.mark.parametrize("kind", KINDS)
def test_ram_is_what_the_object_takes(kind: str, tmp_path: Path) -> None:
    made = model(kind)
    (tmp_path / "m.c").write_text(made.text)
    fixed = ["-std=c99", "-O2", "-fno-pic", "-fno-pie"]  # else const pointers count as writable for the loader
    subprocess.run([*compiler(), *fixed, f"-I{CORE}", "-c", "m.c", "-o", "m.o"], cwd=tmp_path, check=True)
    lines = subprocess.run(["nm", "-S", "m.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    writable = [int(size, 16) for size in re.findall(r"^\S+ (\S+) [bBdD] hans", lines, re.MULTILINE)]
    assert sum(writable) == made.ram


def test_two_models_share_an_image() -> None:
    pair = [model("autoencoder"), model("gaussian")]
    together = ctypes.CDLL(str(compile_library([made.text for made in pair], [CORE])))
    for made in pair:
        np.testing.assert_array_equal(entries(made, ROWS, together), entries(made, ROWS))


def test_same_numbers_at_every_optimisation() -> None:
    """A float is computed as SPEC.md section 7 says, whatever the compiler does to be fast."""
    for kind in KINDS:
        made = model(kind)
        plain = [flag for flag in FLAGS if flag != "-O2"]
        for level in ("-O0", "-O1", "-O3"):
            library = ctypes.CDLL(str(compile_library([made.text], [CORE], (*plain, level))))
            np.testing.assert_array_equal(entries(made, ROWS, library), entries(made, ROWS))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "method"), MODELS)
def test_the_sanitizers_have_nothing_to_say(kind: str, method: str | None, tmp_path: Path) -> None:
    made = model(kind, method=method)
    rows = ", ".join("{" + ", ".join(map(str, row)) + "}" for row in ROWS)
    main = f"""
static const int16_t rows[][{ROWS.shape[1]}] = {{{rows}}};
int main(void)
{{
    static uint32_t parts[{made.parts or 1}];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {{
        {made.prefix}_entry(rows[i], parts);
    }}
    return 0;
}}
"""
    (tmp_path / "m.c").write_text(made.text + main)
    flags = ["-std=c99", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    built = subprocess.run([*compiler(), *flags, f"-I{CORE}", "m.c", "-o", "m"], cwd=tmp_path, check=False)
    assert built.returncode == 0, "this compiler has no sanitizers: CC=gcc has"
    subprocess.run([str(tmp_path / "m")], check=True)


@pytest.mark.parametrize("version", ["HANS_INTERFACE", "HANS_ARITHMETIC"])
def test_another_version_of_the_core_does_not_compile(version: str, tmp_path: Path) -> None:
    header = (CORE / "hans.h").read_text()
    (tmp_path / "hans.h").write_text(re.sub(rf"(#define {version}) \d+", r"\1 99", header))
    assert compiles(model("forest").text)
    assert not compiles(model("forest").text, include=tmp_path)


def test_fast_math_does_not_compile() -> None:
    assert not compiles(model("autoencoder").text, "-ffast-math")


@pytest.mark.slow
def test_the_compiler_from_pip_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {kind: entries(model(kind), ROWS) for kind in KINDS}
    monkeypatch.setenv("CC", f"{sys.executable} -m ziglang cc")
    for kind in KINDS:
        np.testing.assert_array_equal(entries(model(kind), ROWS), wanted[kind])


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m4"])
@pytest.mark.parametrize(("kind", "method"), MODELS)
def test_the_cross_compiler_has_nothing_to_say(cpu: str, kind: str, method: str | None, tmp_path: Path) -> None:
    needs("arm-none-eabi-gcc")
    (tmp_path / "m.c").write_text(model(kind, method=method).text)
    strict = ["-std=c99", "-Os", "-ffp-contract=off", "-Wall", "-Wextra", "-pedantic", "-Werror", "-mthumb"]
    subprocess.run(
        ["arm-none-eabi-gcc", *strict, f"-mcpu={cpu}", f"-I{CORE}", "-c", "m.c", "-o", "m.o"], cwd=tmp_path, check=True
    )


# The truth guard


def test_the_guard_sees_one_changed_tree() -> None:
    made = model("trees")
    text, count = re.subn(r"(net_tree_7\(.*?return )-?[\d.]+f;", r"\g<1>640.0f;", made.text, count=1, flags=re.DOTALL)
    assert count == 1
    with pytest.raises(CyberHansError, match="differs from its source"):
        truth.compare(fitted("trees"), replace(made, text=text), features())


@pytest.mark.parametrize("kind", KINDS)
def test_the_guard_says_how_well_they_agree(kind: str) -> None:
    found = truth.compare(fitted(kind), model(kind), features())
    assert found["windows"] == 2 * len(features())
    assert 0 < found["error"] <= found["largest_error"] < found["limit"]
    assert found["limit"] == {"forest": 1e-6, "autoencoder": 1e-3, "gaussian": 0.25, "trees": 1e-3}[kind]


@pytest.mark.parametrize(
    ("kind", "table", "change"),
    [("autoencoder", "layer_1_biases", 0.05), ("forest", "leaves", 1e-2)],
)
def test_the_guard_sees_one_changed_constant(kind: str, table: str, change: float) -> None:
    made = model(kind)
    pattern = rf"(net_{table}\[\d+\] = {{ )([^,]+)f,"
    text, count = re.subn(pattern, lambda m: f"{m[1]}{float(m[2]) + change:.9g}f,", made.text)
    assert count == 1
    with pytest.raises(CyberHansError, match="differs from its source"):
        truth.compare(fitted(kind), replace(made, text=text), features())


def test_the_guard_refuses_what_is_no_number() -> None:
    made = model("autoencoder")
    text, count = re.subn(r"(layer_1_biases\[\d+\] = {) [^,]+,", r"\1 (0.0f / 0.0f),", made.text)
    assert count == 1
    with pytest.raises(CyberHansError, match="differs from its source by nan"):
        truth.compare(fitted("autoencoder"), replace(made, text=text), features())


def test_a_broken_cache_entry_does_not_stop_the_guard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = model("autoencoder")
    broken = compile_library([made.text + truth._VALUES % made.prefix], [CORE])
    broken.write_bytes(b"\x7fELF cut short")
    assert truth.run(made, ROWS).shape == (len(ROWS), made.parts)
    assert len(broken.read_bytes()) > 1000


def test_nothing_is_emitted_past_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truth, "PART_LIMIT", 1e-12)
    monkeypatch.setattr(truth, "ROUNDING_LIMIT", 1e-12)
    for kind in ("autoencoder", "gaussian"):
        with pytest.raises(CyberHansError, match="not emitted"):
            emit.emit(fitted(kind), features())


# Cutting C to what is used


HEADER = """
#ifndef EML_X_H
#define EML_X_H
#include <stdio.h>
#define EML_ONE 1
#ifdef EML_DEBUG
int eml_debug(void) { return EML_ONE; }
#else
static int eml_used(int x) /* not { this */ { return x + EML_ONE; } // nor } this
#endif
typedef enum _EmlE { EmlA = 0, EmlB } EmlE;
typedef struct { EmlE e; } EmlUnused;
int eml_main(void) {
    EML_LOG_BEGIN("x");
    return eml_used(EmlB); }
const int eml_table[2] = { 1, 2 };
#endif
"""


def reduced(tmp_path: Path, header: str, *roots: str) -> str:
    (tmp_path / "eml_x.h").write_text(header)
    return amalgamation.reduce(amalgamation.flatten("#include <eml_x.h>\n#include <eml_x.h>\n", tmp_path), roots, "p")


def test_only_what_is_reached_stays_static_and_renamed(tmp_path: Path) -> None:
    text = reduced(tmp_path, HEADER, "eml_main")
    assert "static int p_eml_main(void)" in text and "static int p_eml_used" in text
    assert "#define p_EML_ONE 1" in text and "typedef enum p_EmlE { p_EmlA" in text
    for gone in ("stdio", "debug", "EmlUnused", "table", "EML_X_H", "LOG", "not", "nor"):
        assert gone not in text


def test_a_table_can_be_the_root(tmp_path: Path) -> None:
    assert reduced(tmp_path, HEADER, "eml_table") == "static const int p_eml_table[2] = { 1, 2 };\n"


@pytest.mark.parametrize("header", ["#if EML_A > 2\n#endif", "#undef EML_A", "#if EML_UNKNOWN\n#endif"])
def test_what_it_does_not_understand_is_an_error(tmp_path: Path, header: str) -> None:
    with pytest.raises(CyberHansError, match="emlearn's C has changed"):
        reduced(tmp_path, header, "eml_main")


def test_a_missing_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CyberHansError, match="no eml_gone"):
        reduced(tmp_path, HEADER, "eml_gone", "eml_main")


def test_an_edit_must_find_its_place_once() -> None:
    assert amalgamation.replace_once("a b", "b", "c") == "a c"
    for text in ("a", "b b"):
        with pytest.raises(CyberHansError, match="has changed"):
            amalgamation.replace_once(text, "b", "c")
