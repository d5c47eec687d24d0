"""A packet log played back to the host or to a device: what these say beside what the log's device said."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cyberhans.detector import Detector
from cyberhans.device import Device, open_device
from cyberhans.errors import CyberHansError
from cyberhans.packet_log import DEVICE, HOST, Log, read_log
from cyberhans.player import parse
from cyberhans.replay.again import OnDevice
from cyberhans.replay.comparison import Comparison
from cyberhans.replay.foretold import OnHost
from cyberhans.replay.mismatch import Mismatch
from cyberhans.replay.step import Steps
from cyberhans.replay.tally import Tally

__all__ = ["Mismatch", "Replay", "replay", "replay_on"]


@dataclass(frozen=True)
class Replay:
    """What a replay found.

    log, device       the file, and the device that the log is of
    against           "host", or the device that it was played to
    packets           sound ones in the log, both ways
    windows           whose VERDICT was compared, and all their FEATURES
    answers           replies and refusals that were compared
    differing_fields  of all messages, and differing_bits of these
    first_difference  at the first line of the log that has one
    warnings          what the log has lost, and what could not be compared
    """

    log: str
    device: str
    against: str
    packets: int
    windows: int
    answers: int
    differing_fields: int
    differing_bits: int
    first_difference: Mismatch | None
    warnings: list[str]

    @property
    def equal(self) -> bool:
        return self.first_difference is None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def replay(log: Log | Path, *, detector: Detector | None = None, device: Device | None = None) -> Replay:
    """Play a log back to an opened device, else to the host's core with this detector.

    Every window that the log's host sent over the link, and what the device said of it, is compared as bits; of a
    device the replies, too, but for LEFT_OUT of mismatch.py. Raises CyberHansError: a damaged log, another detector,
    nothing to compare, a device that does not answer.
    """
    log = read_log(log) if isinstance(log, Path) else log
    player = OnDevice(device) if device else OnHost(_given(detector), str(log.path))
    tally = Tally(log)
    comparison = Comparison(player, tally)
    try:
        for step in Steps(log, tally):
            comparison.take(step)
        comparison.end()
    finally:
        if device:
            device.leave()
    if not comparison.windows and not comparison.answers and comparison.first is None:
        raise CyberHansError(f"{log.path}: nothing in it can be compared: it has no window that its host sent and its "
                             "device judged")  # fmt: skip
    return Replay(
        str(log.path), log.device, player.name, tally.packets, comparison.windows, comparison.answers,
        comparison.fields, comparison.bits, comparison.first, list(_warnings(log, tally, comparison)),
    )  # fmt: skip


def replay_on(url: str, log: Log | Path, detector: Detector | None = None, image: Path | None = None) -> Replay:
    """Open the device and replay. board:NAME without an image: build the detector for it."""
    log = read_log(log) if isinstance(log, Path) else log
    with tempfile.TemporaryDirectory(prefix="cyberhans-") as scratch:
        if url.startswith("board:") and image is None:
            image = _build(_given(detector), parse(url.removeprefix("board:"))[0].name, Path(scratch))
        with open_device(url, image=image) as device:
            if detector:
                device.require(detector)
            return replay(log, device=device)


def _given(detector: Detector | None) -> Detector:
    if detector is None:
        raise CyberHansError("a replay needs the detector's folder, or a device that holds the detector")
    return detector


def _build(detector: Detector, board: str, scratch: Path) -> Path:
    from cyberhans.build import build

    folder = detector.folder or detector.save(scratch / "detector").folder
    return build(folder or scratch, board, scratch / "image").image


def _warnings(log: Log, tally: Tally, comparison: Comparison) -> Iterator[str]:
    """One line each."""
    if log.cut:
        yield "the log's last line was cut short, and is left out"
    counts = {
        "broken packets from the log's host": tally.broken[HOST],
        "broken packets from the log's device": tally.broken[DEVICE],
        "events of the log's device that its host never got": tally.lost,
        "events that came twice or late, and are left out": tally.late,
        "requests without an answer in the log": tally.unanswered,
        "windows without a VERDICT in the log": comparison.unheard,
        **{f"windows that cannot be compared ({why})": count for why, count in comparison.not_comparable.items()},
        **{f"requests that are left out, {name}": count for name, count in comparison.left_out.items()},
    }
    yield from (f"{what}: {count}" for what, count in counts.items() if count)
