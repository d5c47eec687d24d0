"""The board `native` as a simulated sensor: what it plays, and how badly, in one line of text, such as
native,play=worn.wav,clock_error=0.04,jitter=0.001,serial_number=00000000000000A1"""

from __future__ import annotations

import difflib
import math
import re
import tempfile
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from cyberhans.boards import Board, board
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.recording import Recording, load_recording
from cyberhans.waveform import ratio

RANGES = {"clock_error": (-0.5, 0.5), "jitter": (0.0, 1.0)}
PATHS = ("play", "store")
PUMP_SECONDS = 30.0
U32 = 2**32 - 1
SCALE_PRECISION = 1e-9  # of a scale as a ratio of two 32-bit numbers
TEXT = 16  # characters of a text on the link
CHANNELS = 64  # so that a frame fits the smallest packet


@dataclass(frozen=True)
class Player:
    """Settings of `native`.

    play           a recording (WAV), repeated without a pause; None: what the image has stored
    clock_error    the sensor samples at its rate * (1 + clock_error) of the clock of its time stamps; -0.5 to 0.5
    jitter         each block is noticed up to so many seconds late; 0 to 1
    serial_number  16 hexadecimal digits
    store          a file in which it keeps its state when it ends; made if need be
    """

    play: Path | None = None
    clock_error: float = 0.0
    jitter: float = 0.0
    serial_number: str = "0" * 16
    store: Path | None = None

    def arguments(self, raw: Path, pump: bool = False) -> list[str]:
        """For a native image. What it plays is written to the file `raw`; pump: where `play` names nothing, that is
        PUMP_SECONDS of a simulated pump. Raises CyberHansError: no such recording, or none that a sensor could give."""
        made = ["--clock-error", str(self.clock_error), "--jitter", str(self.jitter)]
        made += ["--serial-number", self.serial_number]
        made += ["--store", str(self.store)] if self.store else []
        if self.play is None and not pump:
            return made
        recording = load_recording(self.play) if self.play else _pump()
        sensor = _sensor(recording)
        raw.write_bytes(recording.samples.astype("<i2", copy=False).tobytes())
        return [*made, "--play", str(raw), *sensor]


def parse(text: str) -> tuple[Board, Player]:
    """A board's name, and of `native` settings after it. Raises CyberHansError: unknown board or setting, bad value."""
    name, *settings = re.split(r",(?=\w+=)", text)
    row = board(name)
    if settings and row.bare:
        raise CyberHansError(f"board:{text}: only native has settings; leave out {','.join(settings)}")
    stated = dict(setting.split("=", 1) for setting in settings)
    return row, Player(**{key: _value(key, value) for key, value in stated.items()})


def synthetic(text: str) -> bool:
    """Whether what `text` names plays what was computed: all but a recording that was measured."""
    _, player = parse(text)
    return player.play is None or load_recording(player.play).synthetic


def start(text: str, image: Path, *, counting: bool = False, pump: bool = False) -> Emulator:
    """Run `image` on the board that `text` names, with its settings; counting: see Emulator, pump: see Player.

    What is played lies in a file until the process has mapped it. Raises CyberHansError.
    """
    row, player = parse(text)
    if row.bare:
        return Emulator(row, image, counting)
    with tempfile.TemporaryDirectory(prefix="cyberhans-") as folder:
        return Emulator(row, image, counting, player.arguments(Path(folder) / "samples", pump))


def _value(key: str, text: str) -> Any:
    known = [field.name for field in fields(Player)]
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose {', '.join(known)}"
        raise CyberHansError(f"board:native has no setting {key!r}: {hint}")
    if key in RANGES:
        return _number(key, text, *RANGES[key])
    if key in PATHS:
        return Path(text).expanduser()
    if not re.fullmatch("[0-9a-fA-F]{16}", text):
        raise CyberHansError(f"serial_number={text}: must be 16 hexadecimal digits, such as 00000000000000A1")
    return text


def _number(key: str, text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise CyberHansError(f"{key}={text}: must be a number from {least:g} to {most:g}")
    return value


def _pump() -> Recording:
    from cyberhans.simulate import simulate

    return replace(simulate("pump", seconds=PUMP_SECONDS, seed=1), sensor="simulated pump")


def _sensor(recording: Recording) -> list[str]:
    """Arguments that say what the samples mean; a recording that no sensor on the link could give is refused."""
    name, unit, rate_mhz = recording.name, recording.unit, round(recording.rate_hz * 1000)
    if recording.offset:
        raise CyberHansError(f"{name}: offset {recording.offset:g} {unit}, but a sensor has none: "
                             "set offset to 0 in its .json to play it without")  # fmt: skip
    if not re.fullmatch(f"[ -~]{{1,{TEXT}}}", unit):
        raise CyberHansError(f"{name}: unit {unit!r}: write it in 1 to {TEXT} ASCII characters in its .json")
    if not 1 <= rate_mhz <= U32 or recording.channels > CHANNELS:
        raise CyberHansError(f"{name}: {recording.channels} channels at {recording.rate_hz:g} Hz: play one with at "
                             f"most {CHANNELS}, and 0.001 to {U32 / 1000:.0f} Hz")  # fmt: skip
    sensor = recording.sensor.encode("ascii", "replace").decode()[:TEXT] or "player"
    return [
        "--channels", str(recording.channels), "--rate-mhz", str(rate_mhz), "--unit", unit, "--name", sensor,
        "--scale", _scale(name, recording.scale), "--full-scale", str(recording.full_scale),
    ]  # fmt: skip


def _scale(name: str, scale: float) -> str:
    """N/D, as near as it can be had."""
    found = ratio(scale)
    if not (found > 0 and abs(found / Fraction(scale) - 1) <= SCALE_PRECISION and found.numerator <= U32):
        raise CyberHansError(f"{name}: scale {scale:g}: the nearest ratio of two 32-bit numbers is {float(found):g}; "
                             "state it in another unit in its .json")  # fmt: skip
    return f"{found.numerator}/{found.denominator}"
