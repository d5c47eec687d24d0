"""The promise of the parity tests: a run with full counts that compared too little has failed."""

from __future__ import annotations

from conftest import too_few

Told = list[list[tuple[str, object]]]


def told(board: str, compiler: str, windows: int) -> list[tuple[str, object]]:
    return [("parity_pair", [board, compiler]), ("parity_windows", windows), ("parity_differing_bits", 0)]


def enough() -> Told:
    boards = [told(f"board{i}", "gcc", 500) for i in range(9)]
    return [[], [("total packets", 3)], told("native", "gcc", 9_999), told("native", "zig", 1), *boards]


def test_enough_is_enough_and_no_parity_is_no_promise() -> None:
    assert too_few(enough()) == ""
    assert too_few([[("total packets", 3)]]) == ""


def test_what_falls_short_is_named() -> None:
    assert too_few([*enough()[:3], *enough()[4:]]) == "9999 windows on native"
    assert too_few([*enough(), told("late", "gcc", 499)]) == "499 windows on late"
    assert too_few([told("native", "gcc", 10_000)]) == "1 pairs of board and compiler"
