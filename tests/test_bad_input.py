"""Bad input: each gets exit code 1 (2 for bad usage) and one line: what is wrong, where, and how to mend it."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from command import Outcome
from command import cyberhans as command

RATE = 3200


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.astype({1: np.uint8, 2: np.int16}[width]).tobytes())
    return path


def noise(seconds: float, channels: int = 1, rate: int = RATE, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.round(rng.normal(0, 1000, (round(seconds * rate), channels))).astype(np.int16)


def train(*files: Path, rate: float = 0.1, extra: tuple[object, ...] = (), out: Path) -> Outcome:
    return command(
        "train", *files, "--detector", "gaussian", "--spec", "tiny", "--false-alarms", rate, "--out", out, *extra
    )


def assert_one_line(outcome: Outcome, *words: str, code: int = 1) -> None:
    assert outcome.code == code, outcome
    assert outcome.out == ""
    assert outcome.err.startswith("cyberhans: ") and outcome.err.count("\n") == 1, outcome.err
    for word in words:
        assert word in outcome.err, outcome.err


def test_missing_file(tmp_path: Path) -> None:
    assert_one_line(train(tmp_path / "none.wav", out=tmp_path / "d"), "none.wav")


def test_empty_wav(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    assert_one_line(train(tmp_path / "empty.wav", out=tmp_path / "d"), "empty.wav", "empty")


def test_truncated_wav(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "cut.wav", noise(5))
    path.write_bytes(path.read_bytes()[:9000])
    assert_one_line(train(path, out=tmp_path / "d"), "cut.wav", "truncated")


def test_eight_bit_wav(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "eight.wav", np.full((RATE, 1), 128), width=1)
    assert_one_line(train(path, out=tmp_path / "d"), "eight.wav", "8-bit", "16")


def test_float_wav(tmp_path: Path) -> None:
    from scipy.io import wavfile

    wavfile.write(tmp_path / "float.wav", RATE, noise(5).astype(np.float32))
    assert_one_line(train(tmp_path / "float.wav", out=tmp_path / "d"), "float.wav", "float", "16")


def test_rates_differ(tmp_path: Path) -> None:
    a, b = write_wav(tmp_path / "a.wav", noise(20)), write_wav(tmp_path / "b.wav", noise(20), rate=4000)
    assert_one_line(train(a, b, out=tmp_path / "d"), "a.wav", "b.wav", "3200", "4000")


def test_channels_differ(tmp_path: Path) -> None:
    a, b = write_wav(tmp_path / "a.wav", noise(20)), write_wav(tmp_path / "b.wav", noise(20, channels=3))
    assert_one_line(train(a, b, out=tmp_path / "d"), "a.wav", "b.wav", "channel")


def test_shorter_than_a_window(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "short.wav", noise(0.03))
    assert_one_line(train(path, out=tmp_path / "d"), "short")


def test_all_zero(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "zero.wav", np.zeros((RATE * 20, 1)))
    assert_one_line(train(path, out=tmp_path / "d"), "zero.wav", "zero")


def test_fully_clipped(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "clip.wav", np.where(noise(20) > 0, 32767, -32768))
    assert_one_line(train(path, out=tmp_path / "d"), "clip.wav", "full scale")


def test_too_few_windows_says_how_many_more(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "few.wav", noise(10))
    outcome = train(path, rate=0.001, out=tmp_path / "d")
    assert_one_line(outcome, "more", "0.001", "--learning")
    assert not (tmp_path / "d").exists()


def test_false_alarm_rate_out_of_range(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", noise(10))
    for rate in (0, -1, 0.9, 7):
        assert_one_line(train(path, rate=rate, out=tmp_path / "d"), "false-alarm rate")


def test_one_recording_is_too_little_for_a_promise(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "one.wav", noise(20))
    outcome = command("train", path, "--detector", "gaussian", "--spec", "tiny", "--out", tmp_path / "d")
    assert_one_line(outcome, "1 recording: too little", "3 more on other days", "1 minute each", "--learning")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--alarms-per-month", 0), ("0 false alarms per month", "0.01 to 1000")),
        (("--alarms-per-month", 5000), ("5000 false alarms per month", "0.01 to 1000")),
        (("--every", -3), ("every -3 s",)),
        (("--every", 0.01), ("every 0.01 s", "windows of this detector last", "choose --every in between")),
        (("--every", 86400), ("every 86400 s", "327.7 s")),
        (("--confidence", 1), ("confidence 1", "0.5 to 0.99")),
    ],
)
def test_a_promise_out_of_range(tmp_path: Path, options: tuple[object, ...], words: tuple[str, ...]) -> None:
    path = write_wav(tmp_path / "a.wav", noise(20))
    base = ("train", path, "--detector", "gaussian", "--spec", "tiny", "--learning", "--out", tmp_path / "d")
    assert_one_line(command(*base, *options), *words)
    assert not (tmp_path / "d").exists()


def test_a_rate_of_windows_is_another_thing_than_alarms_a_month(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", noise(20))
    outcome = command("train", path, "--false-alarms", 0.1, "--alarms-per-month", 1, "--out", tmp_path / "d")
    assert outcome.code == 2 and "goes without" in outcome.err


def test_learning_goes_on_and_every_output_says_so(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "few.wav", noise(10))
    outcome = train(path, rate=0.001, extra=("--learning",), out=tmp_path / "d")
    assert outcome.code == 0, outcome.err
    assert "LEARNING" in outcome.out


def test_unknown_detector_board_and_spec(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", noise(20))
    base = ("train", path, "--false-alarms", "0.1", "--out", tmp_path / "d")
    assert_one_line(command(*base, "--detector", "oracle"), "oracle", "autoencoder")
    assert_one_line(command(*base, "--board", "microbyte"), "microbyte", "microbit")
    assert_one_line(command(*base, "--spec", "none.toml"), "none.toml")


def test_usage_errors_exit_2(tmp_path: Path) -> None:
    assert command("train").code == 2
    assert command("train", "--false-alarms", "0.1", "--out", tmp_path).code == 2
    assert command("frobnicate").code == 2


def test_no_detector_there(tmp_path: Path) -> None:
    assert_one_line(command("build", tmp_path / "none", "--board", "native", "--out", tmp_path / "b"), "none")


def test_out_is_something_else(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", noise(20))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.txt").write_text("do not lose me")
    assert_one_line(train(path, out=tmp_path / "d"), "d")
    assert (tmp_path / "d" / "thesis.txt").read_text() == "do not lose me"


def test_what_nobody_foresaw_is_one_line_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import cyberhans.inspection

    def fail(*_: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    path = write_wav(tmp_path / "a.wav", noise(2))
    monkeypatch.setattr(cyberhans.inspection, "inspect", fail)
    assert_one_line(command("inspect", path), "ZeroDivisionError", "division by zero", "--debug")


def test_a_full_disk_or_a_missing_permission_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert_one_line(command("simulate", "fan", "--seconds", "1", "--out", tmp_path / "file" / "x.wav"), "file")
