"""Codes: what a channel's histogram tells: dead, clipped (at whatever level), bits that are stuck or missing."""

from __future__ import annotations

import numpy as np

from cyberhans.quality.figures import Counts, Figures
from cyberhans.reason import Reason
from cyberhans.recording import Recording

DEAD_STEPS, DEAD_SHARE = 2.0, 0.03  # a channel below both, in its steps and against the quietest other, is dead
FAINT_STEPS, MOST_STEP = (
    2.0,
    16,
)  # a level below so many steps, in all channels, is but rounding; 12 bits have this step
PILE, LEAST_PILE = (
    3.5,
    8,
)  # clipped: so many times its neighbours' count (a sine's last code has 2.4 times), and so many
FAR = 8  # of a channel's range: a share by which a rail may be away from the next code
COARSE = 128  # bins in a channel's range, for a level of clipping that is blurred
CLIPPED_REFUSE = 0.05  # share of a channel's samples
FEW_CODES = 64  # fewer say nothing about bits
OCCUPIED, SEEN = 0.75, 10  # share of codes between the quartiles that occur if each could be expected so often


def amplitudes(recording: Recording, seen: Figures) -> list[Reason]:
    """Every channel's reasons from its histogram; of a recording in which nothing changes one reason."""
    if (seen.rms == 0).all():
        zero = (seen.mean == 0).all()
        text = "all samples are zero" if zero else "no channel ever changes"
        return [Reason(f"{text}: check the sensor's wiring and power", fatal=True)]
    if all(seen.rms[c] < FAINT_STEPS * min(step(seen, c), MOST_STEP) for c in range(recording.channels)):
        text = (
            f"hardly any signal, {seen.rms.max():.2g} LSB: the machine is off, or the sensor's range is far too large"
        )
        return [Reason(f"{text}; switch it on, or choose a smaller range", fatal=True)]
    return [
        reason for c in range(recording.channels) for reason in (
            _dead(recording, seen, c) or _clipped(recording, seen, c) + _bits(recording, seen, c)
        )
    ]  # fmt: skip


def step(seen: Figures, channel: int) -> int:
    """LSB between neighbouring codes, a power of two: what the lowest bit that moves is worth; 0 if none does."""
    moving = _moving(seen.codes(channel)[0])
    return moving & -moving


def _moving(codes: Counts) -> int:
    """The bits that change, away from both ends of the range: at its rails a converter has codes of its own."""
    end = (codes[-1] - codes[0]) // COARSE
    inner = codes[(codes > codes[0] + end) & (codes < codes[-1] - end)]
    inner = inner if len(inner) > 1 else codes
    return int(np.bitwise_or.reduce((inner ^ inner[0]) & 0xFFFF))


def _dead(recording: Recording, seen: Figures, c: int) -> list[Reason]:
    axis, mend = recording.axes[c], "check its wiring, or record without it"
    if seen.rms[c] == 0:
        return [Reason(f"channel {axis} is dead, always {seen.mean[c]:.0f}: {mend}", fatal=True)]
    others = np.delete(seen.rms, c)
    if others.size and seen.rms[c] < min(DEAD_STEPS * step(seen, c), DEAD_SHARE * others.min()):
        return [Reason(f"channel {axis} is dead, only noise of {seen.rms[c]:.2g} LSB: {mend}", fatal=True)]
    return []


def _clipped(recording: Recording, seen: Figures, c: int) -> list[Reason]:
    """Samples piled up at the ends of the histogram, or at the stated full scale."""
    codes, counts = seen.codes(c)
    known = int(counts[np.abs(codes) >= recording.full_scale].sum())
    piles = rails(seen, c)
    piled, at = sum(pile[0] for pile in piles), max(piles)[1]
    if max(known, piled) < LEAST_PILE:
        return []
    share = max(known, piled) / seen.frames
    where = "at full scale"
    if piled > known and abs(at) < recording.full_scale:
        where = f"at {at} LSB, {at * recording.scale + recording.offset:.4g} {recording.unit}, where the sensor clips"
    text = f"channel {recording.axes[c]}: {100 * share:.2g} % of samples {where}: choose a larger range"
    return [Reason(text, fatal=share > CLIPPED_REFUSE)]


def rails(seen: Figures, channel: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of the lower and the upper end of a channel's codes: how many samples are piled up there, and at which code.

    (0, 0) where they thin out towards the end as usual.
    """
    codes, counts = seen.codes(channel)
    return _pile(codes, counts), _pile(codes[::-1], counts[::-1])


def _pile(codes: Counts, counts: Counts) -> tuple[int, int]:
    """At the first of these codes. One that lies far from all others is no rail: samples were filled up with it."""
    spacing = int(np.abs(np.diff(codes)).min()) if len(codes) > 1 else 1
    span = abs(int(codes[-1] - codes[0]))
    width = max(spacing, span / COARSE)
    blurred = np.bincount((np.abs(codes - codes[0]) / width).astype(int), weights=counts).astype(np.int64)
    for bins, peak in ((counts, int(np.argmax(counts[:3]))), (blurred, 0)):
        beside = bins[peak + 1 : peak + 9]
        apart = abs(int(codes[min(peak + 1, len(codes) - 1)] - codes[peak]))
        if len(beside) >= 4 and bins[peak] >= LEAST_PILE and bins[peak] > PILE * beside.max() and apart < span / FAR:
            return int(bins[: peak + 1].sum()), int(codes[peak])
    return 0, 0


def _bits(recording: Recording, seen: Figures, c: int) -> list[Reason]:
    codes, counts = seen.codes(c)
    if len(codes) < FEW_CODES:
        return []
    axis, moving = recording.axes[c], _moving(codes)
    low = moving & -moving
    stuck = [bit for bit in range(16) if low < 1 << bit < moving and not moving >> bit & 1]
    if stuck:
        text = f"channel {axis}: bit {', '.join(map(str, stuck))} is stuck, though bits above and below it change"
        return [Reason(f"{text}: check the converter and its bus", fatal=True)]
    middle = (codes >= codes[_quartile(counts, 0.25)]) & (codes <= codes[_quartile(counts, 0.75)])
    span = int(np.ptp(codes[middle])) // low + 1
    share = np.count_nonzero(middle) / span
    if span >= FEW_CODES / 2 and counts[middle].sum() > SEEN * span and share < OCCUPIED:
        text = f"channel {axis}: {100 * (1 - share):.0f} % of the codes are missing where all should occur"
        return [Reason(f"{text}: check the converter, or state the scale from before the samples were multiplied")]
    return []


def _quartile(counts: Counts, share: float) -> int:
    return int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
