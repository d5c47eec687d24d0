"""The serial ports of this computer: what the system tells of them, without opening any."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

import serial
from serial.tools import list_ports

BUSY = (errno.EBUSY, errno.EAGAIN)  # claimed by another program: by the kernel, or by a lock


@dataclass(frozen=True)
class Port:
    """A serial port. USB's fields are None on any other port, or where the device does not tell them.

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


def serial_ports() -> list[Port]:
    """Every serial port, sorted by name."""
    return sorted(
        (Port(item.device, None if item.description == "n/a" else item.description, item.vid, item.pid,
              item.serial_number or None, item.location) for item in list_ports.comports()),
        key=lambda port: port.url,
    )  # fmt: skip


def accessible(path: str) -> bool:
    """Whether this user may open it. A node may be there a moment before its user has the right to it."""
    return os.access(path, os.R_OK | os.W_OK)


def obstacle(path: str, code: int | None = None) -> str | None:
    """In a few words, with the mend: why this port cannot be opened, or had better not be; None if nothing is known.

    code: errno of an attempt to open it, if there was one.
    """
    if code == errno.EACCES or (os.path.exists(path) and not accessible(path)):
        return f"no permission: sudo usermod -aG {_group(path)} $USER, then log in again"
    holder = _holder(path)
    if holder or code in BUSY:
        return f"busy: {holder or 'another program'} has it open; close that"
    return None


def selectable(port: serial.SerialBase) -> bool:
    """Whether select() can wait for an open port: pyserial's loop:// and rfc2217:// have no file descriptor."""
    try:
        return int(port.fileno()) >= 0
    except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
        return False


def _group(path: str) -> str:
    """Whose members may open it: dialout on Debian, another name elsewhere."""
    import grp  # Windows has none, nor such rights

    try:
        return grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"


def _holder(path: str) -> str | None:
    """A program that has it open, as far as this user may see that: opening it too would take bytes away from it."""
    real = os.path.realpath(path)
    for process in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else ()):
        try:
            with os.scandir(f"/proc/{process}/fd") as opened:
                if any(os.readlink(item.path) == real for item in opened):
                    with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as name:
                        return f"{name.read().strip()} (process {process})"
        except OSError:
            continue  # another user's, or just gone
    return None
