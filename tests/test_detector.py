"""A detector's folder: comes back as it was, says everything, and never takes a changed file for the real one."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from learnt import SPEC, recording

from cyberhans.core import compiler, firmware_dir
from cyberhans.detector import Detector, load_detector
from cyberhans.errors import CyberHansError
from cyberhans.spec_file import spec_from_dict
from cyberhans.train import train

FILES = {
    "detector.json", "tables.c", "model.c", "detector.c", "detector.h", "golden.npy", "golden_features.npy",
    "golden_score.npy", "centre.npy", "rest.npy", "deviation.npy", "precision.npy", "left_out_score.npy",
    "alarm_centre.npy", "alarm_limit.npy",
}  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Detector:
    return train([recording(0), recording(1)], kind="gaussian", spec=SPEC, false_alarm_rate=0.05)


@pytest.fixture
def folder(made: Detector, tmp_path: Path) -> Path:
    made.save(tmp_path / "detector")
    return tmp_path / "detector"


def test_it_comes_back_as_it_was(made: Detector, folder: Path) -> None:
    loaded = load_detector(folder)
    for name in ("spec", "kind", "model", "threshold", "uncalibrated", "false_alarm_rate", "provenance", "digest"):
        assert getattr(loaded, name) == getattr(made, name), name
    for name in ("golden", "golden_features", "golden_score"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(made, name))
        assert getattr(loaded, name).dtype == getattr(made, name).dtype
    assert loaded.arrays.keys() == made.arrays.keys()
    assert loaded.folder == folder and made.folder is None


def test_the_folder_holds_plain_files_and_nothing_else(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["detector"], "temporary files are left"
    for path in folder.glob("*.npy"):
        np.load(path, allow_pickle=False)


def test_saving_what_was_loaded_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    load_detector(folder).save(tmp_path / "again")
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_detector_json_says_what_a_person_asks(made: Detector, folder: Path) -> None:
    fields = json.loads((folder / "detector.json").read_text())
    assert fields["kind"] == "gaussian" and fields["threshold"] == made.threshold
    assert fields["false_alarm_rate"] == 0.05 and fields["uncalibrated"] is False
    assert spec_from_dict(fields["spec"]) == SPEC
    assert fields["provenance"]["windows"] == 250
    assert [part["session"] for part in fields["provenance"]["recordings"]] == ["day 0", "day 1"]
    assert set(fields["files"]) == FILES - {"detector.json"}


def test_digests_are_those_of_the_specification(made: Detector, folder: Path) -> None:
    model = hashlib.sha256((folder / "model.c").read_bytes()).digest()[:16]
    assert made.alarm
    alarm = made.alarm.pack()
    whole = hashlib.sha256(SPEC.digest + model + struct.pack("<iH", made.threshold, 0) + alarm).digest()[:16]
    stated = json.loads((folder / "detector.json").read_text())["digests"]
    assert stated == {"spec": SPEC.digest.hex(), "model": model.hex(), "detector": whole.hex()}
    marked = replace(made, uncalibrated=True)
    settings = struct.pack("<iH", made.threshold, 1) + alarm
    assert marked.digest == hashlib.sha256(SPEC.digest + model + settings).digest()[:16]


@pytest.mark.parametrize("name", sorted(FILES - {"detector.json"}))
def test_a_changed_file_is_named(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(CyberHansError, match=rf"{name}: has changed since training"):
        load_detector(folder)


def test_what_is_compiled_must_be_among_the_files_compared(folder: Path) -> None:
    path = folder / "detector.json"
    fields = json.loads(path.read_text())
    for name in ("tables.c", "detector.c", "detector.h"):
        files = {other: digest for other, digest in fields["files"].items() if other != name}
        path.write_text(json.dumps(fields | {"files": files}))
        with pytest.raises(CyberHansError, match=rf"missing or wrong \('{name}'\)"):
            load_detector(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "model.c").unlink()
    with pytest.raises(CyberHansError, match=r"model\.c: No such file"):
        load_detector(folder)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("threshold", 5, "detector digest"),
        ("uncalibrated", True, "detector digest"),
        ("spec", replace(SPEC, hop=300).to_dict(), "spec digest"),
        ("schema", 3, "schema 2"),
        ("files", None, "missing or wrong"),
        ("files", {}, "missing or wrong"),
        ("model", {"prefix": "x"}, "missing or wrong"),
    ],
)
def test_a_changed_description_is_refused(folder: Path, field: str, value: object, words: str) -> None:
    path = folder / "detector.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(CyberHansError, match=rf"detector\.json: .*{words}.*train again"):
        load_detector(folder)


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_no_description(folder: Path, content: str) -> None:
    (folder / "detector.json").write_text(content)
    with pytest.raises(CyberHansError, match=r"detector\.json"):
        load_detector(folder)
    with pytest.raises(CyberHansError, match="No such file"):
        load_detector(folder / "nowhere")


def test_an_earlier_detector_is_replaced_whole(made: Detector, folder: Path) -> None:
    """Also one of other files, as another kind has."""
    replace(made, arrays={"weights": np.ones(3)}).save(folder)
    assert (folder / "weights.npy").exists()
    replace(made, threshold=7).save(folder)
    assert load_detector(folder).threshold == 7
    assert {path.name for path in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["detector"]


@pytest.mark.parametrize("name", ["notes.txt", "build", "stale.npy"])
def test_what_lies_beside_a_detectors_files_is_not_lost(made: Detector, folder: Path, name: str) -> None:
    (folder / name).mkdir() if name == "build" else (folder / name).write_text("precious")
    with pytest.raises(CyberHansError, match=rf"holds {name}, .* choose another --out"):
        replace(made, threshold=7).save(folder)
    assert (folder / name).exists() and load_detector(folder).threshold == made.threshold


@pytest.mark.parametrize("content", ["{}", "[]", "3", "no JSON"])
def test_a_stranger_called_detector_json_is_not_overwritten(made: Detector, tmp_path: Path, content: str) -> None:
    (tmp_path / "detector.json").write_text(content)
    with pytest.raises(CyberHansError, match=r"holds detector\.json"):
        made.save(tmp_path)
    assert (tmp_path / "detector.json").read_text() == content


def test_anything_else_is_not_overwritten(made: Detector, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name, words in (("thesis", r"holds chapter\.txt"), ("file", "is a file")):
        with pytest.raises(CyberHansError, match=words):
            made.save(tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == (tmp_path / "file").read_text() == "precious"
    (tmp_path / "empty").mkdir()
    assert made.save(tmp_path / "empty").folder == tmp_path / "empty"


def test_an_interrupted_save_leaves_the_old_one(made: Detector, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CyberHansError, match="detector: cannot be written: no space"):
        replace(made, threshold=7).save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["detector"]


def fail_move(monkeypatch: pytest.MonkeyPatch, failing: set[int]) -> None:
    """Let the moves of these numbers, from 1, fail as on a full disk."""
    moves, real = iter(range(1, 10)), os.replace

    def move(source: Path, target: Path) -> None:
        if next(moves) in failing:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", move)


@pytest.mark.parametrize("failing", [1, 2])
def test_a_move_that_fails_leaves_the_old_one(
    made: Detector, folder: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    fail_move(monkeypatch, {failing})
    with pytest.raises(CyberHansError, match="detector: cannot be written: No space left"):
        replace(made, threshold=7).save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["detector"]


def test_an_old_one_that_cannot_come_back_is_kept_and_named(
    made: Detector, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_move(monkeypatch, {2, 3})
    with pytest.raises(CyberHansError, match="No space left on device; the earlier detector is kept in ") as error:
        replace(made, threshold=7).save(folder)
    assert load_detector(str(error.value).split("kept in ")[1]).threshold == made.threshold


def test_a_place_that_cannot_be_written_is_one_line(
    made: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for place in (tmp_path / "file" / "x", Path(), Path("..")):
        with pytest.raises(CyberHansError, match="choose another --out") as error:
            made.save(place)
        assert "\n" not in str(error.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "here"]


def test_golden_windows_give_the_golden_scores(folder: Path) -> None:
    loaded = load_detector(folder)
    assert 2 <= len(loaded.golden) <= 4
    result = loaded.core().run(loaded.golden)
    np.testing.assert_array_equal(result.features, loaded.golden_features)
    np.testing.assert_array_equal(result.score, loaded.golden_score)
    assert result.score.any()


def test_the_verdict_is_score_above_threshold(made: Detector) -> None:
    windows = recording(5).windows(SPEC)
    middle = int(np.median(made.core().run(windows).score))
    result = replace(made, threshold=middle).core().run(windows)
    np.testing.assert_array_equal(result.verdict, result.score > middle)
    assert set(result.verdict) == {0, 1}


@pytest.mark.parametrize("threshold", [-(2**31), -1, 0, 2**31 - 1])
def test_every_threshold_compiles_and_is_told(made: Detector, threshold: int, tmp_path: Path) -> None:
    replace(made, threshold=threshold, uncalibrated=True).save(tmp_path / "d")
    program = """#include "detector.h"
#include <stdio.h>
static uint64_t work[HANS_DETECTOR_WORDS];
int main(void)
{
    printf("%ld %u %u", (long)HANS_DETECTOR_MODEL.threshold, (unsigned)HANS_DETECTOR_MODEL.flags,
           (unsigned)(sizeof work == hans_work_size(&HANS_DETECTOR_SPEC)));
    return 0;
}
"""
    (tmp_path / "main.c").write_text(program)
    core = firmware_dir() / "core"
    sources = [str(path) for path in (*core.glob("*.c"), *(tmp_path / "d").glob("*.c"), tmp_path / "main.c")]
    strict = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    binary = tmp_path / "program"
    subprocess.run([*compiler(), *strict, f"-I{core}", f"-I{tmp_path / 'd'}", *sources, "-o", str(binary)], check=True)
    told = subprocess.run([str(binary)], capture_output=True, text=True, check=True).stdout
    assert told == f"{threshold} 1 1"


def learnt_from(made: Detector, *parts: dict[str, object]) -> Detector:
    return replace(made, provenance={**made.provenance, "recordings": list(parts)})


def test_a_detector_warns_of_too_few_recordings(made: Detector) -> None:
    summary = made.summary()
    assert summary["recordings"] == 2 and "advice" not in summary
    assert summary["warnings"] == ["2 recordings: 4 or more, made on different days, keep the false-alarm rate better"]
    assert learnt_from(made, *[{"sha256": ""}] * 4).summary()["warnings"] == []
    json.dumps(summary)


def test_a_summary_says_what_the_rate_asked_for_means(made: Detector) -> None:
    """0.05 of windows of 256 samples at 16 kHz; with a longer hop there are fewer in an hour."""
    summary = made.summary()
    assert (summary["window_s"], summary["windows"]) == (0.016, 250)
    assert summary["false_alarms_per_hour"] == pytest.approx(0.05 * 3600 / 0.016)
    rare = replace(made, spec=replace(SPEC, hop=16_000)).summary()
    assert rare["window_s"] == 0.016 and rare["false_alarms_per_hour"] == pytest.approx(180)


def test_one_recording_is_warned_of_also_when_it_is_cut_into_parts(made: Detector) -> None:
    expected = (
        "threshold from one recording: sessions of a machine differ, expect more false alarms than asked for;"
        " record it on at least 3 more occasions"
    )
    assert learnt_from(made, {}).warnings == [expected]
    assert learnt_from(made, *[{"sha256": "ab"}] * 5).warnings == [expected]


def test_warnings_are_written_and_come_back(made: Detector, tmp_path: Path) -> None:
    bad = {"sha256": "ab", "name": "a.wav", "warnings": ["7 samples were lost"]}
    saved = learnt_from(made, bad, bad, {**bad, "sha256": "cd", "name": "b.wav"}).save(tmp_path / "d")
    assert saved.warnings[1:] == ["a.wav: 7 samples were lost", "b.wav: 7 samples were lost"]
    assert json.loads((tmp_path / "d" / "detector.json").read_text())["warnings"] == saved.warnings
    assert load_detector(tmp_path / "d").warnings == saved.warnings


def test_using_a_detector_needs_no_learning_library(folder: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from cyberhans.detector import load_detector
detector = load_detector({str(folder)!r})
detector.core().run(detector.golden)
print(sorted({{"sklearn", "emlearn", "pandas", "scipy"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
