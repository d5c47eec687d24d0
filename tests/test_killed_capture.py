"""A capture that is killed: every file is whole or absent, and the next one can follow and tidies up."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sketch
from counts import full
from source import playing, source, wrong
from test_capture import drafts

from cyberhans.recording import load_recording
from cyberhans.sidecar import read

RATE_HZ, SECONDS = 26_667.0, 0.3


def begin(url: str, out: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cyberhans.cli", "capture", "--device", url, "--machine", "m", "--label", "normal",
               "--seconds", str(SECONDS), "--out", str(out), "--no-live", "--json", *more]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def whole(out: Path, played: Path) -> int:
    """Every recording there is whole; gives how many."""
    for path in out.rglob("*.json"):
        assert read(path)["machine"] == "m"
    files = [path for path in out.rglob("*.wav")]
    for path in files:
        assert path.with_suffix(".json").exists() and wrong(path, played) == 0
    return len(files)


@pytest.mark.slow
def test_killed_at_any_moment_it_leaves_whole_files_or_none(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    played, out, chance = source(tmp_path, RATE_HZ), tmp_path / "out", random.Random(0)
    times = full(12, 200)
    with playing(played) as on:
        begun = time.monotonic()
        first = json.loads(begin(on.url, out).communicate(timeout=60)[0])
        lasts = time.monotonic() - begun
        for _ in range(times):
            child = begin(on.url, out)
            time.sleep(chance.uniform(0.3 * lasts, 1.1 * lasts))
            child.kill()
            child.communicate()
            whole(out, played)
        done, err = begin(on.url, out).communicate(timeout=60)
    assert json.loads(done)["samples"] == round(RATE_HZ * SECONDS) == first["samples"], err
    assert whole(out, played) == len(list(out.rglob("*.json"))) >= 2 and drafts(out) == []
    record_property("total captures killed, all files whole", times)


@pytest.mark.slow
def test_lines_killed_at_any_moment_leave_whole_files_or_none(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    chance, times, lines = random.Random(0), full(4, 50), ("--lines", "--unit", "g")
    with sketch.running(rate_hz=2000.0, burst_s=0.01) as (url, _):
        begun = time.monotonic()
        assert begin(url, tmp_path, *lines).communicate(timeout=60)[0]
        lasts = time.monotonic() - begun
        for _ in range(times):
            child = begin(url, tmp_path, *lines)
            time.sleep(chance.uniform(0.6 * lasts, 1.1 * lasts))
            child.kill()
            child.communicate()
            assert all(load_recording(path).frames for path in tmp_path.rglob("*.wav"))
        done, err = begin(url, tmp_path, *lines).communicate(timeout=60)
    assert json.loads(done)["samples"] > 0, err
    assert drafts(tmp_path) == []
    assert len(list(tmp_path.rglob("*.wav"))) == len(list(tmp_path.rglob("*.json"))) >= 2
    record_property("total line captures killed, all files whole", times)
