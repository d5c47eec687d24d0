"""hil/baseline.json: what is worse is told by how much, what is written is read again, what is none is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_detector import small_detector, small_spec

from cyberhans.boards import COMPILERS, board, compiler_version
from cyberhans.errors import CyberHansError
from cyberhans.hil.tracking import FIGURES, Key, Row, Update, digest_of, load_baseline, save_baseline, worse

BEFORE = {"instructions": 10_000, "flash": 40_000, "ram": 4_000, "stack": 1_000}
ROWS: dict[Key, Row] = {("microbit", "fan", "gcc 12.2.1"): BEFORE, ("microbit", "fan", "zig-clang 20.1.2"): BEFORE,
        ("native", "pump", "cc 12.2.0"): {"digest": "gaussian 0a", "flash": 50_000, "ram": 9_000}}  # fmt: skip


def session() -> Any:
    return SimpleNamespace(exitstatus=0)


def reported(properties: list[tuple[str, Any]], when: str = "call") -> Any:
    return SimpleNamespace(when=when, user_properties=properties)


@pytest.mark.parametrize("name", FIGURES)
def test_a_hundredth_more_is_allowed_and_no_more(name: str) -> None:
    most = BEFORE[name] * 101 // 100
    assert worse(BEFORE | {name: most}, BEFORE) == []
    (line,) = worse(BEFORE | {name: most + 1}, BEFORE)
    assert line == f"{name} {BEFORE[name]:,} -> {most + 1:,} (+{100 * (most + 1) / BEFORE[name] - 100:.1f} %)"


def test_less_is_no_fault_and_what_one_side_lacks_is_not_compared() -> None:
    assert worse(dict.fromkeys(FIGURES, 1), BEFORE) == []
    assert worse({"flash": 1}, {"ram": 1}) == []


def test_from_nothing_to_something_is_worse() -> None:
    assert worse({"ram": 4}, {"ram": 0}) == ["ram 0 -> 4 (+100.0 %)"]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "hil" / "baseline.json"
    assert load_baseline(path) == {}
    save_baseline(path, ROWS)
    assert load_baseline(path) == ROWS
    assert json.loads(path.read_text())["native"]["pump"]["cc 12.2.0"] == ROWS["native", "pump", "cc 12.2.0"]
    assert [one.name for one in path.parent.iterdir()] == ["baseline.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a": 1}', '{"a": {"b": {"c": 3}}}', '{"a": {"b": {"c": {"d": "x"}}}}']
)
def test_what_is_no_baseline_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text)
    with pytest.raises(CyberHansError, match=r"no baseline of figures.*--update-baseline") as error:
        load_baseline(path)
    assert "\n" not in str(error.value)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CyberHansError, match=r"cannot be written: .*--hil-baseline"):
        save_baseline(tmp_path / "file" / "baseline.json", ROWS)


def test_an_update_keeps_what_it_has_not_seen(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    save_baseline(path, ROWS)
    update = Update(path)
    key, figures = ("microbit", "fan", "gcc 12.2.1"), BEFORE | {"flash": 39_000}
    told = [("costs", json.dumps({"key": key, "row": figures}))]
    update.pytest_runtest_logreport(reported(told, "teardown"))
    assert update.found == {}
    update.pytest_runtest_logreport(reported(told))
    update.pytest_runtest_logreport(reported([("windows", 3)]))
    update.pytest_sessionfinish(session())
    assert load_baseline(path) == ROWS | {key: figures}


def test_an_update_that_cannot_be_written_fails_the_run_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "baseline.json").mkdir()
    update, ended, said = Update(tmp_path / "baseline.json"), session(), list[str]()
    update.pytest_runtest_logreport(reported([("costs", json.dumps({"key": ["a", "b", "c"], "row": BEFORE}))]))
    update.pytest_sessionfinish(ended)
    update.pytest_terminal_summary(SimpleNamespace(write_line=lambda line, red: said.append(line)))  # type: ignore[arg-type]
    assert ended.exitstatus == pytest.ExitCode.TESTS_FAILED
    assert "Is a directory" in said[0] and "rows written" not in said[0]


def test_costs_belong_to_kind_and_spec_not_to_what_was_learnt(tmp_path: Path) -> None:
    fan, again = small_detector(tmp_path / "fan"), small_detector(tmp_path / "again", centre=3100)
    assert fan.digest != again.digest and digest_of(fan) == digest_of(again)
    other = small_detector(tmp_path / "other", small_spec(size="tiny"))
    assert digest_of(other) != digest_of(fan) != digest_of(replace(fan, kind="forest"))


@pytest.mark.parametrize("name", COMPILERS)
def test_a_compiler_tells_its_version(name: str) -> None:
    called, number = compiler_version(board("native"), name).rsplit(" ", 1)
    assert called and len(number.split(".")) == 3
    assert (called == "zig-clang") == (name == "zig")


def test_a_compiler_that_tells_none_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "true")
    compiler_version.cache_clear()
    with pytest.raises(CyberHansError, match=r"native: its compiler does not tell its version: true"):
        compiler_version(board("native"))
    compiler_version.cache_clear()
