"""The C of firmware/core: compilers' and analysers' complaints, what it links to, its bounds, its exact arithmetic."""

from __future__ import annotations

import ctypes
import itertools
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from counts import full
from numpy.typing import NDArray
from small_detector import small_image
from stream import build_stream, stream

from conftest import needs
from cyberhans.core import Core, Stage, compile_library, core_sources, firmware_dir
from cyberhans.spec import FRAME_LENGTHS, Family, Frame, Spec

CORE = firmware_dir() / "core"
SOURCES = sorted(CORE.glob("*.c"))
PORTS = sorted(path.name for path in (firmware_dir() / "boards").iterdir() if path.is_dir())
ROOMS = ["core", "app", *(f"boards/{name}" for name in PORTS)]
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wconversion", "-Wvla", "-Wmissing-prototypes"]
CORTEX = {
    "m0": ["-mcpu=cortex-m0", "-mthumb"],
    "m4f": ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
}
# Copies of memory that a compiler makes by itself, and integer arithmetic that a Cortex-M has no instruction for.
ALLOWED = re.compile(
    r"mem(cpy|move|set|cmp)|hans_\w+|__clz[sd]i2|__aeabi_(lmul|llsl|llsr|lasr|u?idiv(mod)?|mem(cpy|clr|set|move)[48]?)|__gnu_thumb1_\w+"
)
TARGETS = [
    pytest.param(("gcc", "", ["-fno-stack-protector"]), id="host"),
    pytest.param(("arm-none-eabi-gcc", "arm-none-eabi-", CORTEX["m0"]), id="m0", marks=pytest.mark.emulator),
    pytest.param(("arm-none-eabi-gcc", "arm-none-eabi-", CORTEX["m4f"]), id="m4f", marks=pytest.mark.emulator),
]
Toolchain = tuple[str, str, list[str]]


def objects(toolchain: Toolchain, folder: Path) -> Iterator[Path]:
    compiler, _, flags = toolchain
    needs(compiler)
    for source in SOURCES:
        made = folder / f"{source.stem}.o"
        command = [compiler, *flags, "-O2", *WARNINGS, "-c", str(source), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        yield made


@pytest.mark.parametrize("toolchain", TARGETS)
def test_the_core_compiles_clean_owns_nothing_and_calls_nothing(toolchain: Toolchain, tmp_path: Path) -> None:
    """No warning; no .data or .bss; no heap, no stdio, no float: only the few names of ALLOWED."""
    for made in objects(toolchain, tmp_path):
        sizes = subprocess.run([f"{toolchain[1]}size", str(made)], capture_output=True, text=True, check=True)
        _, data, bss, *_ = sizes.stdout.splitlines()[1].split()
        assert (data, bss) == ("0", "0"), made.name
        names = subprocess.run([f"{toolchain[1]}nm", str(made)], capture_output=True, text=True, check=True).stdout
        for line in names.splitlines():
            kind, name = line.split()[-2:]
            assert kind not in "dDbBCsS", f"{made.name}: {name} can be written"
            assert kind != "U" or ALLOWED.fullmatch(name), f"{made.name} calls {name}"
            assert kind != "T" or name.startswith("hans_"), f"{made.name}: {name} is public without the prefix"


@pytest.mark.parametrize("room", ROOMS)
def test_cppcheck_finds_nothing(room: str) -> None:
    """In the core, the application with a detector, and every board."""
    needs("cppcheck")
    folder, detector = firmware_dir(), small_image()[0].folder
    options = ["--std=c99", "--enable=all", "--inline-suppr", "--error-exitcode=1", "--quiet"]
    options += [f"--suppress={name}" for name in ("missingIncludeSystem", "unusedFunction", "unmatchedSuppression")]
    options += [f"-I{path}" for path in (CORE, folder / "app", detector)]
    sources = sorted(map(str, (folder / room).glob("*.c")))
    assert sources
    done = subprocess.run(["cppcheck", *options, *sources], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_app_sees_only_the_public_header() -> None:
    """core.h, multiply.h and wide.h are the core's own."""
    for source in (firmware_dir() / "app").glob("*.[ch]"):
        assert not re.search(r'"(core|multiply|wide)\.h"', source.read_text()), source.name


# Bounds: |X| <= 2^30, sum P < 2^53, weighted sums below 2^64, for the loudest and nastiest windows.


def one_band(length: int, frames: int = 2) -> Spec:
    """One band over everything: the longest segments that there are."""
    half = length // 2
    window = length + (frames - 1) * half
    edges = (1, 2, half)
    return Spec(8_000_000, 1, window, window, Family.LEVEL | Family.STEPS | Family.SPREAD, (Frame(length, edges),))


def adversarial(length: int, samples: int) -> NDArray[np.int16]:
    """Full-scale windows: constants, squares of every kind of phase, impulses, ramps, random signs, one-bit signals."""
    t = np.arange(samples)
    rng = np.random.default_rng(length)
    signs = [np.ones(samples), -np.ones(samples), (-1.0) ** t, (-1.0) ** (t // 2)]
    for bin_number in (1, 2, 3, length // 8, length // 4 - 1, length // 4, length // 3, length // 2 - 1):
        for phase in (0.0, 0.13, 0.25, 0.4):
            signs.append(np.cos(2 * np.pi * (bin_number * t / length + phase)))
    signs += list(rng.normal(size=(20, samples)))
    square = [np.where(sign >= 0, 32767, -32768) for sign in signs]
    offset = [np.where(sign >= 0, -32768, 0) for sign in signs]
    impulses = [np.where(t == place, -32768, 0) for place in (0, 1, length // 2, length // 2 + 1, samples - 1)]
    quiet = [np.zeros(samples), np.where(t % 2, 1, 0), np.where(t == length // 2, 1, 0), np.full(samples, -1)]
    edge = [np.where(t % 2, 8191, -8191), np.where(t % 2, 8192, -8192), np.full(samples, 8191), np.full(samples, -8192)]
    ramp = [np.linspace(-32768, 32767, samples), rng.integers(-32768, 32768, samples)]
    windows = np.array([*square, *offset, *impulses, *quiet, *edge, *ramp])
    return np.floor(windows).astype(np.int16)[:, :, None]


@pytest.mark.parametrize("length", FRAME_LENGTHS)
def test_no_sum_leaves_its_bound(length: int) -> None:
    spec = one_band(length)
    core = Core(spec)
    worst_sum = 0
    for window in adversarial(length, spec.window):
        for item in core.trace(window)[Stage.SPECTRUM]:
            power = list(map(int, np.frombuffer(item, np.uint64)))
            assert max(power) <= (2 * 2**60) >> 6
            worst_sum = max(worst_sum, sum(power))
            weighted = sum((len(power) - i) * p for i, p in enumerate(power))
            assert weighted < 2**64
    assert worst_sum < 2**53
    assert worst_sum > 2**52  # the bound is not idle: a constant full-scale frame comes near


@pytest.mark.slow
@pytest.mark.parametrize("small", [False, True], ids=["plain", "halves"])
@pytest.mark.parametrize("lengths", [(64, 128), (256, 512), (1024, 2048)], ids=str)
def test_sanitizers_find_nothing_in_adversarial_windows(lengths: tuple[int, int], small: bool, tmp_path: Path) -> None:
    """No signed overflow, no bad shift, no access out of bounds; and the same features as the optimised core."""
    needs("gcc")
    frames = tuple(Frame(length, (1, 2, length // 2)) for length in lengths)
    spec = Spec(8_000_000, 1, lengths[1] + 3, lengths[1] + 3, Family.LEVEL | Family.STEPS | Family.SPREAD, frames)
    flags = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    program = build_stream(spec, tmp_path, *flags, *(["-DHANS_SMALL_MULTIPLIER"] if small else []))
    windows = adversarial(lengths[1], spec.window)
    features = [line.split()[6:] for line in stream(program, windows).splitlines()]
    np.testing.assert_array_equal(np.array(features, int), Core(spec).features(windows))


# Exact arithmetic against Python's integers.


class Wide(ctypes.Structure):
    _fields_ = (("limb", ctypes.c_uint32 * 6),)

    @classmethod
    def of(cls, value: int) -> Wide:
        return cls((ctypes.c_uint32 * 6)(*((value >> 32 * i) & 0xFFFFFFFF for i in range(6))))

    def __int__(self) -> int:
        value = sum(limb << 32 * i for i, limb in enumerate(self.limb))
        return value - 2**192 if value >> 191 else value


class Moments(ctypes.Structure):
    _fields_ = (
        ("s1", ctypes.c_int64),
        ("s2", ctypes.c_uint64),
        ("s3", ctypes.c_uint64),
        ("s4", ctypes.c_uint64),
        ("s3_high", ctypes.c_int32),
        ("s4_high", ctypes.c_uint32),
        ("low", ctypes.c_int32),
        ("high", ctypes.c_int32),
    )


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    c = ctypes.CDLL(str(compile_library(core_sources(), [CORE])))
    for name in ("hans_wide_add", "hans_wide_subtract", "hans_wide_multiply"):
        getattr(c, name).argtypes = [ctypes.POINTER(Wide)] * 2
    c.hans_wide_log16.argtypes = [ctypes.POINTER(Wide)]
    c.hans_log16.argtypes = [ctypes.c_uint64]
    c.hans_log8.argtypes, c.hans_log8.restype = [ctypes.c_uint64], ctypes.c_int16
    for name in ("hans_moments_add", "hans_moments_add_steps"):
        getattr(c, name).argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    c.hans_statistics.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p]
    c.hans_mean.argtypes, c.hans_mean.restype = [ctypes.c_void_p, ctypes.c_uint32], ctypes.c_int16
    return c


def log16(v: int) -> int:
    """SPEC.md section 1.1, on integers of any size."""
    if v == 0:
        return 0
    n = v.bit_length() - 1
    u = v << (63 - n) if n < 64 else v >> (n - 63)
    i, f = (u >> 58) & 31, (u >> 42) & 0xFFFF
    low, high = (round(65536 * math.log2(1 + k / 32)) for k in (i, i + 1))
    return n * 65536 + low + (((high - low) * f) >> 16)


def test_logarithms_of_any_size(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(5)
    values = [(1 << n) + d for n in range(191) for d in (-1, 0, 1)]
    values += [
        int.from_bytes(rng.bytes(24), "little") >> int(shift) for shift in rng.integers(1, 190, full(3000, 300_000))
    ]
    for v in values:
        assert library.hans_wide_log16(Wide.of(v)) == log16(v), v
        if v < 2**64:
            assert library.hans_log16(v) == log16(v), v
            assert library.hans_log8(v) == (log16(v) + 128) >> 8, v
            assert v == 0 or abs(library.hans_log8(v) - 256 * math.log2(v)) <= 0.55


def test_wide_integers(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(6)
    for bits in (8, 31, 32, 33, 63, 64, 65, 90, 95):
        for _ in range(full(200, 20_000)):
            a, b = (int.from_bytes(rng.bytes(12), "little", signed=True) >> (95 - bits) for _ in range(2))
            for name, expected in (("add", a + b), ("subtract", a - b), ("multiply", a * b)):
                value = Wide.of(a)
                getattr(library, f"hans_wide_{name}")(value, Wide.of(b))
                assert int(value) == expected, name


def exact_statistics(u: list[int]) -> list[int]:
    """SPEC.md section 5, straight from the central moments: the mean is a fraction with denominator m."""
    m, s1 = len(u), sum(u)
    central = [m * value - s1 for value in u]  # m times the deviation
    c2, c4 = sum(d * d for d in central), sum(d**4 for d in central)  # m^3 m2 and m^5 m4
    if c2 == 0:
        return [0, 0, 0]
    assert c2 % m == 0 and c4 % m == 0
    k = max(map(abs, central))
    level16 = log16(c2 // m) - 2 * log16(m)
    crest = 2 * (log16(k) - log16(m)) - level16
    kurtosis = log16(c4 // m) - 4 * log16(m) - 2 * level16
    return [(value + 128) >> 8 for value in (level16, crest, kurtosis)]


def sequences() -> Iterator[NDArray[np.int16]]:
    rng = np.random.default_rng(7)
    for n in (65, 96, 1000):
        t = np.arange(n)
        yield np.full(n, -32768)
        yield np.where(t % 2, 32767, -32768)
        yield np.where(t == n // 2, 32767, -32768)
        yield np.where(t == 3, 1, 0)
        for loudness in (0.7, 30, 4000, 12000, 60000):
            for offset in (0, -8000, 31000):
                yield np.clip(rng.normal(offset, loudness, n), -32768, 32767)


def test_statistics_are_exact(library: ctypes.CDLL) -> None:
    out = (ctypes.c_int16 * 3)()
    for sequence in sequences():
        x = np.ascontiguousarray(sequence.astype(np.int16))
        values = x.tolist()
        steps = [b - a for a, b in itertools.pairwise(values)]
        for u, start, add in ((values, 0, library.hans_moments_add), (steps, 1, library.hans_moments_add_steps)):
            moments = Moments()
            library.hans_moments_clear(ctypes.byref(moments))
            add(ctypes.byref(moments), x[start:].ctypes.data, len(u))
            assert (moments.s1, moments.s2) == (sum(u), sum(v**2 for v in u))
            assert moments.s3 + (moments.s3_high << 64) == sum(v**3 for v in u)
            assert moments.s4 + (moments.s4_high << 64) == sum(v**4 for v in u)
            assert (moments.low, moments.high) == (min(u), max(u))
            library.hans_statistics(ctypes.byref(moments), len(u), out)
            assert list(out) == exact_statistics(u)
            if u is values:
                assert library.hans_mean(ctypes.byref(moments), len(u)) == (sum(u) + len(u) // 2) // len(u)


@pytest.mark.parametrize("values", [(65535, -65535), (-65535, 0), (32767, -32768), (1, 0)], ids=str)
@pytest.mark.parametrize("share", [1, 2, 1000, 2**20 - 1])
def test_statistics_hold_for_the_longest_window(library: ctypes.CDLL, values: tuple[int, int], share: int) -> None:
    """2^20 values, the first of a pair `share` times: sums as large as they can become."""
    m = 2**20
    a, b = values
    power = [share * a**p + (m - share) * b**p for p in range(5)]
    moments = Moments(power[1], power[2], power[3] % 2**64, power[4] % 2**64, power[3] >> 64, power[4] >> 64, b, a)
    moments.low, moments.high = min(values), max(values)
    out = (ctypes.c_int16 * 3)()
    library.hans_statistics(ctypes.byref(moments), m, out)
    c2 = m * power[2] - power[1] ** 2
    c4 = m**3 * power[4] - 4 * m**2 * power[1] * power[3] + 6 * m * power[1] ** 2 * power[2] - 3 * power[1] ** 4
    k = max(m * max(values) - power[1], power[1] - m * min(values))
    level16 = log16(c2) - 2 * log16(m)
    expected = (level16, 2 * (log16(k) - log16(m)) - level16, log16(c4) - 4 * log16(m) - 2 * level16)
    assert list(out) == [(value + 128) >> 8 for value in expected]
    if min(values) >= -32768 and max(values) <= 32767:
        assert library.hans_mean(ctypes.byref(moments), m) == (power[1] + m // 2) // m
