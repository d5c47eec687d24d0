"""The packet log: everything that passes a line, as lines of JSON (SPEC.md section 11), written as it happens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cyberhans.errors import CyberHansError
from cyberhans.messages import NAK, REPLY, Event, Request
from cyberhans.protocol import Broken, Decoder, Packet

KIND, VERSION = "cyberhans packets", 1
HOST, DEVICE = "host", "device"
BROKEN_BYTES = 256  # written, of what is no packet
LINE_BYTES = 1 << 20  # that a line may have, far more than one of a log ever has
OWN = ("log", "version", "started")  # of the header
NAMES = {
    **{int(kind): kind.name for kind in Request},
    **{kind | REPLY: f"{kind.name}_REPLY" for kind in Request},
    NAK: "NAK",
    **{int(kind): kind.name for kind in Event},
}
TYPES = {name: kind for kind, name in NAMES.items()}


def type_name(kind: int) -> str:
    """Of a packet's type: SAMPLES, SAMPLES_REPLY, NAK, VERDICT; of one without a name 0x1F."""
    return NAMES.get(kind, f"0x{kind:02X}")


@dataclass(frozen=True)
class Happening:
    """What befell the port or the device, such as opened, closed, vanished, restarted; and what else is told of it."""

    name: str
    details: dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A line of a log: its number, from 1; seconds since the log's start; who sent `what`, "" for a Happening."""

    line: int
    seconds: float
    sender: str
    what: Packet | Broken | Happening


class PacketLog:
    """A log under way. Each line is handed to the system when it is whole, so whatever ends the program cuts at most
    the last one. It may outlive its line: a device that is opened again goes on in the same log."""

    def __init__(self, path: Path, device: str = "", **facts: Any) -> None:
        """facts: of the header, beside the device's name; such as board and detector. Raises CyberHansError."""
        if wrong := sorted(set(facts) & set(OWN)):
            raise ValueError(f"the header has its own {', '.join(wrong)}")
        self.path = path
        self._decoders = {HOST: Decoder(), DEVICE: Decoder()}
        self._began = time.monotonic()
        try:
            self._file = path.open("w", encoding="ascii", buffering=1)  # a line at a time
        except OSError as error:
            raise self._failed(error) from None
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write({"log": KIND, "version": VERSION, "device": device, "started": started, **facts})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sent(self, data: bytes) -> None:
        """Bytes of the host that the port has taken."""
        self._pass(HOST, self._decoders[HOST].items(data))

    def received(self, data: bytes) -> None:
        """Bytes of the device."""
        self._pass(DEVICE, self._decoders[DEVICE].items(data))

    def event(self, name: str, **details: Any) -> None:
        """A Happening; what was unfinished before it is no packet."""
        self._end()
        self._write({"t": self._now(), "event": name, **details})

    def close(self) -> None:
        """Nothing is written after it. May be called again."""
        if not self._file.closed:
            self._end()
            self._file.close()

    def _end(self) -> None:
        for sender, decoder in self._decoders.items():
            self._pass(sender, decoder.end())

    def _pass(self, sender: str, items: list[Packet | Broken]) -> None:
        for item in items:
            head = {"t": self._now(), "from": sender}
            if isinstance(item, Packet):
                self._write({**head, "type": type_name(item.type), "seq": item.seq, "body": item.body.hex()})
            else:
                self._write({**head, "broken": item.data[:BROKEN_BYTES].hex(), "length": item.length})

    def _now(self) -> float:
        return round(time.monotonic() - self._began, 6)

    def _write(self, row: dict[str, Any]) -> None:
        if self._file.closed:
            return
        try:
            self._file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> CyberHansError:
        return CyberHansError(f"{self.path}: the packet log cannot be written: {error.strerror}; choose another place")


@dataclass(frozen=True)
class Log:
    """A log that was written, as its header tells it; iterate over it for its entries, which are read meanwhile.

    started  UTC, ISO 8601
    facts    what else the header has
    cut      whether its last line was cut short, and is left out
    """

    path: Path
    device: str
    started: str
    facts: dict[str, Any]
    cut: bool

    def __iter__(self) -> Iterator[Entry]:
        """Raises CyberHansError at a line that is damaged."""
        for number, line in _lines(self.path):
            cut = not line.endswith(b"\n") and len(line) < LINE_BYTES
            if number > 1 and not cut:
                yield _entry(self.path, number, line)


def read_log(path: Path) -> Log:
    """Raises CyberHansError: no such file, not a log, of another version."""
    _, line = next(_lines(path), (1, b""))
    try:
        header = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("log") != KIND:
        raise CyberHansError(f"{path}: is no packet log: its first line is not one's; give one that --hil-log-dir or "
                             "PacketLog wrote")  # fmt: skip
    if header.get("version") != VERSION:
        raise CyberHansError(f"{path}: is a packet log of version {header.get('version')!r}, this program reads "
                             f"{VERSION}: use the program that wrote it")  # fmt: skip
    facts = {name: value for name, value in header.items() if name not in (*OWN, "device")}
    return Log(path, str(header.get("device", "")), str(header.get("started", "")), facts, _is_cut(path))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            yield from enumerate(iter(lambda: file.readline(LINE_BYTES), b""), 1)
    except OSError as error:
        raise CyberHansError(f"{path}: cannot be read: {error.strerror}; check its name") from None


def _is_cut(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read() != b"\n"


def _entry(path: Path, number: int, line: bytes) -> Entry:
    try:
        row = json.loads(line)
        return Entry(number, float(row["t"]), *_what(row))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        why = f"lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise CyberHansError(f"{path}: line {number} is damaged ({why}); copy the log again, or cut it before that "
                             "line") from None  # fmt: skip


def _what(row: dict[str, Any]) -> tuple[str, Packet | Broken | Happening]:
    """Raises ValueError, KeyError or TypeError."""
    if "event" in row:
        return "", Happening(str(row["event"]), {key: row[key] for key in row if key not in ("t", "event")})
    sender = row["from"]
    if sender not in (HOST, DEVICE):
        raise ValueError(f"from {sender!r}")
    if "broken" in row:
        return sender, Broken(bytes.fromhex(row["broken"]), _number(row["length"], "length", 1 << 62))
    return sender, Packet(_type(row["type"]), _number(row["seq"], "seq", 255), bytes.fromhex(row["body"]))


def _type(name: Any) -> int:
    if name in TYPES:
        return TYPES[name]
    if not str(name).startswith("0x"):
        raise ValueError(f"unknown type {name!r}")
    return _number(int(str(name), 16), "type", 255)


def _number(value: Any, name: str, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} {value!r}")
    return value
