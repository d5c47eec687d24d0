"""A known source of samples: a board that plays it, a plug that can be pulled, and what a recording of it must be."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import serial
from numpy.typing import NDArray

from cyberhans.blank import blank_image
from cyberhans.emulator import Emulator
from cyberhans.player import start
from cyberhans.recording import Recording, load_recording, save_recording

FRAMES = 65_521  # of the source, a prime: no mistake of a round number of frames goes unseen
Samples = NDArray[np.int16]


def source(folder: Path, rate_hz: float, channels: int = 3, frames: int = FRAMES) -> Path:
    """A WAV to be played, of noise."""
    samples = np.random.default_rng(channels).integers(-20_000, 20_000, (frames, channels), np.int16)
    made = Recording(samples, rate_hz, machine="source", unit="g", scale=1 / 2048, full_scale=32_000)
    return save_recording(made, folder / f"source-{rate_hz:g}-{channels}.wav").path or folder


def playing(path: Path, **settings: object) -> Emulator:
    """The native board, playing a WAV over and over; as board:native,play=..., but for whom its pty is enough."""
    stated = "".join(f",{key}={value}" for key, value in settings.items())
    return start(f"native,play={path}{stated}", blank_image("native"))


def places(recording: Recording) -> NDArray[np.int64]:
    """The number of each frame of a recording, from the first that was sampled: gaps counted."""
    before = recording.lost_samples - sum(gap.lost for gap in recording.gaps)
    number = np.arange(recording.frames) + before
    for gap in recording.gaps:
        number[gap.at :] += gap.lost
    return number


def wrong(path: str | Path, played: Path, first: int = 0) -> int:
    """How many samples of a recording on disk differ from the source's frame at their place."""
    recording, true = load_recording(path), load_recording(played).samples
    expected = true[(places(recording) + first) % len(true), : recording.channels]
    return int(np.count_nonzero(recording.samples != expected))


class Plug:
    """A socket in front of a device's pty that can be pulled out and pushed in again; `url` stays. Made by plug()."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._server: socket.socket | None = socket.create_server(("127.0.0.1", 0))
        self._address = self._server.getsockname()
        self.url = f"socket://127.0.0.1:{self._address[1]}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def pull(self) -> None:
        server, self._server = self._server, None
        if server:
            server.close()

    def push(self, device: str | None = None) -> None:
        """In again; into another device, if one is given."""
        self.device = device or self.device
        self._server = socket.create_server(self._address)

    def end(self) -> None:
        self._ended.set()
        self._thread.join(5)
        self.pull()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while not self._ended.is_set():
            server = self._server
            if server is None:
                time.sleep(0.01)
                continue
            with contextlib.suppress(OSError):
                server.settimeout(0.05)
                link, _ = server.accept()
                with link, serial.serial_for_url(self.device, timeout=0) as port:
                    self._pass_on(link, port)

    def _pass_on(self, link: socket.socket, port: serial.SerialBase) -> None:
        while self._server and not self._ended.is_set():
            data = None
            link.settimeout(0.002)
            with contextlib.suppress(TimeoutError):
                data = link.recv(4096)
            if data == b"":
                return
            port.write(data or b"")
            link.settimeout(5)
            link.sendall(port.read(1 << 16))


@contextlib.contextmanager
def plug(device: str) -> Iterator[Plug]:
    made = Plug(device)
    try:
        yield made
    finally:
        made.end()
