"""devices.toml: what it takes, and the one line that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyberhans.errors import CyberHansError
from cyberhans.hil.hil_map import Entry, chosen, entry_of, load_map

BENCH = """\
[desk]
url = "0483:5740:00000000000000A1"
board = "netduinoplus2"
flash = "openocd -f {hex}"
reset = "uhubctl -a cycle"

[process]
url = "board:native"

[shelf]
url = "/dev/ttyACM7"
connected = false
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "devices.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_entries_are_read_in_their_order(tmp_path: Path) -> None:
    found = load_map(written(tmp_path, BENCH))
    assert list(found) == ["desk", "process", "shelf"]
    assert (found["desk"].board, found["desk"].flash) == ("netduinoplus2", "openocd -f {hex}")
    assert (found["process"].emulated, found["process"].board) == (True, "native")
    assert [entry.connected for entry in found.values()] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no device in it"),
        ("[desk]\nurl = ", "Invalid value"),
        ('desk = "board:native"', r"write \[desk\]"),
        ('[desk]\nurll = "board:native"', "did you mean url"),
        ('[desk]\nquestion = "board:native"', "choose url"),
        ("[desk]\nurl = 5", "must be a str"),
        ('[desk]\nurl = "board:native"\nconnected = "no"', "must be a bool"),
        ("[desk]\n", "either url or start"),
        ('[desk]\nurl = "/dev/ttyACM0"\nstart = "usb.sh"', "either url or start"),
        ('[desk]\nurl = "board:nativ"', "did you mean native"),
        ('[desk]\nurl = "/dev/ttyACM0"\nboard = "netduino"', "did you mean netduinoplus2"),
        ('[desk]\nurl = "/dev/ttyACM0"\nflash = "dfu {elf}"', "state its board"),
        ('[desk]\nurl = "board:native"\ncompiler = "icc"', "choose one of"),
        ('["../x"]\nurl = "board:native"', r"device '\.\./x': name it with A to Z"),
        ('["pümpe"]\nurl = "board:native"', "name it with A to Z"),
        ('[""]\nurl = "board:native"', "name it with A to Z"),
        ('[desk]\nstart = "usb.sh \'a"', r"device desk: start = .*: no closing quotation: mend its quotes"),
        ('[desk]\nurl = "/dev/ttyACM0"\nreset = "sh -c \'a"', "reset = .*: mend its quotes"),
        ('[desk]\nurl = "/dev/ttyACM0"\nboard = "native"\nflash = "dfu \'{elf}"', "flash = .*: mend its quotes"),
        ('[desk]\nstart = " "', "start = ' ': no command; leave it out"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CyberHansError, match=said) as error:
        load_map(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_no_such_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CyberHansError, match="No such file"):
        load_map(tmp_path / "devices.toml")


def test_all_that_are_connected_are_chosen_unless_some_are_asked_for(tmp_path: Path) -> None:
    entries = load_map(written(tmp_path, BENCH))
    assert [entry.id for entry in chosen([], entries)] == ["desk", "process"]
    assert [entry.id for entry in chosen(["shelf"], entries)] == ["shelf"]
    assert [entry.id for entry in chosen(["shelf", "board:microbit"], entries)] == ["shelf", "microbit"]


def test_an_unknown_id_and_one_twice_are_one_line(tmp_path: Path) -> None:
    entries = load_map(written(tmp_path, BENCH))
    with pytest.raises(CyberHansError, match="--device dsk: neither a URL nor in the map: choose desk, process, shelf"):
        chosen(["dsk"], entries)
    with pytest.raises(CyberHansError, match="native is given twice"):
        chosen(["board:native", "board:native"], {})


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("board:native", "native"),
        ("board:native,play=/x/worn.wav,jitter=0.1", "native"),
        ("/dev/ttyACM0", "ttyACM0"),
        ("socket://127.0.0.1:4000", "127.0.0.1_4000"),
        ("0483:5740:A1", "0483_5740_A1"),
        ("/dev/pümpe", "p_mpe"),
    ],
)
def test_a_url_has_an_id_of_its_own(url: str, name: str) -> None:
    entry = entry_of(url, compiler="zig")
    assert (entry.id, entry.url, entry.compiler) == (name, url, "zig")
    assert entry == Entry(name, url, compiler="zig")
