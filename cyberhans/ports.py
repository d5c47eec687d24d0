"""Which device a command line means, where it is, and where it is after it was unplugged and plugged in again."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from cyberhans.errors import CyberHansError
from cyberhans.player import parse
from cyberhans.probe import probe
from cyberhans.serial_port import Port, accessible, serial_ports

POLL_SECONDS = 0.1  # between two looks for a device that is gone
CONNECT_SECONDS = 1.0


@dataclass(frozen=True)
class Place:
    """Made by find().

    url      what open_device() takes: a pyserial URL (tty, pty, socket://HOST:PORT), or board:NAME[,SETTINGS]
    board    of board:NAME, which is to be started: its name; else None
    port     the serial port of this computer that it was when found; else None
    """

    url: str
    board: str | None = None
    port: Port | None = None

    def again(self, seconds: float) -> str | None:
        """The URL by which the same device can be opened again, waiting up to `seconds` for it; else None.

        A USB device is known by VID, PID and serial number, or without a number by its socket; it may come back under
        another name. Anything else comes back under the same URL; a board that was started here never does. Close the
        old port first. What is found may be the old port in its last moment: if opening fails, ask again.
        """
        deadline = time.monotonic() + seconds
        while self.board is None:
            if found := self._now():
                return found
            if time.monotonic() >= deadline:
                break
            time.sleep(POLL_SECONDS)
        return None

    def _now(self) -> str | None:
        if self.port and self.port.usb:
            url = _same(self.port, serial_ports())
            return url if url and accessible(url) else None
        if self.url.startswith("socket://"):
            return self.url if _listens(self.url) else None
        return self.url if "://" in self.url or accessible(self.url) else None


def find(device: str | None, serial: str | None = None) -> Place:
    """The place of the device that is named by its URL, by board:NAME[,SETTINGS], or else by its serial number.

    serial: the USB serial number; where no port has that, the one that a device behind USB tells in INFO. Raises
    CyberHansError: no such number, several ports with it, no such board or setting of one.
    """
    if device is None:
        port = _numbered(serial or "")
        return Place(port.url, port=port)
    if device.startswith("board:"):
        return Place(device, board=parse(device.removeprefix("board:"))[0].name)
    real = os.path.realpath(device)  # udev's names in /dev/serial are links
    return Place(device, port=next((port for port in serial_ports() if port.url in (device, real)), None))


def _numbered(serial: str) -> Port:
    """The one port with this number."""
    ports = [port for port in serial_ports() if port.usb]
    alike = [port for port in ports if port.serial and port.serial.lower() == serial.lower()]
    if len(alike) > 1:  # a device may have several ports, with the same number: which of them answers?
        alike = [found.port for found in probe(alike) if found.info] or alike
    elif not alike:
        alike = [found.port for found in probe(ports) if found.info and found.info.serial == serial]
    if len(alike) == 1:
        return alike[0]
    wrong = "several ports have it" if alike else "no such device"
    there = ", ".join(f"{port.url} (serial {port.serial or '-'})" for port in alike or ports)
    raise CyberHansError(f"--serial {serial}: {wrong}; there is {there or 'no USB serial port'}")


def _same(before: Port, ports: Iterable[Port]) -> str | None:
    """Where the device of that port is now; None where that is not certain."""
    alike = [port for port in ports if (port.vid, port.pid, port.serial) == (before.vid, before.pid, before.serial)]
    there = [port for port in alike if port.location == before.location]
    if before.serial and len(alike) == 1:
        there = alike
    return there[0].url if len(there) == 1 else None


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), CONNECT_SECONDS):
            return True
    except (OSError, ValueError):
        return False
