"""A detector's folder: comes back as it was, says everything, and never takes a changed file for the real one."""

from __future__ import annotations

import hashlib
import json
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
from cyberhans.spec import Spec
from cyberhans.train import train

FILES = {
    "detector.json", "tables.c", "model.c", "detector.c", "detector.h", "golden.npy", "golden_features.npy",
    "golden_score.npy", "centre.npy", "rest.npy", "deviation.npy", "precision.npy", "left_out_score.npy",
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
    assert Spec.from_dict(fields["spec"]) == SPEC
    assert fields["provenance"]["windows"] == 250
    assert [part["session"] for part in fields["provenance"]["recordings"]] == ["day 0", "day 1"]
    assert set(fields["files"]) == FILES - {"detector.json"}


def test_digests_are_those_of_the_specification(made: Detector, folder: Path) -> None:
    model = hashlib.sha256((folder / "model.c").read_bytes()).digest()[:16]
    whole = hashlib.sha256(SPEC.digest + model + struct.pack("<iH", made.threshold, 0)).digest()[:16]
    stated = json.loads((folder / "detector.json").read_text())["digests"]
    assert stated == {"spec": SPEC.digest.hex(), "model": model.hex(), "detector": whole.hex()}
    marked = replace(made, uncalibrated=True)
    assert marked.digest == hashlib.sha256(SPEC.digest + model + struct.pack("<iH", made.threshold, 1)).digest()[:16]


@pytest.mark.parametrize("name", sorted(FILES - {"detector.json"}))
def test_a_changed_file_is_named(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(CyberHansError, match=rf"{name}: has changed since training"):
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
        ("schema", 2, "schema 1"),
        ("files", None, "missing or wrong"),
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
    (folder / "stale.npy").write_bytes(b"x")
    replace(made, threshold=7).save(folder)
    assert load_detector(folder).threshold == 7
    assert {path.name for path in folder.iterdir()} == FILES


def test_anything_else_is_not_overwritten(made: Detector, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("thesis", "file"):
        with pytest.raises(CyberHansError, match="is no detector"):
            made.save(tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == (tmp_path / "file").read_text() == "precious"
    (tmp_path / "empty").mkdir()
    assert made.save(tmp_path / "empty").folder == tmp_path / "empty"


def test_an_interrupted_save_leaves_the_old_one(made: Detector, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        replace(made, threshold=7).save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


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


def test_the_summary_advises_more_recordings(made: Detector) -> None:
    summary = made.summary()
    assert summary["recordings"] == 2 and "different days" in summary["advice"]
    many = replace(made, provenance={**made.provenance, "recordings": [{}] * 4})
    assert many.summary()["advice"] is None
    json.dumps(summary)


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
