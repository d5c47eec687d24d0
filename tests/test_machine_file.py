"""machine.toml: what is stated comes back, what is wrong is one line, a template is written once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cyberhans import machine_file
from cyberhans.errors import CyberHansError
from cyberhans.machine_file import Bearing, Machine, ensure, load

WHOLE = Machine(1480.0, "magnet", "drive end, horizontal", ("x", "y", "z"), "", Bearing(9, 7.94, 39.04, 0.0))


def test_nothing_is_known_without_a_file(tmp_path: Path) -> None:
    assert load(tmp_path) == load(tmp_path / "nowhere") == Machine()


def test_the_template_states_nothing_until_a_person_does(tmp_path: Path) -> None:
    path = ensure(tmp_path / "pump")
    assert load(path.parent) == Machine()
    stated = re.sub(r"^# (\w+ = |\[)", r"\1", path.read_text(), flags=re.MULTILINE)
    path.write_text(stated)
    assert load(path.parent) == WHOLE


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = ensure(tmp_path)
    path.write_text('mounting = "glue"\n')
    assert ensure(tmp_path) == path and load(tmp_path).mounting == "glue"
    assert [entry.name for entry in tmp_path.iterdir()] == [machine_file.NAME]


BEARING = "[bearing]\nballs = 9\nball_diameter_mm = 8\npitch_diameter_mm = 39\n"
BAD = {
    "speed_rmp = 1": "unknown key 'speed_rmp'; did you mean 'speed_rpm'?",
    "colour = 1": "unknown key 'colour'; it may have speed_rpm, mounting",
    "speed_rpm = 0": "speed_rpm cannot be 0",
    "speed_rpm = nan": "speed_rpm cannot be nan",
    "speed_rpm = true": "speed_rpm cannot be True",
    "mounting = 3": "mounting cannot be 3",
    'axes = "xyz"': "axes cannot be 'xyz'",
    'axes = ["x", "x"]': "axes cannot be",
    "bearing = 3": "bearing cannot be 3",
    "speed_rpm = ": "not TOML",
    "[bearing]\nballs = 9": "bearing lacks ball_diameter_mm, pitch_diameter_mm",
    BEARING + "ball = 1": "unknown key 'bearing.ball'; did you mean 'balls'?",
    BEARING + "contact_angle_deg = 90": "bearing.contact_angle_deg cannot be 90",
    BEARING.replace("= 9", "= 9.5"): "bearing.balls cannot be 9.5",
    BEARING.replace("= 8", "= 80"): "ball_diameter_mm must be below pitch_diameter_mm",
}


BAD["axes = " + "[" * 5000 + "]" * 5000] = "not TOML"


@pytest.mark.parametrize("text", BAD)
def test_what_is_wrong_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "machine.toml").write_text(text)
    with pytest.raises(CyberHansError) as caught:
        load(tmp_path)
    assert BAD[text] in str(caught.value) and "\n" not in str(caught.value) and "machine.toml" in str(caught.value)


def test_not_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "machine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CyberHansError, match="not TOML"):
        load(tmp_path)
