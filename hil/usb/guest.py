"""Inside the guest: the firmware behind one end of a USB cable, the command line at the other, and a hand that pulls
the plug. Argument: a folder with the firmware's image and the recording that it plays; the results are left there.

Exit code 0: every sample is the source's, every gap as long as stated. Else the reason is the last line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from cyberhans.recording import Recording, load_recording
from cyberhans.serial_port import obstacle

SERIAL = "CH-0001"  # of the USB gadget, see init
UDC = Path("/sys/kernel/config/usb_gadget/sensor/UDC")
PORT = "/dev/ttyACM0"
CABLE = "dummy_udc.0"
SECONDS = 14  # of the recording
PLUGGED, UNPLUGGED = 1.5, (1.0, 2.0, 1.0)  # seconds before each pull, and until the plug is in again


def main(folder: Path) -> None:
    firmware = subprocess.Popen([folder / "firmware", "--port", "/dev/ttyGS0", *_play(folder)], stdin=subprocess.PIPE)
    try:
        _devices()
        told = _capture(folder)
    finally:
        firmware.kill()
    _compare(load_recording(told["file"]), load_recording(folder / "source.wav"), told)


def _play(folder: Path) -> list[str]:
    source = load_recording(folder / "source.wav")
    raw = folder / "source.raw"
    raw.write_bytes(source.samples.tobytes())
    return ["--play", str(raw), "--channels", str(source.channels), "--rate-mhz", str(round(source.rate_hz * 1000))]


def _cyberhans(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cyberhans.cli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _told(verb: subprocess.Popen[str]) -> Any:
    out, _ = verb.communicate()
    print(out)
    return json.loads(out)


def _devices() -> None:
    """The device is told, by its number and by what it says of itself."""
    rows = {row["serial"]: row for row in _told(_cyberhans("devices", "--json"))}
    row = rows[SERIAL]
    assert (row["url"], row["vid_pid"], row["device"]["board"]) == (PORT, "1209:0001", "native"), row


def _capture(folder: Path) -> Any:
    verb = _cyberhans("capture", "--serial", SERIAL, "--machine", "pump", "--label", "normal", "--seconds", SECONDS,
                      "--out", folder / "recordings", "--no-live", "--json")  # fmt: skip
    for seconds in UNPLUGGED:
        while verb.poll() is None and not obstacle(PORT):
            time.sleep(0.2)  # until it has opened the port, at first or again
        time.sleep(PLUGGED)
        assert verb.poll() is None, "it ended before the plug was pulled: record for longer"
        UDC.write_text("\n")
        time.sleep(seconds)
        UDC.write_text(CABLE)
    return _told(verb)


def _compare(recording: Recording, source: Recording, told: dict[str, Any]) -> None:
    """Every piece between two gaps stands in the source where the lengths of the gaps before it put it."""
    lost = sum(gap.lost for gap in recording.gaps)
    asked = round(SECONDS * source.rate_hz)
    place = np.arange(recording.frames)
    for gap in recording.gaps:
        print(f"gap at {gap.at}: {gap.lost} lost")
        place[gap.at :] += gap.lost
    wrong = int((source.samples[place % source.frames] != recording.samples).any(axis=1).sum())
    print(f"{recording.frames} sample frames, {len(recording.gaps)} gaps, {lost} lost, {wrong} wrong")
    assert wrong == 0, f"{wrong} sample frames are not the source's"
    assert recording.frames + lost == asked and told["lost_samples"] == lost, told
    assert recording.gaps and told["quality"] != "good", "nothing was lost: pull the plug while more is under way"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
