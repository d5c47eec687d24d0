"""The core on the host: features, traces, streaming, and the cache of compiled code."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import oracle
import pytest
from numpy.typing import NDArray
from stream import build_stream, stream

from cyberhans.core import FLAGS, Core, Stage, compile_library, compiler
from cyberhans.errors import CyberHansError
from cyberhans.spec import FRAME_LENGTHS, Family, Frame, Spec, band_edges, design
from cyberhans.tables import emit_tables, spec_symbol

ALL = Family(15)
Samples = NDArray[np.int16]


def spec_of(
    channels: int, *lengths: int, families: Family = ALL, window: int = 0, hop: int = 0, bands: int = 4
) -> Spec:
    frames = tuple(Frame(n, band_edges(n, 8000, bands)) for n in lengths)
    window = window or 2 * lengths[-1] + 37
    return Spec(8_000_000, channels, window, hop or window, families, frames)


SPECS = {
    **{f"{n}": spec_of(1, n) for n in FRAME_LENGTHS},
    **{f"{c} channels": spec_of(c, 64, 256) for c in range(1, 7)},
    "two lengths, one apart": spec_of(2, 128, 256),
    "two lengths, far apart": spec_of(2, 64, 2048),
    "window of one frame": spec_of(1, 64, window=64),
    "means only": spec_of(3, 256, families=Family(0)),
    "level": spec_of(3, 256, families=Family.LEVEL),
    "steps": spec_of(3, 256, families=Family.STEPS | Family.DIFFERENCES),
    "spread": spec_of(2, 256, families=Family.SPREAD),
    "hop": spec_of(2, 64, 128, hop=500),
}
every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())


def noise(spec: Spec, windows: int = 3, seed: int = 1) -> Samples:
    shape = (windows, spec.window, spec.channels)
    loudness = 10.0 ** np.linspace(0.5, 4.3, windows)[:, None, None]
    values = np.random.default_rng(seed).normal(0, loudness, shape)
    return np.clip(values, -32768, 32767).astype(np.int16)


@every_spec
def test_results_have_the_shapes_and_types_of_the_spec(spec: Spec) -> None:
    windows = noise(spec)
    results = Core(spec).run(windows)
    assert results.features.dtype == np.int16 and results.features.shape == (3, len(spec.feature_names))
    assert results.score.dtype == np.int32 and not results.score.any()
    assert results.verdict.dtype == np.uint8 and not results.verdict.any()
    exact = (windows.astype(np.int64).sum(1) + spec.window // 2) // spec.window
    np.testing.assert_array_equal(results.mean, exact)
    np.testing.assert_array_equal(Core(spec).features(windows), results.features)


@every_spec
def test_trace_gives_every_item_in_order(spec: Spec) -> None:
    """Frames by the arrival of their last sample, then short first, then by channel (SPEC.md section 9)."""
    window = noise(spec)[1]
    items = Core(spec).trace(window)
    starts = [(start + frame.length, frame.length, channel, start)
              for frame in spec.frames for channel in range(spec.channels)
              for start in range(0, spec.window - frame.length + 1, frame.length // 2)]  # fmt: skip
    samples = [window[start : start + n, c].tobytes() for _, n, c, start in sorted(starts)]
    lengths = [n for _, n, _, _ in sorted(starts)]
    bands = {frame.length: frame.bands for frame in spec.frames}
    assert items[Stage.SAMPLES] == samples
    assert [len(item) for item in items[Stage.SPECTRUM]] == [4 * n for n in lengths]
    assert [len(item) for item in items[Stage.BANDS]] == [2 * bands[n] for n in lengths]
    assert items[Stage.FEATURES] == [Core(spec).features(window[None])[0].tobytes()]
    assert items[Stage.SCORE] == [bytes(4)] and items[Stage.VERDICT] == [bytes(1)]


@every_spec
def test_features_follow_from_the_traced_bands_and_the_signal(spec: Spec) -> None:
    """Band means, spreads, differences from the traced q; level, crest and kurtosis in floating point."""
    window = noise(spec)[2]
    core, frames = Core(spec), {}
    order = sorted((start + f.length, f.length, c) for f in spec.frames for c in range(spec.channels)
                   for start in range(0, spec.window - f.length + 1, f.length // 2))  # fmt: skip
    for (_, n, c), item in zip(order, core.trace(window)[Stage.BANDS], strict=True):
        frames.setdefault((n, c), []).append(np.frombuffer(item, np.int16).astype(float))
    expected: dict[str, float] = {}
    for (n, c), q in frames.items():
        mean = np.floor(np.mean(q, 0) + 0.5)
        variance = np.var(q, 0)
        for b in range(len(mean)):
            expected[f"c{c}.n{n}.b{b}.mean"] = mean[b]
            expected[f"c{c}.n{n}.b{b}.spread"] = max(0, 256 * np.log2(variance[b])) if variance[b] else 0
    for i, j in spec.pairs:
        for f in spec.frames:
            for b in range(f.bands):
                first, second = (expected[f"c{c}.n{f.length}.b{b}.mean"] for c in (i, j))
                expected[f"c{i}-c{j}.n{f.length}.b{b}"] = first - second
    for c in range(spec.channels):
        for prefix, u in (("", window[:, c].astype(float)), ("steps.", np.diff(window[:, c].astype(float)))):
            d = u - u.mean()
            m2 = np.mean(d**2)
            expected[f"c{c}.{prefix}level"] = 256 * np.log2(m2)
            expected[f"c{c}.{prefix}crest"] = 256 * np.log2(np.abs(d).max() ** 2 / m2)
            expected[f"c{c}.{prefix}kurtosis"] = 256 * np.log2(np.mean(d**4) / m2**2)
    for name, got in zip(spec.feature_names, core.features(window[None])[0], strict=True):
        assert abs(got - expected[name]) <= (0 if "mean" in name or "-" in name else 3), name


def test_a_steady_tone_stands_in_its_band() -> None:
    spec = spec_of(1, 512, bands=16, window=4096)
    edges = spec.frames[0].edges
    t = np.arange(spec.window)
    for band in (3, 9, 15):
        x = 8000 * np.sin(2 * np.pi * edges[band + 1] * t / 512)
        means = Core(spec).features(x.astype(np.int16)[None, :, None])[0, :16]
        assert means.argmax() == band
        half = Core(spec).features((x / 2).astype(np.int16)[None, :, None])[0, :16]
        assert abs(int(means[band]) - int(half[band]) - 512) <= 1  # half the amplitude: two octaves of power


def test_silence_and_constants_give_zeros() -> None:
    spec = spec_of(2, 64, 256)
    assert not Core(spec).features(np.zeros((1, spec.window, 2), np.int16)).any()
    results = Core(spec).run(np.full((1, spec.window, 2), -32768, np.int16))
    kinds = ("level", "crest", "kurtosis")
    statistics = [i for i, name in enumerate(spec.feature_names) if name.endswith(kinds)]
    assert statistics and not results.features[0, statistics].any()
    assert results.mean.tolist() == [[-32768, -32768]]


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [(64, 128), (256, 512), (1024, 2048)])
def test_results_do_not_depend_on_optimisation_or_multiplier(lengths: tuple[int, int], tmp_path: Path) -> None:
    spec = spec_of(2, *lengths)
    samples = noise(spec, 3)
    samples[2] = np.random.default_rng(3).choice(np.array([-32768, 32767], np.int16), samples[2].shape)
    lines = {
        stream(build_stream(spec, tmp_path, *flags), samples)
        for flags in (["-O0"], ["-O2"], ["-O3"], ["-Os", "-DHANS_SMALL_MULTIPLIER"])
    }
    assert len(lines) == 1
    features = [line.split()[5 + spec.channels :] for line in lines.pop().splitlines()]
    np.testing.assert_array_equal(np.array(features, int), Core(spec).features(samples))


@pytest.mark.parametrize("name", ["3 channels", "two lengths, far apart", "window of one frame", "hop"])
def test_a_stream_tells_the_same_in_pieces_of_any_size(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    program = build_stream(spec, tmp_path, "-O1")
    samples = noise(replace(spec, window=4 * spec.hop + 5, hop=4 * spec.hop + 5), 1)[0]
    whole = stream(program, samples)
    lines = [list(map(int, line.split())) for line in whole.splitlines()]
    assert [line[:2] for line in lines] == [[i, i * spec.hop] for i in range(4)]
    starts = [samples[i * spec.hop : i * spec.hop + spec.window] for i in range(4)]
    np.testing.assert_array_equal([line[5 + spec.channels :] for line in lines], Core(spec).features(np.stack(starts)))
    for chunk in (1, 7, 64, 333):
        assert stream(program, samples, chunk) == whole


def test_restart_forgets_everything_before_it(tmp_path: Path) -> None:
    spec = SPECS["hop"]
    program = build_stream(spec, tmp_path, "-O1")
    samples = noise(replace(spec, window=1700, hop=1700), 1)[0]
    fresh = stream(program, samples[650:])
    assert stream(program, samples, restart=650).splitlines()[-2:] == fresh.splitlines()
    assert len(fresh.splitlines()) == 2


def test_parts_make_the_score_of_section_7(tmp_path: Path) -> None:
    """score = L16(sum) - L16(k) - 12 * 65536, where the driver's model gives f0^2 and a saturated part."""
    spec = SPECS["means only"]
    for line in stream(build_stream(spec, tmp_path), noise(spec)).splitlines():
        _, _, score, anomaly, flags, *rest = map(int, line.split())
        total = rest[spec.channels] ** 2 + 0xFFFFFFFF
        expected = 65536 * (np.log2(total) - 1 - 12)
        assert abs(score - expected) <= 20  # straight lines between 33 points are 12 off at most
        assert anomaly == (score > 0) and flags == 1


def test_what_callers_of_the_header_rely_on(tmp_path: Path) -> None:
    flags = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    for spec in (SPECS["3 channels"], SPECS["64"]):
        program = build_stream(spec, tmp_path, *flags, driver="unit.c")
        done = subprocess.run([program], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_windows_of_another_shape_or_type_are_refused_in_one_line() -> None:
    core = Core(SPECS["3 channels"])
    good = noise(core.spec)
    for wrong in (good[0], good[:, 1:], good[:, :, :2], good.astype(np.int32)):
        with pytest.raises(CyberHansError, match=r"^windows are .*the spec wants int16 \(k, 549, 3\)$"):
            core.run(wrong)
    with pytest.raises(CyberHansError, match="the spec wants"):
        core.trace(good)
    strided = np.asfortranarray(good)
    np.testing.assert_array_equal(core.features(strided), core.features(good))


def test_threads_share_a_core() -> None:
    core = Core(design("full", 16000, 1, 16000 * 60))
    windows = noise(core.spec, 8)
    with ThreadPoolExecutor(4) as pool:
        parallel = list(pool.map(lambda i: core.features(windows[i : i + 1])[0], range(8)))
    np.testing.assert_array_equal(parallel, core.features(windows))


STATIC_MODEL = """\
#include <stdint.h>

static volatile uint32_t sum; /* emlearn's inference code keeps its intermediate values in such places */

int32_t entry_a(const int16_t *f, uint32_t *p);

int32_t entry_a(const int16_t *f, uint32_t *p)
{
    (void)p;
    sum = 0;
    for (int i = 0; i < 20000; i++) {
        sum += (uint32_t)f[i % 3];
    }
    return (int32_t)sum;
}
"""


def test_threads_share_a_model_that_keeps_values_in_static_memory(tmp_path: Path) -> None:
    """Two cores of one folder: the library, and so its static memory, is one."""
    spec = SPECS["64"]
    write_detector(tmp_path, spec, spec, STATIC_MODEL)
    cores, windows = [Core(spec, tmp_path), Core(spec, tmp_path)], noise(spec, 64)
    expected = cores[0].run(windows)
    assert len(set(expected.score.tolist())) > 32
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda i: cores[i % 2].run(windows), range(8)):
            np.testing.assert_array_equal(found.score, expected.score)


def test_a_detector_folder_of_another_spec_is_refused(tmp_path: Path) -> None:
    ours, other = SPECS["64"], SPECS["128"]
    write_detector(tmp_path, other, other)
    with pytest.raises(CyberHansError, match="made for another Spec"):
        Core(ours, tmp_path)
    assert Core(other, tmp_path).run(noise(other)).score.tolist() == [77, 77, 77]
    write_detector(tmp_path, ours, other)
    with pytest.raises(CyberHansError, match="refuses the detector: the model was made for another spec"):
        Core(ours, tmp_path)
    (tmp_path / "model.c").unlink()
    with pytest.raises(CyberHansError, match=r"model\.c: No such file or directory; is this a detector folder"):
        Core(ours, tmp_path)


MODEL_77 = """\
#include <stdint.h>
int32_t entry_a(const int16_t *f, uint32_t *p);
int32_t entry_a(const int16_t *f, uint32_t *p) { (void)f; (void)p; return 77; }
"""


def write_detector(
    folder: Path, tables_of: Spec, model_of: Spec, model: str = MODEL_77, kind: str = "HANS_DIRECT"
) -> None:
    """A detector whose score is always 77, one above its threshold, or another model's."""
    digest = ", ".join(map(str, model_of.digest))
    (folder / "tables.c").write_text(emit_tables(tables_of))
    (folder / "model.c").write_text(model)
    (folder / "detector.h").write_text(
        f'#include "hans.h"\nextern const struct hans_spec {spec_symbol(tables_of)};\n'
        f"#define HANS_DETECTOR_SPEC {spec_symbol(tables_of)}\n"
        "extern const struct hans_model model_a;\n#define HANS_DETECTOR_MODEL model_a\n"
    )
    (folder / "detector.c").write_text(
        '#include "detector.h"\nint32_t entry_a(const int16_t *f, uint32_t *p);\n'
        "const struct hans_model model_a = {.magic = HANS_MODEL_MAGIC, .interface = HANS_INTERFACE,"
        f" .kind = {kind}, .spec = {{{digest}}}, .features = {model_of.features}, .threshold = 76,"
        " .entry = entry_a};\n"
    )


def test_a_model_gives_scores_and_verdicts(tmp_path: Path) -> None:
    spec = SPECS["64"]
    write_detector(tmp_path, spec, spec)
    core = Core(spec, tmp_path)
    results = core.run(noise(spec))
    assert results.score.tolist() == [77] * 3 and results.verdict.tolist() == [1] * 3
    items = core.trace(noise(spec)[0])
    assert items[Stage.SCORE] == [(77).to_bytes(4, "little")] and items[Stage.VERDICT] == [b"\x01"]


HEADS_MODEL = """\
#include <stdint.h>
int32_t entry_a(const int16_t *f, uint32_t *p);
int32_t entry_a(const int16_t *f, uint32_t *p)
{{
    for (int i = 0; i < {heads}; i++) {{
        p[i] = (uint32_t)(uint16_t)f[i] * (uint16_t)f[i];
    }}
    return 12345; /* not looked at */
}}
"""


@pytest.mark.parametrize("heads", [1, 2, 5, 6])
def test_a_score_of_heads_is_the_mean_of_their_logs(heads: int, tmp_path: Path) -> None:
    """As the oracle has it; the zeros of a silent window too."""
    spec = SPECS["64"]
    write_detector(tmp_path, spec, spec, HEADS_MODEL.format(heads=heads), kind=f"HANS_HEADS, .parts = {heads}")
    windows = noise(spec, 40)
    windows[0] = 0
    results = Core(spec, tmp_path).run(windows)
    squares = [[int(np.uint16(value)) ** 2 for value in row[:heads]] for row in results.features]
    assert results.score.tolist() == [oracle.heads_score(parts) for parts in squares]
    assert results.score[0] == -12 * 65536 and len(set(results.score.tolist())) > 30


def test_the_bounds_of_a_score_of_heads() -> None:
    """Rounded to the nearest, half up; exact for as many heads as there can be."""
    assert oracle.heads_score([1, 2]) == 32768 - 12 * 65536
    assert oracle.heads_score([0, 3]) == (oracle.log16(3) + 1) // 2 - 12 * 65536
    assert oracle.heads_score([2**32 - 1] * 255) == oracle.log16(2**32 - 1) - 12 * 65536
    assert 255 * oracle.log16(2**32 - 1) + 127 < 2**31


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cyberhans"


def test_the_same_content_is_compiled_once(empty_cache: Path) -> None:
    first = compile_library(["int one(void); int one(void) { return 1; }"], [])
    assert first.parent == empty_cache and list(empty_cache.iterdir()) == [first]
    stamp = first.stat().st_mtime_ns
    assert compile_library(["int one(void); int one(void) { return 1; }"], []) == first
    assert first.stat().st_mtime_ns == stamp
    assert compile_library(["int one(void); int one(void) { return 2; }"], []) != first
    assert compile_library(["int one(void); int one(void) { return 1; }"], [], [*FLAGS, "-O0"]) != first


def test_a_changed_header_is_noticed(empty_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "a.h").write_text("#define A 1\n")
    source = '#include "a.h"\nint a(void); int a(void) { return A; }\n'
    first = compile_library([source], [tmp_path])
    (tmp_path / "a.h").write_text("#define A 2\n")
    assert compile_library([source], [tmp_path]) != first


@pytest.mark.slow
def test_a_broken_cache_entry_is_made_again(empty_cache: Path) -> None:
    # In another process: a library that this one has loaded must not be cut short under it.
    spec = "Spec(8000000, 1, 64, 64, Family(0), (Frame(64, (1, 2, 3)),))"
    program = f"from cyberhans.core import Core; from cyberhans.spec import Family, Frame, Spec; Core({spec})"
    run = [sys.executable, "-c", program]
    root = Path(__file__).parent.parent
    assert subprocess.run(run, cwd=root).returncode == 0
    (made,) = empty_cache.glob("*.so")
    made.write_bytes(b"\x7fELF cut short")
    assert subprocess.run(run, cwd=root).returncode == 0
    assert len(made.read_bytes()) > 1000


def test_a_compiler_error_is_one_line(empty_cache: Path) -> None:
    with pytest.raises(CyberHansError, match="error") as caught:
        compile_library(["int broken( { }"], [])
    assert "\n" not in str(caught.value)
    assert not list(empty_cache.glob("*"))


def test_cc_names_the_compiler_and_a_wrong_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "gcc -m64")
    assert compiler() == ["gcc", "-m64"]
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(CyberHansError, match="CC=no-such-compiler: no such compiler; unset CC"):
        compiler()


def test_no_compiler_is_one_line_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CyberHansError) as caught:
        compiler()
    assert str(caught.value) == "no C compiler: install gcc (apt install gcc) or pip install ziglang"


def test_the_compiler_of_ziglang_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert compiler() == [sys.executable, "-m", "ziglang", "cc"]
