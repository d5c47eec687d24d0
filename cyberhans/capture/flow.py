"""Flow: the samples of a capture from a device, under credits: asks, asks again, and tells when nobody answers."""

from __future__ import annotations

import enum
import secrets
import time

from cyberhans.capture.intake import HOLD_SECONDS, Block, Intake
from cyberhans.capture.plan import Plan
from cyberhans.device import Device
from cyberhans.errors import CyberHansError
from cyberhans.exchange import Refused
from cyberhans.messages import NAK, REPLY, Capture, Capturing, Credit, Event, Nak, Request
from cyberhans.protocol import Packet

AGAIN_SECONDS = 0.3  # for a reply, before the question is sent again
QUIET_SECONDS = 0.5  # without a packet, before the device is asked how far it is
ANSWERS = (Request.CAPTURE | REPLY, Request.CREDIT | REPLY, NAK)
PATIENCE = 16  # questions without any answer: about 5 s


class State(enum.Enum):
    """Of a flow. SILENT: nobody answers. ANOTHER: the device has begun anew, and knows nothing of this stream."""

    RUNNING = enum.auto()
    DONE = enum.auto()
    SILENT = enum.auto()
    ANOTHER = enum.auto()


class Flow:
    """Begin it on a device, then poll() until it is not RUNNING any more; resume() where the device was away."""

    def __init__(self, intake: Intake, plan: Plan) -> None:
        self.state = State.RUNNING
        self.last_heard = time.monotonic()  # of the last DATA; before there is any, of the beginning
        self._intake, self._plan, self._end = intake, plan, plan.frames
        self._device: Device | None = None
        self._stopping = self._confirmed = False
        self._questions: dict[int, int] = {}  # numbers of those about this stream, and the credit that each gave
        self._credited = 0  # what the device has certainly got of it
        self._unanswered = 0
        self._asked = self._heard = 0.0
        self._overruns = 0  # as the device told last, unless it is to be ended early
        self._sent_all: float | None = None  # since when the device is known to have sent all up to the end

    def begin(self, device: Device, base: int = 0) -> None:
        """Let it sample what is left of the plan from frame `base` on, as a new stream."""
        self._intake.begin(secrets.randbits(32), base)
        self._intake.grant(min(base + self._plan.flight, self._end))
        self._confirmed, self._sent_all, self._overruns = False, None, 0
        self.resume(device)

    def resume(self, device: Device) -> None:
        """The device is back: if it still runs this stream, go on with it."""
        self._device, self.state = device, State.RUNNING
        self._questions.clear()
        self._credited = 0
        self._unanswered, self._heard = 0, time.monotonic()
        self._ask(self._heard)

    def stop(self) -> None:
        """Let it end with what the device has sent when this question reaches it."""
        if not self._stopping:
            self._stopping = True
            self._ask(time.monotonic())

    def poll(self) -> list[Block]:
        """One round: take what has come, ask what is to be asked; never waits. Raises Refused, or CyberHansError where
        the device went away."""
        assert self._device
        packets, now = self._device.arrived(), time.monotonic()
        for packet in packets:
            self._hear(packet, now)
        if self.state is State.RUNNING:
            self._keep_going(now)
        return [*self._intake.take(now), *self._ending(now)]

    def _hear(self, packet: Packet, now: float) -> None:
        if packet.type == Event.DATA and self._intake.add(packet.body, now):
            self._confirmed, self.last_heard = True, now
        elif packet.type in ANSWERS and packet.seq in self._questions:
            self._answered(packet, now)
        else:
            return
        self._heard, self._unanswered = now, 0

    def _answered(self, packet: Packet, now: float) -> None:
        try:
            answer = (Nak if packet.type == NAK else Capturing).unpack(packet.body)
        except CyberHansError:  # it is there, whatever it means
            self._intake.faults["replies of a wrong length"] += 1
            return
        if isinstance(answer, Nak):
            self._refused(answer)
        else:
            self._credited = max(self._credited, self._questions[packet.seq])
            self._told(answer, now)

    def _told(self, capturing: Capturing, now: float) -> None:
        intake = self._intake
        if capturing.stream != intake.stream.number:
            self.state = State.ANOTHER
            return
        self._confirmed, self._overruns = True, 0 if self._stopping else capturing.overruns
        sent = intake.index_of(capturing.next)
        intake.seen = max(intake.seen, sent)
        if self._stopping:
            self._end = min(self._end, max(sent, intake.next))
        if sent >= self._end and self._sent_all is None:
            self._sent_all = now

    def _refused(self, nak: Nak) -> None:
        if nak.request == Request.CAPTURE:
            assert self._device
            raise Refused(self._device.name, nak)
        self.state = State.ANOTHER

    def _keep_going(self, now: float) -> None:
        """New credit when half of it is used; else a question where an answer is missing, or all is quiet. That samples
        come does not show that a credit did not get lost; only its reply does."""
        intake = self._intake
        if not self._stopping and intake.granted < min(self._end, intake.seen + self._plan.flight // 2):
            intake.grant(min(self._end, intake.seen + self._plan.flight))
            self._ask(now)
        elif self._unanswered or self._credited < intake.granted:
            if now - self._asked > AGAIN_SECONDS:
                self._ask(now)
        elif now - max(self._asked, self._heard) > QUIET_SECONDS:
            self._ask(now)
        if self._unanswered > PATIENCE:
            self.state = State.SILENT

    def _ask(self, now: float) -> None:
        """CREDIT, which gives what is granted, and is a question too; before the stream is known to run, CAPTURE."""
        intake, plan = self._intake, self._plan
        assert self._device
        stream, until = intake.stream, intake.on_wire(intake.granted)
        if self._confirmed:
            seq = self._device.send(Request.CREDIT, Credit(stream.number, until).pack())
        else:
            wanted = Capture(stream.number, plan.rate_mhz, self._end - stream.base, until, plan.channels, 0, 0)
            seq = self._device.send(Request.CAPTURE, wanted.pack())
        self._questions[seq] = intake.granted
        self._asked, self._unanswered = now, self._unanswered + 1

    def _ending(self, now: float) -> list[Block]:
        """What is missing after all has been sent is lost, unless it comes in a moment."""
        waited = self._sent_all is not None and now > self._sent_all + HOLD_SECONDS
        if self.state is not State.RUNNING or not (waited or self._intake.next >= self._end):
            return []
        self.state = State.DONE
        blocks = self._intake.end(self._end)
        self._intake.count_overruns(self._overruns)
        return blocks
