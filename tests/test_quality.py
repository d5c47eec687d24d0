"""Quality: its rules one by one, what it makes of a machine's folder, and that what was told is kept."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from defects import TABLE, healthy

from cyberhans import sidecar
from cyberhans.errors import CyberHansError
from cyberhans.profile import Profile
from cyberhans.quality import assess, assessed, earlier, grade, profile, verdict
from cyberhans.reason import Reason, united
from cyberhans.recording import Gap, Recording, check, load_recording, save_recording
from cyberhans.simulate import simulate


def noise(n: int = 20000, channels: int = 1, level: float = 1000, **fields: Any) -> Recording:
    samples = np.random.default_rng(0).normal(0, level, (n, channels)).astype(np.int16)
    return Recording(samples, 1000.0, **fields)


HOPELESS = [np.zeros((5000, 2)), np.full((5000, 2), 77), np.where(np.arange(5000)[:, None] % 2, 32767, -32768)]


@pytest.mark.parametrize("samples", HOPELESS)
def test_what_check_refuses_fails(samples: np.ndarray) -> None:
    made = Recording(samples.astype(np.int16), 1000.0)
    assert grade(check(made)) == grade(assess(made)) == "failed"


@pytest.mark.parametrize(("share", "expected"), [(0.0, "good"), (0.001, "warning"), (0.03, "warning"), (0.1, "failed")])
def test_saturation_at_the_sensors_own_full_scale(share: float, expected: str) -> None:
    made = noise(full_scale=8000)
    made.samples[: int(share * made.frames), 0] = 8000
    reasons = [reason for reason in assess(made) if "at full scale" in reason]
    assert grade(reasons) == expected


def test_clipping_at_an_unknown_level_names_it_in_the_unit() -> None:
    made = noise(scale=0.001, unit="g")
    np.clip(made.samples, -1500, 30000, out=made.samples)
    (reason,) = assess(made)
    assert " % of samples at -1500 LSB, -1.5 g, where the sensor clips: choose a larger range" in reason
    assert reason.fatal


def test_a_sine_does_not_clip() -> None:
    for hz in (49.7, 50.0, 333.3):
        sine = 9000 * np.sin(2 * np.pi * hz * np.arange(40000) / 8000)[:, None]
        assert not [reason for reason in assess(Recording(np.rint(sine).astype(np.int16), 8000.0)) if "clips" in reason]


@pytest.mark.parametrize(("fields", "words", "expected"), [
    ({"rate_hz": 1004.0, "rate_nominal_hz": 1000.0, "rate_uncertainty_hz": 0.1}, "", "good"),
    ({"rate_hz": 960.0, "rate_nominal_hz": 1000.0, "rate_uncertainty_hz": 0.1}, "4 % below the nominal", "warning"),
    ({"rate_hz": 800.0, "rate_nominal_hz": 1000.0, "rate_uncertainty_hz": 0.1}, "20 % below the nominal", "failed"),
    ({"rate_hz": 1000.0, "rate_uncertainty_hz": 7.0}, "within +-0.7 % only", "warning"),
    ({"rate_hz": 1000.0, "rate_uncertainty_hz": 12.0}, "within +-1.2 % only", "failed"),
    ({"jitter_s": 0.001}, "", "good"),
    ({"jitter_s": 0.01}, "scatter by 10 ms", "warning"),
    ({"lost_samples": 3, "gaps": (Gap(500, 3),)}, "3 samples were lost (0.015 %), first at 0.500 s", "warning"),
    ({"lost_samples": 3}, "3 samples were lost", "warning"),
    ({"lost_samples": 2000}, "2000 samples were lost", "failed"),
    ({"lost_samples": 60000, "gaps": (Gap(9000, 60000, counted=False),)}, "interrupted at 9.000 s for about 60 s",
     "warning"),
])  # fmt: skip
def test_what_only_the_capture_knew_follows_from_its_fields(
    fields: dict[str, Any], words: str, expected: str, tmp_path: Path
) -> None:
    """Also after it was saved and loaded again."""
    made = dataclasses.replace(noise(), **fields)
    again = load_recording(save_recording(made, tmp_path / "x.wav").path or "")
    for reasons in (assess(made), assess(again)):
        assert grade(reasons) == expected and words in " ".join(reasons)


def test_hum_that_the_machine_always_has_is_no_defect() -> None:
    """Nor is a line of the shaft, whose speed is known."""
    t = np.arange(80000) / 8000
    hums = noise(80000).samples + 500 * (np.sin(2 * np.pi * 50 * t) + np.sin(2 * np.pi * 150 * t))[:, None]
    made = Recording(hums.astype(np.int16), 8000.0)
    assert "mains hum at 50, 150 Hz" in assess(made)[0]
    assert assess(made, [profile(made)] * 3) == []
    assert assess(dataclasses.replace(made, speed_rpm=3000.0)) == []


def test_a_sensor_that_never_had_more_bits_is_told_of_once() -> None:
    coarse = noise()
    coarse.samples[:] &= -16
    assert "the lowest 4 bits never change" in assess(coarse)[0]
    assert assess(coarse, [profile(coarse)]) == []


@pytest.mark.parametrize("n", [1, 2, 15, 63, 64, 65, 255, 4095, 4097])
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_any_length_can_be_assessed(n: int, channels: int) -> None:
    made = assessed(noise(n, channels))
    assert Profile.from_dict(made.profile and made.profile.to_dict()) == made.profile
    assert n < 64 or assess(made, [made.profile] * 3) == []  # type: ignore[list-item]


def test_reasons_are_lines_with_a_mend_and_fatal_ones_come_first() -> None:
    broken = TABLE["dead axis"].make(healthy("pump", 1), np.random.default_rng(0))
    reasons = assess(dataclasses.replace(broken, lost_samples=5, jitter_s=0.1))
    assert [reason.fatal for reason in reasons] == [True, False, False]
    assert all("\n" not in reason and ":" in reason for reason in reasons)


def test_grades() -> None:
    assert [grade([]), grade([Reason("a")]), grade([Reason("a"), Reason("b", fatal=True)])] == [
        "good", "warning", "failed"
    ]  # fmt: skip


def test_a_reason_told_twice_with_other_figures_counts_once() -> None:
    told = united([Reason("channel x: 2 % clipped"), Reason("hums")], [Reason("channel x: 2.13 % clipped", fatal=True)])
    assert told == ["channel x: 2 % clipped", "hums"] and told[0].fatal


def test_ten_minutes_of_a_fast_sensor_take_seconds(record_property: Callable[[str, object], None]) -> None:
    block = np.random.default_rng(0).normal(0, 500, (1_000_000, 3)).astype(np.int16)
    made = Recording(np.concatenate([block] * 16), 26_667.0)
    began = time.monotonic()
    assess(made)
    record_property("worst seconds to assess 10 minutes of 3 channels", round(time.monotonic() - began, 2))
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("change", [
    {"dc": [1.0]}, {"dc": ["x"] * 3}, {"level": [float("nan")] * 3}, {"bands": [[1.0], [1.0], []]}, {"hum": [[]] * 3},
    {"correlation": []}, {"rate_hz": 0}, {"axes": None}, {"more": 1},
])  # fmt: skip
def test_a_profile_that_fits_nothing_is_an_error(change: dict[str, Any]) -> None:
    fields = profile(healthy("pump", 0)).to_dict()
    assert Profile.from_dict(fields) == profile(healthy("pump", 0))
    with pytest.raises((TypeError, ValueError)):
        Profile.from_dict({**fields, **change})


# --- a machine's folder


def kept(folder: Path, recording: Recording, day: int, **fields: Any) -> Recording:
    """Assessed and saved as a capture does, on that day."""
    fields = {"start_utc": f"2026-05-{day:02}T06:00:00Z", **fields}
    made = dataclasses.replace(recording, machine="pump", **fields)
    return save_recording(assessed(made, earlier(folder, made)), folder / f"pump-{day:02}.wav")


def test_earlier_recordings_are_found_in_the_machines_folder(tmp_path: Path) -> None:
    for day in (3, 1, 2):
        kept(tmp_path, healthy("pump", day), day)
    now = dataclasses.replace(healthy("pump", 9), start_utc="2026-05-03T05:00:00+00:00")
    assert earlier(tmp_path, now) == [profile(healthy("pump", 1)), profile(healthy("pump", 2))]


def test_where_nothing_says_when_three_companions_are_needed(tmp_path: Path) -> None:
    others = []
    for seed in range(4):
        assert earlier(tmp_path, healthy("pump", 9)) == (others if seed == 3 else [])
        saved = save_recording(assessed(healthy("pump", seed)), tmp_path / f"pump{seed}.wav")
        others.append(saved.profile)
    assert earlier(tmp_path, saved) == others[:3]  # not itself
    assert earlier(tmp_path, dataclasses.replace(saved, start_utc="2026-05-03T05:00:00Z")) == []


@pytest.mark.parametrize("fields", [
    {"label": "anomaly"}, {"machine": "fan"}, {"sensor": "another"}, {"unit": "V"}, {"axes": ("a", "b", "c")},
    {"reasons": (Reason("came loose", fatal=True),)}, {"start_utc": "yesterday"},
])  # fmt: skip
def test_others_do_not_count(fields: dict[str, Any], tmp_path: Path) -> None:
    made = kept(tmp_path, healthy("pump", 1), 1)
    now = dataclasses.replace(healthy("pump", 2), start_utc="2026-05-02T06:00:00Z")
    assert len(earlier(tmp_path, now)) == 1
    save_recording(dataclasses.replace(made, **fields), tmp_path / "pump-01.wav")
    (tmp_path / "machine.json").write_text("[]")
    assert earlier(tmp_path, now) == []


HOSTILE = ["[" * 200_000, '{"notes":' + "[" * 200_000, '{"scale": 1e300, %s}', '{"rate_hz": 1e300, %s}', None]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_neighbour_can_do_no_harm(text: str | None, tmp_path: Path) -> None:
    """Nested without end, an old one without a profile of absurd scale, a pipe that nobody writes to."""
    kept(tmp_path, healthy("pump", 1), 1)
    save_recording(healthy("pump", 3), tmp_path / "bad.wav")
    (tmp_path / "bad.json").unlink()
    if text:
        ours = '"machine": "pump", "unit": "g", "axes": ["x", "y", "z"], "start_utc": "2026-05-01T06:00:00Z"'
        (tmp_path / "bad.json").write_text(text.replace("%s", ours))
    else:
        os.mkfifo(tmp_path / "bad.json")
    now = dataclasses.replace(healthy("pump", 2), start_utc="2026-05-02T06:00:00Z")
    assert earlier(tmp_path, now) == [profile(healthy("pump", 1))]
    with pytest.raises(CyberHansError):
        load_recording(tmp_path / "bad.wav")


def test_one_that_was_never_assessed_is_looked_at(tmp_path: Path) -> None:
    save_recording(dataclasses.replace(healthy("pump", 1), start_utc="2026-05-01T06:00:00Z"), tmp_path / "x.wav")
    now = dataclasses.replace(healthy("pump", 2), start_utc="2026-05-02T06:00:00Z")
    assert earlier(tmp_path, now) == [profile(healthy("pump", 1))]


def test_the_verdict_of_a_file_knows_the_earlier_ones_and_what_was_told(tmp_path: Path) -> None:
    for day in range(1, 4):
        kept(tmp_path, healthy("pump", day), day)
    swapped = dataclasses.replace(healthy("pump", 9), samples=np.ascontiguousarray(healthy("pump", 9).samples[:, ::-1]))
    made = kept(tmp_path, swapped, 4, reasons=(Reason("unplugged twice"),))
    assert made.quality == "failed" and "unplugged twice" in made.reasons
    loaded = load_recording(made.path or "")
    assert verdict(loaded) == list(made.reasons) and "channels x, z are swapped" in verdict(loaded)[0]
    other = save_recording(loaded, tmp_path / "elsewhere" / "pump.wav")  # what was told goes with it
    assert verdict(load_recording(other.path or "")) == list(made.reasons)


def test_each_sidecar_of_a_folder_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of its recordings are asked about; but anew when it was changed."""
    made = [dataclasses.replace(healthy("pump", n), start_utc=f"2026-05-0{n}T06:00:00Z") for n in range(1, 6)]
    for n, one in enumerate(made):
        save_recording(assessed(one), tmp_path / f"{n}.wav")
    reads, read = list[str](), sidecar.read
    monkeypatch.setattr(sidecar, "read", lambda path: (reads.append(path.name), read(path))[1])
    assert [len(earlier(tmp_path, one)) for one in made] == [0, 1, 2, 3, 4]
    assert sorted(reads) == [f"{n}.json" for n in range(5)]
    save_recording(dataclasses.replace(made[0], label="anomaly"), tmp_path / "0.wav")
    assert len(earlier(tmp_path, made[4])) == 3 and reads[5:] == ["0.json"]


@pytest.mark.parametrize("frames", [1024, 1711])
def test_a_stored_waveform_is_told_and_misleads_no_other_rule(frames: int) -> None:
    once = simulate("pump", seconds=1.0, seed=1).samples[:frames]
    played = Recording(np.ascontiguousarray(np.tile(once, (5, 1))[:-300]), 3200.0)
    assert [reason.startswith(f"repeats itself to the bit every {frames} samples") for reason in assess(played)] == [
        True
    ]
    played.samples[3 * frames, 0] ^= 1
    assert not any("repeats" in reason for reason in assess(played))
