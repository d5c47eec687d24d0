"""Recorder: one capture under way, through unplugging and back, to a recording on disk."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from cyberhans import machine_file, sidecar
from cyberhans.capture.flow import Flow, State
from cyberhans.capture.intake import Block, Intake
from cyberhans.capture.plan import Wish, plan
from cyberhans.capture.sensor import ask_sensor, identity
from cyberhans.clock import LEAST, Rate, Stamps, rate, trend
from cyberhans.device import Device
from cyberhans.errors import CyberHansError
from cyberhans.exchange import Refused
from cyberhans.quality import assessed, earlier
from cyberhans.reason import Reason
from cyberhans.recording import RATE_TOLERANCE, Recording
from cyberhans.spool import Full, Spool

POLL_SECONDS = 0.01  # between two looks at the line: 1.6 kB at 160 kB/s
AGAIN_SECONDS = 0.5  # of one look for a device that went away
QUIET_SECONDS = 8.0  # that a device may answer, and send no samples, at the least: at 1 Hz it sends one a second
SLACK, SLACK_SECONDS = 1.25, 5.0  # a capture may take so many times its seconds, and so many more
ENDING_SECONDS = 2.0  # for a device to end when it is told
PAUSE_SECONDS = 0.1  # after a look that found one that cannot be opened yet
STRANGER_SECONDS = 2.0  # after one that found another device
CLOCK_TOLERANCE = RATE_TOLERANCE / 2  # of the device's clock against this computer's
FAR = 1.5  # times too fast or too slow: beyond it, per cent say little
RATE_KNOWN = RATE_TOLERANCE / 2  # how well it should be, to be compared with a Spec's

Again = Callable[[float], "Device | None"]  # seconds to look for it -> the same device, if it is there again


Piece = TypeVar("Piece", contravariant=True)  # Block, or Rows of lines


class View(Protocol[Piece]):
    """What shows a person how it goes: live.Live."""

    def add(self, piece: Piece, /) -> None:
        """Samples, as they come."""

    def tick(self) -> None:
        """Nothing has come."""

    def note(self, text: str, /) -> None:
        """What happens; "": nothing any more."""


class Recorder:
    """prepare(), run() and save(); close() in any case."""

    def __init__(self, wish: Wish, device: Device, again: Again | None, patience_s: float) -> None:
        self._wish, self._device, self._again, self._patience_s = wish, device, again, patience_s
        self._spool: Spool | None = None
        self._clock = Stamps()  # (s of the device's clock, s of this computer's)
        self._reasons: list[Reason] = []
        self._gone = ""  # why the device is not there
        self._ending: float | None = None  # until when it may, after it was told to end
        self._interrupted = False  # it was not there for a while

    def close(self) -> None:
        if not self._gone:
            self._device.leave()
        self._device.close()
        if self._spool:
            self._spool.discard()

    def prepare(self) -> Path:
        """Ask what the device can do, and make room; gives the path that the recording will have."""
        wish, info = self._wish, self._device.info
        self.sensor = ask_sensor(self._device)
        self._identity = identity(info, self.sensor)
        self.plan = plan(wish, self.sensor, info)
        self._intake = Intake(self.plan.channels, self.plan.rate_hz, info.tick_hz)
        self._flow = Flow(self._intake, self.plan)
        name = f"{wish.machine}-{wish.label}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        self._spool = Spool(wish.folder, name, self.plan.channels, self.plan.rate_hz)
        return self._spool.path

    def run(self, view: View[Block], stopped: Callable[[], bool]) -> None:
        """Until all is there, somebody stops it, or the device does not come back."""
        self._view, self._start = view, datetime.now(UTC)
        self._flow.begin(self._device)
        self._fresh = self._begun = time.monotonic()
        try:
            while self._flow.state is not State.DONE and not self._is_stuck():
                time.sleep(POLL_SECONDS)
                there = self._listen(stopped())
                if there and self._flow.state is State.ANOTHER:
                    there = self._begin_anew()
                if not there and not self._find_again(stopped):
                    self._ended(self._gone)
                    break
            self._flush()
        except Full as full:
            assert self._spool
            self._ended(str(full), self._spool.frames / self.plan.rate_hz)

    def _ended(self, why: str, seconds: float | None = None) -> None:
        after = self._seconds if seconds is None else seconds
        self._reasons.append(Reason(f"ended after {after:.1f} of {self._wish.seconds:g} s: {why}"))

    def _is_stuck(self) -> bool:
        """A device that answers, but sends no samples, or takes too long, is told to end; whether it does not do so.
        An emulator's time is not ours."""
        now = time.monotonic()
        silence, most = max(self._patience_s, QUIET_SECONDS), SLACK * self._wish.seconds + SLACK_SECONDS
        if self._ending is not None:
            return now > self._ending
        if now - self._fresh > silence:
            self._ended(f"it answers, but sends no samples for {silence:g} s; build and flash it again")
        elif now - self._begun > most and self._device.emulator is None:
            self._ended(f"its samples come too slowly: {now - self._begun:.0f} s have gone by; check the rate that its "
                        "sensor is set to")  # fmt: skip
        else:
            return False
        self._ending = now + ENDING_SECONDS
        with suppress(CyberHansError):
            self._flow.stop()
        return False

    def _listen(self, stopped: bool) -> bool:
        """One look at the line; False if the device is not there any more."""
        try:
            if stopped:
                self._flow.stop()
            self._hand_on(self._flow.poll())
        except Refused as refused:
            if not self._intake.received:
                raise
            self._gone, self._again = str(refused), None  # it came back as another one
        except Full:
            raise
        except CyberHansError as error:
            self._gone = str(error)
        if self._flow.state is State.SILENT:
            self._gone = f"{self._device.name} does not answer"
        return not self._gone

    def _flush(self) -> None:
        """Wait for nothing any more that is missing."""
        self._hand_on(self._intake.end(self._intake.next))

    def _hand_on(self, blocks: Sequence[Block]) -> None:
        assert self._spool
        for block in blocks:
            self._spool.add(block.samples)
            self._view.add(block)
            self._fresh = time.monotonic()
        self._view.tick()
        if blocks and not self._interrupted:  # what waited in the device meanwhile comes late
            self._clock.add(self._intake.stream.last[1] / self._intake.tick_hz, time.monotonic())

    def _find_again(self, stopped: Callable[[], bool]) -> bool:
        """Wait for a device that went away, and go on where it is; False if it does not come back."""
        self._device.close()
        self._interrupted = True
        if self._again is None:
            return False
        away = time.monotonic()
        self._view.note(f"{self._gone}; {self._seconds:.1f} s are kept; waiting up to {self._patience_s:g} s for it")
        while time.monotonic() < self._flow.last_heard + self._patience_s and not stopped():
            self._view.tick()
            if self._resumed(self._again, stopped):
                self._view.note("")
                away = time.monotonic() - away
                self._fresh, self._begun = self._fresh + away, self._begun + away
                return True
        return False

    def _resumed(self, again: Again, stopped: Callable[[], bool]) -> bool:
        """Whether the same device is there, and has been told to go on."""
        self._device.close()
        pause = PAUSE_SECONDS
        with suppress(CyberHansError):  # it is still starting, or going
            if (found := again(AGAIN_SECONDS)) is None:
                return False
            if self._is_same(found):
                self._device = found
                self._flow.resume(found)
                self._gone = ""
                return True
            pause = STRANGER_SECONDS
        self._wait(pause, stopped)
        return False

    def _is_same(self, found: Device) -> bool:
        """Else it is closed, and told: of another machine's samples none may get into this recording."""
        try:
            if identity(found.info, ask_sensor(found)) == self._identity:
                return True
        except CyberHansError:
            found.close()
            raise
        found.close()
        now, before = (f"{info.board}, serial {info.serial or '-'}" for info in (found.info, self._device.info))
        what = "has another sensor, or another scale," if now == before else f"is another device ({now})"
        self._gone = f"{found.name} {what} than the one that was captured ({before})"
        self._view.note(f"{self._gone}; {self._seconds:.1f} s are kept; still waiting for that one")
        return False

    def _wait(self, seconds: float, stopped: Callable[[], bool]) -> None:
        end = min(time.monotonic() + seconds, self._flow.last_heard + self._patience_s)
        while time.monotonic() < end and not stopped():
            self._view.tick()
            time.sleep(POLL_SECONDS)

    def _begin_anew(self) -> bool:
        """The device has forgotten the stream: how long it was away only this computer's clock tells."""
        self._flush()
        self._interrupted = True
        away_s = time.monotonic() - self._flow.last_heard
        base = self._intake.next + max(1, round(away_s * self.plan.rate_hz))  # something is missing, in any case
        if base >= self.plan.frames:
            self._hand_on(self._intake.end(self.plan.frames, counted=False))
            self._flow.state = State.DONE
            return True
        try:
            self._flow.begin(self._device, base)
        except CyberHansError as error:
            self._gone = str(error)
        return not self._gone

    @property
    def overruns(self) -> int:
        """Those of the lost samples that the device counted."""
        return min(self._intake.overruns, self._intake.lost)

    @property
    def _seconds(self) -> float:
        return self._intake.next / self.plan.rate_hz

    def save(self) -> Recording:
        """Publish it, with its quality. Raises CyberHansError where nothing was captured."""
        assert self._spool
        if not self._spool.frames:
            why = "; ".join([*self._reasons, *self._faults()]) or "it was ended before the first samples"
            raise CyberHansError(f"{self._device.name}: nothing was captured: {why}; check the device and repeat")
        made, text = _judged(self._recording(self._spool))
        self._spool.publish(text)
        with suppress(CyberHansError):  # a template, which the disk may have no room for
            machine_file.ensure(self._wish.folder)
        return made

    def _recording(self, spool: Spool) -> Recording:
        wish, info, sensor, nominal = self._wish, self._device.info, self.sensor, self.plan.rate_hz
        measured = self._rate() or Rate(nominal, 0.0, 0.0)
        gaps = tuple(gap for gap in self._intake.gaps if gap.at <= spool.frames)  # a full disk has not the last ones
        beyond = sum(gap.lost for gap in self._intake.gaps if gap.at > spool.frames)
        return Recording(
            sha256=spool.seal(), samples=spool.samples(), path=spool.path, rate_hz=measured.rate_hz,
            rate_nominal_hz=nominal, rate_uncertainty_hz=measured.uncertainty_hz,
            jitter_s=measured.jitter_s if measured.uncertainty_hz else None,
            machine=wish.machine, session=wish.session or f"{self._start:%Y-%m-%d}", label=wish.label, axes=wish.axes,
            unit=sensor.unit, scale=sensor.scale_numerator / sensor.scale_denominator, full_scale=sensor.full_scale,
            sensor=sensor.sensor, serial=info.serial, firmware=f"{info.board} {info.firmware}",
            detector_digest=info.detector.hex() if any(info.detector) else "",
            start_utc=self._start.isoformat(timespec="milliseconds"), speed_rpm=wish.speed_rpm, load=wish.load,
            notes=wish.notes, synthetic=wish.synthetic, lost_samples=self._intake.lost - beyond, gaps=gaps,
            reasons=(*self._reasons, *self._suspicions()),
        )  # fmt: skip

    def _rate(self) -> Rate | None:
        """By the stamps of the longest stream."""
        stamps = self._stamps
        found = rate(stamps.x, stamps.y, 1 / self._intake.tick_hz)
        return found if found and math.isfinite(found.rate_hz) and math.isfinite(found.uncertainty_hz) else None

    @property
    def _stamps(self) -> Stamps:
        return max((stream.stamps for stream in self._intake.streams), key=lambda one: one.span)

    def _suspicions(self) -> Iterator[Reason]:
        measured = self._rate()
        if measured is None and len(self._stamps) >= LEAST:
            yield Reason("the device's clock does not run: its time stamps tell no rate, rate_hz is the nominal one; "
                         "build and flash it again")  # fmt: skip
        elif measured is None:
            yield Reason("too short to measure its rate: rate_hz is the nominal one; record longer")
        elif measured.uncertainty_hz > RATE_KNOWN * measured.rate_hz:
            share = 100 * measured.uncertainty_hz / measured.rate_hz
            yield Reason(f"time stamps scatter: the rate is known within {share:.1f} % only; record longer")
        yield from self._faults()
        clock = trend(self._clock.x, self._clock.y)
        if clock and clock.slope > 0 and abs(clock.slope - 1) > CLOCK_TOLERANCE + clock.half_width:
            yield Reason(
                f"the device's clock {_compared(1 / clock.slope)} by this computer's: so far off may its rate be"
            )

    def _faults(self) -> Iterator[Reason]:
        for what, count in self._intake.faults.items():
            yield Reason(f"the device sent {count} {what}: build and flash it again")


def _compared(speed: float) -> str:
    """A clock with another one; speed: 1 is the same."""
    if not 1 / FAR < speed < FAR:
        return f"runs {max(speed, 1 / speed):.3g} times too {'fast' if speed > 1 else 'slowly'}"
    return f"is {100 * abs(speed - 1):.1f} % {'fast' if speed > 1 else 'slow'}"


def _judged(made: Recording) -> tuple[Recording, str]:
    """With its quality, and its sidecar's text. Whatever fails in judging it, the samples are kept, and it is told."""
    assert made.path
    clipped = sum(made.clipped)
    try:
        judged = assessed(made, earlier(made.path.parent, made))
        return judged, sidecar.pack(judged, clipped=clipped)
    except Exception as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        reason = Reason(f"its quality could not be judged ({why}): run `cyberhans inspect` on it, and report this")
        made = replace(made, reasons=(*made.reasons, reason))
        return made, sidecar.pack(made, clipped=clipped)
