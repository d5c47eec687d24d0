"""Plan: what a capture asks of a device, made of a person's wish; refused where sensor or line cannot do it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from cyberhans import machine_file
from cyberhans.errors import CyberHansError
from cyberhans.messages import Data, Info, Sensor
from cyberhans.recording import LABELS

FLIGHT_SECONDS = 0.5  # of samples that may be under way, at the most
FLIGHT_BYTES = 48 * 1024  # a system holds about 64 KiB for a program that does not read for a moment
FLIGHT_PACKETS = 3  # that may be under way at the least, so that a full one always may
BITS_PER_BYTE = 10  # on a line: start, 8, stop
SPARE = 64  # one byte in so many is left for replies
FRAME = 2 + 4  # bytes: type and sequence number, CRC
DATA = len(Data(0, 0, 0, 0).pack())  # bytes before its samples
WAV_BYTES = 2**32 - 1024  # what a WAV file holds
LEAST_MHZ = 1000  # a WAV file's header counts whole Hz
LEFT_OUT = "-"  # the name of a column of lines that is not wanted


@dataclass(frozen=True)
class Wish:
    """What is to be captured, and what is known about it. channels, rate_hz: None for what the sensor has by itself.
    synthetic: the device plays what was computed."""

    machine: str
    label: str
    seconds: float
    out: Path
    channels: int | None = None
    rate_hz: float | None = None
    axes: tuple[str, ...] = ()
    speed_rpm: float | None = None
    load: str = ""
    notes: str = ""
    session: str = ""
    synthetic: bool = False

    def __post_init__(self) -> None:
        machine_file.folder_name(self.machine)
        if self.label not in LABELS:
            raise CyberHansError(f"--label {self.label!r}: choose {', '.join(LABELS)}")
        if self.speed_rpm is not None and not 0 < self.speed_rpm < math.inf:
            raise CyberHansError(f"--speed {self.speed_rpm:g}: must be above 0, in 1/min; leave it out if nobody knows")
        for name in ("session", "load", "notes"):
            refuse_unwritable(name, getattr(self, name))
        refuse_unwritable("axes", ",".join(self.axes))
        named = [axis for axis in self.axes if axis != LEFT_OUT]
        if not all(self.axes) or len(set(named)) < len(named):
            raise CyberHansError(f"--axes {','.join(self.axes)}: give each channel a name of its own")

    @property
    def folder(self) -> Path:
        """Where the machine's recordings lie."""
        return self.out / self.machine

    def completed(self) -> Wish:
        """What was not said is as machine.toml in the machine's folder has it: speed and axes."""
        known = machine_file.load(self.folder)
        speed = known.speed_rpm if self.speed_rpm is None else self.speed_rpm
        return replace(self, speed_rpm=speed, axes=self.axes or known.axes)


@dataclass(frozen=True)
class Plan:
    """channels; rate_mhz: sample frames per second, 1/1000 Hz; frames to take; flight: frames that may be under way."""

    channels: int
    rate_mhz: int
    frames: int
    flight: int

    @property
    def rate_hz(self) -> float:
        return self.rate_mhz / 1000


def plan(wish: Wish, sensor: Sensor, info: Info) -> Plan:
    """What is not asked for is as the sensor has it. Raises CyberHansError with the arithmetic of what cannot be."""
    channels, seconds = sensor.channels if wish.channels is None else wish.channels, wish.seconds
    rate_hz = sensor.rate_mhz / 1000 if wish.rate_hz is None else wish.rate_hz
    if not 1 <= channels <= sensor.channels:
        raise CyberHansError(f"--channels {channels}: {sensor.sensor or 'the sensor'} has {sensor.channels}; "
                             f"ask for 1 to {sensor.channels}")  # fmt: skip
    _refuse_rate(sensor, rate_hz)
    rate_mhz = round(rate_hz * 1000)
    if not (math.isfinite(seconds) and seconds * rate_mhz >= 1000):
        raise CyberHansError(f"--seconds {seconds:g}: less than one sample at {rate_hz:g} Hz; ask for more")
    frames, size = round(seconds * rate_mhz / 1000), 2 * channels
    if frames * size > WAV_BYTES:
        raise CyberHansError(f"--seconds {seconds:g}: {frames * size / 2**30:.1f} GiB of samples, and a WAV file holds "
                             f"4 GiB; ask for at most {math.floor(WAV_BYTES / size / rate_mhz * 1000)} s")  # fmt: skip
    if wish.axes and len(wish.axes) != channels:
        raise CyberHansError(
            f"--axes, or {machine_file.NAME}, names {len(wish.axes)} of {channels} channels; name each"
        )
    _refuse_beyond_line(sensor, info, channels, rate_mhz)
    packet = frames_per_packet(info.body_max, channels)
    flight = min(math.ceil(FLIGHT_SECONDS * rate_mhz / 1000), FLIGHT_BYTES // size)
    return Plan(channels, rate_mhz, frames, max(flight, FLIGHT_PACKETS * packet))


def frames_per_packet(body_max: int, channels: int) -> int:
    """Sample frames that one DATA carries."""
    return (body_max - DATA) // (2 * channels)


def most_mhz(baud: int, body_max: int, channels: int) -> int:
    """Sample frames per second that a line of `baud` > 0 carries, 1/1000 Hz: the firmware's rule (SPEC.md 10.5)."""
    frames = frames_per_packet(body_max, channels)
    return _bytes_per_second(baud) * frames * 1000 // _wire(frames, channels)


def _bytes_per_second(baud: int) -> int:
    return baud // BITS_PER_BYTE - baud // (BITS_PER_BYTE * SPARE)


def _wire(frames: int, channels: int) -> int:
    """Bytes of one DATA on the line: COBS adds one and one in 254, a zero ends it."""
    size = FRAME + DATA + 2 * channels * frames
    return size + 1 + size // 254 + 1


def _refuse_rate(sensor: Sensor, rate_hz: float) -> None:
    if not sensor.least_mhz <= rate_hz * 1000 <= sensor.most_mhz:
        mend = "leave out --rate" if sensor.least_mhz == sensor.most_mhz else "ask for a rate within"
        raise CyberHansError(f"--rate {rate_hz:g}: {sensor.sensor or 'the sensor'} has {_range(sensor)}; {mend}")
    if rate_hz * 1000 < LEAST_MHZ:
        raise CyberHansError(f"--rate {rate_hz:g}: a WAV file holds no rate below 1 Hz; give --rate 1 or more")


def _refuse_beyond_line(sensor: Sensor, info: Info, channels: int, rate_mhz: int) -> None:
    baud, body_max = sensor.baud, info.body_max
    if baud == 0 or rate_mhz <= most_mhz(baud, body_max, channels):
        return
    frames, carried = frames_per_packet(body_max, channels), _bytes_per_second(baud)
    share = 2 * channels * frames / _wire(frames, channels)
    most = most_mhz(baud, body_max, channels) // 1000 * 1000
    fewer = next((c for c in range(channels - 1, 0, -1) if rate_mhz <= most_mhz(baud, body_max, c)), 0)
    mends = [f"ask for --rate {most // 1000}"] if most >= max(LEAST_MHZ, sensor.least_mhz) else []
    mends += [f"ask for --channels {fewer}"] if fewer else []
    raise CyberHansError(
        f"{channels} channels x {rate_mhz / 1000:g} Hz x 2 bytes are {2 * channels * rate_mhz / 1000:,.0f} bytes/s; "
        f"{baud:,} baud / {BITS_PER_BYTE}, less 1/{SPARE} for replies, are {carried:,} bytes/s, {100 * share:.1f} % of "
        f"them samples: {carried * share:,.0f} bytes/s; "
        + (" or ".join(mends) or "take a sensor with a lower rate, or a faster line")
    )


def refuse_unwritable(name: str, text: str) -> None:
    """A command line may bring bytes that are no text, which no sidecar can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CyberHansError(f"--{name} {text!a}: is not UTF-8 text; write it with other letters") from None


def _range(sensor: Sensor) -> str:
    if sensor.least_mhz == sensor.most_mhz:
        return f"{sensor.most_mhz / 1000:g} Hz alone"
    return f"{sensor.least_mhz / 1000:g} to {sensor.most_mhz / 1000:g} Hz"
