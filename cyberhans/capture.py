"""Capture: a machine's samples from a device to a recording that says what it is worth."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from cyberhans import sidecar
from cyberhans.clock import Rate, Stamps, rate, trend
from cyberhans.device import Device
from cyberhans.errors import CyberHansError
from cyberhans.exchange import Refused
from cyberhans.flow import Flow, State
from cyberhans.intake import Block, Intake
from cyberhans.messages import Request, Sensor
from cyberhans.plan import Plan, plan
from cyberhans.recording import LABELS, Reason, Recording, check
from cyberhans.spool import Spool

POLL_SECONDS = 0.01  # between two looks at the line: 1.6 kB at 160 kB/s
AGAIN_SECONDS = 0.5  # of one look for a device that went away
CLOCK_TOLERANCE = 0.005  # of the device's clock against this computer's: half of what a Spec tolerates of the rate
NAME = re.compile(r"\w(?:[\w .+-]{0,98}\w)?")  # of a machine: a folder's name on any system

Open = Callable[[], Device]
Again = Callable[[float], "Device | None"]  # seconds to look for it → the same device, if it is there again


class View(Protocol):
    """What shows a person the samples as they come."""

    def add(self, block: Block) -> None: ...


@dataclass(frozen=True)
class Wish:
    """What is to be captured, and what is known about it. channels, rate_hz: None for what the sensor has by itself."""

    machine: str
    label: str
    seconds: float
    out: Path
    channels: int | None = None
    rate_hz: float | None = None
    axes: tuple[str, ...] = ()
    speed_rpm: float | None = None
    load: str = ""
    notes: str = ""
    session: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.machine):
            raise CyberHansError(f"--machine {self.machine!r}: it names a folder; use letters, digits, spaces and - _ . "
                                 "+, and begin and end with a letter or digit")  # fmt: skip
        if self.label not in LABELS:
            raise CyberHansError(f"--label {self.label!r}: choose {', '.join(LABELS)}")


@dataclass(frozen=True, eq=False)
class Captured:
    """A recording on disk, why it is not better than it is, and how it came about."""

    recording: Recording
    reasons: Sequence[Reason]
    overruns: int  # those of the lost samples that the device counted itself; the line lost the others

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        one = self.recording
        return {
            "file": str(one.path), "samples": one.frames, "duration_s": one.duration_s, "rate_hz": one.rate_hz,
            "rate_uncertainty": one.rate_uncertainty_hz, "rate_nominal_hz": one.rate_nominal_hz,
            "jitter_s": one.jitter_s, "lost_samples": one.lost_samples, "lost_by_device": self.overruns,
            "gaps": [asdict(gap) for gap in one.gaps], "clipped_samples": sum(one.clipped),
            "quality": _grade(self.reasons), "reasons": list(self.reasons),
        }  # fmt: skip


def capture(
    wish: Wish, open_device: Open, again: Again | None = None, *,
    view: Callable[[Plan, Sensor], View] | None = None, note: Callable[[str], None] = print, patience_s: float = 60.0,
) -> Captured:  # fmt: skip
    """Record what `wish` asks for into `out`/MACHINE/MACHINE-LABEL-UTC.wav, with its sidecar.

    again: finds a device that went away; it is waited for up to `patience_s` seconds, and the gap is marked. view: made
    when the capture begins. note: told in a line what happens. Ctrl-C, SIGTERM and SIGHUP end it and keep what was
    captured; a second one leaves nothing.
    Raises CyberHansError: no device, an impossible wish, nothing captured, a folder that cannot be written.
    """
    with _stopping() as stopped, contextlib.closing(_Session(wish, open_device(), again, note, patience_s)) as session:
        session.begin(view)
        session.run(stopped)
        return session.save()


class _Session:
    """One capture under way."""

    def __init__(self, wish: Wish, device: Device, again: Again | None, note: Callable[[str], None], patience: float):
        self._wish, self._device, self._again, self._note, self._patience = wish, device, again, note, patience
        self._spool: Spool | None = None
        self._clock = Stamps()  # (s of the device's clock, s of this computer's)
        self._told: list[Reason] = []

    def close(self) -> None:
        self._device.leave()
        self._device.close()
        if self._spool:
            self._spool.discard()

    def begin(self, view: Callable[[Plan, Sensor], View] | None) -> None:
        wish, info = self._wish, self._device.info
        self._sensor = _ask_sensor(self._device)
        self._plan = plan(self._sensor, info, wish.seconds, wish.channels, wish.rate_hz)
        if wish.axes and len(wish.axes) != self._plan.channels:
            raise CyberHansError(f"--axes names {len(wish.axes)} of {self._plan.channels} channels; name each, or none")
        self._intake = Intake(self._plan.channels, self._plan.rate_hz, info.tick_hz)
        self._flow = Flow(self._intake, self._plan)
        self._view = view(self._plan, self._sensor) if view else None
        now = datetime.now(UTC)
        name = f"{wish.machine}-{wish.label}-{now:%Y%m%dT%H%M%SZ}"
        self._spool = Spool(wish.out / wish.machine, name, self._plan.channels, self._plan.rate_hz)
        self._start = datetime.now(UTC)
        self._flow.begin(self._device)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Until all is there, somebody stops it, or the device does not come back."""
        while self._flow.state is not State.DONE:
            time.sleep(POLL_SECONDS)
            there = self._listen(stopped())
            if self._flow.state is State.ANOTHER:
                there = self._begin_anew()
            if not there and not self._find_again(stopped):
                break
        self._hand_on(self._intake.end(self._intake.next))

    def _listen(self, stopped: bool) -> bool:
        """One look at the line; False if the device is not there any more."""
        try:
            if stopped:
                self._flow.stop()
            self._hand_on(self._flow.poll())
        except Refused:
            raise
        except CyberHansError as error:
            self._gone = str(error)
            return False
        self._gone = f"{self._device.name} does not answer"
        return self._flow.state is not State.SILENT

    def _hand_on(self, blocks: Sequence[Block]) -> None:
        assert self._spool
        for block in blocks:
            self._spool.add(block.samples)
            if self._view:
                self._view.add(block)
        if blocks:
            self._clock.add(self._intake.stream.last[1] / self._intake.tick_hz, time.monotonic())

    def _find_again(self, stopped: Callable[[], bool]) -> bool:
        """Wait for a device that went away, and go on where it is; False if it does not come back."""
        self._device.close()
        if self._again is None:
            self._tell(f"ended after {self._seconds():.1f} s: {self._gone}")
            return False
        self._note(f"{self._gone}; {self._seconds():.1f} s are kept; waiting up to {self._patience:g} s for it")
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline and not stopped():
            if device := self._same_again():
                self._note(f"{device.name} is back")
                self._device = device
                self._flow.resume(device)
                return True
        self._tell(f"ended after {self._seconds():.1f} s: {self._gone}")
        return False

    def _same_again(self) -> Device | None:
        assert self._again
        try:
            found = self._again(AGAIN_SECONDS)
        except CyberHansError:
            return None  # it is still starting, or just going
        before = self._device.info
        if found and (found.info.board, found.info.serial) != (before.board, before.serial):
            found.close()
            return None
        return found

    def _begin_anew(self) -> bool:
        """The device has forgotten the stream: how long it was away only this computer's clock tells."""
        away = time.monotonic() - self._flow.last_heard if self._flow.last_heard else 0.0
        base = self._intake.next + max(0, round(away * self._plan.rate_hz))
        self._clock = Stamps()
        if base >= self._plan.frames:
            self._hand_on(self._intake.end(self._plan.frames, counted=False))
            self._flow.state = State.DONE
            return True
        self._note(f"{self._device.name} began anew: {base - self._intake.next} samples are missing by the clock")
        try:
            self._flow.begin(self._device, base)
        except CyberHansError as error:
            self._gone = str(error)
            return False
        return True

    def _seconds(self) -> float:
        return self._intake.next / self._plan.rate_hz

    def _tell(self, text: str) -> None:
        self._told.append(Reason(text))

    def save(self) -> Captured:
        assert self._spool
        if not self._spool.frames:
            why = self._told[0] if self._told else "it was ended before the first samples"
            raise CyberHansError(f"{self._device.name}: nothing was captured: {why}; check the device and repeat")
        recording = self._recording(self._spool)
        reasons = [*check(recording), *self._told, *self._suspicions()]
        text = sidecar.pack(recording, clipped=sum(recording.clipped), quality=reasons)
        self._spool.publish(text)
        return Captured(recording, reasons, self._intake.overruns)

    def _recording(self, spool: Spool) -> Recording:
        wish, info, sensor, nominal = self._wish, self._device.info, self._sensor, self._plan.rate_hz
        measured = self._rate() or Rate(nominal, 0.0, 0.0)
        return Recording(
            sha256=spool.seal(), samples=spool.samples(), path=spool.path, rate_hz=measured.rate_hz,
            rate_nominal_hz=nominal, rate_uncertainty_hz=measured.uncertainty_hz,
            jitter_s=measured.jitter_s if measured.uncertainty_hz else None,
            machine=wish.machine, session=wish.session or f"{self._start:%Y-%m-%d}", label=wish.label, axes=wish.axes,
            unit=sensor.unit, scale=sensor.scale_numerator / sensor.scale_denominator, full_scale=sensor.full_scale,
            sensor=sensor.sensor, serial=info.serial, detector_digest=info.detector.hex() if any(info.detector) else "",
            start_utc=self._start.isoformat(timespec="milliseconds"), speed_rpm=wish.speed_rpm, load=wish.load,
            notes=wish.notes, lost_samples=self._intake.lost, gaps=tuple(self._intake.gaps),
        )  # fmt: skip

    def _rate(self) -> Rate | None:
        """By the stamps of the longest stream."""
        stamps = max((stream.stamps for stream in self._intake.streams), key=lambda one: one.span)
        return rate(stamps.x, stamps.y, 1 / self._intake.tick_hz)

    def _suspicions(self) -> Iterator[Reason]:
        if self._rate() is None:
            yield Reason("too short to measure its rate: rate_hz is the nominal one")
        for what, count in self._intake.faults.items():
            yield Reason(f"the device sent {count} {what}: build and flash it again")
        clock = trend(self._clock.x, self._clock.y)
        if clock and abs(clock.slope - 1) > CLOCK_TOLERANCE + clock.half_width:
            off = 100 * (1 / clock.slope - 1)
            yield Reason(f"by this computer's clock the device's is {abs(off):.1f} % {'fast' if off > 0 else 'slow'}: so "
                         "far off may its rate be")  # fmt: skip


def _ask_sensor(device: Device) -> Sensor:
    sensor = Sensor.unpack(device.request(Request.SENSOR))
    for name in ("rate_mhz", "least_mhz", "scale_numerator", "scale_denominator", "full_scale", "channels"):
        if not getattr(sensor, name):
            raise CyberHansError(f"{device.name}: the device sent a SENSOR with {name} 0; build and flash it again")
    return sensor


def _grade(reasons: Sequence[Reason]) -> str:
    return "failed" if any(reason.fatal for reason in reasons) else "warning" if reasons else "good"


@contextlib.contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Within it the first SIGINT, SIGTERM or SIGHUP is only noted; the second one interrupts."""
    asked: list[int] = []

    def note(number: int, _: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        names = []  # signals are the main thread's
    before = {getattr(signal, name): signal.signal(getattr(signal, name), note) for name in names}
    try:
        yield lambda: bool(asked)
    finally:
        for number, old in before.items():
            signal.signal(number, old)
