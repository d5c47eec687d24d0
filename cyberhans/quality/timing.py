"""Timing: what a recording's rate, its time stamps and its gaps have against it; all from its fields."""

from __future__ import annotations

from cyberhans.reason import Reason
from cyberhans.recording import RATE_TOLERANCE, Recording

RATE_REFUSE = 0.1  # share by which a measured rate may miss the nominal one: no sensor's clock is worse
JITTER_SAMPLES, JITTER_S = 3.0, 0.0005  # time stamps that scatter by more than both are told
LOST_REFUSE = 0.05  # share of the samples asked for


def timing(recording: Recording) -> list[Reason]:
    """Rate against nominal, how sure the rate is, jitter, and what was lost."""
    return _rate(recording) + _jitter(recording) + _lost(recording) + _interrupted(recording)


def _rate(recording: Recording) -> list[Reason]:
    rate, nominal, unsure = recording.rate_hz, recording.rate_nominal_hz, recording.rate_uncertainty_hz
    found = []
    off = rate / nominal - 1
    if abs(off) > RATE_TOLERANCE and abs(rate - nominal) > unsure:
        mend = (
            "check the output data rate that the sensor is set to" if abs(off) > RATE_REFUSE else "the measured counts"
        )
        text = f"rate {rate:.7g} Hz (+-{unsure:.2g}) is {100 * abs(off):.2g} % {'above' if off > 0 else 'below'} the"
        found.append(Reason(f"{text} nominal {nominal:.7g} Hz: {mend}", fatal=abs(off) > RATE_REFUSE))
    if unsure > RATE_TOLERANCE / 2 * rate:
        text = f"rate {rate:.5g} Hz is known within +-{100 * unsure / rate:.2g} % only: record longer"
        found.append(Reason(text, fatal=unsure > RATE_TOLERANCE * rate))
    return found


def _jitter(recording: Recording) -> list[Reason]:
    jitter = recording.jitter_s or 0.0
    if jitter <= max(JITTER_S, JITTER_SAMPLES / recording.rate_hz):
        return []
    return [Reason(f"jitter: time stamps scatter by {1000 * jitter:.3g} ms, {jitter * recording.rate_hz:.2g} samples:"
                   " let a timer or the sensor's data-ready line start each sample")]  # fmt: skip


def _lost(recording: Recording) -> list[Reason]:
    """Samples that the device or the link dropped; an interruption is told on its own."""
    lost = recording.lost_samples - sum(gap.lost for gap in recording.gaps if not gap.counted)
    if not lost:
        return []
    places = [gap.at for gap in recording.gaps if gap.counted]
    share = lost / (lost + recording.frames)
    where = f", first at {places[0] / recording.rate_hz:.3f} s, gaps: {len(places)}" if places else ""
    mend = "use a faster line, fewer channels or a lower rate"
    return [Reason(f"{lost} samples were lost ({100 * share:.2g} %){where}: {mend}", fatal=share > LOST_REFUSE)]


def _interrupted(recording: Recording) -> list[Reason]:
    return [
        Reason(f"interrupted at {gap.at / recording.rate_hz:.3f} s for about {gap.lost / recording.rate_hz:.2g} s:"
               " check plug and cable")
        for gap in recording.gaps if not gap.counted
    ]  # fmt: skip
