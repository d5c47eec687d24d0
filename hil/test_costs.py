"""`make bench` and `make size`: that they count rightly, and that the figures stay within their budgets."""

from __future__ import annotations

import functools
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cyberhans.boards import board, boards, missing
from cyberhans.errors import CyberHansError
from cyberhans.spec import Family, Frame, Spec, band_edges
from hil import bench, size

BARE = [row.name for row in boards() if row.bare]
# As many frames, of half the length: with the alarm logic 1,024 samples overfill the RAM of stm32vldiscovery.
SHORTER = replace(bench.SPEC, window=bench.WINDOW // 2, hop=bench.WINDOW // 2,
                  frames=(Frame(512, band_edges(512, bench.RATE_HZ, bench.BANDS)),))  # fmt: skip
# Instructions: a spectrum of 1024 points (taper, transform, power), and a window of 200 frames.
SPECTRUM_BUDGET = {"netduinoplus2": 60_000, "mps2-an385": 56_000, "microbit": 137_000, "virt-rv32imac": 56_000}
WINDOW_BUDGET = {"netduinoplus2": 16_000_000, "microbit": 39_000_000}
SCORE_BUDGET = {"netduinoplus2": 15_000, "microbit": 40_000}  # gaussian of one channel with 70 features, all of it
ALARM_BUDGET = 12_000  # instructions a window, for 35 features
FRAMES = tuple(Frame(n, band_edges(n, bench.RATE_HZ, bands, "mel")) for n, bands in ((256, 16), (512, 48)))
SEVENTY = Spec(bench.RATE_HZ * 1000, 1, 2048, 2048, Family.LEVEL | Family.STEPS, FRAMES)
FLASH_BUDGET = 13_312  # bytes of the core's code and of its tables for one frame length of 1024, on Cortex-M4F


@functools.cache
def measured(name: str) -> dict[str, Any]:
    if lacking := missing(board(name)):
        pytest.skip(lacking)
    with tempfile.TemporaryDirectory() as scratch:
        return bench.bench(
            board(name), "gaussian", Path(scratch), SHORTER if name == "stm32vldiscovery" else bench.SPEC
        )


@pytest.mark.emulator
@pytest.mark.slow
@pytest.mark.parametrize("name", BARE)
def test_a_window_is_the_sum_of_its_stages(name: str) -> None:
    row = measured(name)
    frames = bench.FRAMES * sum(row[stage] for stage in ("spectrum", "bands", "level"))
    parts = frames + row["features"] + row["score"]
    assert (
        parts < row["window"] < 1.2 * parts
    )  # the rest: samples into the frame (memcpy is the library's), sums over frames
    assert 2000 <= row["loop"] <= 2004


@pytest.mark.emulator
@pytest.mark.slow
def test_a_count_is_the_same_again(tmp_path: Path) -> None:
    """To the instruction, but for the rounding of a tick, however busy the host is."""
    again = bench.bench(board("microbit"), "gaussian", tmp_path)
    for stage in ("spectrum", "bands", "level", "features", "score"):
        assert abs(again[stage] - measured("microbit")[stage]) <= 1


@pytest.mark.emulator
@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRUM_BUDGET)
def test_a_spectrum_stays_within_its_budget(name: str) -> None:
    assert measured(name)["spectrum"] <= SPECTRUM_BUDGET[name]


@pytest.mark.emulator
@pytest.mark.slow
@pytest.mark.parametrize("name", WINDOW_BUDGET)
def test_a_window_stays_within_its_budget(name: str) -> None:
    row = measured(name)
    assert row["window"] - row["score"] <= WINDOW_BUDGET[name]


@pytest.mark.emulator
@pytest.mark.slow
@pytest.mark.parametrize("name", SCORE_BUDGET)
def test_a_gaussian_of_seventy_features_stays_within_its_budget(name: str, tmp_path: Path) -> None:
    if lacking := missing(board(name)):
        pytest.skip(lacking)
    row = bench.bench(board(name), "gaussian", tmp_path, SEVENTY)
    assert SEVENTY.features == 70
    assert 0 < row["score"] <= SCORE_BUDGET[name]


@pytest.mark.emulator
@pytest.mark.slow
@pytest.mark.parametrize("name", WINDOW_BUDGET)
def test_alarm_logic_stays_within_its_budget(name: str) -> None:
    assert 0 < measured(name)["alarm"] <= ALARM_BUDGET


@pytest.mark.emulator
@pytest.mark.slow
def test_the_core_and_its_tables_stay_small() -> None:
    row = measured("netduinoplus2")
    assert row["code"] + row["tables"] <= FLASH_BUDGET


SAID = {**dict.fromkeys((*bench.STAGES, "score"), 1025), "empty": 1, "short": 2049, "long": 2_048_001}


def test_what_is_longer_than_a_tick_is_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """On microbit an instruction takes 1.024 ticks, and 15,625 of them a millisecond. Here interrupts took a tenth."""
    said = SAID | {"long": 2_252_801, "bands": 15_361, "spectrum": 112_641, "window": 11_264_001}
    monkeypatch.setattr(bench, "_listen", lambda board, image: said)
    told = bench.counts(board("microbit"), Path("image"))
    assert (told["bands"], told["spectrum"], told["window"]) == (15_000, 100_000, 10_000_000)
    assert (told["score"], told["loop"]) == (1000, 2000)


def test_a_line_that_is_missing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {name: value for name, value in SAID.items() if name != "bands"}
    monkeypatch.setattr(bench, "_listen", lambda board, image: said)
    with pytest.raises(CyberHansError, match="microbit: the image did not tell bands"):
        bench.counts(board("microbit"), Path("image"))


def test_an_unknown_board_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "microbitt"])
    assert bench.main() == 1
    assert capsys.readouterr() == ("", "bench: unknown board 'microbitt': did you mean microbit?\n")


def test_a_wrong_clock_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = SAID | {"short": 2 * 2048 + 1}
    monkeypatch.setattr(bench, "_listen", lambda board, image: said)
    with pytest.raises(CyberHansError, match="a loop of 2000 instructions read 4000: check tick_hz"):
        bench.counts(board("microbit"), Path("image"))


@pytest.mark.slow
def test_each_spec_has_a_detector_of_its_own() -> None:
    """Two Specs with as many features: neither takes the other's folder."""
    assert SHORTER.features == bench.SPEC.features
    folders = {bench.learn("gaussian", spec).folder for spec in (bench.SPEC, SHORTER)}
    assert len(folders) == 2


def row(name: str = "microbit", **changed: int) -> dict[str, Any]:
    numbers = dict.fromkeys(size.COLUMNS, 100) | changed
    return {"board": name, "detector": "forest", "spec": "small", **numbers}


def test_differences_are_told_by_column() -> None:
    lines = size.differences([row(flash=110, app=97), row("new")], [row(), row("old")])
    assert lines[0].split() == ["microbit", "forest", "small", "+10", *"...", "-3", *".....", "+10.00%"]
    assert lines[1].split()[-1] == "new" and lines[2].split()[0] == "old" and lines[2].split()[-1] == "gone"


def test_a_commit_without_sizes_is_one_line() -> None:
    with pytest.raises(CyberHansError, match=r"^git worktree add .*no-such-commit: .*no-such-commit"):
        size.rows_of_commit("no-such-commit")


@pytest.mark.emulator
@pytest.mark.slow
def test_flash_is_the_sum_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size, "boards", lambda: (board("microbit"),))
    rows = list(size.rows(note=lambda text: None))
    assert [row["detector"] for row in rows] == list(size.DETECTORS)
    for row in rows:
        assert row["flash"] == sum(row[name] for name in size.COLUMNS[1:-2])


def test_another_commit_is_measured_by_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[str], Path]] = []

    def answer(command: list[str], folder: Path) -> str:
        asked.append((command, folder))
        if command[:3] == ["git", "worktree", "add"]:
            (Path(command[-2]) / "hil").mkdir(parents=True)
            (Path(command[-2]) / "hil" / "size.py").touch()
        return "[]"

    monkeypatch.setattr(size, "_run", answer)
    assert size.rows_of_commit("HEAD") == []
    add, measure, remove = asked
    assert measure == ([sys.executable, "-m", "hil.size", "--json"], Path(add[0][-2]))
    assert remove[0][:3] == ["git", "worktree", "remove"]  # nothing is left behind
