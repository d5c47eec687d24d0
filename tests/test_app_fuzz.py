"""libFuzzer on the application in one process: whatever comes over the link, a good request is answered after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from counts import full
from packet_fuzzing import HARNESS, MUTATOR, ROOT, Run, build, fuzz, needed_clang, place
from small_detector import small_detector, small_spec

from cyberhans.messages import (
    NAK,
    REPLY,
    Capture,
    Credit,
    Event,
    Option,
    Rebaseline,
    Request,
    Samples,
    Start,
    Trace,
)
from cyberhans.protocol import Packet
from cyberhans.waveform import Meaning, waveform_source

Record = Callable[[str, object], None]

FIRMWARE = ROOT / "firmware"
BODY_MAX = 256  # of the smallest boards
SECONDS = full(5, 300)
DEFINES = (f"-DHANS_BODY_MAX={BODY_MAX}", f"-DLARGEST_FRAME={2 + BODY_MAX + 4}", f"-DREQUESTS={max(Request)}")
WAVEFORM = np.array([[1, 2, 3], [-4, -5, -6]], np.int16)


@pytest.fixture(scope="module")
def compiler() -> str:
    return needed_clang()


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detector")
    small_detector(folder, small_spec(segment_len=256))  # so that a few packets are a window
    (folder / "waveform.c").write_text(waveform_source(WAVEFORM, 20_000_000, Meaning()))
    return folder


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a good host sends, to begin with."""
    start, file = (Request.START, Start(Option.FEATURES | Option.COSTS, 0).pack()), (Request.FILE, b"s\0")
    samples = [(Request.SAMPLES, Samples(index, tail=bytes(range(240))).pack()) for index in range(0, 240, 40)]
    capture = Capture(1, 20_000_000, 0, 100_000, 3, 0, 0).pack()
    asked = [(kind, b"") for kind in Request]
    folder = tmp_path_factory.mktemp("sessions")
    traces = [[(Request.TRACE, Trace(0, 0, stage, 0).pack()), start, file, (Request.TRACED, b"")] for stage in range(7)]
    rest = [[start, *samples], [(Request.CAPTURE, capture), (Request.CREDIT, Credit(1, 200_000).pack())], asked,
            [(Request.REBASELINE, Rebaseline(1, 4, 0).pack()), (Request.BASELINE, b"")]]  # fmt: skip
    for number, session in enumerate([*traces, *rest]):
        wire = b"".join(Packet(kind, seq, body).encode() for seq, (kind, body) in enumerate(session))
        (folder / str(number)).write_bytes(b"?\n" + wire)
    return folder


@pytest.fixture(scope="module")
def objects(compiler: str, detector: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The whole application, compiled once; but for main() and the port, which is in fuzz_app.c."""
    app = [path for path in sorted((FIRMWARE / "app").glob("*.c")) if path.name != "main.c"]
    sources = [*app, *sorted((FIRMWARE / "core").glob("*.c")), FIRMWARE / "boards" / "bare" / "waveform_source.c"]
    sources += [detector / f"{name}.c" for name in ("waveform", "tables", "model", "detector")]
    folder = tmp_path_factory.mktemp("objects")
    return [compiled(compiler, source, detector, folder / f"{source.stem}.o") for source in sources]


def compiled(compiler: str, source: Path, detector: Path, made: Path) -> Path:
    return build(compiler, made, [source], [FIRMWARE / "app", detector], *DEFINES, "-c")


def linked(compiler: str, folder: Path, detector: Path, objects: list[Path]) -> Path:
    sources = [HARNESS / "fuzz_app.c", *objects, *MUTATOR]
    return build(compiler, folder / "fuzz-app", sources, [FIRMWARE / "app", detector], *DEFINES)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_libfuzzer_finds_nothing_in_the_application(
    compiler: str, detector: Path, objects: list[Path], sessions: Path, tmp_path: Path, record_property: Record
) -> None:
    """It reaches every reply and event; at least half of the inputs hold a sound packet."""
    folder = place(tmp_path)
    run = fuzz(linked(compiler, folder, detector, objects), folder / "app", SECONDS, (sessions,))
    assert run.status == 0, run.said[-3000:]
    assert run.counts["sound"] >= run.counts["inputs"] / 2 and run.counts["inputs"] > 20 * SECONDS
    record_property("total fuzz of the application, inputs", run.counts["inputs"])
    record_property("total fuzz of the application, sound packets", run.counts["frames"])
    assert {NAK, *(request | REPLY for request in Request), *Event} <= said(run)


def said(run: Run) -> set[int]:
    line = next(line for line in run.said.splitlines() if line.startswith("types"))
    return {int(word, 16) for word in line.split()[1:]}


BROKEN = {
    "a reply has another number": ("answer.c", "MESSAGE_REPLY, packet->seq, body", "MESSAGE_REPLY, 0, body"),
    "more samples are taken than came": ("answer.c", "(packet->size - sizeof head) / FRAME_BYTES", "HANS_BODY_MAX"),
    "a dump is longer than its room": ("watch.c", "(rest < DUMP_BYTES ? rest : DUMP_BYTES)", "rest"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", BROKEN)
def test_libfuzzer_finds_a_broken_application(
    compiler: str, detector: Path, objects: list[Path], fault: str, sessions: Path, tmp_path: Path
) -> None:
    name, before, after = BROKEN[fault]
    whole = (FIRMWARE / "app" / name).read_text()
    assert whole.count(before) == 1, "the fault no longer fits the source"
    (tmp_path / name).write_text(whole.replace(before, after))
    broken = compiled(compiler, tmp_path / name, detector, tmp_path / "broken.o")
    rest = [path for path in objects if path.stem != Path(name).stem]
    run = fuzz(linked(compiler, tmp_path, detector, [*rest, broken]), tmp_path / "found", 60, (sessions,), "-seed=1")
    assert run.status != 0
    assert "a good request is not answered" in run.said or "AddressSanitizer" in run.said
