"""A capture over a tty that goes away and comes back as another while the firmware goes on: no loss in silence."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from cable import Cable
from command import cyberhans
from source import source, wrong

from cyberhans.blank import blank_image
from cyberhans.boards import board
from cyberhans.device import open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.player import Player
from cyberhans.ports import find

RATE_HZ, SECONDS = 20_000, 5.0


def firmware(cable: Cable, folder: Path, played: Path | None = None) -> Emulator:
    arguments = Player(played).arguments(folder / "raw")
    return Emulator(board("native"), blank_image("native"), False, [*arguments, "--port", str(cable.device)])


def test_a_tty_that_went_away_is_found_again_as_another(tmp_path: Path) -> None:
    cable = Cable(tmp_path)
    place, before = find(str(cable.host)), cable.host.readlink()
    with firmware(cable, tmp_path):
        device = open_device(place.url)
        cable.pull()
        with pytest.raises(CyberHansError, match="the device went away"):
            device.run()
        assert place.again(0.2) is None  # the old tty is still open, and yet gone
        threading.Timer(0.3, cable.plug).start()
        url = place.again(5)
        assert url and cable.host.readlink() != before
        with open_device(url) as again:
            assert again.info == device.info
        device.close()
        cable.pull()


@pytest.mark.slow
def test_a_capture_goes_on_where_the_device_is_plugged_in_again(tmp_path: Path) -> None:
    cable, played = Cable(tmp_path), source(tmp_path, RATE_HZ)

    def captured() -> int:
        return sum(draft.stat().st_size for draft in (tmp_path / "m").glob(".*.draft"))

    def hand() -> None:
        for _ in range(2):
            before = captured()
            while captured() <= before:
                time.sleep(0.05)  # until samples come, again
            time.sleep(0.7)
            cable.pull()
            time.sleep(0.7)
            cable.plug()

    with firmware(cable, tmp_path, played):
        pulling = threading.Thread(target=hand, daemon=True)
        pulling.start()
        done = cyberhans("capture", "--device", cable.host, "--machine", "m", "--label", "normal",
                         "--seconds", SECONDS, "--out", tmp_path, "--no-live", "--json")  # fmt: skip
        assert done.code == 0, done.err
        assert not pulling.is_alive(), "it ended before the plug was pulled twice"
        cable.pull()
    told = json.loads(done.out)
    assert told["samples"] + told["lost_samples"] == RATE_HZ * SECONDS
    assert told["lost_samples"] > 0 and all(gap["counted"] for gap in told["gaps"])
    assert wrong(told["file"], played) == 0
