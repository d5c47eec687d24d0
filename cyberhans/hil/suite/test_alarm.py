"""What a window makes of the machine's state: as the host foretells it, by the rules of SPEC.md section 7, in order."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from cyberhans.alarm import Alarm, Cause, Outcome, State
from cyberhans.device import Device, stream
from cyberhans.difference import ALARM_VALUES
from cyberhans.hil.brink import at_the_brink
from cyberhans.hil.plugin import Record
from cyberhans.hil.script import Kinds, Script, script
from cyberhans.hil.station import Station
from cyberhans.judgement import Judgement
from cyberhans.messages import REPLY, UNDO, Costs, Event, Features, Option, Request, Samples, Taken, Verdict
from cyberhans.protocol import Packet
from cyberhans.watch import Watched

WINDOWS = 60  # of the script, at most
SCRIPT_SECONDS = 20.0
GATHERED = 3  # windows of a new baseline
ANSWER_SECONDS = 20.0
COMPARED = (*ALARM_VALUES, "score")
FAULT = Cause.STUCK | Cause.CLIPPED
UNJUDGED = FAULT | Cause.OFF | Cause.TILTED | Cause.GATHERING


@dataclass(frozen=True)
class Played:
    """A script, and what a device has told of it."""

    script: Script
    judged: list[Judgement]


@pytest.fixture(scope="module")
def played() -> dict[str, Played]:
    """Played once for each device and detector."""
    return {}


def _play(station: Station, known: dict[str, Played]) -> Played:
    key = f"{station.entry.id} {station.detector.digest.hex()}"
    if key not in known:
        made = script(station.detector, station.core, station.affordable(WINDOWS, SCRIPT_SECONDS))
        known[key] = Played(made, list(station.device().replay(made.windows)))
    return known[key]


def _require_alarm(station: Station) -> Alarm:
    if station.detector.alarm is None:
        pytest.skip("the detector has no alarm logic")
    return station.detector.alarm


def _same(judged: Sequence[Judgement], expected: Watched, first: int = 0) -> None:
    """All that the alarm logic tells, window by window; `first`: of those expected."""
    for number, judgement in enumerate(judged):
        for name in COMPARED:
            found, foretold = getattr(judgement, name), int(getattr(expected, name)[first + number])
            assert found == foretold, f"{name} of window {first + number}: device {found}, host {foretold}"
        assert judgement.begun == 0, f"window {first + number} was lost and sent again"


def test_states_come_and_go_as_foretold(hil_station: Station, hil_record: Record, played: dict[str, Played]) -> None:
    """State, votes, reasons, change and rise of a script that brings each state that the settings allow."""
    made = _play(hil_station, played)
    _same(made.judged, hil_station.core.watch().run(made.script.windows))
    assert len(made.judged) == len(made.script.windows)
    states = Counter(State(judgement.state).name.lower() for judgement in made.judged)
    hil_record("states", dict(states))
    assert not (hil_station.detector.uncalibrated and states["alarm"]), "a detector that learns has raised an alarm"


class Rules:
    """SPEC.md sections 7.2 and 7.5 from a window's anomaly, change, rise and conditions on, without the core."""

    def __init__(self, alarm: Alarm, uncalibrated: bool) -> None:
        self.alarm, self.uncalibrated = alarm, uncalibrated
        self.votes: deque[int] = deque([0] * alarm.of, alarm.of)
        self.rises: deque[int] = deque([0] * alarm.of, alarm.of)
        self.alarmed = False

    def window(self, told: Judgement) -> tuple[int, State]:
        """Votes and state."""
        if not told.reasons & UNJUDGED:
            self._vote(told)
        return sum(self.votes), self._state(told.reasons)

    def _vote(self, told: Judgement) -> None:
        alarm = self.alarm
        self.votes.append(told.anomaly)
        self.rises.append(int(alarm.rise > 0 and told.rise > alarm.rise))
        by_score = sum(self.votes) >= alarm.raise_at and told.change >= alarm.change
        by_rise = sum(self.rises) >= alarm.raise_at
        self.alarmed = not self.uncalibrated and (self.alarmed or by_score or by_rise)
        if sum(self.votes) <= alarm.clear_at and sum(self.rises) <= alarm.clear_at:
            self.alarmed = False

    def _state(self, reasons: int) -> State:
        suspicious = 2 * max(sum(self.votes), sum(self.rises)) >= self.alarm.raise_at
        conditions = (
            (reasons & FAULT, State.FAULT), (reasons & Cause.OFF, State.IDLE), (reasons & Cause.TILTED, State.MOVED),
            (reasons & (Cause.GATHERING | Cause.FEW_WINDOWS), State.LEARNING), (self.alarmed, State.ALARM),
            (suspicious, State.SUSPICIOUS),
        )  # fmt: skip
        return next((state for found, state in conditions if found), State.NORMAL)


def test_votes_and_states_follow_from_the_verdicts(hil_station: Station, played: dict[str, Played]) -> None:
    """k of n is counted here, by the rules alone."""
    alarm, detector = _require_alarm(hil_station), hil_station.detector
    rules = Rules(alarm, detector.uncalibrated)
    for told in _play(hil_station, played).judged:
        assert (told.votes, told.state) == rules.window(told), f"votes and state of window {told.window}"
        assert told.anomaly == (told.score > detector.threshold), f"verdict of window {told.window}"
        assert (told.threshold, told.flags) == (detector.threshold, detector.flags)


def test_a_new_stream_has_forgotten_the_one_before(hil_station: Station, played: dict[str, Played]) -> None:
    """Windows up to an alarm, or as many as raise one, twice: each time as built."""
    alarm, made = _require_alarm(hil_station), _play(hil_station, played).script
    count = made.states.index(State.ALARM) + 1 if State.ALARM in made.states else alarm.raise_at + 2
    windows = made.windows[:count]
    expected = hil_station.core.watch().run(windows)
    for _ in range(2):
        _same(list(hil_station.device().replay(windows)), expected)


def test_a_baseline_set_anew_and_set_back_gives_the_hosts_bits(hil_station: Station, hil_record: Record) -> None:
    """In a host's stream: windows are gathered, judged by the new baseline, and after UNDO by the one before."""
    _require_alarm(hil_station)
    device, watch, kinds = hil_station.device(), hil_station.core.watch(), Kinds(hil_station.detector, hil_station.core)
    before = [kinds.next("calm") for _ in range(2)]
    gathered, after = ([kinds.next("strange") for _ in range(count)] for count in (GATHERED, 2))
    _same(list(device.replay(np.stack(before))), watch.run(np.stack(before)))
    watch.rebaseline(GATHERED)
    assert device.rebaseline(GATHERED).outcome == Outcome.UNDER_WAY
    _same(list(device.replay(np.stack(gathered), goes_on=True)), watch.run(np.stack(gathered)))
    told, expected = device.baseline(), watch.baseline()
    assert (told.outcome, told.revision, told.gathered, told.wanted, told.change) == (
        expected.outcome, expected.revision, expected.gathered, expected.wanted, expected.change)  # fmt: skip
    hil_record("outcome", Outcome(told.outcome).name.lower())
    _same(list(device.replay(np.stack(after), goes_on=True)), watch.run(np.stack(after)))
    if expected.outcome == Outcome.DONE:
        watch.undo()
        assert device.rebaseline(UNDO).revision == watch.baseline().revision
    _same(list(device.replay(np.stack(after), goes_on=True)), watch.run(np.stack(after)))
    device.start()
    assert device.baseline().outcome == Outcome.NONE  # a new stream knows nothing of it


def test_a_baseline_of_like_windows_is_taken_and_set_back(hil_station: Station) -> None:
    """That of the golden windows is near the one that was learnt, so it is done, and UNDO counts one revision more."""
    alarm, device, watch = _require_alarm(hil_station), hil_station.device(), hil_station.core.watch()
    kinds = Kinds(hil_station.detector, hil_station.core)
    windows = np.stack([kinds.next("calm") for _ in range(2)])
    device.start(Option.FEATURES, window := device.fresh_number(0))
    assert device.rebaseline(2, token=7).token == 7
    watch.rebaseline(2)
    _same(list(device.replay(windows, goes_on=True, number=window)), watch.run(windows))
    told = device.baseline()
    assert (told.outcome, told.reach, told.change) == (watch.baseline().outcome, alarm.reach, watch.baseline().change)
    assert device.rebaseline(4, token=7) == told  # it has had this token: only answered
    if told.outcome == Outcome.DONE:
        watch.undo()
        undone = device.rebaseline(UNDO, token=8)
        assert (undone.outcome, undone.revision) == (Outcome.UNDONE, 2)
    _same(list(device.replay(windows, goes_on=True)), watch.run(windows))


def test_every_reply_comes_after_all_that_it_caused(hil_station: Station, hil_record: Record) -> None:
    """VERDICT, FEATURES, COSTS of each window, numbered without a gap, then Taken with the next sample's index."""
    device, spec = hil_station.device(), hil_station.detector.spec
    windows = hil_station.detector.golden[: hil_station.affordable(3)]
    number = device.fresh_number(len(windows))
    index = device.start(Option.FEATURES | Option.COSTS, number).next
    step = (device.info.body_max - 4) // (2 * spec.channels)
    events: list[Packet] = []
    frames = stream(windows, spec.hop)
    for begin in range(0, len(frames), step):
        part = frames[begin : begin + step]
        came, taken = _send(device, Samples((index + begin) % 2**32, tail=part.tobytes()))
        assert taken.next == (index + begin + len(part)) % 2**32
        done = len(events) + len(came)
        events += came
        assert sum(event.type == Event.VERDICT for event in events) == _judged(begin + len(part), spec.window, spec.hop)
        assert done == len(events)
    _in_order(events, number, spec.hop, spec.features)
    hil_record("events", len(events))


def _judged(frames: int, window: int, hop: int) -> int:
    """Windows whose last sample frame is among the first so many."""
    return (frames - window) // hop + 1 if frames >= window else 0


def _send(device: Device, samples: Samples) -> tuple[list[Packet], Taken]:
    """One packet: the events that come before its reply, and the reply."""
    seq, events = device.send(Request.SAMPLES, samples.pack()), list[Packet]()
    while packet := device.packet(ANSWER_SECONDS):
        if packet.type < Event.VERDICT:
            assert (packet.type, packet.seq) == (Request.SAMPLES | REPLY, seq), "no reply to SAMPLES, but another"
            return events, Taken.unpack(packet.body)
        events.append(packet)
    raise AssertionError(f"no reply to SAMPLES within {ANSWER_SECONDS:g} s")


def _in_order(events: list[Packet], number: int, hop: int, features: int) -> None:
    numbers = [event.seq for event in events]
    assert numbers == [(numbers[0] + place) % 256 for place in range(len(events))], "events' numbers have a gap"
    windows: list[list[Packet]] = []
    for event in events:
        if event.type == Event.VERDICT:
            windows.append([])
        assert windows, "an event before the first VERDICT"
        windows[-1].append(event)
    for place, (verdict, *parts, costs) in enumerate(windows):
        told, window = Verdict.unpack(verdict.body), (number + place) % 2**32
        assert (told.window, told.first) == (window, window * hop % 2**32)
        assert costs.type == Event.COSTS and Costs.unpack(costs.body).window == window
        assert _features([Features.unpack(part.body) for part in parts if part.type == Event.FEATURES]) == features
        assert {part.type for part in parts} == {Event.FEATURES}
        assert {Features.unpack(part.body).window for part in parts} == {window}


def _features(parts: list[Features]) -> int:
    """How many there are, without a gap."""
    count = 0
    for part in parts:
        assert part.offset == count
        count += len(part.tail) // 2
    assert {part.total for part in parts} == {count}
    return count


def test_a_score_at_the_threshold_is_no_anomaly(hil_station: Station, hil_record: Record) -> None:
    """Only what lies above it: asked of the windows that are found nearest to it, each as a stream of its own."""
    detector, device = hil_station.detector, hil_station.device()
    windows = at_the_brink(detector, hil_station.core)
    foretold = hil_station.core.run(windows).score
    for window, score in zip(windows, foretold.tolist(), strict=True):
        (told,) = device.replay(window[None], Option(0))
        assert told.score == score
        assert told.anomaly == (score > detector.threshold), f"score {score}, threshold {detector.threshold}"
    hil_record("windows_at_the_threshold", int((foretold == detector.threshold).sum()))
    hil_record("nearest_to_the_threshold", int(np.abs(foretold - detector.threshold).min()))
