"""Which device a command line means, where it is, and where it is after it was unplugged and plugged in again."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from serial.tools import list_ports

from cyberhans.boards import boards
from cyberhans.errors import CyberHansError

POLL_SECONDS = 0.1  # between two looks for a device that is gone
CONNECT_SECONDS = 1.0


@dataclass(frozen=True)
class Port:
    """A serial port of this computer. USB's fields are None on any other port, or where the device does not tell them.

    location: the socket that it is plugged into, such as 1-2.3:1.0.
    """

    url: str
    description: str | None = None
    vid: int | None = None
    pid: int | None = None
    serial: str | None = None
    location: str | None = None

    @property
    def usb(self) -> bool:
        return self.vid is not None

    @property
    def vid_pid(self) -> str | None:
        """Such as 1209:0001."""
        return None if self.vid is None else f"{self.vid:04X}:{self.pid or 0:04X}"


@dataclass(frozen=True)
class Place:
    """Made by find().

    url      what open_device() takes: a pyserial URL (tty, pty, socket://HOST:PORT), or board:NAME[,options] as given
    board    of board:NAME, which is to be started: its name; else None
    options  of board:NAME,key=value,...: by key
    port     the serial port of this computer that it was when found; else None
    """

    url: str
    board: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
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
            return url if url and _accessible(url) else None
        if self.url.startswith("socket://"):
            return self.url if _listens(self.url) else None
        return self.url if "://" in self.url or _accessible(self.url) else None


def find(device: str | None, serial: str | None = None) -> Place:
    """The place of the device that is named by its URL, by board:NAME[,key=value...], or by its serial number.

    serial: the USB serial number. Raises CyberHansError: none or both given, no such board or device, several of them.
    """
    if (device is None) == (serial is None):
        raise CyberHansError("which device? give --device URL, --device board:NAME or --serial NUMBER, and only one; "
                             "`cyberhans devices` lists what there is")  # fmt: skip
    if device is not None:
        return _named(device)
    ports = serial_ports()
    found = [port for port in ports if port.serial and port.serial.lower() == str(serial).lower()]
    if len(found) == 1:
        return Place(found[0].url, port=found[0])
    raise CyberHansError(f"--serial {serial}: {'several devices have it' if found else 'no such device'}: "
                         f"{_listed(found or ports)}")  # fmt: skip


def serial_ports() -> list[Port]:
    """The serial ports of this computer, sorted by name; looks at no more than what the system tells of them."""
    return sorted(
        (Port(item.device, _told(item.description), item.vid, item.pid, item.serial_number, item.location)
         for item in list_ports.comports()), key=lambda port: port.url,
    )  # fmt: skip


def _told(text: str | None) -> str | None:
    return None if text in (None, "", "n/a") else text


def _named(device: str) -> Place:
    if device.startswith("board:"):
        name, *options = device.removeprefix("board:").split(",")
        return Place(device, board=name, options=_options(device, options))
    if device in {row.name for row in boards()}:
        raise CyberHansError(f"{device}: no such port; write --device board:{device}")
    real = os.path.realpath(device)
    return Place(device, port=next((port for port in serial_ports() if port.url in (device, real)), None))


def _options(device: str, options: Iterable[str]) -> dict[str, str]:
    pairs = [option.partition("=") for option in options]
    if wrong := next((key for key, equals, _ in pairs if not key or not equals), None):
        raise CyberHansError(f"{device}: option {wrong!r} has no value; write board:NAME,key=value,key=value")
    return {key: value for key, _, value in pairs}


def _same(before: Port, ports: Iterable[Port]) -> str | None:
    """Where the device of that port is now; None where that is not certain."""
    alike = [port for port in ports if (port.vid, port.pid, port.serial) == (before.vid, before.pid, before.serial)]
    there = [port for port in alike if port.location == before.location]
    if before.serial and len(alike) == 1:
        there = alike
    return there[0].url if len(there) == 1 else None


def _accessible(path: str) -> bool:
    """The node may be there before the system has given its user the right to it."""
    return os.access(path, os.R_OK | os.W_OK)


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), CONNECT_SECONDS):
            return True
    except (OSError, ValueError):
        return False


def _listed(ports: Iterable[Port]) -> str:
    return ", ".join(f"{port.url} (serial {port.serial or '-'})" for port in ports) or "there are no serial ports"
