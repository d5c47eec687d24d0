"""The catalogue: what there is by machine, session and label; what is wrong is an entry; no sample is read."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import cyberhans
from counts import full
from small_detector import small_detector

from conftest import ROOT
from cyberhans import wav
from cyberhans.catalogue import catalogue
from cyberhans.errors import CyberHansError
from cyberhans.reason import Reason
from cyberhans.recording import Recording, save_recording

HEAVY = ("sklearn", "pandas", "scipy", "emlearn", "matplotlib")


def put(folder: Path, name: str, **fields: Any) -> Path:
    samples = np.random.default_rng(0).integers(-99, 99, (1000, 2)).astype(np.int16)
    made = Recording(samples=samples, rate_hz=500.0, **{"machine": folder.name, "label": "normal", **fields})
    path = folder / f"{name}.wav"
    save_recording(made, path)
    return path


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    put(tmp_path / "pump", "b", session="tue", reasons=(Reason("x clips", fatal=True), Reason("hum")), lost_samples=3)
    put(tmp_path / "pump", "a", session="tue", label="anomaly")
    put(tmp_path / "pump", "c", session="mon", reasons=(Reason("hum at 50 Hz"),))
    put(tmp_path / "fan", "d")
    (tmp_path / "pump" / "machine.toml").write_text('speed_rpm = 1480\nmounting = "magnet"\n')
    return tmp_path


def test_recordings_come_by_machine_session_and_label(shelf: Path) -> None:
    found = catalogue(shelf)
    assert [row.file for row in found.entries] == ["fan/d.wav", "pump/c.wav", "pump/a.wav", "pump/b.wav"]
    row = found.entries[-1]
    assert (row.machine, row.session, row.label, row.seconds, row.rate_hz) == ("pump", "tue", "normal", 2.0, 500.0)
    assert (row.channels, row.lost_samples, row.quality, row.reasons) == (2, 3, "failed", ("x clips", "hum"))
    assert [row.quality for row in found.entries] == ["good", "warning", "good", "failed"]
    assert not any(row.problem for row in found.entries)


def test_totals_by_machine_with_what_its_file_states(shelf: Path) -> None:
    fan, pump = catalogue(shelf).totals
    assert (fan.machine, fan.recordings, fan.seconds, fan.speed_rpm) == ("fan", 1, 2.0, None)
    assert (pump.recordings, pump.seconds, pump.labels) == (3, 6.0, {"anomaly": 1, "normal": 2})
    assert pump.qualities == {"failed": 1, "good": 1, "warning": 1}
    assert (pump.speed_rpm, pump.mounting, pump.problems) == (1480.0, "magnet", 0)


def test_only_what_is_asked_for(shelf: Path) -> None:
    assert [row.file for row in catalogue(shelf, machine="pump", label="normal").entries] == [
        "pump/c.wav",
        "pump/b.wav",
    ]
    assert catalogue(shelf, machine="nobody").entries == ()
    with pytest.raises(CyberHansError, match="no such folder"):
        catalogue(shelf / "nowhere")


def unreadable(path: Path) -> None:
    path.with_suffix(".json").write_text("{")


def misspelt(path: Path) -> None:
    path.with_suffix(".json").write_text('{"lable": "normal"}')


def alone(path: Path) -> None:
    path.with_suffix(".json").unlink()


def of_another(path: Path) -> None:
    path.with_suffix(".json").write_text('{"channels": 3}')


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def cut_early(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:30])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def lost(path: Path) -> None:
    path.unlink()


def nested(path: Path) -> None:
    path.with_suffix(".json").write_text("[" * 200_000)


def no_text(path: Path) -> None:
    path.with_suffix(".json").write_text('{"session": "\\ud800"}')


def absurd(path: Path) -> None:
    path.with_suffix(".json").write_text('{"rate_hz": 5e-324}')


def pipe(path: Path) -> None:
    path.with_suffix(".json").unlink()
    os.mkfifo(path.with_suffix(".json"))


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


WRONG = {
    nested: "b.json: not JSON",
    no_text: 'b.json: session cannot be "\\ud800"',
    absurd: "b.json: rate_hz cannot be 5e-324",
    pipe: "b.json: is no regular file",
    piped: "b.wav: is no regular file",
    unreadable: "b.json: not JSON",
    misspelt: "unknown field 'lable'; did you mean 'label'?",
    alone: "no sidecar beside it",
    of_another: "its sidecar is of another file",
    cut: "truncated: 4000 bytes promised, 3999 are there",
    cut_early: "nothing but its beginning",
    empty: "nothing but its beginning",
    lost: "no WAV beside it",
}


@pytest.mark.parametrize("harm", WRONG)
def test_what_is_wrong_is_an_entry_and_hides_nothing(harm: Any, shelf: Path) -> None:
    harm(shelf / "pump" / "b.wav")
    found = catalogue(shelf)
    (bad,) = [row for row in found.entries if row.problem]
    assert (
        WRONG[harm] in bad.problem
        and "\n" not in bad.problem
        and bad.file.startswith("pump/b.")
        and bad.machine == "pump"
    )
    assert len(found.entries) == 4 and found.totals[1].problems == 1
    done = cyberhans("recordings", shelf)
    assert done.code == 0 and WRONG[harm] in done.out and "pump/a.wav" in done.out and done.err == ""


def test_a_machines_file_that_cannot_be_read_is_an_entry(shelf: Path) -> None:
    (shelf / "pump" / "machine.toml").write_text("speed = 3\n")
    (bad,) = [row for row in catalogue(shelf).entries if row.problem]
    assert bad.file == "pump/machine.toml" and "unknown key 'speed'" in bad.problem


def test_a_label_asked_for_hides_no_problem(shelf: Path) -> None:
    alone(shelf / "pump" / "b.wav")
    assert [row.file for row in catalogue(shelf, label="anomaly").entries] == ["pump/b.wav", "pump/a.wav"]


def test_a_folder_that_may_not_be_read_is_an_entry() -> None:
    with tempfile.TemporaryDirectory() as top:
        put(Path(top) / "fan", "d")
        (Path(top) / "pump").mkdir(mode=0)
        os.chmod(top, 0o755)
        root = os.geteuid() == 0
        try:
            os.seteuid(65534 if root else os.geteuid())  # root may read everything
            (bad, good) = catalogue(top).entries
        finally:
            os.seteuid(0 if root else os.geteuid())
            (Path(top) / "pump").chmod(0o755)
    assert (bad.file, bad.problem, good.file, good.problem) == ("pump", "Permission denied", "fan/d.wav", "")


def test_a_name_of_any_bytes_is_listed(shelf: Path) -> None:
    os.rename(shelf / "fan" / "d.wav", os.fsencode(shelf / "fan") + b"/\xff.wav")
    done = cyberhans("recordings", shelf)
    assert done.code == 0 and "fan/\ufffd.wav; no sidecar beside it" in done.out


def test_a_capture_that_was_cut_off_is_not_to_be_removed(shelf: Path) -> None:
    path = shelf / "pump" / "b.wav"
    path.rename(path.with_name(".b.wav.draft"))
    (bad,) = [row for row in catalogue(shelf).entries if row.problem]
    assert bad.problem == "a capture was cut off here: the next one into this folder completes it"


def test_hidden_files_and_others_are_left_alone(shelf: Path) -> None:
    before = catalogue(shelf)
    (shelf / "pump" / ".b.wav.4711").write_bytes(b"draft")
    (shelf / "pump" / "notes.txt").write_text("oil changed")
    put(shelf / ".cache", "x")
    assert catalogue(shelf) == before


def test_header_alone_tells_what_the_whole_file_does(tmp_path: Path) -> None:
    path = put(tmp_path, "x")
    samples, rate, content = wav.read(path)
    assert wav.measure(path) == (*samples.shape, rate) == (1000, 2, 500)
    listed = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
    path.write_bytes(content[:36] + listed + content[36:])
    assert wav.measure(path) == (1000, 2, 500)


def test_the_verb_prints_a_table_or_json(shelf: Path) -> None:
    lines = cyberhans("recordings", shelf).out.splitlines()
    assert lines[0].split() == ["machine", "session", "label", "length", "rate", "channels", "quality", "file"]
    assert lines[4].endswith("failed   pump/b.wav; x clips; hum")
    assert lines[-1] == "pump: 3 recordings, 6.0 s; 1 anomaly, 2 normal, 1 failed, 1 good, 1 warning; 1480/min; magnet"
    told = json.loads(cyberhans("recordings", shelf, "--machine", "fan", "--json").out)
    assert [row["file"] for row in told["recordings"]] == ["fan/d.wav"] and told["machines"][0]["recordings"] == 1
    assert "No recording in" in cyberhans("recordings", shelf, "--label", "unknown").out


def many(folder: Path, count: int) -> None:
    """Recordings of 4 MB, which sparse files hold without taking room; sidecars as large as those with a profile."""
    frames = 700_000
    path = put(folder / "m0", "x", notes="n" * 4000)
    text = path.with_suffix(".json").read_text()
    head = wav.pack(np.zeros((1, 3), np.int16), 500)
    head = head[:4] + struct.pack("<I", 36 + 6 * frames) + head[8:40] + struct.pack("<I", 6 * frames)
    path.unlink()
    path.with_suffix(".json").unlink()
    for k in range(count):
        beside = folder / f"m{k % 50}" / f"r{k:05d}.json"
        beside.parent.mkdir(exist_ok=True)
        beside.write_text(text.replace('"channels": 2', '"channels": 3').replace('"c1"', '"c1", "c2"'))
        with beside.with_suffix(".wav").open("wb") as file:
            file.write(head)
            file.truncate(len(head) + 6 * frames)


COUNTED = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
from cyberhans.catalogue import catalogue
opened.clear()
before = int(open("/proc/self/io").readline().split()[1])
found = catalogue(sys.argv[1])
read = int(open("/proc/self/io").readline().split()[1]) - before
print(len(found.entries), sum(bool(row.problem) for row in found.entries), len(opened), read)
print([name for name in sys.argv[2:] if name in sys.modules])
"""


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts bytes as Linux tells them")
def test_two_files_are_opened_and_few_bytes_read_for_each(tmp_path: Path) -> None:
    count = full(300, 10_000)
    many(tmp_path, count)
    command = [sys.executable, "-c", COUNTED, str(tmp_path), *HEAVY]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    entries, problems, opened, read = map(int, done.stdout.splitlines()[0].split())
    assert (entries, problems) == (count, 0)
    assert opened <= 2 * count + 10 and read <= 12_000 * count
    assert done.stdout.splitlines()[1] == "[]"


@pytest.mark.slow
def test_ten_thousand_recordings_are_listed_quickly(tmp_path: Path, record_property: Any) -> None:
    count = full(2000, 10_000)
    many(tmp_path, count)
    began = time.process_time()
    assert len(catalogue(tmp_path).entries) == count
    seconds = time.process_time() - began  # of the processor: others may be busy
    record_property("catalogue_of_10000_s", round(10_000 / count * seconds, 2))
    assert seconds < 1e-3 * count, f"{seconds:.1f} s for {count} recordings"


def test_these_verbs_start_without_heavy_packages(shelf: Path) -> None:
    for arguments in (("recordings", shelf), ("import", shelf / "fan" / "d.wav", "--out", shelf / "in"),
                      ("export", shelf / "fan" / "d.wav", "--format", "csv", "--out", shelf / "csv")):  # fmt: skip
        command = [sys.executable, "-X", "importtime", "-m", "cyberhans.cli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr.splitlines()[-1]
        imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
        assert "typer" in imported and not imported & set(HEAVY)


def test_a_detectors_folder_holds_no_recordings(shelf: Path) -> None:
    before = catalogue(shelf)
    small_detector(shelf / "detector")
    assert catalogue(shelf) == before
