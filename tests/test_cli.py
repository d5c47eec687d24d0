"""The command line as a user meets it: help, JSON, quick starts, documented verbs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command import cyberhans

from conftest import ROOT
from cyberhans import __version__

VERBS = (
    "boards",
    "devices",
    "capture",
    "recordings",
    "import",
    "export",
    "simulate",
    "inspect",
    "train",
    "evaluate",
    "build",
    "verify",
    "bench",
    "demo",
    "search",
    "rebaseline",
    "life",
    "soak",
    "replay",
)
HEAVY = ("sklearn", "pandas", "scipy", "emlearn")


def test_help_lists_the_verbs() -> None:
    outcome = cyberhans("--help")
    assert outcome.code == 0
    assert all(verb in outcome.out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    outcome = cyberhans(verb, "--help")
    assert outcome.code == 0
    assert "Usage" in outcome.out and len(outcome.out.splitlines()) > 5


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme(verb: str) -> None:
    assert f"cyberhans {verb}" in (ROOT / "README.md").read_text()


def test_version() -> None:
    assert cyberhans("--version").out.strip() == f"cyberhans {__version__}"
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("arguments", [("--help",), ("boards",), ("devices",), ("verify", "--help")])
def test_quick_verbs_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cyberhans.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert run.returncode == 0
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in run.stderr.splitlines() if "|" in line}
    assert "typer" in imported
    assert not imported & set(HEAVY)


def test_boards_json_has_the_three() -> None:
    outcome = cyberhans("boards", "--json")
    rows = json.loads(outcome.out)
    assert {"native", "netduinoplus2", "microbit"} <= {row["name"] for row in rows}
    assert next(row for row in rows if row["name"] == "microbit")["ram_bytes"] == 16 * 1024
    assert outcome.err == ""


def test_simulate_and_inspect_json(tmp_path: Path) -> None:
    out = tmp_path / "pump.wav"
    made = cyberhans(
        "simulate", "pump", "--seconds", 2, "--seed", 3, "--fault", "bearing_outer", "--out", out, "--json"
    )
    assert json.loads(made.out)["synthetic"] is True
    seen = json.loads(cyberhans("inspect", out, "--json").out)
    assert len(seen) == 1 and len(seen[0]["channels"]) == 3
    assert json.loads(out.with_suffix(".json").read_text())["label"] == "anomaly"


def test_simulate_names_what_there_is(tmp_path: Path) -> None:
    for arguments in (("spaceship",), ("pump", "--fault", "gremlins"), ("pump", "--severity", "3")):
        outcome = cyberhans("simulate", *arguments, "--out", tmp_path / "x.wav")
        assert outcome.code == 1 and outcome.err.count("\n") == 1
        assert not (tmp_path / "x.wav").exists()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "cyberhans.cli", "--debug", "inspect", str(tmp_path / "none.wav")],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert "Traceback" in run.stderr
