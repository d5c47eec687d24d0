"""A log's requests once more, to a device."""

from __future__ import annotations

import time
from contextlib import suppress

from cyberhans.device import PATIENCE_SECONDS, Device
from cyberhans.errors import CyberHansError
from cyberhans.exchange import FIRST_EVENT
from cyberhans.identity import SHAPE, short
from cyberhans.messages import REPLY, Info, Request
from cyberhans.packet_log import type_name
from cyberhans.protocol import Packet
from cyberhans.replay.step import Step, answers

IDENTITY = ("arithmetic", "interface", "spec", "model", "detector", *SHAPE, "flags", "status")  # of INFO
OF_PORT = ("opened", "closed", "vanished")  # which befall a port; all else befalls the device


class OnDevice:
    """An opened device, in run mode to begin with."""

    def __init__(self, device: Device) -> None:
        self._device = device
        with suppress(CyberHansError):  # without a detector it refuses, and is in run mode all the same
            device.run()

    @property
    def name(self) -> str:
        return self._device.name

    @property
    def missed_events(self) -> int:
        return self._device.missed_events

    def take(self, step: Step) -> tuple[Packet | None, list[Packet]]:
        """The answer to a step's request, and the events before it.

        Raises CyberHansError: none in time, a longer packet than it takes, another detector than the log's device had.
        """
        request, events = step.request, list[Packet]()
        if step.happening and step.happening.name not in OF_PORT:
            self._device.run()  # so a device begins
        if request is None:
            return None, events
        if step.answer and step.answer.type == Request.INFO | REPLY:
            self._require(Info.unpack(step.answer.body))
        if len(request.body) > self._device.info.body_max:
            raise CyberHansError(f"{self.name}: takes {self._device.info.body_max} bytes a packet, line {step.line} of "
                                 f"the log has {len(request.body)}: replay it on a board like its own")  # fmt: skip
        sent = Packet(request.type, self._device.send(request.type, request.body), request.body)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while packet := self._device.take(deadline):
            if packet.type >= FIRST_EVENT:
                events.append(packet)
            elif answers(packet, sent):
                return packet, events
        raise CyberHansError(f"{self.name}: no answer to {type_name(request.type)}, line {step.line} of the log; check "
                             "the line, restart the device and repeat")  # fmt: skip

    def _require(self, logged: Info) -> None:
        for name in IDENTITY:
            found, expected = getattr(self._device.info, name), getattr(logged, name)
            if found != expected:
                raise CyberHansError(f"{self.name} holds another detector than the log's device: {name} {short(found)} "
                                     f"differs from {short(expected)}; build and flash that one")  # fmt: skip
