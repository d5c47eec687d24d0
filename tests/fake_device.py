"""A device made of Python behind a socket, that says whatever a test wants it to say."""

from __future__ import annotations

import dataclasses
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from cyberhans.detector import Detector
from cyberhans.messages import PROTOCOL_VERSION, REPLY, Info, Request, Start, Taken, Verdict
from cyberhans.protocol import Decoder, Packet
from cyberhans.spec import ARITHMETIC_VERSION
from cyberhans.tables import INTERFACE_VERSION

Answers = Callable[[Packet], Iterable[Packet]]


def info_of(detector: Detector, **changes: object) -> Info:
    """What an honest device with this detector says of itself, with changes."""
    spec = detector.spec
    honest = Info(
        protocol=PROTOCOL_VERSION, arithmetic=ARITHMETIC_VERSION, interface=INTERFACE_VERSION, body_max=256, credits=2,
        features=spec.features, status=0, flags=detector.flags, channels=spec.channels, mode=0, state=1, storage=0,
        spec=spec.digest, model=detector.model.digest, detector=detector.digest, firmware="0", board="fake",
        serial="0", revision=0, rate_mhz=spec.rate_mhz, window=spec.window, hop=spec.hop, tick_hz=1, lost=0, broken=0,
    )  # fmt: skip
    return dataclasses.replace(honest, **changes)  # type: ignore[arg-type]


def replying(info: Info, on_samples: Answers) -> Answers:
    """INFO and START as they should be; for SAMPLES and FILE what the test wants."""

    def answer(packet: Packet) -> Iterable[Packet]:
        if packet.type in (Request.SAMPLES, Request.FILE):
            return on_samples(packet)
        if packet.type == Request.INFO:
            body = info.pack()
        else:
            body = Taken(Start.unpack(packet.body).window * info.hop % 2**32, 0, 2, 0).pack()
        return [Packet(packet.type | REPLY, packet.seq, body)]

    return answer


def verdict(window: int, first: int, channels: int, tail: bytes) -> bytes:
    return Verdict(window, first, 0, 0, 0, 0, channels, 1, 0, 0, 0, 0, 0, tail=tail).pack()


def event(seq: int, kind: int, body: bytes) -> Packet:
    return Packet(kind, seq % 256, body)


@contextmanager
def fake_device(answers: Answers) -> Iterator[str]:
    """Its URL; for each packet it sends all that `answers` gives, which may have no end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server, answers), daemon=True)
        thread.start()
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"
    thread.join(5)


def _serve(server: socket.socket, answers: Answers) -> None:
    decoder = Decoder()
    try:
        link, _ = server.accept()
        with link:
            while data := link.recv(4096):
                for packet in decoder.feed(data):
                    for answer in answers(packet):
                        link.sendall(answer.encode())
    except OSError:
        return  # the other end has gone
