"""What answers on a serial port: a short question, put to several ports side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cyberhans.errors import CyberHansError
from cyberhans.exchange import Exchange, Refused, Silent
from cyberhans.line import Line
from cyberhans.messages import Info, Mode, Request, Verdict, Verdicts
from cyberhans.serial_port import Port, obstacle

BAUD = 115_200
ANSWER_SECONDS = (0.2, 0.3)  # for each sending of the question
PATIENCE_SECONDS = 3.0  # with the system: closing a port may wait for bytes that nobody takes


@dataclass(frozen=True)
class Found:
    """A port, and what is behind it: `info` and perhaps `verdicts` if it is ours, else `why` not, in a few words."""

    port: Port
    info: Info | None = None
    verdicts: Verdicts | None = None
    why: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: of the port, and under `device` of what is behind it."""
        port = self.port
        told = {"url": port.url, "vid_pid": port.vid_pid, "serial": port.serial, "description": port.description}
        return {**told, "device": _describe(self.info, self.verdicts) if self.info else None, "why": self.why}


def probe(ports: Iterable[Port]) -> list[Found]:
    """Ask each port for INFO; in about half a second all are told. Nothing that a device does is changed by it.

    A port that another program has open is left alone.
    """
    ports = list(ports)
    found = {port.url: Found(port, why="the system does not give it free") for port in ports}

    def ask(port: Port) -> None:
        found[port.url] = _ask(port)

    threads = [threading.Thread(target=ask, args=(port,), daemon=True) for port in ports]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [found[port.url] for port in ports]


def _ask(port: Port) -> Found:
    try:
        if why := obstacle(port.url):
            return Found(port, why=why)
        line = Line(port.url, BAUD, None)
        try:
            exchange = Exchange(line)
            info = Info.unpack(exchange.request(Request.INFO, waits=ANSWER_SECONDS))
            return Found(port, info, _verdicts(exchange))
        finally:
            line.close()
    except Silent:
        return Found(port, why="no answer")
    except CyberHansError as error:
        return Found(port, why=str(error))


def _verdicts(exchange: Exchange) -> Verdicts | None:
    """None from firmware that does not count them."""
    try:
        return Verdicts.unpack(exchange.request(Request.VERDICTS, waits=ANSWER_SECONDS))
    except (Refused, Silent):
        return None


def _describe(info: Info, verdicts: Verdicts | None) -> dict[str, Any]:
    return {
        "board": info.board,
        "firmware": info.firmware,
        "serial": info.serial,
        "detector": info.detector.hex() if any(info.detector) else None,
        "rate_hz": info.rate_mhz / 1000,
        "channels": info.channels,
        "mode": Mode(info.mode).name.lower() if info.mode in set(Mode) else str(info.mode),
        "windows": verdicts.windows if verdicts else None,
        "last_verdict": _last(verdicts) if verdicts else None,
    }


def _last(verdicts: Verdicts) -> str | None:
    bodies = verdicts.tail[-verdicts.size :] if verdicts.count and verdicts.size else b""
    return ("anomaly" if Verdict.unpack(bodies).anomaly else "normal") if bodies else None
