"""Station: one device of the bench with the detector it is tested with."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cyberhans.boards import Board, board
from cyberhans.build import Build, build
from cyberhans.core import Core
from cyberhans.detector import Detector
from cyberhans.device import Device, open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.hil.commands import Started, run_command
from cyberhans.hil.hil_map import USB, Entry
from cyberhans.serial_port import serial_ports

if TYPE_CHECKING:
    from cyberhans.packet_log import PacketLog

LINE_SECONDS = 10.0  # that the windows of one test may take on their way
EMULATED_BYTES_PER_S = 40_000
PROCESS_BYTES_PER_S = 2_000_000
RETURN_SECONDS = 20.0  # for a device that was reset to be there again


class Station:
    """Opens, restarts, flashes and closes one device; at most one opening of it at a time.

    image: an ELF to run on board:NAME in place of one that is built here. log: every packet goes there.
    flashed: by a device's id the digest of the detector that it was flashed with last; all stations of one bench share
    it, as one of them flashes what another has to flash anew.
    """

    def __init__(
        self, entry: Entry, detector: Detector, scratch: Path, image: Path | None = None,
        log: PacketLog | None = None, flashed: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.entry, self.detector, self.log = entry, detector, log
        self._scratch, self._given = scratch, image
        self._device: Device | None = None
        self._emulator: Emulator | None = None
        self._line = ""  # URL of what runs
        self._started: Started | None = None
        self._flashed = {} if flashed is None else flashed
        self._core: Core | None = None
        self._build: Build | None = None

    @property
    def board(self) -> Board | None:
        """What the device is, where that is known."""
        return board(self.entry.board) if self.entry.board else None

    @property
    def core(self) -> Core:
        """The host's own, which foretells what the device has to say."""
        self._core = self._core or self.detector.core()
        return self._core

    @property
    def build(self) -> Build | None:
        """The image and its sizes, where it is built here. Raises CyberHansError."""
        if self._given or not (self.entry.emulated or self.entry.flash):
            return None
        if not self._build:
            assert self.detector.folder
            self._build = build(self.detector.folder, self.entry.board, self._scratch / "image",
                                compiler=self.entry.compiler)  # fmt: skip
        return self._build

    @property
    def image(self) -> Path | None:
        """What runs on the device, where it comes from here."""
        return self._given or (self.build.image if self.build else None)

    def affordable(self, windows: int, seconds: float = LINE_SECONDS) -> int:
        """So many; fewer, but five, where its line or emulator takes longer for them."""
        spec, row = self.detector.spec, self.board
        paced = row.baud // 10 if row and row.baud and not self.entry.emulated else EMULATED_BYTES_PER_S
        paced = PROCESS_BYTES_PER_S if row and not row.bare else paced
        return min(windows, max(5, int(seconds * paced) // (2 * spec.hop * spec.channels)))

    def device(self) -> Device:
        """Open, and holding the detector: opened now if need be. Raises CyberHansError."""
        if self._device is None:
            if self.entry.flash and self._flashed.get(self.entry.id) != self.detector.digest.hex():
                self._flash()
                return self._again()
            try:
                self._device = self._opened()
            except BaseException:
                self._power_off()
                raise
        return self._device

    def _opened(self) -> Device:
        device = self._open(self._line or self._url())
        try:
            device.require(self.detector)
        except BaseException:
            device.close()
            raise
        self._emulator = self._emulator or device.emulator
        self._line = self._line or (device.emulator.url if device.emulator else device.name)
        return device

    def close(self) -> None:
        """The device; the next device() opens it again, an emulator from its power-on."""
        if self._device:
            with contextlib.suppress(CyberHansError):
                self._device.leave()
        self._power_off()

    def end(self) -> None:
        """The device is closed, and its log."""
        self.close()
        if self.log:
            self.log.close()

    def hang_up(self) -> None:
        """The host is gone, without a word; the device runs on, and the next device() opens it as it is."""
        if self._device:
            self._device.hang_up()
            self._device = None

    @contextlib.contextmanager
    def line(self) -> Iterator[str]:
        """The URL of the line of the device, which runs on, to be opened by another: a proxy, a second host."""
        self.device()
        self.hang_up()
        yield self._line

    def another(self, url: str) -> Device:
        """A host at that URL, which leads to this device while line() lends its line; its packets are logged, too."""
        return open_device(url, log=self.log)

    @property
    def pid(self) -> int | None:
        """Of the process that is the device, or its emulator, where this program started it."""
        return self._emulator.pid if self._emulator else None

    @property
    def store(self) -> Path | None:
        """The file in which the device keeps its state, where it is a process: so power loss is tried with it, too."""
        return self._scratch / "state" if self.entry.url == "board:native" else None

    def forget_store(self) -> None:
        """The next device() begins as built, where its store is a file."""
        self.close()
        if self.store:
            self.store.unlink(missing_ok=True)

    @property
    def resets(self) -> bool:
        """Whether restart() can do it."""
        return bool(self.entry.emulated or self.entry.start or self.entry.reset)

    def restart(self) -> Device:
        """Power off at once, whatever the device is doing, and on again. Raises CyberHansError."""
        self._power_off()
        if self.entry.reset:
            run_command(self.entry, self.entry.reset)
            return self._again()
        return self.device()

    def _power_off(self) -> None:
        """Of what this program started; the line of all else is left."""
        if self._emulator:
            self._emulator.close()
            self._emulator = None
        if self._started:
            self._started.close()
            self._started = None
        self.hang_up()
        self._line = ""

    @contextlib.contextmanager
    def aside(self, counting: bool = False) -> Iterator[Device]:
        """Another opening of an emulated device, one that counts instructions, beside which this one is closed."""
        self.close()
        with self._open(self.entry.url, counting) as device:
            device.require(self.detector)
            yield device

    def _again(self) -> Device:
        """Ports vanish and come back while a device restarts, or has been flashed."""
        deadline = time.monotonic() + RETURN_SECONDS
        while True:
            try:
                return self.device()
            except CyberHansError:
                self.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _open(self, url: str, counting: bool = False) -> Device:
        image = self.image if self.entry.emulated else None
        return open_device(url, image=image, counting=counting, log=self.log)

    def _url(self) -> str:
        if self.entry.start:
            self._started = Started(self.entry)
            return self._started.url
        if USB.fullmatch(self.entry.url):
            return self._usb_port()
        if self.store:
            return f"{self.entry.url},store={self.store}"
        return self.entry.url

    def _usb_port(self) -> str:
        """Where it is now: after a reset it may come back under another name."""
        for port in serial_ports():
            if f"{port.vid_pid}:{port.serial}".lower() == self.entry.url.lower():
                return port.url
        raise CyberHansError(f"device {self.entry.id}: no USB device {self.entry.url}; `cyberhans devices` lists them")

    def _flash(self) -> None:
        made = self.build
        assert made
        self._flashed.pop(self.entry.id, None)  # whatever it holds, if that fails
        files = {"elf": str(made.image), "hex": str(made.image.with_suffix(".hex"))}
        run_command(self.entry, self.entry.flash, files)
        self._flashed[self.entry.id] = self.detector.digest.hex()
