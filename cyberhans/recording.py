"""Recording: int16 samples of one machine with what is known about them; an int16 WAV plus a JSON sidecar on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from cyberhans import sidecar, wav
from cyberhans.draft import Draft, draft_of
from cyberhans.errors import CyberHansError
from cyberhans.profile import Profile
from cyberhans.ranges import RANGES, outside, writable
from cyberhans.reason import Reason, grade
from cyberhans.spec import Spec

LABELS = ("normal", "anomaly", "unknown")
RATE_TOLERANCE = 0.01  # a Spec made for one rate still fits a sensor whose clock is 1 % off
CLIPPED_WARN, CLIPPED_REFUSE = 0.01, 0.5  # shares of samples at full scale
SECONDS_PRECISION = 0.001  # times of parts are written to the millisecond


@dataclass(frozen=True)
class Gap:
    """Sample frames that are missing just before sample frame `at` of a recording (1 to frames; frames: at its end).

    counted: the device numbered them; otherwise `lost` is an estimate, from a clock.
    """

    at: int
    lost: int
    counted: bool = True


@dataclass(frozen=True, eq=False)
class Recording:
    """What one sensor said about one machine. value in `unit` = sample * scale + offset.

    samples      int16 (n, channels), C-contiguous, n >= 1
    rate_hz      measured sample frames per second
    rate_nominal_hz  what the sensor was set to; 0: rate_hz in whole Hz, or rate_hz where that is more than 1 % off
    segment_len  sample frames that follow one another without a gap; 0 means all of them. The last may be shorter
    label        "normal", "anomaly" or "unknown"
    full_scale   magnitude of a sample (in LSB, 1 to 32767) at which the sensor saturates
    axes         one name per channel (default c0, c1, ...)
    load         in the user's own words ("4000 N", "low"); speed_rpm of the shaft, None if unknown
    lost_samples sample frames that the sensor or the link dropped; those between samples are in `gaps`
    gaps         where sample frames are missing, in the order of `at`; no window crosses one
    rate_uncertainty_hz  of rate_hz: half the width of its 95 % interval; 0: it was not measured
    jitter_s     how far device time stamps scatter about an even rate, root of the mean square; None: unknown
    firmware     board and version of what ran on the node; firmware_digest of its image, if that is known
    sha256       of the WAV file, in hex; "" before it is saved
    first_frame  where a part begins in its file, in sample frames
    segment_period_s  from the beginning of a segment to that of the next; 0: unknown, or no time is between them
    reasons      against it, as they were told when it was made (quality.assess), fatal ones first
    profile      figures that later recordings of the machine are compared with; None: it was never assessed
    """

    samples: NDArray[np.int16]
    rate_hz: float
    segment_len: int = 0
    machine: str = ""
    session: str = ""
    label: str = "unknown"
    unit: str = "full-scale"
    scale: float = 1 / 32768
    offset: float = 0.0
    full_scale: int = 32767
    axes: tuple[str, ...] = ()
    path: Path | None = None
    rate_nominal_hz: float = 0.0
    sensor: str = ""
    serial: str = ""
    firmware: str = ""
    firmware_digest: str = ""
    detector_digest: str = ""
    start_utc: str = ""
    speed_rpm: float | None = None
    load: str = ""
    lost_samples: int = 0
    synthetic: bool = False
    sha256: str = ""
    notes: str = ""
    first_frame: int = 0
    segment_period_s: float = 0.0
    gaps: tuple[Gap, ...] = ()
    rate_uncertainty_hz: float = 0.0
    jitter_s: float | None = None
    reasons: tuple[Reason, ...] = ()
    profile: Profile | None = None

    def __post_init__(self) -> None:
        if self.samples.dtype != np.int16 or self.samples.ndim != 2 or not self.samples.flags.c_contiguous:
            raise CyberHansError(f"{self.name}: samples must be a C-contiguous int16 array (frames, channels)")
        if self.samples.size == 0:
            raise CyberHansError(f"{self.name}: holds no samples; record again")
        if self.label not in LABELS:
            raise CyberHansError(f"{self.name}: label {self.label!r}: choose {', '.join(LABELS)}")
        if not 1 <= self.full_scale <= 32767:
            raise CyberHansError(f"{self.name}: full_scale {self.full_scale}: must be 1 to 32767 (LSB)")
        if self.axes and len(self.axes) != self.channels:
            raise CyberHansError(f"{self.name}: {len(self.axes)} axes named for {self.channels} channels")
        self._check_gaps()
        self._default("axes", tuple(f"c{c}" for c in range(self.channels)))
        self._check_range("rate_hz")
        whole = float(header_hz(self.rate_hz))
        self._default("rate_nominal_hz", whole if abs(self.rate_hz / whole - 1) <= RATE_TOLERANCE else self.rate_hz)
        object.__setattr__(self, "segment_len", min(self.segment_len or self.frames, self.frames))
        self._check_stated()

    def _default(self, field: str, value: object) -> None:
        if not getattr(self, field):
            object.__setattr__(self, field, value)

    def _check_stated(self) -> None:
        for name in RANGES:
            self._check_range(name)
        texts = [(name, getattr(self, name)) for name in sidecar.TEXTS] + [("axes", axis) for axis in self.axes]
        for name, text in texts:
            if not writable(text):
                raise CyberHansError(f"{self.name}: {name} {text!a} is no text that UTF-8 holds; write it anew")

    def _check_range(self, name: str) -> None:
        value = getattr(self, name)
        if value is not None and (fault := outside(name, value)):
            raise CyberHansError(f"{self.name}: {name} {value:g}: {fault}")

    def _check_gaps(self) -> None:
        places = [gap.at for gap in self.gaps]
        if sorted(set(places)) != places or any(not 1 <= gap.at <= self.frames or gap.lost < 1 for gap in self.gaps):
            raise CyberHansError(f"{self.name}: gaps must lie one after another, at frames 1 to {self.frames}, and each"
                                 " must have lost a frame or more")  # fmt: skip
        if sum(gap.lost for gap in self.gaps) > self.lost_samples:
            raise CyberHansError(f"{self.name}: lost_samples {self.lost_samples} is less than its gaps have lost")

    @property
    def name(self) -> str:
        """For messages: the file's name, or machine and session."""
        return self.path.name if self.path else f"recording {self.machine} {self.session}".strip()

    @property
    def frames(self) -> int:
        """Sample frames: samples per channel."""
        return len(self.samples)

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        return self.frames / self.rate_hz

    @property
    def clipped(self) -> tuple[int, ...]:
        """How many samples of each channel are at full scale."""
        extreme = (self.samples >= self.full_scale) | (self.samples <= -self.full_scale)
        return tuple(int(count) for count in extreme.sum(axis=0))

    @property
    def quality(self) -> str:
        """ "good", "warning" or "failed": what `reasons` add up to."""
        return grade(self.reasons)

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """First frame and end of each run of samples that follow one another: no segment border and no gap inside."""
        borders = {*range(0, self.frames, self.segment_len), *(gap.at for gap in self.gaps), self.frames}
        return list(itertools.pairwise(sorted(borders)))

    def windows(self, spec: Spec) -> NDArray[np.int16]:
        """All whole windows, int16 (k, spec.window, channels), at multiples of spec.hop inside each stretch."""
        if self.channels != spec.channels:
            raise CyberHansError(f"{self.name}: has {self.channels} channels, but the Spec is for {spec.channels}")
        if abs(self.rate_hz / spec.rate_hz - 1) > RATE_TOLERANCE:
            raise CyberHansError(
                f"{self.name}: sampled at {self.rate_hz:g} Hz, but the Spec is for {spec.rate_hz:g} Hz, more than 1 %"
                " away; resample it, or train with its rate"
            )
        starts = self.starts(spec)
        if not starts:
            raise self._too_short(spec)
        return sliding_window_view(self.samples, (spec.window, self.channels))[:, 0][starts]

    def starts(self, spec: Spec) -> list[int]:
        """The first frame of each of its windows()."""
        return [start for begin, end in self.stretches for start in range(begin, end - spec.window + 1, spec.hop)]

    def clock_s(self, frame: int) -> float:
        """Seconds on the clock from the recording's beginning to that frame, pauses between segments included."""
        segment = min(frame, self.frames - 1) // self.segment_len
        period = max(self.segment_period_s, self.segment_len / self.rate_hz)
        return segment * period + (frame - segment * self.segment_len) / self.rate_hz

    def _too_short(self, spec: Spec) -> CyberHansError:
        what = "" if self.segment_len == self.frames else "segments of "
        longest = max(end - begin for begin, end in self.stretches)
        return CyberHansError(
            f"{self.name}: {what}{longest / self.rate_hz:.3g} s is shorter than the window of"
            f" {spec.window / spec.rate_hz:.3g} s ({spec.window} samples); record at least that long without a gap"
        )

    def part(self, start_s: float, end_s: float) -> Recording:
        """The samples from start_s to end_s (seconds in this recording), a view; whole segments if there are several.

        Times are taken to the millisecond: a segment border within 1 ms of start_s or end_s counts as met.
        """
        if not 0 <= start_s < end_s:
            raise CyberHansError(f"{self.name}: part from {start_s:g} to {end_s:g} s; give 0 <= start < end")
        start, end = round(start_s * self.rate_hz), min(round(end_s * self.rate_hz), self.frames)
        if self.segment_len < self.frames:
            slack = min(SECONDS_PRECISION * self.rate_hz, self.segment_len / 2)
            start = math.ceil((start_s * self.rate_hz - slack) / self.segment_len) * self.segment_len
            whole = math.floor((end_s * self.rate_hz + slack) / self.segment_len) * self.segment_len
            end = self.frames if end == self.frames else min(whole, self.frames)
        start = max(0, start)
        if start >= end:
            raise CyberHansError(
                f"{self.name}: no {'samples' if self.segment_len == self.frames else 'whole segment'} between"
                f" {start_s:g} and {end_s:g} s; it lasts {self.duration_s:.3f} s"
            )
        cut, first = self.samples[start:end], self.first_frame + start
        gaps, lost = self._gaps_between(start, end)
        return dataclasses.replace(
            self, samples=cut, segment_len=min(self.segment_len, len(cut)), first_frame=first, gaps=gaps,
            lost_samples=lost,
        )  # fmt: skip

    def _gaps_between(self, start: int, end: int) -> tuple[tuple[Gap, ...], int]:
        """The gaps of a part, counted from its beginning, and its lost samples; what has no place counts in each."""
        end += end == self.frames  # what is missing at the end belongs to the last part
        gaps = tuple(dataclasses.replace(gap, at=gap.at - start) for gap in self.gaps if start < gap.at < end)
        elsewhere = sum(gap.lost for gap in self.gaps) - sum(gap.lost for gap in gaps)
        return gaps, self.lost_samples - elsewhere

    def overlaps(self, sha256: str, first_frame: int, frames: int) -> bool:
        """Whether this has sample frames of that span of that file; never before it is saved."""
        shared = min(self.first_frame + self.frames, first_frame + frames) > max(self.first_frame, first_frame)
        return bool(self.sha256) and self.sha256 == sha256 and shared


def check(recording: Recording) -> list[Reason]:
    """Everything wrong with a recording's samples, fatal reasons first; empty if it is good."""
    samples = recording.samples
    if not samples.any():
        return [Reason("all samples are zero", fatal=True)]
    still = [axis for c, axis in enumerate(recording.axes) if (samples[:, c] == samples[0, c]).all()]
    if len(still) == recording.channels:
        return [Reason("no channel ever changes", fatal=True)]
    reasons = _clipping(recording) + [Reason(f"channel {axis} is constant") for axis in still]
    if recording.lost_samples:
        reasons.append(Reason(f"{recording.lost_samples} samples were lost"))
    return sorted(reasons, key=lambda reason: not reason.fatal)


def _clipping(recording: Recording) -> list[Reason]:
    if sum(recording.clipped) == recording.samples.size:
        return [Reason("every sample is at full scale", fatal=True)]
    shares = [count / recording.frames for count in recording.clipped]
    return [
        Reason(f"channel {axis}: {100 * share:.1f} % of samples at full scale", fatal=share > CLIPPED_REFUSE)
        for axis, share in zip(recording.axes, shares, strict=True) if share > CLIPPED_WARN
    ]  # fmt: skip


def refuse_bad(recording: Recording) -> list[Reason]:
    """Raise CyberHansError on the first fatal reason of check(); otherwise give the reasons to warn of."""
    reasons = check(recording)
    if reasons and reasons[0].fatal:
        raise CyberHansError(f"{recording.name}: {reasons[0]}; check sensor, range and wiring, then record again")
    return reasons


def header_hz(rate_nominal_hz: float) -> int:
    """What the WAV header of a recording says: whole Hz, and at least 1."""
    return max(1, round(rate_nominal_hz))


def load_recording(path: str | Path) -> Recording:
    """Read an int16 PCM WAV and, where there is one, the JSON sidecar beside it (name.json).

    Without a sidecar: rate from the WAV header, machine from the file's name, label unknown.
    """
    path = Path(path)
    samples, rate, content = wav.read(path)
    digest = hashlib.sha256(content).hexdigest()
    fields = sidecar.read(path.with_suffix(".json"))
    if fields.pop("channels", samples.shape[1]) != samples.shape[1]:
        raise CyberHansError(
            f"{path.name}: has {samples.shape[1]} channels, its sidecar says otherwise; mend the .json"
        )
    if header_hz(fields.get("rate_nominal_hz", rate)) != rate:
        raise CyberHansError(
            f"{path.name}: header says {rate} Hz, rate_nominal_hz of its sidecar differs; mend the .json"
        )
    if fields.get("sha256", digest) != digest:
        raise CyberHansError(f"{path.name}: is not the file its sidecar describes (sha256 differs); copy both again")
    known = {"rate_hz": float(rate), "rate_nominal_hz": float(rate), "machine": path.stem, **fields}
    known["gaps"] = tuple(Gap(*gap) for gap in fields.get("gaps", ()))
    return Recording(samples=samples, path=path, **{**known, "sha256": digest})


def save_recording(recording: Recording, where: str | Path | Draft) -> Recording:
    """Write sidecar and WAV, in this order, each complete or not at all: no WAV is there without what is known of it.

    where: the WAV's path, or an empty draft of it. Gives the recording with its path and sha256. Its reasons are kept
    as they are; one that was never assessed (quality.assessed) gets those of check().
    """
    path = where.path if isinstance(where, Draft) else Path(where)
    if path.suffix.lower() != ".wav":
        raise CyberHansError(f"{path}: recordings are saved as .wav; name it {path.with_suffix('.wav').name}")
    content = wav.pack(recording.samples, header_hz(recording.rate_nominal_hz))
    reasons = recording.reasons or (() if recording.profile else tuple(check(recording)))
    saved = dataclasses.replace(
        recording, path=path, sha256=hashlib.sha256(content).hexdigest(), first_frame=0, reasons=reasons
    )
    text = sidecar.pack(saved, clipped=sum(saved.clipped))
    draft = where if isinstance(where, Draft) else draft_of(path)
    try:
        draft.write(content)
        draft.publish(text)
    finally:
        draft.discard()
    return saved
