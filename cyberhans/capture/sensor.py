"""Sensor: what a device says of it, refused before a capture where it cannot be."""

from __future__ import annotations

from cyberhans.device import Device
from cyberhans.errors import CyberHansError
from cyberhans.messages import Info, Request, Sensor

INT16_MAX = 32767


def identity(info: Info, sensor: Sensor) -> tuple[object, ...]:
    """What must be the same where samples of a device are to follow those from before it was unplugged."""
    scale = sensor.scale_numerator, sensor.scale_denominator, sensor.unit, sensor.full_scale
    return info.board, info.serial, sensor.sensor, sensor.channels, *scale


def ask_sensor(device: Device) -> Sensor:
    """What its sensor can do. Raises CyberHansError where that contradicts itself."""
    if not device.info.tick_hz:
        raise CyberHansError(f"{device.name}: the device sent an INFO with tick_hz 0; build and flash it again")
    sensor = Sensor.unpack(device.request(Request.SENSOR))
    if impossible := _impossible(sensor):
        raise CyberHansError(f"{device.name}: the device sent a SENSOR with {impossible}; build and flash it again")
    return sensor


def _impossible(sensor: Sensor) -> str:
    for name in ("rate_mhz", "least_mhz", "scale_numerator", "scale_denominator", "full_scale", "channels"):
        if not getattr(sensor, name):
            return f"{name} 0"
    if sensor.full_scale > INT16_MAX:
        return f"full_scale {sensor.full_scale}, above {INT16_MAX}"
    if sensor.least_mhz > sensor.most_mhz:
        return f"least_mhz {sensor.least_mhz} above most_mhz {sensor.most_mhz}"
    if not sensor.unit.strip() or not sensor.unit.isprintable():
        return f"unit {sensor.unit!r}"
    return ""
