"""What answers on a serial port: a short question, put to several ports side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

from cyberhans.alarm import State
from cyberhans.errors import CyberHansError
from cyberhans.exchange import Exchange, Refused, Silent
from cyberhans.line import Line
from cyberhans.messages import Info, Mode, Request, Sensor, Storage, Verdict, Verdicts
from cyberhans.serial_port import Port, obstacle
from cyberhans.wire import Message

BAUD = 115_200
ANSWER_SECONDS = (0.2, 0.3)  # for each sending of the question
M = TypeVar("M", bound=Message)
PATIENCE_SECONDS = 2.0  # until all have answered, or not, and are closed


@dataclass(frozen=True)
class Found:
    """A port, and what is behind it: `info` if it is ours, and what else it knows of; or `why` not, in a few words."""

    port: Port
    info: Info | None = None
    sensor: Sensor | None = None
    verdicts: Verdicts | None = None
    why: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: of the port, and under `device` of what is behind it."""
        port = self.port
        told = {"url": port.url, "vid_pid": port.vid_pid, "serial": port.serial, "description": port.description}
        return {**told, "device": self._device(self.info) if self.info else None, "why": self.why}

    def _device(self, info: Info) -> dict[str, Any]:
        """Rate and channels are the detector's, or without one the sensor's."""
        sensor = self.sensor
        return {
            "board": info.board,
            "firmware": info.firmware,
            "serial": info.serial,
            "sensor": sensor.sensor if sensor else None,
            "detector": info.detector.hex() if any(info.detector) else None,
            "rate_hz": (info.rate_mhz or (sensor.rate_mhz if sensor else 0)) / 1000,
            "channels": info.channels or (sensor.channels if sensor else 0),
            "mode": _name(Mode, info.mode),
            "state": _name(State, info.state),
            "revision": info.revision,
            "storage": _name(Storage, info.storage),
            "windows": self.verdicts.windows if self.verdicts else None,
            "last_verdict": _last(self.verdicts) if self.verdicts else None,
        }


def probe(ports: Iterable[Port]) -> list[Found]:
    """Ask each port for INFO; in about half a second all are told. Nothing that a device does is changed by it.

    A port that another program has open is left alone.
    """
    ports = list(ports)
    found = {port.url: Found(port, why="the system does not open it") for port in ports}
    threads = [threading.Thread(target=_ask, args=(port, found), daemon=True) for port in ports]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [found[port.url] for port in ports]


def _ask(port: Port, found: dict[str, Found]) -> None:
    """Enter what is found before the port is closed: with a device that takes no bytes that lasts half a minute."""
    if why := obstacle(port.url):
        found[port.url] = Found(port, why=why)
        return
    try:
        line = Line(port.url, BAUD, None, patience=sum(ANSWER_SECONDS))
    except CyberHansError as error:
        found[port.url] = Found(port, why=str(error))
        return
    try:
        exchange = Exchange(line)
        info = Info.unpack(exchange.request(Request.INFO, waits=ANSWER_SECONDS))
        more = _told(exchange, Request.SENSOR, Sensor), _told(exchange, Request.VERDICTS, Verdicts)
        found[port.url] = Found(port, info, *more)
    except CyberHansError as error:
        found[port.url] = Found(port, why="no answer" if isinstance(error, Silent) else str(error))
    finally:
        line.close()


def _told(exchange: Exchange, request: Request, message: type[M]) -> M | None:
    """None from firmware that does not know the request."""
    try:
        return message.unpack(exchange.request(request, waits=ANSWER_SECONDS))
    except (Refused, Silent):
        return None


def _name(kind: type[IntEnum], value: int) -> str:
    """In small letters; a number that has none as it is."""
    return kind(value).name.lower() if value in set(kind) else str(value)


def _last(verdicts: Verdicts) -> str | None:
    """Of the newest verdict in the tail, if the device sent a whole one."""
    if not verdicts.count or not verdicts.size:
        return None
    try:
        return "anomaly" if Verdict.unpack(verdicts.tail[-verdicts.size :]).anomaly else "normal"
    except CyberHansError:
        return None
