"""A Spec as written: it comes back as it was, and what is unknown, mistyped or of another type is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyberhans.errors import CyberHansError
from cyberhans.spec import SIZES, Family, Frame, Spec, design
from cyberhans.spec_file import load_spec, spec_from_dict

SMALL = Spec(
    rate_mhz=16_000_000,
    channels=3,
    window=4000,
    hop=4500,
    families=Family(15),
    frames=(Frame(64, (1, 2, 4, 8)), Frame(256, (1, 5, 20, 60, 128))),
)
SPEC_OF = "rate_hz = 8000\nwindow = 100\nchannels = 1\nframes = [{length=64, edges=[1, 2, 3]}]\nfamilies = %s"
TOP = {"rate_hz": "8000", "channels": "1", "window": "100"}


def written(frame: str = "{length = 64, bands = 3}", **fields: str) -> str:
    """A right TOML file but for what is given."""
    return "\n".join(f"{name} = {value}" for name, value in {**TOP, **fields, "frames": f"[{frame}]"}.items())


def refusal(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(CyberHansError) as error:
        load_spec(path)
    assert "\n" not in str(error.value) and str(error.value).startswith(f"{path}: ")
    return str(error.value)


def test_dictionary_round_trip() -> None:
    assert spec_from_dict(SMALL.to_dict()) == SMALL


def test_file_with_bands_in_place_of_edges(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'rate_hz = 8000\nchannels = 1\nwindow = 2000\nfamilies = ["steps", "spread"]\n'
        '[[frames]]\nlength = 256\nbands = 12\nscale = "mel"\nlow_hz = 100\nhigh_hz = 3000\n'
    )
    spec = load_spec(path)
    assert spec.hop == 2000
    assert spec.frames[0].bands == 12
    assert spec.frames[0].edges[0] >= round(100 / (8000 / 256)) and spec.frames[0].edges[-1] <= 96
    assert spec.families == Family.STEPS | Family.SPREAD


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rate_hz = ", "not TOML"),
        ("channels = 1", "rate_hz"),
        ("rate_hz = 'x'\nwindow = 100\nchannels = 1\nframes = []", "Spec"),
        (
            "rate_hz = 8000\nwindow = 100\nchannels = 1\nframes = []\nfamilies = ['loud']",
            "family 'loud': choose spread",
        ),
        (SPEC_OF % "['statistics']", "'statistics' has become two: choose 'level' .* 'steps'"),
        (SPEC_OF % "['spread', 'spread']", "'spread' stands twice"),
        (SPEC_OF % "['spread', 'Spread', 'differences']", "'Spread' stands twice"),
        (SPEC_OF % "[3]", "family 3: choose"),
        (SPEC_OF % "3", "Spec"),
        ("rate_hz = 0\nwindow = 100\nchannels = 1\nframes = [{length=64, bands=3}]", "rate 0 Hz: must be 100"),
        ("rate_hz = -8000\nwindow = 100\nchannels = 1\nframes = [{length=64, bands=3}]", "rate -8000 Hz"),
        ("rate_hz = inf\nwindow = 100\nchannels = 1\nframes = [{length=64, bands=3}]", "rate inf Hz"),
        ("rate_hz = nan\nwindow = 100\nchannels = 1\nframes = [{length=64, bands=3}]", "rate nan Hz"),
        ("rate_hz = 8000\nwindow = inf\nchannels = 1\nframes = [{length=64, bands=3}]", "Spec"),
        ("rate_hz = 8000\nwindow = 100\nchannels = 1\nframes = [{length=0, bands=3}]", "frame length 0"),
        ("rate_hz = 8000\nwindow = 100\nchannels = 1\nframes = [{length=64, bands=inf}]", "Spec"),
        (f"rate_hz = 8000\nwindow = 1{'0' * 400}\nchannels = 1\nframes = [{{length=64, bands=3}}]", "Spec"),
        ("rate_hz = 8000\nwindow = 100\nchannels = 1\nframes = [3]", "frame 3: write each frame as a table"),
        ("rate_hz = 8000\nwindow = 100\nchannels = 1\nframes = [{length=64, bands=3, scale='bark'}]", "bark"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(text)
    with pytest.raises(CyberHansError, match=words) as error:
        load_spec(path)
    assert "\n" not in str(error.value) and str(error.value).startswith(str(path))


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_bytes(b"rate_hz = 8000 # \xff")
    with pytest.raises(CyberHansError, match=r"spec\.toml: not TOML"):
        load_spec(tmp_path / "spec.toml")


def test_missing_file() -> None:
    with pytest.raises(CyberHansError, match="auto, tiny, small, full or a TOML file"):
        load_spec("no-such-file.toml")


@pytest.mark.parametrize("size", SIZES)
def test_what_the_rule_picks_comes_back(size: str) -> None:
    spec = design(size, 12_345.678, 3, 40_000)
    assert spec_from_dict(spec.to_dict()) == spec


def test_the_file_that_the_refusals_start_from_is_right(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(written())
    assert load_spec(tmp_path / "spec.toml").window == 100


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"famlies": "['spread']"}, "the Spec has no field 'famlies'; did you mean families?"),
        ({"colour": "3"}, "the Spec has no field 'colour'; it takes rate_hz, channels, window, hop, families, frames"),
        ({"frame": "{length = 64, bands = 3, low = 5}"}, "a frame has no field 'low'; did you mean low_hz?"),
        ({"frame": "{length = 64, edges = [1, 2, 3], bands = 3}"}, "a frame with edges has no field 'bands'; it takes"),
    ],
)
def test_unknown_fields_are_refused(tmp_path: Path, fields: dict[str, str], words: str) -> None:
    assert words in refusal(tmp_path / "spec.toml", written(**fields))


@pytest.mark.parametrize("value", ["100.9", "100.0", "true", "'100'", "[100]"])
@pytest.mark.parametrize("name", ["window", "hop", "channels", "length", "bands", "edge"])
def test_whole_numbers_are_never_rounded(tmp_path: Path, name: str, value: str) -> None:
    frames = {"length": f"{{length = {value}, bands = 3}}", "bands": f"{{length = 64, bands = {value}}}",
              "edge": f"{{length = 64, edges = [1, 2, {value}]}}"}  # fmt: skip
    text = written(frames[name]) if name in frames else written(**{name: value})
    told = refusal(tmp_path / "spec.toml", text)
    assert f"Spec: {name} {value}".lower() in told.lower() and told.endswith("write a whole number")


@pytest.mark.parametrize("value", ["true", "'8000'"])
def test_a_rate_is_a_number(tmp_path: Path, value: str) -> None:
    assert "write a number" in refusal(tmp_path / "spec.toml", written(rate_hz=value))


@pytest.mark.parametrize("name", ["low_hz", "high_hz"])
@pytest.mark.parametrize("value", ["-1", "-0.5", "nan", "inf", "-inf", "true", "'100'"])
def test_frequencies_are_finite_and_not_negative(tmp_path: Path, name: str, value: str) -> None:
    told = refusal(tmp_path / "spec.toml", written(f"{{length = 64, bands = 3, {name} = {value}}}"))
    assert f"Spec: {name} {value}: write a".lower() in told.lower()
