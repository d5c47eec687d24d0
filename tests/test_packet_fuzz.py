"""Coverage-guided fuzzing of both packet decoders: no crash, no hang, and both accept exactly what SPEC.md says."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from counts import full
from packet_fuzzing import CORPUS, ROOT, Run, atheris, fuzz_c, fuzz_python, lacking, needed_clang, place
from packet_mutator import mutate, seal
from packet_reading import CORE, CDecoder, compare, plain

from cyberhans.protocol import LARGEST_BODY, LARGEST_FRAME

Record = Callable[[str, object], None]

SECONDS = full(5, 600)
LIMIT = pytest.mark.timeout(1800)
PROTOCOL = Path("cyberhans") / "protocol.py"


@pytest.fixture(scope="module")
def c(tmp_path_factory: pytest.TempPathFactory) -> CDecoder:
    return CDecoder(tmp_path_factory.mktemp("packets"))


@pytest.fixture(scope="module")
def compiler() -> str:
    return needed_clang()


@pytest.fixture(scope="module")
def needs_atheris() -> None:
    if not atheris():
        lacking("no Atheris: it has wheels for Linux on x86-64 and Python 3.11 to 3.14, in the extra `test`")


def seeds() -> list[bytes]:
    return [path.read_bytes() for path in sorted(CORPUS.iterdir()) if path.name != "README.md"]


def sound(run: Run, found: Path, what: str, record_property: Record) -> None:
    """It ended well; at least half of the inputs were sound frames and nothing else."""
    assert run.status == 0, run.said[-3000:]
    for name in ("inputs", "whole", "sound", "frames", "broken"):
        record_property(f"total fuzz of packets in {what}, {name}", run.counts[name])
    record_property(f"worst fuzz of packets in {what}, inputs a second", run.per_second)
    record_property(f"total fuzz of packets in {what}, new finds in {found}", len(list(found.iterdir())))
    assert run.counts["inputs"] > 100 * SECONDS
    assert run.counts["whole"] >= run.counts["inputs"] / 2
    assert run.counts["broken"] > run.counts["inputs"] / 20, "what is not sound must be tried too"


@pytest.mark.slow
@LIMIT
def test_libfuzzer_finds_nothing_in_the_c_decoder(
    compiler: str, c: CDecoder, tmp_path: Path, record_property: Record
) -> None:
    """And of each input that reached something new Python says the same."""
    found = place(tmp_path) / "packets-c"
    sound(fuzz_c(compiler, found.parent, found, SECONDS, (CORPUS,)), found, "C", record_property)
    for path in found.iterdir():
        compare(path.read_bytes(), c)


@pytest.mark.slow
@LIMIT
@pytest.mark.usefixtures("needs_atheris")
def test_atheris_finds_no_difference_between_python_and_c(tmp_path: Path, record_property: Record) -> None:
    """Every single input is read by both, and Python gets it in portions too."""
    found = place(tmp_path) / "packets-python"
    sound(fuzz_python(found.parent, found, SECONDS, (CORPUS,)), found, "Python", record_property)


def test_the_corpus_is_read_alike(c: CDecoder) -> None:
    """It holds sound frames of every kind of size, and every reason for which a segment is dropped."""
    answers = [answer for wire in seeds() for answer in compare(wire, c)]
    sizes = {len(answer) - 2 for answer in answers if answer is not None}
    assert {0, LARGEST_BODY} <= sizes
    assert {247, 248, 249, 502} <= sizes, "COBS blocks: one short, full, one long, two"
    assert len(answers) > 100 and answers.count(None) > len(answers) / 20


def test_the_corpus_stays_small() -> None:
    assert 20 <= len(seeds()) <= 200
    assert sum(map(len, seeds())) <= 200_000


def test_bent_streams_are_read_alike(c: CDecoder) -> None:
    """Without any fuzzer: the mutator alone, on every machine. At least half of the streams are sound."""
    rng, pool, whole, count = random.Random(1), seeds(), 0, full(1_000, 100_000)
    for _ in range(count):
        wire = mutate(rng.choice(pool), 4096, rng.randrange(2**32), lambda piece, most: bend(rng, piece)[:most])
        answers = compare(wire, c)
        whole += bool(answers) and None not in answers
    assert count / 2 <= whole < count * 0.9


def bend(rng: random.Random, piece: bytes) -> bytes:
    at = rng.randrange(len(piece) + 1)
    return piece[:at] + rng.randbytes(rng.choice((0, 1, 1, 4, 300))) + piece[at + rng.choice((0, 1, 4)) :]


def test_a_stream_of_every_length_around_a_block_is_read_alike(c: CDecoder) -> None:
    """COBS' full blocks, with a needless empty one behind them; around the largest frame."""
    for size in (*range(2, 12), *range(245, 262), *range(500, 515), *range(LARGEST_FRAME - 6, LARGEST_FRAME)):
        for fill in (0, 1):
            wire = seal(bytes([fill]) * size)
            for bent in (wire, wire[:-1] + b"\1\0", wire[1:], wire[:-2] + b"\0"):
                compare(bent + wire, c)
            assert (plain(wire) == [None]) == (size > LARGEST_FRAME - 4)


BROKEN_C = {
    "the CRC is ignored": ("if (hans_crc32(0, decoder->room, size) !=", "if (0u !="),
    "a full block ends with a zero": ("decoder->zero = byte != FULL_BLOCK;", "decoder->zero = 1;"),
    "a cut block is taken": ("|| decoder->left > 0 ||", "||"),
    "the room is a byte too large": ("decoder->fill < decoder->size", "decoder->fill <= decoder->size"),
    "a frame too large spoils the next": ("decoder->started = decoder->overflow = 0", "decoder->started = 0"),
    "it hangs": ("decoder->started = 1;\n", 'while (byte == 78) { __asm__(""); }\n    decoder->started = 1;\n'),
}
BROKEN_PYTHON = {
    "the CRC is ignored": ('or zlib.crc32(frame[:-4]) != int.from_bytes(frame[-4:], "little")', ""),
    "the largest frame is refused": ("len(frame) <= LARGEST_FRAME", "len(frame) < LARGEST_FRAME"),
    "what is left of a portion is cut": ("LARGEST_WIRE + 1 - len", "LARGEST_WIRE - 100 - len"),
    "bad COBS is an exception": ("except cobs.DecodeError", "except ZeroDivisionError"),
    "it hangs": ("    if len(segment) > LARGEST_WIRE:", "    while segment[0] == 78:\n        pass\n    if False:"),
}


def broken(text: str, fault: tuple[str, str]) -> str:
    assert text.count(fault[0]) == 1, "the fault no longer fits the source"
    return text.replace(*fault)


def test_each_fault_fits_its_source() -> None:
    """Also where the fuzzers are not installed."""
    for path, faults in ((CORE / "packet.c", BROKEN_C), (ROOT / PROTOCOL, BROKEN_PYTHON)):
        for fault in faults.values():
            assert broken(path.read_text(), fault)


@pytest.mark.slow
@pytest.mark.parametrize("fault", BROKEN_C)
def test_libfuzzer_finds_a_broken_c_decoder(compiler: str, fault: str, tmp_path: Path) -> None:
    """From nothing, without the corpus."""
    source = tmp_path / "packet.c"
    source.write_text(broken((CORE / "packet.c").read_text(), BROKEN_C[fault]))
    run = fuzz_c(compiler, tmp_path, tmp_path / "found", 60, (), "-timeout=1", "-seed=1", packet_c=source)
    assert run.status != 0
    said = {"it hangs": "timeout", "the room is a byte too large": "AddressSanitizer"}
    assert said.get(fault, "SPEC.md differ") in run.said


@pytest.mark.slow
@pytest.mark.usefixtures("needs_atheris")
@pytest.mark.parametrize("fault", BROKEN_PYTHON)
def test_atheris_finds_a_broken_python_decoder(fault: str, tmp_path: Path) -> None:
    """From nothing, without the corpus."""
    package = tmp_path / "package"
    (package / PROTOCOL).parent.mkdir(parents=True)
    (package / PROTOCOL.parent / "__init__.py").touch()
    (package / PROTOCOL).write_text(broken((ROOT / PROTOCOL).read_text(), BROKEN_PYTHON[fault]))
    run = fuzz_python(tmp_path, tmp_path / "found", 60, (), "-timeout=1", "-seed=1", package=package)
    assert run.status != 0
    said = {"it hangs": "timeout", "bad COBS is an exception": "DecodeError"}
    assert said.get(fault, "AssertionError: Python") in run.said


@pytest.mark.slow
@pytest.mark.usefixtures("needs_atheris")
def test_atheris_finds_a_broken_c_decoder_and_no_other(tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(ROOT / "cyberhans", package / "cyberhans", ignore=shutil.ignore_patterns("__pycache__"))
    assert fuzz_python(tmp_path, tmp_path / "good", 2, (), package=package).status == 0
    source = tmp_path / "packet.c"
    source.write_text(broken((CORE / "packet.c").read_text(), BROKEN_C["the CRC is ignored"]))
    run = fuzz_python(tmp_path, tmp_path / "found", 60, (), "-seed=1", packet_c=source)
    assert run.status != 0 and "AssertionError: C" in run.said
