"""The C core on this machine: compiled once, kept in a cache, called through ctypes."""

from __future__ import annotations

import ctypes
import enum
import hashlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cyberhans.boards import host_compiler
from cyberhans.errors import CyberHansError
from cyberhans.spec import Spec
from cyberhans.tables import emit_tables, spec_symbol
from cyberhans.watch import Instance, Verdict, Watch

FLAGS = ("-O2", "-std=c99", "-ffp-contract=off", "-fPIC", "-shared")
# What a host needs beside the core: the size of the caller's struct, and the two constants under fixed names.
_BINDING = """\
#include "hans.h"
{declarations}
const size_t hans_host_size = sizeof(struct hans);
const struct hans_spec *const hans_host_spec = &{spec};
const struct hans_model *const hans_host_model = {model};
"""


class Stage(enum.IntEnum):
    """What a device and its host compare, in order (SPEC.md section 9)."""

    SAMPLES = 0
    SPECTRUM = 1
    BANDS = 2
    FEATURES = 3
    SCORE = 4
    VERDICT = 5
    ALARM = 6


@dataclass(frozen=True, eq=False)
class Results:
    """Of k windows: features int16 (k, f), score int32 (k,), verdict uint8 (k,), mean int16 (k, channels)."""

    features: NDArray[np.int16]
    score: NDArray[np.int32]
    verdict: NDArray[np.uint8]
    mean: NDArray[np.int16]


_Tap = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)


class Core:
    """The core for one Spec, with the model of a detector folder if one is given.

    Safe to share between threads: they take turns, window by window, because a model's C keeps its intermediate values
    in static memory.
    """

    def __init__(self, spec: Spec, folder: Path | None = None) -> None:
        """Raises CyberHansError if nothing can compile, or if the folder's C was made for another Spec."""
        self.spec = spec
        self._c, self._turn = _load(*_sources(spec, folder))
        self._size = ctypes.c_size_t.in_dll(self._c, "hans_host_size").value
        self._spec = ctypes.c_void_p.in_dll(self._c, "hans_host_spec")
        self._model = ctypes.c_void_p.in_dll(self._c, "hans_host_model")
        if ctypes.string_at(self._spec.value or 0, 16) != spec.digest:
            raise CyberHansError(f"{folder}: its tables.c was made for another Spec; train or build the detector again")
        self._instance()

    @property
    def library(self) -> Path:
        """The shared library, in the cache."""
        return Path(self._c._name)

    def features(self, windows: ArrayLike) -> NDArray[np.int16]:
        """int16 windows (k, n, channels) to int16 features (k, features), in 1/256 octave."""
        return self.run(windows).features

    def run(self, windows: ArrayLike) -> Results:
        """int16 windows (k, n, channels) to features, scores and verdicts; without a model the last two are 0.

        Each is judged as built, by itself: for what a device says of windows that follow one another, see watch().
        """
        samples = self._checked(windows, 3)
        count = len(samples)
        features = np.zeros((count, self.spec.features), np.int16)
        scores = np.zeros(count, np.int32)
        verdicts = np.zeros(count, np.uint8)
        means = np.zeros((count, self.spec.channels), np.int16)
        instance = self._instance()
        for i in range(count):
            verdict = self._window(instance, samples[i])
            ctypes.memmove(features[i].ctypes.data, self._c.hans_features(instance.hans), features[i].nbytes)
            scores[i], verdicts[i] = verdict.score, verdict.anomaly
            means[i] = verdict.mean[: self.spec.channels]
        return Results(features, scores, verdicts, means)

    def watch(self) -> Watch:
        """A machine watched from window to window, as a device does it: its state, alarms and re-baselining."""
        return Watch(self._instance(), self.spec.features, self._turn, lambda windows: self._checked(windows, 3))

    def trace(self, window: ArrayLike) -> dict[Stage, list[bytes]]:
        """Every item of every stage of SPEC.md section 9 for one int16 window (n, channels), in order."""
        samples = self._checked(window, 2)
        items: dict[Stage, list[bytes]] = {stage: [] for stage in Stage}

        def keep(_: int, stage: int, data: int, size: int) -> None:
            items[Stage(stage)].append(ctypes.string_at(data, size))

        instance, tap = self._instance(), _Tap(keep)
        self._c.hans_set_tap(instance.hans, tap, None)
        self._window(instance, samples)
        return items

    def _checked(self, windows: ArrayLike, dimensions: int) -> NDArray[np.int16]:
        samples = np.asarray(windows)
        shape = (self.spec.window, self.spec.channels)
        if samples.dtype != np.int16 or samples.ndim != dimensions or samples.shape[-2:] != shape:
            wanted = f"(k, {shape[0]}, {shape[1]})" if dimensions == 3 else str(shape)
            raise CyberHansError(f"windows are {samples.dtype} {samples.shape}: the spec wants int16 {wanted}")
        return np.ascontiguousarray(samples)

    def _instance(self) -> Instance:
        return Instance(self._c, self._size, self._spec, self._model)

    def _window(self, instance: Instance, samples: NDArray[np.int16]) -> Verdict:
        """Judged as built, whatever came before."""
        with self._turn:
            instance.reset()
            return instance.window(samples)


def firmware_dir() -> Path:
    """Where firmware/ lies: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent
    for folder in (package.parent / "firmware", package / "firmware"):
        if (folder / "core" / "hans.h").is_file():
            return folder
    raise CyberHansError(f"{package}: firmware/core is missing; install cyberhans again")


def core_sources() -> list[Path]:
    """The C of the core; packet.c is the link's and no host needs it."""
    return sorted(path for path in (firmware_dir() / "core").glob("*.c") if path.name != "packet.c")


def _sources(spec: Spec, folder: Path | None) -> tuple[list[Path | str], list[Path]]:
    include = [firmware_dir() / "core"]
    if folder is None:
        symbol = spec_symbol(spec)
        binding = _BINDING.format(declarations=f"extern const struct hans_spec {symbol};", spec=symbol, model="0")
        return [*core_sources(), emit_tables(spec), binding], include
    folder = Path(folder).resolve()
    generated: list[Path | str] = [folder / name for name in ("tables.c", "model.c", "detector.c")]
    binding = _BINDING.format(
        declarations='#include "detector.h"', spec="HANS_DETECTOR_SPEC", model="&HANS_DETECTOR_MODEL"
    )
    return [*core_sources(), *generated, binding], [*include, folder]


# By path of the library: loading it again gives the same static memory.
_turns: dict[str, threading.Lock] = {}


def _load(sources: Sequence[Path | str], include: Sequence[Path]) -> tuple[ctypes.CDLL, threading.Lock]:
    """The library and the lock of its static memory."""
    library = load_library(sources, include)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.hans_work_size.restype, library.hans_work_size.argtypes = size, [pointer]
    library.hans_init.argtypes = [pointer, pointer, pointer, pointer, size]
    library.hans_restart.argtypes = [pointer]
    library.hans_push.restype, library.hans_push.argtypes = ctypes.c_long, [pointer, pointer, size]
    library.hans_poll.argtypes = [pointer, pointer]
    library.hans_features.restype, library.hans_features.argtypes = pointer, [pointer]
    library.hans_reset.argtypes = [pointer, ctypes.c_int]
    library.hans_rebaseline.argtypes = [pointer, ctypes.c_uint16]
    library.hans_undo.argtypes = [pointer]
    library.hans_baseline.argtypes = [pointer, pointer]
    library.hans_save.restype, library.hans_save.argtypes = pointer, [pointer, pointer]
    library.hans_resume.argtypes = [pointer, ctypes.c_char_p, size]
    library.hans_set_tap.restype, library.hans_set_tap.argtypes = None, [pointer, _Tap, pointer]
    library.hans_error.restype = ctypes.c_char_p
    return library, _turns.setdefault(library._name, threading.Lock())


def load_library(sources: Sequence[Path | str], include: Sequence[Path]) -> ctypes.CDLL:
    """compile_library(), loaded. An entry of the cache that does not load is made again."""
    path = compile_library(sources, include)
    try:
        return ctypes.CDLL(str(path))
    except OSError:  # a file that a full disk or a crash cut short, or of another machine
        path.unlink(missing_ok=True)
        return ctypes.CDLL(str(compile_library(sources, include)))


def compiler() -> list[str]:
    """The command of the host's C compiler (boards.host_compiler); it is an error if there is none."""
    if command := host_compiler():
        return command
    raise CyberHansError("no C compiler: install gcc (apt install gcc) or pip install ziglang")


def compile_library(sources: Sequence[Path | str], include: Sequence[Path], flags: Sequence[str] = FLAGS) -> Path:
    """Compile C files (Path) and C texts (str) into a shared library; the same content is compiled once.

    Lies under $XDG_CACHE_HOME/cyberhans (else ~/.cache/cyberhans, else the temporary folder), named by the hash of all
    sources, of the headers in `include`, and of the command.
    """
    command = [*compiler(), *flags]
    target = cache_dir() / f"{_content_hash(command, sources, include)}.so"
    if target.is_file():
        return target
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        files = [_as_file(source, Path(scratch) / f"text{i}.c") for i, source in enumerate(sources)]
        made = Path(scratch) / "made.so"
        _compile([*command, *(f"-I{folder}" for folder in include), *map(str, files), "-o", str(made)])
        os.replace(made, target)
    return target


def _as_file(source: Path | str, path: Path) -> Path:
    if isinstance(source, Path):
        return source
    path.write_text(source)
    return path


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.splitlines()
        cause = next((line for line in lines if "error" in line), lines[0] if lines else f"exit {done.returncode}")
        raise CyberHansError(f"{command[0]} failed: {cause.strip()}; check the C sources and the compiler")


def _content_hash(command: Sequence[str], sources: Sequence[Path | str], include: Sequence[Path]) -> str:
    digest = hashlib.sha256("\0".join(command).encode())
    headers = [path for folder in include for path in sorted(folder.glob("*.h"))]
    for source in (*sources, *headers):
        if isinstance(source, str):
            name, content = "", source.encode()
        else:
            name, content = source.name, _read(source)
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CyberHansError(f"{path}: {error.strerror}; is this a detector folder?") from None


def cache_dir() -> Path:
    """Where what is compiled once is kept; made if need be."""
    root = os.environ.get("XDG_CACHE_HOME")
    for folder in (Path(root) if root else Path.home() / ".cache", Path(tempfile.gettempdir())):
        cache = folder / "cyberhans"
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(cache, os.W_OK):
            return cache
    raise CyberHansError("no folder for compiled code is writable: set XDG_CACHE_HOME to one that is")
