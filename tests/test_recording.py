"""Recording, WAV and sidecar: what is written comes back, what is bad is refused, no window crosses a gap."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from counts import full
from hypothesis import given, settings
from hypothesis import strategies as st

from cyberhans.catalogue import catalogue
from cyberhans.errors import CyberHansError
from cyberhans.quality import assess
from cyberhans.reason import Reason
from cyberhans.recording import Gap, Recording, check, load_recording, refuse_bad, save_recording
from cyberhans.spec import Family, Frame, Spec


def spec(rate: float = 1000.0, channels: int = 1, window: int = 100, hop: int = 100) -> Spec:
    return Spec(round(rate * 1000), channels, window, hop, Family(0), (Frame(64, (1, 2, 4, 8)),))


def noise(n: int = 1000, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3000, 3000, (n, channels)).astype(np.int16)


def counting(n: int, segment_len: int = 0) -> Recording:
    """Each sample is its own index, so a window shows where it came from."""
    return Recording(samples=np.arange(n, dtype=np.int16)[:, None], rate_hz=1000.0, segment_len=segment_len)


@pytest.fixture
def pump(tmp_path: Path) -> Recording:
    made = Recording(samples=noise(1000, 3), rate_hz=1003.25, rate_nominal_hz=1000.0, machine="pump 7", session="mon",
                     label="normal", unit="g", scale=0.0039, offset=-0.5, full_scale=4096, axes=("x", "y", "z"),
                     segment_len=300, sensor="ADXL345", serial="42", speed_rpm=1480.0, load="4000 N", lost_samples=3,
                     segment_period_s=2.5, start_utc="2024-05-01T06:00:00Z", notes="größer",
                     gaps=(Gap(100, 2), Gap(1000, 1, counted=False)), rate_uncertainty_hz=0.02, jitter_s=0.0,
                     reasons=(Reason("came loose", fatal=True), Reason("hums")))  # fmt: skip
    return save_recording(made, tmp_path / "pump.wav")


def refusal(path: Path) -> str:
    """The one line that load_recording refuses a file with."""
    with pytest.raises(CyberHansError) as caught:
        load_recording(path)
    assert "\n" not in str(caught.value) and path.stem in str(caught.value)
    return str(caught.value)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def fmt(tag: int = 1, channels: int = 1, rate: int = 1000, bits: int = 16) -> tuple[bytes, bytes]:
    size = channels * bits // 8
    return b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * size, size, bits)


# --- round trip


def test_every_field_comes_back(pump: Recording) -> None:
    assert pump.path is not None
    back = load_recording(pump.path)
    assert np.array_equal(back.samples, pump.samples) and back.samples.dtype == np.int16
    assert back.samples.flags.c_contiguous
    for field in dataclasses.fields(Recording):
        if field.name != "samples":
            assert getattr(back, field.name) == getattr(pump, field.name), field.name


def test_other_programs_can_read_the_wav(pump: Recording) -> None:
    with wave.open(str(pump.path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (3, 2, 1000)
        assert np.array_equal(np.frombuffer(file.readframes(10**6), "<i2").reshape(-1, 3), pump.samples)


def test_sidecar_states_what_design_asks_for(pump: Recording) -> None:
    assert pump.path is not None
    fields = json.loads(pump.path.with_suffix(".json").read_text(encoding="utf-8"))
    assert set(fields) >= {
        "schema", "machine", "session", "label", "unit", "scale", "offset", "full_scale", "rate_hz", "rate_nominal_hz",
        "axes", "sensor", "serial", "firmware_digest", "detector_digest", "start_utc", "speed_rpm", "load",
        "segment_len", "lost_samples", "clipped_samples", "quality", "sha256", "notes", "synthetic",
    }  # fmt: skip
    assert fields["quality"] == "failed" and fields["clipped_samples"] == 0
    assert fields["reasons"] == [{"text": "came loose", "fatal": True}, {"text": "hums", "fatal": False}]
    assert fields["gaps"][0] == {"at": 100, "lost": 2, "counted": True}
    assert fields["sha256"] == hashlib.sha256(pump.path.read_bytes()).hexdigest()


def test_reasons_keep_whether_they_are_fatal(pump: Recording) -> None:
    assert pump.path is not None
    assert [reason.fatal for reason in load_recording(pump.path).reasons] == [True, False]
    assert load_recording(pump.path).quality == "failed"


def test_one_that_was_never_assessed_is_saved_with_the_reasons_of_check(tmp_path: Path) -> None:
    saved = save_recording(recording_of(noise(), lost_samples=3), tmp_path / "x.wav")
    assert saved.reasons == ("3 samples were lost",) and saved.quality == "warning"


def test_a_sidecar_of_before_reasons_had_a_list_is_read(pump: Recording) -> None:
    assert pump.path is not None
    pump.path.with_suffix(".json").write_text('{"quality": ["3 samples were lost"], "lost_samples": 3}')
    assert load_recording(pump.path).reasons == ()


def test_same_recording_same_bytes_and_nothing_left_over(pump: Recording, tmp_path: Path) -> None:
    again = save_recording(pump, tmp_path / "again" / "pump.wav")
    assert pump.path is not None and again.path is not None
    assert again.path.read_bytes() == pump.path.read_bytes()
    assert again.path.with_suffix(".json").read_bytes() == pump.path.with_suffix(".json").read_bytes()
    assert sorted(file.name for file in again.path.parent.iterdir()) == ["pump.json", "pump.wav"]


def test_a_wav_alone_is_enough(pump: Recording) -> None:
    assert pump.path is not None
    pump.path.with_suffix(".json").unlink()
    bare = load_recording(pump.path)
    assert (bare.rate_hz, bare.machine, bare.label) == (1000.0, "pump", "unknown")
    assert (bare.axes, bare.segment_len, bare.scale) == (("c0", "c1", "c2"), 1000, 1 / 32768)


def test_a_sidecar_may_state_a_single_field(pump: Recording) -> None:
    assert pump.path is not None
    pump.path.with_suffix(".json").write_text('{"rate_hz": 998.5, "speed_rpm": null}')
    assert (load_recording(pump.path).rate_hz, load_recording(pump.path).speed_rpm) == (998.5, None)


def test_saving_refuses_another_suffix(tmp_path: Path) -> None:
    with pytest.raises(CyberHansError, match=r"name it pump\.wav"):
        save_recording(counting(10), tmp_path / "pump.json")


def test_saving_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CyberHansError, match="cannot be written"):
        save_recording(counting(10), tmp_path / "file" / "x.wav")


# --- WAV files


def test_extensible_pcm_and_odd_chunks_are_read(tmp_path: Path) -> None:
    samples = noise(50, 2)
    guid = struct.pack("<H", 1) + bytes.fromhex("0000000010008000 00aa00389b71".replace(" ", ""))
    name, plain = fmt(tag=0xFFFE, channels=2, rate=8000)
    extended = plain + struct.pack("<HHI", 22, 16, 3) + guid
    path = tmp_path / "ext.wav"
    path.write_bytes(riff((b"LIST", b"abc"), (name, extended), (b"data", samples.tobytes()), (b"tail", b"zz")))
    assert np.array_equal(load_recording(path).samples, samples)
    assert load_recording(path).rate_hz == 8000.0


BAD_FILES = {
    "empty": (b"", "the file is empty"),
    "text": (b"this is not a sound at all", "not a WAV"),
    "header_only": (riff(fmt())[:30], "truncated"),
    "no_data": (riff(fmt()), "truncated"),
    "no_samples": (riff(fmt(), (b"data", b"")), "holds no samples"),
    "cut_short": (riff(fmt(), (b"data", bytes(2000)))[:-100], "truncated: 2000 bytes promised, 1900 are there"),
    "half_a_frame": (riff(fmt(channels=2), (b"data", bytes(6))), "ends within a sample frame"),
    "eight_bit": (riff(fmt(bits=8), (b"data", bytes(100))), "8-bit PCM; convert it to 16-bit PCM, e.g. sox"),
    "twentyfour_bit": (riff(fmt(bits=24), (b"data", bytes(99))), "24-bit PCM; convert"),
    "float": (riff(fmt(tag=3, bits=32), (b"data", bytes(400))), "32-bit float; convert"),
    "adpcm": (riff(fmt(tag=2, bits=4), (b"data", bytes(400))), "format 2; convert"),
    "no_channels": (riff(fmt(channels=0), (b"data", bytes(400))), "0 channels"),
    "damaged": (riff((b"fmt ", b"1234"), (b"data", bytes(400))), "damaged format"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_wav_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, expected = BAD_FILES[name]
    (tmp_path / f"{name}.wav").write_bytes(content)
    assert expected in refusal(tmp_path / f"{name}.wav")


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "nothing.wav")
    (tmp_path / "folder.wav").mkdir()
    assert "directory" in refusal(tmp_path / "folder.wav")


@settings(max_examples=full(60, 2000))
@given(at=st.integers(0, 200), value=st.integers(0, 255), cut=st.integers(0, 200))
def test_damaged_files_never_end_in_a_traceback(
    at: int, value: int, cut: int, tmp_path_factory: pytest.TempPathFactory
):
    content = bytearray(riff(fmt(), (b"data", noise(80).tobytes())))
    content[at] = value
    path = tmp_path_factory.mktemp("damaged") / "x.wav"
    path.write_bytes(bytes(content[: len(content) - cut]))
    try:
        assert load_recording(path).samples.dtype == np.int16
    except CyberHansError as error:
        assert "\n" not in str(error)


# --- sidecars


BAD_SIDECARS = {
    "{": "not JSON",
    "[1]": "must be a JSON object",
    '{"schema": "other/9"}': "unknown schema",
    '{"chanels": 3}': "unknown field 'chanels'; did you mean 'channels'?",
    '{"channels": 2}': "has 3 channels, its sidecar says otherwise",
    '{"axes": ["x", "y"]}': "2 axes named for 3 channels",
    '{"sha256": "00"}': "sha256 differs",
    '{"rate_nominal_hz": 44100}': "header says 1000 Hz",
    '{"rate_hz": NaN}': "rate_hz cannot be NaN",
    '{"rate_hz": Infinity}': "rate_hz cannot be Infinity",
    '{"rate_hz": 0}': "rate_hz cannot be 0: it must be 1e-06 to 1e+12",
    '{"rate_hz": 5e-324}': "rate_hz cannot be 5e-324: it must",
    '{"rate_hz": 1e300}': "rate_hz cannot be 1e+300: it must",
    '{"rate_nominal_hz": 1e300}': "rate_nominal_hz cannot be 1e+300: it must be 1e-06 to 1e+08",
    '{"scale": 1e300}': "scale cannot be 1e+300: it must be 1e-30 to 1e+30, in magnitude",
    '{"scale": -1e300}': "scale cannot be -1e+300: it must",
    '{"scale": 0}': "scale cannot be 0: it must",
    '{"offset": 1e300}': "offset cannot be 1e+300: it must",
    '{"speed_rpm": -1}': "speed_rpm cannot be -1: it must",
    '{"jitter_s": 1e300}': "jitter_s cannot be 1e+300: it must",
    '{"notes": "\\ud800"}': 'notes cannot be "\\ud800"',
    '{"axes": ["x", "y", "\\ud800"]}': "axes cannot be",
    '{"reasons": [{"text": "\\ud800", "fatal": false}]}': "reasons cannot be",
    '{"axes": ' + "[" * 900 + "]" * 900 + "}": "axes cannot be",
    "[" * 200_000: "not JSON",
    '{"notes":' + "[" * 200_000: "not JSON",
    '{"rate_hz": "fast"}': 'rate_hz cannot be "fast"',
    '{"scale": true}': "scale cannot be true",
    '{"lost_samples": Infinity}': "lost_samples cannot be Infinity",
    '{"scale": 1' + "0" * 400 + "}": "scale cannot be 1000",
    '{"segment_len": -4}': "segment_len cannot be -4",
    '{"segment_len": 2.5}': "segment_len cannot be 2.5",
    '{"full_scale": 99999}': "full_scale 99999",
    '{"label": "fine"}': "label 'fine': choose normal, anomaly, unknown",
    '{"label": 3}': "label cannot be 3",
    '{"synthetic": "yes"}': "synthetic cannot be",
    '{"gaps": [{"at": 5}]}': "gaps cannot be",
    '{"gaps": [{"at": 5, "lost": 1.5, "counted": true}]}': "gaps cannot be",
    '{"gaps": 3}': "gaps cannot be 3",
    '{"gaps": [{"at": 5, "lost": 2, "counted": true}], "lost_samples": 1}': "lost_samples 1 is less",
    '{"gaps": [{"at": 5000, "lost": 2, "counted": true}], "lost_samples": 2}': "gaps must lie",
    '{"reasons": ["hums"]}': "reasons cannot be",
    '{"profile": {"rate_hz": 3}}': "profile cannot be",
    '{"jitter_s": "low"}': "jitter_s cannot be",
}


@pytest.mark.parametrize("text", BAD_SIDECARS)
def test_bad_sidecar_is_refused_in_one_line(text: str, pump: Recording) -> None:
    assert pump.path is not None
    pump.path.with_suffix(".json").write_text(text)
    assert BAD_SIDECARS[text] in refusal(pump.path)


@pytest.mark.parametrize("nominal", [0.001, 0.3, 0.4, 0.5, 0.7, 1.4, 1.5, 1e8])
def test_any_nominal_rate_is_read_as_it_was_written(nominal: float, tmp_path: Path) -> None:
    """A header holds whole Hz only."""
    samples = np.arange(100, dtype=np.int16)[:, None]
    made = save_recording(Recording(samples, nominal, rate_nominal_hz=nominal), tmp_path / "a" / "x.wav")
    back = load_recording(made.path or "")
    assert (back.rate_hz, back.rate_nominal_hz) == (nominal, nominal)
    assert [row.problem for row in catalogue(tmp_path).entries] == [""]


@pytest.mark.parametrize(("rate", "nominal"), [(0.3, 0.3), (1.4, 1.4), (10.4, 10.4), (100.6, 101), (1003.2, 1003)])
def test_a_nominal_rate_that_nobody_stated_is_no_reason(rate: float, nominal: float) -> None:
    made = Recording(np.random.default_rng(0).normal(0, 999, (999, 1)).astype(np.int16), rate)
    assert made.rate_nominal_hz == nominal and not [reason for reason in assess(made) if "nominal" in reason]


def test_exchanged_wav_is_noticed(pump: Recording) -> None:
    assert pump.path is not None
    content = bytearray(pump.path.read_bytes())
    content[-1] ^= 1
    pump.path.write_bytes(content)
    assert "sha256 differs" in refusal(pump.path)


# --- a Recording refuses what it cannot be


@pytest.mark.parametrize("samples", [noise().astype(np.int32), noise()[:, 0], noise(100, 2)[:, ::-1], noise(0)])
def test_samples_must_be_contiguous_int16_frames(samples: np.ndarray) -> None:
    with pytest.raises(CyberHansError):
        Recording(samples=samples, rate_hz=1000.0)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_rate_must_be_a_positive_number(rate: float) -> None:
    with pytest.raises(CyberHansError, match="rate"):
        Recording(samples=noise(), rate_hz=rate)


# --- windows


def test_windows_lie_at_multiples_of_the_hop() -> None:
    windows = counting(1000).windows(spec(window=100, hop=150))
    assert windows.shape == (7, 100, 1) and windows.dtype == np.int16 and windows.flags.c_contiguous
    assert windows[:, 0, 0].tolist() == [0, 150, 300, 450, 600, 750, 900]
    assert (np.diff(windows[:, :, 0], axis=1) == 1).all()


def test_channels_stay_interleaved() -> None:
    samples = noise(350, 3)
    windows = Recording(samples=samples, rate_hz=1000.0).windows(spec(channels=3))
    assert np.array_equal(windows.reshape(-1, 3), samples[:300])


@settings(max_examples=full(80, 2000))
@given(n=st.integers(64, 900), segment=st.integers(1, 900), window=st.integers(64, 130), extra=st.integers(0, 50))
def test_no_window_crosses_a_segment_border(n: int, segment: int, window: int, extra: int) -> None:
    recording = counting(n, segment)
    lengths = [min(segment, n - begin) for begin in range(0, n, segment)]
    expected = sum(1 + (length - window) // (window + extra) for length in lengths if length >= window)
    if not expected:
        with pytest.raises(CyberHansError, match="shorter than the window"):
            recording.windows(spec(window=window, hop=window + extra))
        return
    windows = recording.windows(spec(window=window, hop=window + extra))[:, :, 0]
    assert len(windows) == expected
    assert (windows[:, 0] // segment == windows[:, -1] // segment).all()


@settings(max_examples=full(80, 2000))
@given(n=st.integers(64, 900), segment=st.integers(1, 900), at=st.sets(st.integers(1, 900), max_size=4))
def test_no_window_crosses_a_gap(n: int, segment: int, at: set[int]) -> None:
    """Hidden positions: a sample is its own place on the clock, with the lost ones counted."""
    gaps = tuple(Gap(place, 7) for place in sorted(at) if place <= n)
    clock = np.arange(n) + 7 * np.searchsorted([gap.at for gap in gaps], np.arange(n), side="right")
    recording = Recording(clock.astype(np.int16)[:, None], 1000.0, segment, gaps=gaps, lost_samples=7 * len(gaps))
    borders = sorted({*range(0, n, segment), *(gap.at for gap in gaps), n})
    expected = sum((end - begin) // 64 for begin, end in itertools.pairwise(borders))
    if not expected:
        with pytest.raises(CyberHansError, match="shorter than the window"):
            recording.windows(spec(window=64, hop=64))
        return
    windows = recording.windows(spec(window=64, hop=64))[:, :, 0]
    assert len(windows) == expected and (np.diff(windows, axis=1) == 1).all()


def test_too_short_says_how_long_it_must_be() -> None:
    short = Recording(samples=noise(1000), rate_hz=20000.0, machine="fan")
    with pytest.raises(CyberHansError, match=r"fan: 0\.05 s is shorter than the window of 0\.2 s \(4000 samples\)"):
        short.windows(spec(rate=20000.0, window=4000, hop=4000))


@pytest.mark.parametrize(("rate", "fits"), [(1009.0, True), (991.0, True), (1011.0, False), (989.0, False)])
def test_rate_may_be_one_percent_off(rate: float, fits: bool) -> None:
    recording = Recording(samples=noise(), rate_hz=rate)
    if fits:
        assert len(recording.windows(spec())) == 10
    else:
        with pytest.raises(CyberHansError, match=rf"sampled at {rate:g} Hz, but the Spec is for 1000 Hz"):
            recording.windows(spec())


def test_channels_must_match() -> None:
    with pytest.raises(CyberHansError, match="has 1 channels, but the Spec is for 3"):
        counting(1000).windows(spec(channels=3))


# --- parts


def test_part_of_one_segment_is_cut_at_the_sample() -> None:
    part = counting(1000).part(0.25, 0.5)
    assert part.samples[:, 0].tolist() == list(range(250, 500))
    assert (part.segment_len, part.first_frame) == (250, 250)
    assert part.part(0.1, 0.2).first_frame == 350


def test_part_of_a_concatenation_keeps_whole_segments() -> None:
    part = counting(1000, segment_len=100).part(0.15, 0.78)
    assert (part.samples[0, 0], part.samples[-1, 0], part.segment_len) == (200, 699, 100)


def test_a_border_rounded_to_the_millisecond_counts_as_met() -> None:
    chunks = Recording(samples=noise(780 * 40), rate_hz=1600.0, segment_len=780)
    assert len(chunks.part(0.0, 13.162).samples) == 27 * 780  # 27 segments end at 13.1625 s
    assert chunks.part(13.163, 19.5).first_frame == 27 * 780


def test_neighbouring_parts_share_nothing_and_lose_nothing() -> None:
    whole = counting(1000, segment_len=100)
    first, second = whole.part(0.0, 0.4), whole.part(0.4, 1.0)
    assert np.array_equal(np.concatenate([first.samples, second.samples]), whole.samples)


def test_part_may_end_beyond_the_recording() -> None:
    assert len(counting(1000).part(0.9, 99.0).samples) == 100
    assert len(counting(1050, segment_len=100).part(0.9, 1.05).samples) == 150  # the last, shorter segment included


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.5), (0.6, 0.5), (-0.1, 0.5), (2.0, 3.0), (0.31, 0.39)])
def test_empty_parts_are_refused(start: float, end: float) -> None:
    with pytest.raises(CyberHansError):
        counting(1000, segment_len=100).part(start, end)


def test_a_part_keeps_its_gaps_and_what_they_lost() -> None:
    gaps = (Gap(100, 5), Gap(400, 7), Gap(1000, 11))
    whole = dataclasses.replace(counting(1000), gaps=gaps, lost_samples=25)  # two more were lost, nobody knows where
    assert (whole.part(0.0, 0.4).gaps, whole.part(0.0, 0.4).lost_samples) == ((Gap(100, 5),), 7)
    assert whole.part(0.1, 0.5).gaps == (Gap(300, 7),)
    assert (whole.part(0.5, 1.0).gaps, whole.part(0.5, 1.0).lost_samples) == ((Gap(500, 11),), 13)
    assert whole.part(0.0, 1.0).gaps == gaps and whole.part(0.0, 1.0).lost_samples == 25


@pytest.mark.parametrize(
    "gaps", [(Gap(0, 1),), (Gap(1001, 1),), (Gap(5, 0),), (Gap(9, 1), Gap(5, 1)), (Gap(5, 1),) * 2]
)
def test_gaps_must_lie_in_the_recording_and_in_order(gaps: list[Gap]) -> None:
    with pytest.raises(CyberHansError, match="gaps must lie"):
        dataclasses.replace(counting(1000), gaps=tuple(gaps), lost_samples=100)


# --- quality


def recording_of(samples: np.ndarray, **fields: object) -> Recording:
    return Recording(samples=np.ascontiguousarray(samples, np.int16), rate_hz=1000.0, machine="m", **fields)


def test_a_good_recording_has_no_reason_against_it() -> None:
    assert check(recording_of(noise(1000, 3))) == []
    assert refuse_bad(recording_of(noise(1000, 3))) == []


FATAL = {
    "all samples are zero": np.zeros((100, 2)),
    "no channel ever changes": np.full((100, 2), 77),
    "every sample is at full scale": np.where(np.arange(100)[:, None] % 2, 32767, -32768),
    "channel c0: 60.0 % of samples at full scale": np.where(
        np.arange(100)[:, None] < 60, 32767, np.arange(100)[:, None]
    ),
}


@pytest.mark.parametrize("reason", FATAL)
def test_hopeless_recordings_are_refused_by_reason(reason: str) -> None:
    reasons = check(recording_of(FATAL[reason]))
    assert reasons[0] == reason and reasons[0].fatal
    with pytest.raises(CyberHansError, match=reason.replace(".", r"\.")):
        refuse_bad(recording_of(FATAL[reason]))


def test_flaws_are_warned_of() -> None:
    samples = noise(1000, 3)
    samples[:, 2] = 5
    samples[:11, 0] = 32767
    samples[:10, 1] = -32768  # 1.0 % is not more than 1 %
    reasons = refuse_bad(recording_of(samples, lost_samples=7, axes=("x", "y", "z")))
    assert reasons == ["channel x: 1.1 % of samples at full scale", "channel z is constant", "7 samples were lost"]


def test_clipping_is_against_the_sensors_own_full_scale() -> None:
    samples = np.clip(noise(1000) * 3, -4096, 4095)
    assert check(recording_of(samples)) == []
    reasons = check(recording_of(samples, full_scale=4095))
    assert len(reasons) == 1 and "at full scale" in reasons[0]
    assert recording_of(samples, full_scale=4095).clipped == (int((abs(samples.astype(int)) >= 4095).sum()),)


def test_fatal_reasons_come_first() -> None:
    samples = noise(100, 2)
    samples[:2, 0], samples[:80, 1] = 32767, 32767
    assert [reason.fatal for reason in check(recording_of(samples))] == [True, False]


@pytest.mark.parametrize(("first", "frames", "shared"), [
    (0, 100, False), (0, 101, True), (120, 5, True), (199, 1, True), (200, 50, False), (0, 1000, True), (150, 0, False),
])  # fmt: skip
def test_parts_overlap_where_they_share_a_sample(first: int, frames: int, shared: bool) -> None:
    part = Recording(np.ones((100, 1), np.int16), 1000.0, sha256="ab", first_frame=100)
    assert part.overlaps("ab", first, frames) is shared
    assert not part.overlaps("cd", first, frames)
    assert not dataclasses.replace(part, sha256="").overlaps("", first, frames)


@pytest.mark.parametrize("moment, left, then", [
    ("settle", [".a.wav.draft"], ["b.json", "b.wav"]),
    ("write_whole", [".a.wav.draft"], ["b.json", "b.wav"]),
    ("settle_folder", [".a.wav.draft", "a.json"], ["a.json", "a.wav", "b.json", "b.wav"]),
])  # fmt: skip
def test_killed_while_it_is_saved_it_is_finished_or_swept_away_by_the_next(
    moment: str, left: list[str], then: list[str], tmp_path: Path
) -> None:
    script = (
        "import os, signal, numpy as np\nfrom cyberhans import wav\n"
        "from cyberhans.recording import Recording, save_recording\n"
        f"wav.{moment} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"save_recording(Recording(np.arange(9, dtype=np.int16)[:, None], 10.0), {str(tmp_path / 'a.wav')!r})"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    save_recording(counting(10), tmp_path / "b.wav")
    assert sorted(path.name for path in tmp_path.iterdir()) == then
    for path in tmp_path.glob("*.wav"):
        assert load_recording(path).frames in (9, 10)
