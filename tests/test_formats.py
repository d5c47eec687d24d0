"""Formats: what is exported comes back equal, what a file does not say is asked for, what is bad is one line."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import cyberhans
from counts import full
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import ROOT, real_recordings
from cyberhans.cli import app
from cyberhans.errors import CyberHansError
from cyberhans.formats import FORMATS, export_recording, import_recording, load_foreign, place, step
from cyberhans.formats.signal import Asked
from cyberhans.recording import Gap, Recording, load_recording, save_recording

DEMO = ROOT / "recordings" / "demo"
TOLD = ("rate_hz", "rate_nominal_hz", "unit", "scale", "offset", "label", "axes", "machine", "session", "speed_rpm",
        "load", "sensor", "serial", "full_scale", "segment_len", "notes", "start_utc", "lost_samples",
        "gaps", "rate_uncertainty_hz", "jitter_s", "sha256")  # fmt: skip


def pump(tmp_path: Path, **changes: Any) -> Recording:
    """Measured at an odd rate, left-aligned (all counts are even), with an offset: nothing that is easily lucky."""
    samples = 2 * np.random.default_rng(1).integers(-9000, 9000, (500, 3)).astype(np.int16)
    made = Recording(samples=samples, rate_hz=1003.2487652348712, rate_nominal_hz=1000.0, machine="pump 7",
                     session="mon", label="anomaly", unit="g", scale=9.80665 / 16384, offset=-0.5, axes=("x", "y", "z"),
                     sensor="ADXL345", serial="42", speed_rpm=1480.0, load="4000 N", start_utc="2024-05-01T06:00:00Z",
                     notes="größer", gaps=(Gap(77, 5), Gap(300, 1, counted=False)), lost_samples=7,
                     rate_uncertainty_hz=0.02, jitter_s=1e-5)  # fmt: skip
    changes = {"gaps": (), "lost_samples": 0, **changes} if "samples" in changes else changes
    return save_recording(dataclasses.replace(made, **changes), tmp_path / "in" / "pump.wav")


def exported(recording: Recording, folder: Path, name: str, key: str = "") -> Path:
    return Path(export_recording(recording, folder, name, 0, key)["file"])


def refusal(path: Path, asked: Asked | None = None, name: str = "") -> str:
    with pytest.raises(CyberHansError) as caught:
        load_foreign(path, asked or Asked(machine="m", rate_hz=1000.0, unit="g"), name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- round trips


@pytest.mark.parametrize("name", FORMATS)
def test_everything_comes_back(name: str, tmp_path: Path) -> None:
    made = pump(tmp_path)
    path = exported(made, tmp_path / "there", name)
    row = import_recording(path, tmp_path / "back", Asked())
    back = load_recording(row["file"])
    assert row["lossless"] and row["rounding"] == 0
    assert np.array_equal(back.samples, made.samples)
    for field in TOLD:
        assert getattr(back, field) == getattr(made, field), field
    assert Path(row["file"]).relative_to(tmp_path) == Path("back/pump 7/pump 7-anomaly-20240501T060000Z.wav")


@pytest.mark.parametrize("name", ["csv", "matlab", "edge-impulse"])
def test_a_file_alone_still_tells_samples_rate_unit_and_scale(name: str, tmp_path: Path) -> None:
    """As from another program: no .about. Left-aligned counts become counts of twice the size, or are asked for."""
    made = pump(tmp_path, offset=0.0, rate_hz=1003.25)
    path = exported(made, tmp_path, name)
    path.with_name(f"{path.name}.about").unlink()
    told, error, _ = load_foreign(path, Asked(machine="m", label="anomaly"))
    assert error == 0 and (told.rate_hz, told.unit, told.label, told.axes) == (1003.25, "g", "anomaly", ("x", "y", "z"))
    assert told.scale == 2 * made.scale and np.array_equal(2 * told.samples, made.samples)
    asked, error, _ = load_foreign(path, Asked(machine="m", full_range=32768 * made.scale))
    assert error == 0 and asked.scale == made.scale and np.array_equal(asked.samples, made.samples)


@pytest.mark.parametrize("name", FORMATS)
def test_sound_comes_back_from_the_file_alone(name: str, tmp_path: Path) -> None:
    made = pump(tmp_path, unit="full-scale", scale=1 / 32768, offset=0.0, rate_hz=1000.0)
    path = exported(made, tmp_path / "there", name)
    for beside in (path.with_name(f"{path.name}.about"), path.with_suffix(".json")):
        if beside != path:
            beside.unlink(missing_ok=True)
    back, error, _ = load_foreign(path, Asked(machine="m", label="anomaly", full_range=1.0))
    assert np.array_equal(back.samples, made.samples) and error == 0
    assert (back.rate_hz, back.unit, back.scale, back.label) == (1000.0, "full-scale", 1 / 32768, "anomaly")


@pytest.mark.parametrize("name", FORMATS)
def test_same_recording_same_bytes(name: str, tmp_path: Path) -> None:
    made = pump(tmp_path)
    one, other = (exported(made, tmp_path / folder, name) for folder in "ab")
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_written_over(name: str, tmp_path: Path) -> None:
    made = pump(tmp_path)
    path = exported(made, tmp_path / "there", name)
    before = path.read_bytes()
    with pytest.raises(CyberHansError, match="is there already; remove it, or choose another --out"):
        exported(dataclasses.replace(made, samples=made.samples[::-1].copy()), tmp_path / "there", name)
    import_recording(path, tmp_path / "back", Asked())
    with pytest.raises(CyberHansError, match="is there already"):
        import_recording(path, tmp_path / "back", Asked())
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["csv", "matlab", "edge-impulse"])
def test_a_changed_file_is_not_what_its_about_describes(name: str, tmp_path: Path) -> None:
    path = exported(pump(tmp_path), tmp_path / "there", name)
    other = pump(tmp_path / "other", samples=np.ones((7, 3), np.int16))
    changed = exported(other, tmp_path / "other", name)
    path.write_bytes(changed.read_bytes())
    assert f"is not the file that {path.name}.about describes" in refusal(path, Asked())


@pytest.mark.recordings
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("folder", "told"), [
    ("cwru_smoke", {"unit": "g", "scale": 0.00025}), ("motor_adxl356", {"unit": "V", "scale": 3.3e-5, "offset": 0.9}),
    ("engine_idle", {}),
])  # fmt: skip
def test_real_recordings_come_back(name: str, folder: str, told: dict[str, Any], tmp_path: Path) -> None:
    source = sorted((real_recordings() / folder).glob("*.wav"))[0]
    made = dataclasses.replace(load_recording(source).part(0, 2.0), machine="m", **told)
    path = exported(save_recording(made, tmp_path / "in.wav"), tmp_path / "there", name)
    back, error, _ = load_foreign(path, Asked())
    assert error == 0 and np.array_equal(back.samples, made.samples) and back.rate_hz == made.rate_hz


# --- the step of a count


@settings(max_examples=full(150, 2000), deadline=None)
@given(size=st.one_of(st.sampled_from([0.0039, 0.001, 0.1, 1 / 3, 9.80665 / 16384, 2**-15, 1e-7, 61e-6 * 9.8, 0.25]),
                      st.floats(1e-9, 1e3)), peak=st.integers(200, 32767), seed=st.integers(0, 999))  # fmt: skip
def test_the_step_of_integer_counts_is_found_exactly(size: float, peak: int, seed: int) -> None:
    counts = np.random.default_rng(seed).integers(-peak, peak + 1, (400, 2))
    counts[0] = 1, peak
    found, scale, error = step.fitted(counts * size)
    assert error == 0 and np.array_equal(found, counts) and scale == pytest.approx(size, rel=1e-15)


@pytest.mark.parametrize("decimals", [1, 2, 3])
def test_printed_decimals_are_lossless(decimals: int) -> None:
    values = np.round(np.random.default_rng(0).uniform(-20, 20, (900, 3)), decimals)
    counts, scale, error = step.fitted(values)
    assert error == 0 and scale == 10.0**-decimals and np.array_equal(counts, np.rint(values * 10**decimals))


@pytest.mark.parametrize("seed", range(5))
def test_other_values_are_rounded_by_half_a_count_at_most_and_it_is_told(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, 3, (5000, 2))
    counts, scale, error = step.fitted(values)
    assert scale == np.abs(values).max() / step.WIDEST and abs(counts.astype(int)).max() == step.WIDEST
    assert error == np.abs(counts * scale - values).max() and scale / 4 < error <= scale / 2 * (1 + 1e-9)


# --- CSV


def table(tmp_path: Path, text: str | bytes, name: str = "x.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


ROWS = [(0.5, -1.25), (0.75, 2.0), (-3.5, 0.25), (1.0, 1.5)] * 3


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_delimiter_and_line_end(sign: str, end: str, tmp_path: Path) -> None:
    lines = [
        f'"time (ms)"{sign} x [g]{sign}"y (g)"',
        *(f"{2.5 * k}{sign}{a}{sign} {b}" for k, (a, b) in enumerate(ROWS)),
    ]
    made, error, _ = load_foreign(table(tmp_path, "\ufeff" + end.join(lines)), Asked(machine="m"))
    assert (made.rate_hz, made.unit, made.axes, made.scale, error) == (400.0, "g", ("x", "y"), 0.25, 0)
    assert np.array_equal(made.samples * made.scale, ROWS)


def test_what_is_not_said_is_asked_for_one_by_one(tmp_path: Path) -> None:
    path = table(tmp_path, "x,y\n1,2\n3,4\n5,6\n")
    assert "does not say its machine; give --machine NAME" in refusal(path, Asked())
    assert "does not say its rate; give --rate HZ" in refusal(path, Asked(machine="m"))
    assert "does not say its unit; give --unit, such as g" in refusal(path, Asked(machine="m", rate_hz=9.0))
    assert "does not say its scale, and all its numbers are whole; give --scale" in refusal(path)
    made, _, _ = load_foreign(path, Asked(machine="m", rate_hz=9.0, unit="g", scale=0.0039))
    assert (made.scale, made.samples.tolist()) == (0.0039, [[1, 2], [3, 4], [5, 6]])
    made, error, _ = load_foreign(path, Asked(machine="m", rate_hz=9.0, unit="g", full_range=8.0))
    assert (made.scale, made.samples[0].tolist(), error) == (8 / 32768, [4096, 8192], 0)


def test_columns_can_be_chosen_and_a_table_without_header_must(tmp_path: Path) -> None:
    path = table(tmp_path, "9,39,1.5,0.5\n9,39,2.5,0.25\n")
    assert "has no header line; name its channels by number: --channels 1,2,3" in refusal(path)
    made, _, _ = load_foreign(path, Asked(machine="m", rate_hz=9.0, unit="g", channels=("4", "3")))
    assert np.array_equal(made.samples * made.scale, [[0.5, 1.5], [0.25, 2.5]])
    named = table(tmp_path, "index,x [g],what,t [°C]\n1,0.5,on,20\n2,1.5,on,21\n")
    assert "its channels have units" in refusal(named, Asked(machine="m", rate_hz=9.0))
    assert load_foreign(named, Asked(machine="m", rate_hz=9.0, channels=("x",)))[0].axes == ("x",)
    warm, _, _ = load_foreign(table(tmp_path, "t [g],T [g]\n0.5,1\n1.5,2\n", "w.csv"), Asked(machine="m", rate_hz=9.0))
    assert warm.axes == ("t", "T")  # only a time of a unit of time is time
    assert "no column 'z'; it has index, x [g]" in refusal(named, Asked(machine="m", channels=("z",)))


BAD_TABLES = {
    "": "holds no samples",
    "x,y\n": "holds no samples",
    "x,y\n1.5,2\n1.5\n": "line 3 has 1 columns, the first has 2",
    "x,y\n1.5,2\n1.5,2,3\n": "line 3 has 3 columns",
    "x;y\n1,5;2\n": "line 2 has decimal commas; write points",
    "x,y\n1,5,2,5\n": "are these decimal commas? Write points",
    "x,y\n1.5,on\n": "line 2: 'on' is not a number",
    "x,y\n1.5,\n": "line 2: '' is not a number",
    "x,y\n1.5,2\n1.5,nan\n": "sample 2 of channel 2 is nan",
    "x,y\n1.5,2\n-inf,2\n": "sample 2 of channel 1 is -inf",
    "x,y\n1e300,2.5\n1e-300,2\n": "holds 1e+300, which no sensor says",
    "x,y\n1e-320,0\n3e-320,0\n": "scale 9.99989e-321: must be 1e-30 to 1e+30",
    "x,x\n1.5,2\n1,2\n": "several channels have one name (x, x)",
    ",".join(f"c{k}" for k in range(70_000)) + 3 * ("\n" + ",".join(["0.5"] * 70_000)): "70000 channels: a recording",
    "time\n1\n2\n": "has no channel beside its time",
}


@pytest.mark.parametrize("text", BAD_TABLES)
def test_a_bad_table_is_one_line(text: str, tmp_path: Path) -> None:
    assert BAD_TABLES[text] in refusal(table(tmp_path, text))


def test_what_is_no_text_or_too_much_is_one_line(tmp_path: Path) -> None:
    assert "not text in UTF-8" in refusal(table(tmp_path, b"x,y\n\xff\xfe\n"))
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as file:
        file.truncate(1 << 31)
    assert "2048 MiB of text are too many; split it" in refusal(huge)
    assert "no such file" in refusal(tmp_path / "none.csv")
    assert "which format is it? Give --format" in refusal(table(tmp_path, "x", "x.xlsx"))


def stamped(tmp_path: Path, stamps: np.ndarray, unit: str = "s", form: str = ".9f") -> Path:
    return table(
        tmp_path, "\n".join([f"time [{unit}],x [g]", *(f"{t:{form}},{k % 5 + 0.5}" for k, t in enumerate(stamps))])
    )


def test_time_stamps_tell_rate_jitter_and_gaps(tmp_path: Path) -> None:
    index = np.delete(np.arange(5000), [700, 701, 702, 4000])
    jitter = np.random.default_rng(0).normal(0, 20e-6, len(index))
    made, _, _ = load_foreign(stamped(tmp_path, index / 403.7 + jitter), Asked(machine="m"))
    assert made.gaps == (Gap(700, 3, counted=False), Gap(3997, 1, counted=False)) and made.lost_samples == 4
    assert abs(made.rate_hz - 403.7) < 3 * made.rate_uncertainty_hz / 1.96 and made.rate_uncertainty_hz < 1e-3
    assert made.jitter_s == pytest.approx(20e-6, rel=0.05)


def test_coarse_stamps_are_no_gaps(tmp_path: Path) -> None:
    """Whole milliseconds at 700 Hz: steps of one and two."""
    made, _, _ = load_foreign(stamped(tmp_path, np.floor(np.arange(3000) / 0.7), "ms", ".0f"), Asked(machine="m"))
    assert made.lost_samples == 0 and made.rate_hz == pytest.approx(700, rel=1e-5)


def test_stamps_that_tell_nothing_are_refused(tmp_path: Path) -> None:
    assert "time goes back, or is no number, at sample 3" in refusal(
        stamped(tmp_path, np.array([0, 1, 0.5, 2])), Asked()
    )
    assert "too coarse" in refusal(stamped(tmp_path, np.zeros(9)), Asked())
    assert "7 time stamps tell no rate" in refusal(stamped(tmp_path, np.arange(7.0)), Asked())
    for stamps, expected in ((1e305, "time 1e+305 s at sample 2"), (1e-320, "9.99989e-321 s apart"),
                             (1e-11, "1e-11 s apart")):  # fmt: skip
        assert expected in refusal(stamped(tmp_path, np.arange(9) * stamps, form=""), Asked())
    leap = np.where(np.arange(99) < 80, np.arange(99) * 1e-6, 9e11)
    assert "1e-06 s apart, and up to 9e+11 s" in refusal(stamped(tmp_path, leap, form=""), Asked())
    path = table(tmp_path, "timestamp,x [g]\n0,0.5\n1,0.75\n2,1.5\n")
    assert "does not say the unit of its column 'timestamp'" in refusal(path, Asked(machine="m"))
    assert load_foreign(path, Asked(machine="m", rate_hz=50.0))[0].rate_hz == 50.0


# --- DCASE and other WAV files


def wav(folder: Path, name: str) -> Path:
    recording = Recording(samples=np.arange(-50, 50, dtype=np.int16)[:, None].copy(), rate_hz=16000.0)
    path = folder / name
    save_recording(recording, path)
    path.with_suffix(".json").unlink()
    return path


NAMES = {
    "section_02_target_test_anomaly_0013_vel_10_loc_A":
        ("anomaly", "section_02_target", "DCASE test 0013, attributes vel_10_loc_A"),
    "section_00_source_train_normal_0000": ("normal", "section_00_source", "DCASE train 0000"),
    "section_01_0007": ("unknown", "section_01", "DCASE test 0007"),
    "whatever": ("unknown", "", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_dcase_name_says_label_section_and_attributes(name: str, tmp_path: Path) -> None:
    made, error, _ = load_foreign(wav(tmp_path / "fan" / "train", f"{name}.wav"), Asked())
    assert (made.label, made.session, made.notes) == NAMES[name]
    assert (made.machine, made.rate_hz, made.unit, made.scale, error) == ("fan", 16000.0, "full-scale", 1 / 32768, 0)


def test_a_dcase_name_comes_back(tmp_path: Path) -> None:
    path = wav(tmp_path / "fan" / "test", "section_02_target_test_anomaly_0013_vel_10_loc_A.wav")
    row = import_recording(path, tmp_path / "back", Asked())
    again = export_recording(load_recording(row["file"]), tmp_path / "out", "dcase", 13)["file"]
    assert Path(again).relative_to(tmp_path / "out") == path.relative_to(tmp_path)


def test_a_wav_in_g_is_asked_for_its_scale(tmp_path: Path) -> None:
    path = wav(tmp_path, "x.wav")
    assert "its scale is in full-scale; with --unit give --scale or --range in g" in refusal(path)
    assert load_foreign(path, Asked(machine="m", unit="g", full_range=16.0))[0].scale == 16 / 32768
    assert load_foreign(path, Asked(machine="m", unit="g", scale=0.001))[0].samples[0, 0] == -50
    assert "does not say its machine" in refusal(path, Asked())


# --- MATLAB


def mat(tmp_path: Path, **variables: Any) -> Path:
    from scipy.io import savemat

    savemat(tmp_path / "x.mat", variables)
    return tmp_path / "x.mat"


def column(seed: int = 0, n: int = 900) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (n, 1))


def test_the_layout_of_case_western_reserve(tmp_path: Path) -> None:
    path = mat(tmp_path, X097_DE_time=column(1), X097_FE_time=column(2), X097_BA_time=column(3), X097RPM=1796)
    assert "does not say its rate; give --rate HZ" in refusal(path, Asked(machine="m"))
    made, error, _ = load_foreign(path, Asked(machine="m", rate_hz=12000.0, unit="g"))
    assert (made.axes, made.speed_rpm, made.rate_hz) == (("DE", "FE", "BA"), 1796.0, 12000.0)
    values = np.hstack([column(1), column(2), column(3)])
    assert np.abs(made.samples * made.scale - values).max() == error > 0
    one, _, _ = load_foreign(path, Asked(machine="m", rate_hz=12000.0, unit="g", channels=("X097_FE_time",)))
    assert one.axes == ("FE",) and one.speed_rpm == 1796.0


def test_a_file_that_holds_two_recordings_asks_which(tmp_path: Path) -> None:
    path = mat(tmp_path, X098_DE_time=column(), X099_DE_time=column(1), X098RPM=1772, X099RPM=1750)
    assert "holds several recordings (X098_DE_time, X099_DE_time); take one with --channels" in refusal(path)
    made, _, _ = load_foreign(path, Asked(machine="m", rate_hz=1.0, unit="g", channels=("X099_DE_time",)))
    assert made.speed_rpm == 1750.0


BAD_VARIABLES: dict[str, dict[str, Any]] = {
    "lengths differ: a 900, b 899": {"a": column(), "b": column(0, 899)},
    "no variable is a column of more than 64 numbers": {"a": np.zeros((40, 40)), "b": "text", "c": {"d": 1}},
    "variable a is not a column of real numbers": {"a": column() + 1j},
    "sample 3 of channel 1 is nan": {"a": np.where(np.arange(900)[:, None] == 2, np.nan, column())},
}


@pytest.mark.parametrize("expected", BAD_VARIABLES)
def test_bad_variables_are_one_line(expected: str, tmp_path: Path) -> None:
    assert expected in refusal(mat(tmp_path, **BAD_VARIABLES[expected]))


def test_version_7_3_and_rubbish_are_one_line(tmp_path: Path) -> None:
    newer = b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<H", 0x0200) + b"IM" + bytes(400)
    assert "is MATLAB's version 7.3; save it with save(..., '-v7')" in refusal(table(tmp_path, newer, "new.mat"))
    for content in (b"", b"MATLAB 5.0", bytes(300), b"\x89PNG" * 99):
        assert "damaged" in refusal(table(tmp_path, content, "bad.mat")) or "no variable" in refusal(
            tmp_path / "bad.mat"
        )


# --- Edge Impulse


def acquisition(**changes: Any) -> dict[str, Any]:
    payload = {"device_name": "ac:87", "device_type": "DISCO", "interval_ms": 10,
               "sensors": [{"name": "accX", "units": "m/s2"}, {"name": "accY", "units": "m/s2"}],
               "values": [[-9.81, 0.03], [-9.83, 0.04], [-9.12, 0.03]]}  # fmt: skip
    return {"protected": {"ver": "v1", "alg": "none"}, "signature": "0" * 64, "payload": {**payload, **changes}}


def test_an_acquisition_says_nearly_all(tmp_path: Path) -> None:
    path = table(tmp_path, json.dumps(acquisition()), "idle.01.json")
    made, error, _ = load_foreign(path, Asked(machine="m"))
    assert (made.rate_hz, made.unit, made.axes, made.scale, error) == (100.0, "m/s2", ("accX", "accY"), 0.01, 0)
    assert made.samples.tolist() == [[-981, 3], [-983, 4], [-912, 3]]
    assert (made.label, made.notes, made.serial) == ("unknown", "Edge Impulse label idle", "ac:87")
    path = table(tmp_path, json.dumps(acquisition()), "anomaly.pump.json")
    assert load_foreign(path, Asked(machine="m", channels=("accY",)))[0].label == "anomaly"


def test_sound_is_int16(tmp_path: Path) -> None:
    sound = acquisition(interval_ms=0.0625, sensors=[{"name": "audio", "units": "wav"}], values=[-10, 2, 32767])
    made, _, _ = load_foreign(table(tmp_path, json.dumps(sound), "normal.x.json"), Asked(machine="m"))
    assert (made.rate_hz, made.unit, made.scale, made.samples.ravel().tolist()) == (
        16000.0, "full-scale", 1 / 32768, [-10, 2, 32767])  # fmt: skip


def signed(key: str, text: str) -> str:
    """As the documentation's examples do: sign with zeros in place, then put the signature there."""
    return text.replace("0" * 64, hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest())


@pytest.mark.parametrize("form", [{}, {"indent": 2}, {"separators": (",", ":")}])
def test_a_signature_is_checked_whatever_the_spacing(form: dict[str, Any], tmp_path: Path) -> None:
    found = acquisition() | {"protected": {"ver": "v1", "alg": "HS256", "iat": 1564128599}}
    text = signed("secret", json.dumps(found, **form))
    path = table(tmp_path, text, "normal.x.json")
    assert load_foreign(path, Asked(machine="m", key="secret"))[2] == ()
    assert load_foreign(path, Asked(machine="m"))[2] == ("its signature was not checked: give --key",)
    assert "its signature does not fit --key" in refusal(path, Asked(machine="m", key="other"))
    path.write_text(text.replace("9.83", "9.84"))
    assert "its signature does not fit --key" in refusal(path, Asked(machine="m", key="secret"))


def test_exports_are_signed_by_the_same_rule(tmp_path: Path) -> None:
    path = exported(pump(tmp_path), tmp_path / "there", "edge-impulse", key="secret")
    found = json.loads(path.read_text())
    assert found["protected"] == {"ver": "v1", "alg": "HS256", "iat": 1714543200}
    unsigned = path.read_text().replace(found["signature"], "0" * 64)
    assert signed("secret", unsigned) == path.read_text()
    assert load_foreign(path, Asked(key="secret"))[1] == 0
    plain = exported(pump(tmp_path), tmp_path / "plain", "edge-impulse")
    assert "is not signed; leave out --key" in refusal(plain, Asked(key="secret"))


BAD_ACQUISITIONS: dict[str, Any] = {
    "not JSON": "{",
    "not JSON (RecursionError": "[" * 100_000,
    "empty, or above": "",
    "not an Edge Impulse acquisition": "[1]",
    "protected.ver v1": json.dumps(acquisition() | {"protected": {"ver": "v2"}}),
    "alg 'RS512'": json.dumps(acquisition() | {"protected": {"ver": "v1", "alg": "RS512"}}),
    "signature is not 64 hex": json.dumps(acquisition() | {"protected": {"ver": "v1", "alg": "HS256"}, "signature": 3}),
    "payload.sensors must be": json.dumps(acquisition(sensors=[{"name": "x"}])),
    "its sensors have units C, g": json.dumps(acquisition(
        sensors=[{"name": "x", "units": "g"}, {"name": "t", "units": "C"}])),
    "rows of 2 numbers": json.dumps(acquisition(values=[[1.5, 2], [1]])),
    "payload.values must be": json.dumps(acquisition(values={"a": 1})),
    "something that is not a number": json.dumps(acquisition(values=[[1.5, "2"]])),
    "not a number; ": json.dumps(acquisition(values=[[1.5, None]])),
    "no float holds": json.dumps(acquisition(values=[[1.5, 10**400]])),
    "have one name (x, x)": json.dumps(acquisition(
        sensors=[{"name": "x", "units": "g"}, {"name": "x", "units": "V"}])),
    "serial '\\ud800' is no text": json.dumps(acquisition(device_name="\ud800")),
    "sample 1 of channel 2 is nan": json.dumps(acquisition(values=[[1.5, float("nan")]])),
    "holds no samples": json.dumps(acquisition(values=[])),
}  # fmt: skip


@pytest.mark.parametrize("expected", BAD_ACQUISITIONS)
def test_a_bad_acquisition_is_one_line(expected: str, tmp_path: Path) -> None:
    path = table(tmp_path, BAD_ACQUISITIONS[expected], "normal.x.json")
    assert expected in refusal(path, Asked(machine="m", rate_hz=100.0))


# --- damage of any kind


def damaged(content: bytes, at: float, value: int, cut: float) -> bytes:
    """With one byte changed, and the end cut off; at, cut: shares of its length."""
    changed = bytearray(content)
    changed[int(at * (len(content) - 1))] = value
    return bytes(changed[: len(changed) - int(cut * len(changed))])


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=full(60, 1500), deadline=None)
@given(at=st.floats(0, 1), value=st.integers(0, 255), cut=st.one_of(st.just(0.0), st.floats(0, 1)))
def test_damage_is_one_line_or_equal_samples(
    name: str, at: float, value: int, cut: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One byte changed or the end cut off: with its .about, a file never gives samples that are not the recording's."""
    made, content, about, suffix = whole_file(name, tmp_path_factory)
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / f"normal.x{suffix}"
    path.write_bytes(damaged(content, at, value, cut))
    beside = path.with_suffix(".json") if name == "dcase" else path.with_name(f"{path.name}.about")
    beside.write_bytes(about)
    try:
        row = import_recording(path, folder / "out", Asked())
    except CyberHansError as error:
        assert "\n" not in str(error) and not list(folder.rglob("out/**/*.wav"))
    else:
        assert np.array_equal(load_recording(row["file"]).samples, made.samples)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=full(60, 1500), deadline=None)
@given(at=st.floats(0, 1), value=st.integers(0, 255), cut=st.one_of(st.just(0.0), st.floats(0, 1)))
def test_damage_without_anything_beside_it_is_one_line_or_a_recording(
    name: str, at: float, value: int, cut: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _, content, _, suffix = whole_file(name, tmp_path_factory)
    path = tmp_path_factory.mktemp("damaged") / f"normal.x{suffix}"
    path.write_bytes(damaged(content, at, value, cut))
    try:
        made, error, _ = load_foreign(path, Asked(machine="m", rate_hz=1000.0, unit="full-scale"))
    except CyberHansError as refused:
        assert "\n" not in str(refused) and path.name in str(refused)
    else:
        assert made.samples.dtype == np.int16 and error >= 0


WHOLE: dict[str, tuple[Recording, bytes, bytes, str]] = {}


def whole_file(name: str, factory: pytest.TempPathFactory) -> tuple[Recording, bytes, bytes, str]:
    if name not in WHOLE:
        folder = factory.mktemp("whole")
        made = pump(
            folder, samples=np.random.default_rng(0).integers(-99, 99, (70, 2)).astype(np.int16), axes=("x", "y")
        )
        path = exported(made, folder / "there", name)
        about = path.with_suffix(".json") if name == "dcase" else path.with_name(f"{path.name}.about")
        WHOLE[name] = made, path.read_bytes(), about.read_bytes(), path.suffix
    return WHOLE[name]


# --- where they go


@pytest.mark.parametrize("machine", ["../up", "a/b", ".hidden", "a\\b", " a", "a\nb", "a:b"])
def test_a_machine_must_do_as_a_folder(machine: str, tmp_path: Path) -> None:
    with pytest.raises(CyberHansError, match="is to be a folder's name"):
        place.imported(tmp_path, Recording(np.ones((1, 1), np.int16), 1.0, machine=machine), "x")


@pytest.mark.parametrize(("start", "name"), [
    ("2026-11-22T23:15:13.123+01:00", "m-normal-20261122T221513Z.wav"),
    ("2026-11-22T22:15:13", "m-normal-20261122T221513Z.wav"),
    ("last week", "m-normal-b_1.wav"), ("", "m-normal-b_1.wav"),
])  # fmt: skip
def test_the_time_of_a_recording_names_its_file(start: str, name: str, tmp_path: Path) -> None:
    made = Recording(np.ones((1, 1), np.int16), 1.0, machine="m", label="normal", start_utc=start)
    assert place.imported(tmp_path, made, "m-normal-b 1") == tmp_path / "m" / name


def test_import_takes_axes_from_the_machines_file_and_makes_one(tmp_path: Path) -> None:
    path = wav(tmp_path, "x.wav")
    import_recording(path, tmp_path / "out", Asked(machine="m"))
    (tmp_path / "out" / "m" / "machine.toml").write_text('axes = ["mic"]\n')
    row = import_recording(path, tmp_path / "out", Asked(machine="m", label="normal"))
    assert row["channels"] == ["mic"] and Path(row["file"]).name == "m-normal-x.wav"


# --- what no recording can be


@pytest.mark.parametrize(("option", "value"), [
    ("rate_hz", 1e12), ("rate_hz", math.nan), ("rate_hz", math.inf), ("rate_hz", 1e-9), ("scale", 1e299),
    ("scale", -1.0), ("full_range", 1e-300), ("speed_rpm", math.nan), ("speed_rpm", -3.0),
])  # fmt: skip
def test_absurd_numbers_of_the_user_are_refused(option: str, value: float) -> None:
    with pytest.raises(CyberHansError, match="must be"):
        Asked(**{option: value})


def test_absurd_rates_of_a_file_are_refused(tmp_path: Path) -> None:
    told = "Hz: must be 1e-06 to 1e+08; give --rate HZ"
    path = table(tmp_path, json.dumps(acquisition(interval_ms=2e-9)), "normal.x.json")
    assert told in refusal(path, Asked(machine="m"))
    assert told in refusal(mat(tmp_path, X1_DE_time=column(), rate_hz=1e299, unit="g"), Asked(machine="m"))
    wide = table(tmp_path, ",".join(f"c{k} [g]" for k in range(255)) + 2 * ("\n" + ",".join(["0.5"] * 255)), "w.csv")
    assert "255 channels at 90000000 Hz do not fit a WAV" in refusal(wide, Asked(machine="m", rate_hz=9e7))


@pytest.mark.parametrize("text", ["[" * 200_000, '{"rate_nominal_hz": 1e300}', '{"scale": 0}', '{"load": "\\udcff"}'])
def test_a_hostile_about_file_is_one_line(text: str, tmp_path: Path) -> None:
    table(tmp_path, text, "x.csv.about")
    assert "x.csv.about: " in refusal(table(tmp_path, "x [g]\n0.5\n0.25\n"))


def test_a_start_that_no_calendar_has_in_utc_names_no_file(tmp_path: Path) -> None:
    made = pump(tmp_path, start_utc="0001-01-01T00:00:00+14:00")
    assert place.imported(tmp_path, made, "wed").name == "pump 7-anomaly-wed.wav"


def test_a_column_that_two_have_the_name_of_is_asked_for_in_full(tmp_path: Path) -> None:
    path = table(tmp_path, "x [g],x [V],y [g],y [g]\n0.5,3.5,1,1\n0.25,4,2,2\n")
    asked = Asked(machine="m", rate_hz=9.0, channels=("x",))
    assert "2 columns are called 'x' (x [g], x [V]); name one in full" in refusal(path, asked)
    assert load_foreign(path, dataclasses.replace(asked, channels=("x [V]",)))[0].unit == "V"
    assert "2 columns are called 'y [g]'" in refusal(path, dataclasses.replace(asked, channels=("y [g]",)))
    assert "several channels have one name" in refusal(path, dataclasses.replace(asked, channels=("x [g]", "x [g]")))


def test_channels_of_two_matlab_recordings_keep_their_whole_names(tmp_path: Path) -> None:
    path = mat(tmp_path, X1_DE_time=column(), X2_DE_time=column(1))
    both = ("X1_DE_time", "X2_DE_time")
    assert load_foreign(path, Asked(machine="m", rate_hz=9.0, unit="g", channels=both))[0].axes == both


def test_what_the_user_writes_must_be_text(tmp_path: Path) -> None:
    path = table(tmp_path, "x [g]\n0.5\n0.25\n")
    assert "load '\\udcff' is no text that UTF-8 holds" in refusal(path, Asked(machine="m", rate_hz=9.0, load="\udcff"))
    with pytest.raises(CyberHansError, match="--key is no text"):
        export_recording(pump(tmp_path), tmp_path, "edge-impulse", 0, "\udcff")


def test_a_slow_sensor_is_not_at_fault(tmp_path: Path) -> None:
    """The header holds whole Hz, and so could not have said 0.3."""
    rows = "\n".join(["x [g]", *(f"{value:.3f}" for value in np.random.default_rng(0).normal(size=500))])
    row = import_recording(table(tmp_path, rows), tmp_path / "out", Asked(machine="m", rate_hz=0.3))
    back = load_recording(row["file"])
    assert not [reason for reason in row["reasons"] if "nominal" in reason]
    assert (back.rate_hz, back.rate_nominal_hz) == (0.3, 0.3)


# --- the verbs


def test_export_and_import_as_a_user_does(tmp_path: Path) -> None:
    done = cyberhans(
        "export", DEMO / "pump_mon.wav", DEMO / "pump_gear.wav", "--format", "csv", "--out", tmp_path / "csv"
    )
    assert done.code == 0 and "csv does not hold" in done.out and len(done.out.splitlines()) == 2
    back = cyberhans("import", tmp_path / "csv", "--out", tmp_path / "back", "--json")
    rows = json.loads(back.out)
    assert back.code == 0 and [row["lossless"] for row in rows] == [True, True]
    for row in rows:
        made = load_recording(DEMO / f"{Path(row['source']).stem}.wav")
        assert np.array_equal(load_recording(row["file"]).samples, made.samples)


def test_another_scale_than_the_about_file_states_is_the_users_word(tmp_path: Path) -> None:
    made = pump(tmp_path)
    path = exported(made, tmp_path / "there", "csv")
    told, _, _ = load_foreign(path, Asked(full_range=16.0))
    assert (told.scale, told.offset, told.label) == (16 / 32768, 0.0, "anomaly")
    assert np.abs(told.samples * told.scale - made.samples * made.scale - made.offset).max() <= told.scale / 2


def test_one_bad_file_of_a_folder_does_not_stop_the_others(tmp_path: Path) -> None:
    table(tmp_path, "x [g]\n0.5\n0.25\n", "a.csv")
    table(tmp_path, "x [g]\n0.5\nnan\n", "b.csv")
    table(tmp_path, "x [g]\n0.5\n0.75\n", "c.csv")
    done = cyberhans("import", tmp_path, "--out", tmp_path / "out", "--machine", "m", "--rate", 10)
    assert done.code == 1 and len(done.out.splitlines()) == 2 and "lossless" in done.out
    assert done.err.count("\n") == 1 and "b.csv: sample 2 of channel 1 is nan" in done.err
    assert sorted(path.name for path in (tmp_path / "out" / "m").iterdir()) == [
        "m-unknown-a.json", "m-unknown-a.wav", "m-unknown-c.json", "m-unknown-c.wav", "machine.toml"]  # fmt: skip


def test_not_even_what_nobody_foresaw_stops_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(table(tmp_path, "x [g]\n0.5\n0.25\n", name)) for name in ("a.csv", "b.csv")]
    read = FORMATS["csv"].read

    def divided(path: Path, asked: Asked) -> Any:
        return read(path, asked) if path.name == "b.csv" else 1 / 0

    monkeypatch.setattr(FORMATS["csv"], "read", divided)
    stated = ["--out", str(tmp_path / "out"), "--machine", "m", "--rate", "10"]
    assert app(["import", *paths, *stated], standalone_mode=False) == 1
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and "a.csv: unexpected ZeroDivisionError" in told.err
    assert (tmp_path / "out" / "m" / "m-unknown-b.wav").exists()


def test_bad_options_are_one_line(tmp_path: Path) -> None:
    for arguments, expected in (
        (("import", tmp_path, "--out", tmp_path), "no .csv"),
        (("import", tmp_path, "--out", tmp_path, "--format", "xlsx"), "format 'xlsx': choose csv, dcase"),
        (("import", DEMO / "pump_mon.wav", "--out", tmp_path, "--rate", -1), "--rate -1: must be a number above 0"),
        (("export", DEMO / "pump_mon.wav", "--out", tmp_path, "--format", "csv", "--key", "k"), "is not signed"),
    ):
        done = cyberhans(*arguments)
        assert done.code == 1 and done.err.count("\n") == 1 and expected in done.err
