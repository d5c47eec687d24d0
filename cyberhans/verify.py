"""A device against its host, bit for bit: the device gets samples only."""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyberhans.alarm import State
from cyberhans.boards import Board
from cyberhans.core import Core
from cyberhans.detector import Detector
from cyberhans.device import Device, Refused, open_device, stream
from cyberhans.difference import Difference, differing_bits, find_difference, seen_difference
from cyberhans.errors import CyberHansError
from cyberhans.judgement import Judgement
from cyberhans.messages import Option, Refusal
from cyberhans.player import parse
from cyberhans.recording import Recording, refuse_bad
from cyberhans.spec import Spec
from cyberhans.watch import Watched

COUNTED_WINDOWS = 5  # whose instructions are counted
COSTED = ("samples", "spectrum", "bands", "features", "score")


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    windows                how many were compared
    streams                how many they took: one more for each window that was lost on the way and sent again
    differing_bits         of features, score, verdict (the anomaly bit and each channel's mean) and alarm (state,
                           votes, reasons, change and rise), over all windows
    first_difference       None if all bits agree, those of the first window's stages included
    instructions_per_window  by stage and `total`, medians of a few windows, with about 20 at each stage's end for the
                           look at the clock; None where nothing counts them
    anomalies              windows over the threshold; what the device makes of them is in `states`
    states                 how many windows were in each state that occurred
    highest_score          of all windows, and the threshold: octaves
    warnings               the detector's
    """

    device: str
    windows: int
    streams: int
    differing_bits: dict[str, int]
    first_difference: Difference | None
    instructions_per_window: dict[str, int] | None
    anomalies: int
    states: dict[str, int]
    highest_score: float
    threshold: float
    uncalibrated: bool
    warnings: list[str]

    @property
    def equal(self) -> bool:
        return self.first_difference is None and not any(self.differing_bits.values())

    @property
    def instructions(self) -> int | None:
        """All stages of a window together."""
        return self.instructions_per_window["total"] if self.instructions_per_window else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        first = self.first_difference
        shown = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return shown | {"first_difference": first.to_dict() if first else None}


def verify(
    detector: Detector, source: Sequence[Recording] | NDArray[np.int16], device: Device,
    *, limit: int | None = None, bulk: bool = False,
) -> Verification:  # fmt: skip
    """Compare every window's features, score, verdict and state as bits, all windows as one stream from power-on.

    source: recordings, or int16 windows (k, n, channels). limit: at most so many windows of each recording. bulk: let
    the device read the samples from a file of this computer. Raises CyberHansError: another detector on the device,
    verdicts missing or too many, no device any more.
    """
    device.require(detector)
    windows = gather_windows(source, detector.spec, limit)
    core = detector.core()
    expected = Expected(core, windows)
    try:
        bits, first, streams = _differing(detector, device, expected, bulk)
    finally:
        device.leave()
    results = expected.from_window(0)
    states = Counter(State(state).name.lower() for state in results.state.tolist())
    return Verification(
        device.name, len(windows), streams, bits, first, instructions_per_window=None,
        anomalies=int(results.verdict.sum()),
        states=dict(states), highest_score=int(results.score.max()) / 65536, threshold=detector.threshold / 65536,
        uncalibrated=detector.uncalibrated, warnings=detector.warnings,
    )  # fmt: skip


class Expected:
    """What a device must say of int16 `windows` (k, n, channels), in whatever streams it gets them: what is lost begins
    a new one, as built."""

    def __init__(self, core: Core, windows: NDArray[np.int16]) -> None:
        self.core, self.windows = core, windows
        self._streams: dict[int, Watched] = {}

    def from_window(self, begun: int) -> Watched:
        """Of a stream that begins with that window: its own is number 0."""
        if begun not in self._streams:
            self._streams[begun] = self.core.watch().run(self.windows[begun:])
        return self._streams[begun]


def _differing(
    detector: Detector, device: Device, expected: Expected, bulk: bool
) -> tuple[dict[str, int], Difference | None, int]:
    """How many bits differ, where they begin to, and how many streams there were."""
    core, windows = expected.core, expected.windows
    first = _in_stages(device, core, windows[0], 0)
    bits, streams = {"features": 0, "score": 0, "verdict": 0, "alarm": 0}, set()
    for number, judgement in enumerate(_replay(device, windows, bulk)):
        _require_settings(judgement, detector, number)
        streams.add(judgement.begun)
        results, at = expected.from_window(judgement.begun), number - judgement.begun
        if judgement.features is None:
            raise CyberHansError(f"window {number}: the device sent no features; build and flash it again")
        for name, count in differing_bits(judgement, results, at).items():
            bits[name] += count
        first = first or seen_difference(judgement, results, at, number, core.spec.feature_names)
    if first and first.window > 0:  # seen in what came out: now find where it began
        first = _in_stages(device, core, windows[first.window], first.window) or first
    return bits, first, len(streams)


def _in_stages(device: Device, core: Core, window: NDArray[np.int16], number: int) -> Difference | None:
    """find_difference(), where the firmware answers TRACE: somebody's own may not."""
    try:
        return find_difference(device, core, window, number)
    except Refused as refused:
        if refused.code != Refusal.UNKNOWN:
            raise
        return None


def verify_on(
    url: str, detector: Detector, recordings: Sequence[Recording] | NDArray[np.int16],
    *, image: Path | None = None, compiler: str = "gcc", limit: int | None = None, bulk: bool = False,
) -> Verification:  # fmt: skip
    """Open the device, verify, and on an emulated board count instructions. board:NAME without an image: build it."""
    target = parse(url.removeprefix("board:"))[0] if url.startswith("board:") else None
    windows = gather_windows(recordings, detector.spec, limit)
    with tempfile.TemporaryDirectory(prefix="cyberhans-") as scratch:
        if target and image is None:
            image = _build(detector, target, compiler, Path(scratch))
        with open_device(url, image=image) as device:
            outcome = verify(detector, windows, device, bulk=bulk)
        if target is None or not target.bare:
            return outcome
        with open_device(url, image=image, counting=True) as device:
            counts = count_instructions(device, target, windows[:COUNTED_WINDOWS])
        return dataclasses.replace(outcome, instructions_per_window=counts)


def count_instructions(device: Device, target: Board, windows: NDArray[np.int16]) -> dict[str, int]:
    """By stage and `total`: medians over int16 windows (k, n, channels), on an emulator opened with counting=True.

    One packet is under way at a time, so that no received byte interrupts the work.
    """
    judged = list(device.replay(windows, Option.COSTS, credits=1))
    ticks = {stage: median_low(getattr(judgement.costs, stage) for judgement in judged) for stage in COSTED}
    counts = {stage: target.instructions(count) or 0 for stage, count in ticks.items()}
    return counts | {"total": sum(counts.values())}


def gather_windows(
    source: Sequence[Recording] | NDArray[np.int16], spec: Spec, limit: int | None = None
) -> NDArray[np.int16]:
    """int16 (k, n, channels) of recordings, `limit` of each at most, or the first of an array.

    Raises CyberHansError if k = 0, and on a recording that refuse_bad() refuses.
    """
    if isinstance(source, np.ndarray):
        windows = source[:limit]
    else:
        for recording in source:
            refuse_bad(recording)
        parts = [recording.windows(spec)[:limit] for recording in source]
        windows = np.concatenate(parts) if parts else np.zeros((0, spec.window, spec.channels), np.int16)
    if len(windows) == 0:
        raise CyberHansError("nothing to verify: give at least one recording that holds a window")
    return np.ascontiguousarray(windows)


def adversarial_windows(spec: Spec, seed: int = 0) -> NDArray[np.int16]:
    """Windows that strain the arithmetic: int16 (9, n, channels)."""
    shape, time = (spec.window, spec.channels), np.arange(spec.window)[:, None]
    random = np.random.default_rng(seed)
    sine = 60000 * np.sin(2 * np.pi * 0.013 * time + np.arange(spec.channels))
    alternating = np.where(time % 2, -32768, 32767)
    windows = [
        np.zeros(shape),  # silence
        np.full(shape, -32768),  # DC at the rail
        np.full(shape, 12345),  # DC
        np.where(time // 32 % 2, -32768, 32767),  # full-scale square
        (time == spec.window // 2) * 1,  # one LSB, once
        time % 2,  # one LSB
        np.clip(sine, -32768, 32767),  # clipped
        alternating,
        random.integers(-32768, 32768, shape),  # random bits
    ]
    return np.stack([np.broadcast_to(window, shape) for window in windows]).astype(np.int16)


def _build(detector: Detector, target: Board, compiler: str, scratch: Path) -> Path:
    from cyberhans.build import build

    folder = detector.folder or detector.save(scratch / "detector").folder
    return build(folder or scratch, target.name, scratch / "image", compiler=compiler).image


def _replay(device: Device, windows: NDArray[np.int16], bulk: bool) -> Iterator[Judgement]:
    if not bulk:
        yield from device.replay(windows)
        return
    with tempfile.TemporaryDirectory(prefix="cyberhans-") as scratch:
        path = Path(scratch) / "samples"
        path.write_bytes(stream(windows, device.info.hop).tobytes())
        yield from device.replay_file(path, len(windows))


def _require_settings(judgement: Judgement, detector: Detector, number: int) -> None:
    """The threshold and flags by which the device judges are the detector's."""
    for name in ("threshold", "flags"):
        found, expected = getattr(judgement, name), getattr(detector, name)
        if found != expected:
            raise CyberHansError(f"window {number}: the device sent {name} {found}, the detector has {expected}; "
                                 "build and flash it again")  # fmt: skip
