"""Every protocol of a dataset with every detector and several seeds, by one rule: rows, and what they come to."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import fnmatch
import importlib.metadata
import multiprocessing
import os
import platform
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from cyberhans import __version__, bench_summary
from cyberhans.boards import board
from cyberhans.dataset import Protocol, load_protocol, protocol_names
from cyberhans.detectors import KINDS, WITHOUT_CHANCE
from cyberhans.errors import CyberHansError
from cyberhans.evaluate import evaluate
from cyberhans.flash import Flash
from cyberhans.promise import Promise
from cyberhans.spec import Spec, design, size_for_ram
from cyberhans.states import states
from cyberhans.train import LIBRARIES, train

Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """What all rows have in common; `size` is that of spec.design()."""

    folder: Path
    per_month: float
    board: str
    size: str
    seeds: int
    together: tuple[str, ...]
    apart: tuple[str, ...]
    fewer: bool


def bench(
    folder: str | Path, *, protocols: Sequence[str] = ("*",), kinds: Sequence[str] = KINDS, seeds: int = 1,
    per_month: float = 1.0, board_name: str = "netduinoplus2", jobs: int = 0,
    together: Sequence[str] = (), apart: Sequence[str] = (), fewer: bool = False,
    note: Callable[[int, int, str], None] = lambda done, of, what: None,
) -> dict[str, Any]:  # fmt: skip
    """Train and measure `kinds` with the seeds 0 … seeds-1 on each protocol whose name fits one of the globs
    `protocols`.

    Every detector is trained on its protocol's training recordings alone with the Spec of design(), whatever the
    protocol, and is measured as evaluate() does it, with the C and the threshold that would ship. Rows: in the order
    of protocols.csv, kinds and seeds, whatever `jobs` (processes; 0: one for each core). A protocol that cannot be
    measured gives rows whose `reason` says why, and no figures. together, apart: globs that make the groups of the
    means, see bench_summary.group(). per_month: the promise that makes every threshold (promise.py), at the windows'
    own pace; where the baseline is too little for it the threshold is that of a detector that still learns. alarms: see
    evaluate.alarm_counts(). states: see states.states(). fewer: rows too for each smaller number of training
    recordings, the first so many, with their number in `recordings`; they count in no mean. warnings: those of
    evaluate(). flash_bytes: of the image for
    the board, None where flash_reason says why: linked for seed 0; for another seed that image with its compiled model
    in the place of the first one's. `note` is told (done, of, what) as the work goes on. Gives settings, rows, summary.
    """
    size = size_for_ram(board(board_name).ram_bytes)
    settings = Settings(Path(folder), per_month, board_name, size, seeds, tuple(together), tuple(apart), fewer)
    names = _check(settings, protocols, kinds)
    tasks = [(settings, name, kind) for name in names for kind in kinds]
    rows: list[Row] = []
    for number, found in enumerate(_in_processes(tasks, jobs or os.cpu_count() or 1), 1):
        rows += found
        note(number, len(tasks), " ".join(tasks[number - 1][1:]))
    return {"settings": _described(settings, protocols), "summary": bench_summary.summary(rows), "rows": rows}


def _check(settings: Settings, protocols: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """The names of the protocols, all of which load: hours later would be late to say that one does not."""
    for kind in kinds:
        if kind not in KINDS:
            raise CyberHansError(f"detector {kind!r}: choose {', '.join(KINDS)}")
    if settings.seeds < 1:
        raise CyberHansError(f"{settings.seeds} seeds: give 1 or more")
    Promise(settings.per_month)
    known = protocol_names(settings.folder)
    for pattern in (*protocols, *settings.together, *settings.apart):
        if not any(fnmatch.fnmatchcase(name, pattern) for name in known):
            raise CyberHansError(f"{settings.folder / 'protocols.csv'}: no protocol fits {pattern!r};"
                                 f" it has {', '.join(known[:8])}")  # fmt: skip
    names = [name for name in known if any(fnmatch.fnmatchcase(name, pattern) for pattern in protocols)]
    for name in names:
        load_protocol(settings.folder, name)
    return names


def _in_processes(tasks: Sequence[tuple[Settings, str, str]], jobs: int) -> Iterator[list[Row]]:
    """The rows of each task, in the order of the tasks. What the detectors' C is compiled to is not kept."""
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="cyberhans-bench-") as cache:
        pool = concurrent.futures.ProcessPoolExecutor(min(jobs, len(tasks)), context, _begin, (cache, theirs))
        try:
            yield from pool.map(_measured, *zip(*tasks, strict=True))
        except BrokenProcessPool:
            raise CyberHansError(
                "a process of the bench was killed, perhaps for want of memory: try --jobs 1"
            ) from None
        except BaseException:
            ours.close()  # whatever stops us stops them
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(cache: str, parent: Connection) -> None:
    """In each process: whatever it writes goes to a folder that is thrown away; without its parent it does not stay."""
    os.environ["XDG_CACHE_HOME"] = tempfile.tempdir = cache
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: Connection) -> None:
    """End with the parent's end of the pipe, which nobody writes to."""
    parent.poll(None)
    os._exit(1)


def _measured(settings: Settings, name: str, kind: str) -> list[Row]:
    """One row per seed; those of a kind without chance are one and the same. Then the rows of fewer recordings."""
    group = bench_summary.group(name, settings.together, settings.apart)
    known = {"protocol": name, "group": group, "detector": kind}
    rows: list[Row] = []
    protocol = _or_reason(lambda: load_protocol(settings.folder, name))
    with tempfile.TemporaryDirectory() as work:
        flash = Flash(settings.board, Path(work))
        for seed in range(settings.seeds):
            if rows and kind in WITHOUT_CHANCE:
                rows.append({**rows[0], "seed": seed})
                continue
            rows.append({**known, "seed": seed, **_row(settings, protocol, kind, seed, flash)})
    if settings.fewer and isinstance(protocol, Protocol):
        for count in range(1, len(protocol.train)):
            less = dataclasses.replace(protocol, train=protocol.train[:count])
            rows.append({**known, "group": None, "seed": 0, "fewer": True, **_row(settings, less, kind, 0, None)})
    return rows


def _or_reason(work: Callable[[], T]) -> T | str:
    try:
        return work()
    except CyberHansError as error:
        return str(error)


def _row(settings: Settings, protocol: Protocol | str, kind: str, seed: int, flash: Flash | None) -> Row:
    if isinstance(protocol, str):
        return {"reason": protocol}
    found = _or_reason(lambda: _figures(settings, protocol, kind, seed, flash))
    return {"reason": found} if isinstance(found, str) else {"reason": None, **found}


def _figures(settings: Settings, protocol: Protocol, kind: str, seed: int, flash: Flash | None) -> Row:
    spec = spec_for(protocol, settings.size)
    detector = train(protocol.train, kind=kind, spec=spec, promise=Promise(settings.per_month), seed=seed,
                     uncalibrated=True)  # fmt: skip
    facts = {"features": spec.features, "window_s": spec.window / spec.rate_hz, "threshold": detector.threshold,
             "recordings": len(protocol.train)}  # fmt: skip
    size = flash.measure(detector) if flash else {"flash_bytes": None, "flash_reason": None}
    return {
        **evaluate(detector, protocol),
        "states": states(detector, protocol),
        **facts,
        "digest": detector.digest.hex(),
        **size,
    }


def spec_for(protocol: Protocol, size: str) -> Spec:
    """The one rule: design() from the rate, channels and shortest segment of the training recordings."""
    first = protocol.train[0]
    return design(size, first.rate_hz, first.channels, min(part.segment_len for part in protocol.train))


def _described(settings: Settings, protocols: Sequence[str]) -> dict[str, Any]:
    return {
        "dataset": settings.folder.name,
        "protocols": list(protocols),
        "together": list(settings.together),
        "apart": list(settings.apart),
        "seeds": settings.seeds,
        "false_alarms_per_month": settings.per_month,
        "rule": f"design({settings.size!r}, rate, channels, shortest training segment) for every protocol",
        "board": settings.board,
        "versions": {
            "cyberhans": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in LIBRARIES},
        },
    }
