"""A serial line behind any pyserial URL, in packets."""

from __future__ import annotations

import select
import time
from collections import deque

import serial

from cyberhans.boards import boards
from cyberhans.emulator import EXIT_SECONDS, START_SECONDS, Emulator
from cyberhans.errors import CyberHansError
from cyberhans.packet_log import PacketLog
from cyberhans.protocol import Decoder, Packet
from cyberhans.serial_port import obstacle, selectable

POLL_SECONDS = 0.05
CHUNK = 4096  # bytes
PORTION = 1 << 16  # bytes, of what has come already
WRITE_SECONDS = 10.0  # at most, for one packet


class Line:
    """Sends and receives packets. Every failure of the port is one CyberHansError."""

    def __init__(
        self, url: str, baud: int, emulator: Emulator | None, patience: float = 0.0, log: PacketLog | None = None
    ) -> None:
        """patience: seconds, at most, that one packet waits to be taken; 0: WRITE_SECONDS. log: gets what passes."""
        self._patience = patience = patience or WRITE_SECONDS
        self.name = f"board:{emulator.board.name}" if emulator else url
        self.emulator = emulator
        self.decoder = Decoder()
        self._arrived: deque[Packet] = deque()
        self._port = self._open(url, baud)
        self._log = log
        self._note("opened", device=self.name)
        self._selectable = selectable(self._port)
        if not self._selectable:
            self._port.timeout, self._port.write_timeout = POLL_SECONDS, patience
        self.write(b"\0")  # ends whatever an earlier host left unfinished

    def close(self) -> None:
        if self._port.is_open:
            self._note("closed")
        self._port.close()

    def write(self, data: bytes) -> None:
        """Wait until the port has taken all of it. Reads meanwhile: else both ends might wait for each other."""
        deadline, sent = time.monotonic() + self._patience, 0
        while sent < len(data):
            if self._selectable and not self._takes_bytes():
                self._arrived.extend(self.decoder.feed(self._read()))
                if time.monotonic() > deadline:
                    raise CyberHansError(f"{self.name}: the device takes no bytes any more; restart it and repeat")
                continue
            try:
                taken = self._port.write(data[sent : sent + CHUNK])
            except (serial.SerialException, OSError) as error:
                raise self._vanished(error) from None
            if self._log:
                self._log.sent(data[sent : sent + taken])
            sent += taken

    def _takes_bytes(self) -> bool:
        """Wait a little until it can be written to or read from; whether it can be written to."""
        return bool(select.select([self._port], [self._port], [], POLL_SECONDS)[1])

    def take(self, deadline: float) -> Packet | None:
        """The next packet; None when time.monotonic() has passed `deadline` without one."""
        while not self._arrived:
            self._arrived.extend(self.decoder.feed(self._read()))
            if not self._arrived and time.monotonic() > deadline:
                return None
        return self._arrived.popleft()

    def arrived(self) -> list[Packet]:
        """The packets that have come by now; never waits."""
        packets = [*self._arrived, *self.decoder.feed(self._read(wait=False))]
        self._arrived.clear()
        return packets

    def _read(self, wait: bool = True) -> bytes:
        """What has arrived; nothing, without waiting, or after POLL_SECONDS."""
        try:
            if self._selectable:
                if wait:
                    select.select([self._port], [], [], POLL_SECONDS)
                data = bytes(self._port.read(CHUNK if wait else PORTION))
            else:
                data = bytes(self._port.read(max(wait, self._port.in_waiting)))
        except (serial.SerialException, OSError) as error:
            raise self._vanished(error) from None
        if not data and self.emulator and self.emulator.ended():
            self._note("vanished")
            raise CyberHansError(f"{self.name}: {self.emulator.ended()}; start it again")
        if self._log and data:
            self._log.received(data)
        return data

    def _note(self, event: str, **details: str) -> None:
        if self._log:
            self._log.event(event, **details)

    def _open(self, url: str, baud: int) -> serial.SerialBase:
        """A native image's pty may need a moment until it is there."""
        deadline = time.monotonic() + (START_SECONDS if self.emulator else 0.0)
        while True:
            try:
                return serial.serial_for_url(url, baudrate=baud, timeout=0, write_timeout=0, exclusive=True)
            except (serial.SerialException, OSError, ValueError) as error:
                ended = self.emulator.ended() if self.emulator else None
                if ended or time.monotonic() > deadline:
                    known = None if self.emulator else obstacle(url, getattr(error, "errno", None))
                    why = known or f"{ended or _reason(error)}; {_hint(url)}"
                    raise CyberHansError(f"{self.name}: cannot be opened: {why}") from None
                time.sleep(0.02)

    def _vanished(self, error: Exception) -> CyberHansError:
        ended = self.emulator.ended(EXIT_SECONDS) if self.emulator else None
        self._note("vanished")
        return CyberHansError(f"{self.name}: the device went away ({ended or _reason(error)}); plug it in and repeat")


def _hint(url: str) -> str:
    return f"write --device board:{url}" if url in {row.name for row in boards()} else "check --device"


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())
