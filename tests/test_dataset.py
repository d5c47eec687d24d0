"""Dataset: protocols pick the right parts of the right files; a wrong table is refused in one line."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from cyberhans.dataset import load_protocol, protocol_names
from cyberhans.errors import CyberHansError
from cyberhans.recording import Recording, check, save_recording
from cyberhans.spec import design

MANIFEST = ["file", "machine", "label", "rate_hz", "channels", "axes", "n_samples", "segment_len", "units",
            "scale_per_lsb", "offset", "load", "speed_rpm", "sha256"]  # fmt: skip


def table(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def protocols(folder: Path, *rows: list[object]) -> None:
    table(folder / "protocols.csv", ["protocol", "role", "file", "start_s", "end_s"], list(rows))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files of 1000 frames that count upwards (the second downwards), in segments of 100; one protocol."""
    rows: list[list[object]] = []
    for name, sign, label in (("a", 1, "mixed"), ("b", -1, "anomaly")):
        samples = (sign * np.arange(2000, dtype=np.int16)).reshape(1000, 2)
        saved = save_recording(Recording(samples, 1000.0, session="s1", machine="?"), tmp_path / "sub" / f"{name}.wav")
        rows.append([f"sub/{name}.wav", "rig", label, 1000, 2, "x,y", 1000, 100, "V", 3e-05, 0.9, "00lb", 600,
                     saved.sha256])  # fmt: skip
    table(tmp_path / "manifest.csv", MANIFEST, rows)
    protocols(
        tmp_path,
        ["rig/point", "train_normal", "sub/a.wav", 0, 0.4],
        ["rig/point", "train_normal", "sub/a.wav", 0.5, 0.7],
        ["rig/point", "test_normal", "sub/a.wav", 0.75, 1.0],
        ["rig/point", "test_anomaly", "sub/b.wav", "", ""],
        ["rig/other", "train_normal", "sub/a.wav", 0, 1],
    )
    return tmp_path


def refusal(folder: Path, name: str = "rig/point") -> str:
    with pytest.raises(CyberHansError) as caught:
        load_protocol(folder, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_names_come_in_file_order(folder: Path) -> None:
    assert protocol_names(folder) == ["rig/point", "rig/other"]


def test_parts_are_cut_at_segments_and_labelled_by_role(folder: Path) -> None:
    protocol = load_protocol(folder, "rig/point")
    assert [(part.first_frame, part.frames) for part in protocol.train] == [(0, 400), (500, 200)]
    assert [(part.first_frame, part.frames) for part in protocol.test_normal] == [(800, 200)]
    assert [(part.first_frame, part.frames) for part in protocol.test_anomaly] == [(0, 1000)]
    assert protocol.train[1].samples[0].tolist() == [1000, 1001]
    assert {part.label for part in protocol.train + protocol.test_normal} == {"normal"}
    assert protocol.test_anomaly[0].label == "anomaly" and protocol.name == "rig/point"


def test_the_manifest_describes_and_the_sidecar_completes(folder: Path) -> None:
    part = load_protocol(folder, "rig/point").train[0]
    assert (part.machine, part.unit, part.scale, part.offset) == ("rig", "V", 3e-05, 0.9)
    assert (part.axes, part.segment_len, part.load, part.speed_rpm) == (("x", "y"), 100, "00lb", 600.0)
    assert part.session == "s1"  # the manifest has no such column


def test_the_manifest_says_how_often_segments_come(folder: Path) -> None:
    assert load_protocol(folder, "rig/point").train[0].segment_period_s == 0
    path = folder / "manifest.csv"
    lines = [f"{line},{'segment_period_s' if number == 0 else '10.0'}"
             for number, line in enumerate(path.read_text().splitlines())]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    assert load_protocol(folder, "rig/point").train[0].segment_period_s == 10
    change(path, ",10.0", ",-1")
    assert "segment_period_s -1: must be 0 to" in refusal(folder, "rig/point")


def test_a_measured_rate_may_differ_a_little_from_the_header(folder: Path) -> None:
    change(folder / "manifest.csv", "mixed,1000", "mixed,1003.7")
    assert load_protocol(folder, "rig/point").train[0].rate_hz == 1003.7


def test_a_wrong_name_is_answered_with_the_nearest(folder: Path) -> None:
    assert "no protocol 'rig/pont'; did you mean rig/point" in refusal(folder, "rig/pont")
    assert "it has rig/point, rig/other" in refusal(folder, "zzzzzzzzzz")


WRONG = {
    "1000,2,": ("1000,3,", "channels is 3, but the WAV says 2"),
    '"x,y",1000': ('"x,y",1200', "n_samples is 1200, but the WAV says 1000"),
    "mixed,1000": ("mixed,2000", "rate_hz is 2000, but the WAV says 1000"),
    '"x,y"': ('"x,y,z"', "3 axes named for 2 channels"),
    "3e-05": ("small", "scale_per_lsb 'small' is not a number"),
    "sub/a.wav": ("sub/c.wav", "no row for sub/a.wav"),
    "file,": ("path,", "no column file"),
}


@pytest.mark.parametrize("old", WRONG)
def test_a_wrong_manifest_is_refused(old: str, folder: Path) -> None:
    new, expected = WRONG[old]
    change(folder / "manifest.csv", old, new)
    assert expected in refusal(folder)


def test_an_exchanged_file_is_refused(folder: Path) -> None:
    save_recording(Recording(np.ones((1000, 2), np.int16), 1000.0), folder / "sub" / "a.wav")
    assert "sha256 differs" in refusal(folder)


@pytest.mark.parametrize("outside", ["../a.wav", "sub/../../a.wav", "/a.wav"])
def test_a_file_outside_the_folder_is_refused(folder: Path, outside: str) -> None:
    for name in ("manifest.csv", "protocols.csv"):
        change(folder / name, "sub/a.wav", outside)
    assert f"manifest.csv: {outside} lies outside the dataset's folder" in refusal(folder)


@pytest.mark.parametrize("role", ["train_normal", "test_normal"])
def test_an_anomaly_does_not_pass_for_normal(folder: Path, role: str) -> None:
    protocols(folder, ["rig/point", role, "sub/b.wav", 0, 0.4])
    assert f"rig/point: sub/b.wav is labelled anomaly, but is {role}: make it test_anomaly" in refusal(folder)


@pytest.mark.parametrize("role", ["test_normal", "test_anomaly"])
def test_no_sample_both_trains_and_tests(folder: Path, role: str) -> None:
    rows = (folder / "protocols.csv").read_text()
    (folder / "protocols.csv").write_text(rows + f"rig/point,{role},sub/a.wav,0.3,0.5\n")
    assert "protocol rig/point: a.wav trains and a.wav tests on the same samples" in refusal(folder)
    (folder / "protocols.csv").write_text(rows + f"rig/point,{role},sub/a.wav,0.4,0.5\n")
    assert load_protocol(folder, "rig/point")


def test_a_copy_under_another_name_does_not_hide_it(folder: Path) -> None:
    (folder / "sub" / "c.wav").write_bytes((folder / "sub" / "a.wav").read_bytes())
    row = next(line for line in (folder / "manifest.csv").read_text().splitlines() if "sub/a.wav" in line)
    (folder / "manifest.csv").write_text((folder / "manifest.csv").read_text() + row.replace("a.wav", "c.wav") + "\n")
    change(folder / "protocols.csv", "test_normal,sub/a.wav,0.75", "test_normal,sub/c.wav,0.1")
    assert "a.wav trains and c.wav tests on the same samples" in refusal(folder)


def test_tables_from_a_spreadsheet_are_read(folder: Path) -> None:
    """Excel begins UTF-8 with a byte order mark."""
    for name in ("manifest.csv", "protocols.csv"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    assert protocol_names(folder) == ["rig/point", "rig/other"]
    assert len(load_protocol(folder, "rig/point").train) == 2


def test_unknown_roles_missing_roles_and_missing_files_are_refused(folder: Path) -> None:
    assert "rig/other has no test_normal row" in refusal(folder, "rig/other")
    protocols(folder, ["rig/point", "training", "sub/a.wav", 0, 1])
    assert "role 'training': choose train_normal, test_normal, test_anomaly" in refusal(folder)
    protocols(folder, ["rig/point", "train_normal", "sub/a.wav", 0.5, "late"])
    assert "end_s 'late' is not a number" in refusal(folder)
    protocols(folder, ["rig/point", "train_normal", "sub/a.wav", 0.5, 0])
    assert "give 0 <= start < end" in refusal(folder)
    (folder / "sub" / "b.wav").unlink()
    protocols(folder, ["rig/point", "test_anomaly", "sub/b.wav", 0, 1])
    assert "No such file" in refusal(folder)


@pytest.mark.parametrize("name", ["manifest.csv", "protocols.csv"])
@pytest.mark.parametrize(("garbage", "words"), [
    (b"caf\xe9,1,2,3,4\n", "not CSV in UTF-8"),
    (b'"' + b"x" * 200_000 + b'",1\n', "not CSV in UTF-8"),
])  # fmt: skip
def test_a_table_that_is_no_csv_is_refused(folder: Path, name: str, garbage: bytes, words: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes() + garbage)
    told = refusal(folder)
    assert words in told and name in told


def test_a_row_with_too_few_cells_is_refused(folder: Path) -> None:
    (folder / "protocols.csv").write_text((folder / "protocols.csv").read_text() + "rig/point,train_normal\n")
    assert "protocols.csv: line 7: has too few cells" in refusal(folder)
    assert "line 7" in refusal(folder, "rig/none")


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    assert "a dataset has manifest.csv and protocols.csv" in refusal(tmp_path)


def test_demo_protocols_share_no_recording_between_training_and_test(demo: Path) -> None:
    for name in ("pump", "fan"):
        protocol = load_protocol(demo, name)
        sizes = [len(protocol.train), len(protocol.test_normal), len(protocol.test_anomaly)]
        assert sizes == [4, 2, 3]
        everyone = protocol.train + protocol.test_normal + protocol.test_anomaly
        assert len({part.sha256 for part in everyone}) == 9
        assert all(part.synthetic and part.machine == name and check(part) == [] for part in everyone)


# windows of design("full"): parts times whole windows in each (adxl356_pooled: 10 x 5, 10 x 4, 120 x 10)
REAL = {
    "engine_idle/car01": (100, 100, 120),
    "run_to_failure/bearing1_2": (174, 261, 44),
    "adxl356_pooled": (50, 40, 1200),
    "ceiling_fan/low": (292, 293, 580),
    "cwru_smoke": (5, 5, 40),
}


@pytest.mark.recordings
@pytest.mark.parametrize("name", REAL)
def test_real_protocols_give_their_windows(name: str, recordings: Path) -> None:
    protocol = load_protocol(recordings, name)
    first = protocol.train[0]
    spec = design("full", first.rate_hz, first.channels, first.segment_len)
    roles = (protocol.train, protocol.test_normal, protocol.test_anomaly)
    assert tuple(sum(len(part.windows(spec)) for part in role) for role in roles) == REAL[name]


@pytest.mark.recordings
def test_every_real_protocol_loads(recordings: Path) -> None:
    names = protocol_names(recordings)
    assert len(names) == 29
    for name in names:
        protocol = load_protocol(recordings, name)
        assert protocol.train and all(part.label == "normal" for part in protocol.train)
