"""The board `native` named with what it plays: the text, the arguments made of it, and what a host then sees."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from played import clock, noise
from receiver import Receiver

from cyberhans.blank import blank_image
from cyberhans.device import open_device
from cyberhans.errors import CyberHansError
from cyberhans.player import PUMP_SECONDS, Player, parse
from cyberhans.recording import Recording, load_recording, save_recording
from cyberhans.simulate import simulate

FRAMES = 4000
WORN = Recording(noise(FRAMES), 8000.0, unit="g", scale=0.000061, full_scale=30000, sensor="LSM6DSO at 2 g, x y z")


def saved(folder: Path, **changes: object) -> Path:
    return save_recording(replace(WORN, **changes), folder / "worn.wav").path or folder  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "player"),
    [
        ("native", Player()),
        ("native,play=a b.wav", Player(Path("a b.wav"))),
        ("native,play=with, comma,or two.wav,jitter=1e-3", Player(Path("with, comma,or two.wav"), jitter=0.001)),
        ("native,store=a, b,jitter=0", Player(store=Path("a, b"))),
        ("native,play=~/worn.wav", Player(Path.home() / "worn.wav")),
        (
            "native,clock_error=-0.04,serial_number=00000000000000a1",
            Player(clock_error=-0.04, serial_number="00000000000000a1"),
        ),
    ],
)
def test_a_text_names_a_board_and_what_it_plays(text: str, player: Player) -> None:
    board, found = parse(text)
    assert (board.name, found) == ("native", player)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nativ", "unknown board 'nativ': did you mean native?"),
        ("native,pley=x.wav", "board:native has no setting 'pley': did you mean play?"),
        (
            "native,x=1",
            "board:native has no setting 'x': choose play, clock_error, jitter, serial_number, store",
        ),
        ("native,jitter=fast", "jitter=fast: must be a number from 0 to 1"),
        ("native,jitter=nan", "jitter=nan: must be a number from 0 to 1"),
        ("native,clock_error=4", "clock_error=4: must be a number from -0.5 to 0.5"),
        ("native,serial_number=7", "serial_number=7: must be 16 hexadecimal digits, such as 00000000000000A1"),
        ("microbit,jitter=0.1", "board:microbit,jitter=0.1: only native has settings; leave out jitter=0.1"),
    ],
)
def test_a_wrong_text_is_one_line_with_the_mend(text: str, told: str) -> None:
    with pytest.raises(CyberHansError) as error:
        parse(text)
    assert str(error.value) == told


def test_a_recording_is_played_as_it_was_recorded(tmp_path: Path) -> None:
    url = f"board:native,play={saved(tmp_path)},clock_error=0.02,jitter=0.0005,serial_number=00000000000000A1"
    with open_device(url, image=blank_image("native")) as device:
        receiver = Receiver(device, WORN.samples)
        received = receiver.whole(8000, 2 * FRAMES + 500)
        serial = device.info.serial
    told = receiver.sensor
    assert (told.rate_mhz, told.channels, told.unit, told.full_scale) == (8_000_000, 3, "g", 30000)
    assert told.scale_numerator / told.scale_denominator == WORN.scale
    assert (told.sensor, serial) == ("LSM6DSO at 2 g, ", "00000000000000A1")
    assert (received.frames, received.gaps, received.wrong()) == (2 * FRAMES + 500, 0, 0)
    assert clock(received, 8000)[0] == pytest.approx(0.02, abs=2e-4)


def test_what_is_played_needs_no_file_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the recording's nor one of its own: none stays behind, however the host ends."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = saved(tmp_path)
    with open_device(f"board:native,play={path}", image=blank_image("native")) as device:
        path.unlink()
        assert sorted(file.name for file in tmp_path.iterdir()) == ["worn.json"]
        assert Receiver(device, WORN.samples).whole(8000, 4000).wrong() == 0


def test_a_pump_is_played_where_nothing_is_named() -> None:
    pump = simulate("pump", seconds=PUMP_SECONDS, seed=1)
    with open_device("board:native", image=blank_image("native"), pump=True) as device:
        receiver = Receiver(device, pump.samples)
        received = receiver.whole(pump.rate_hz, 4000)
    told = receiver.sensor
    assert received.wrong() == 0
    assert (told.rate_mhz, told.unit, told.sensor) == (pump.rate_hz * 1000, "g", "simulated pump")
    assert told.scale_numerator / told.scale_denominator == pump.scale


def test_what_is_named_comes_before_the_pump(tmp_path: Path) -> None:
    with open_device(f"board:native,play={saved(tmp_path)}", image=blank_image("native"), pump=True) as device:
        assert Receiver(device).sensor.rate_mhz == 8_000_000


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"offset": 0.5}, "worn.wav: offset 0.5 g, but a sensor has none: set offset to 0 in its .json"),
        ({"unit": "m/s²"}, "worn.wav: unit 'm/s²': write it in 1 to 16 ASCII characters in its .json"),
        ({"unit": ""}, "worn.wav: unit '': write it in 1 to 16 ASCII characters in its .json"),
        ({"scale": 1e-30}, "worn.wav: scale 1e-30: the nearest ratio of two 32-bit numbers is 0; state it in another"),
        ({"scale": 1e12}, "worn.wav: scale 1e+12: the nearest ratio of two 32-bit numbers is "),
        ({"scale": -1.0}, "worn.wav: scale -1: the nearest ratio"),
        (
            {"samples": np.ones((8, 65), np.int16), "axes": ()},
            "worn.wav: 65 channels at 8000 Hz: play one with at most 64",
        ),
    ],
)
def test_what_no_sensor_gives_is_refused(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    path = saved(tmp_path, **changes)
    with pytest.raises(CyberHansError) as error:
        open_device(f"board:native,play={path}", image=blank_image("native"))
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value)


def test_a_recording_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CyberHansError, match=r"none\.wav: No such file or directory; give a WAV file"):
        open_device(f"board:native,play={tmp_path / 'none.wav'}", image=blank_image("native"))


@pytest.mark.parametrize(
    "scale", [1 / 32768, 0.000061, 9.80665 * 8 / 32768, 1 / 3, 1e-9, 2.44e-4 * 9.80665, 3.7, 1e6 / 3]
)
def test_a_scale_is_the_very_float_where_a_ratio_is(tmp_path: Path, scale: float) -> None:
    arguments = Player(saved(tmp_path, scale=scale)).arguments(tmp_path / "raw")
    numerator, denominator = map(int, arguments[arguments.index("--scale") + 1].split("/"))
    assert 0 < numerator < 2**32 and 0 < denominator < 2**32
    assert numerator / denominator == scale


def test_the_raw_file_holds_the_samples(tmp_path: Path) -> None:
    Player(saved(tmp_path)).arguments(tmp_path / "raw")
    assert (tmp_path / "raw").read_bytes() == load_recording(tmp_path / "worn.wav").samples.tobytes()


def test_playing_a_pump_loads_no_heavy_package(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from cyberhans.player import Player\n"
        f"Player().arguments(Path({str(tmp_path / 'raw')!r}), pump=True)\n"
        "print([name for name in ('scipy', 'sklearn', 'pandas', 'matplotlib', 'emlearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
