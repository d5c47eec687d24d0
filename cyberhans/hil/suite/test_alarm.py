"""What a window makes of the machine's state: as the host foretells it, by the rules of SPEC.md section 7, in order."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np
import pytest

from cyberhans.alarm import Alarm, Cause, Outcome, State
from cyberhans.device import Refused, stream
from cyberhans.errors import CyberHansError
from cyberhans.hil.agreement import agree
from cyberhans.hil.brink import at_the_brink
from cyberhans.hil.plugin import Record
from cyberhans.hil.request import asked, told_of_windows, unless_unknown
from cyberhans.hil.script import Kinds, Script, allowed, script
from cyberhans.hil.station import Station
from cyberhans.judgement import Judgement
from cyberhans.messages import REPLY, UNDO, Costs, Event, Features, Option, Request, Samples, Taken, Verdict
from cyberhans.protocol import Packet
from cyberhans.spec import Spec

WINDOWS = 400  # of the script, at most: about five times as many as vote
SCRIPT_SECONDS = 20.0
GATHERED = 3  # windows of a new baseline
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


def _play(station: Station, known: dict[str, Played], config: pytest.Config) -> Played:
    """As many windows as the line carries in SCRIPT_SECONDS, or as --hil-soak asks for."""
    key = f"{station.entry.id} {station.detector.digest.hex()}"
    if key not in known:
        most = max(config.getoption("hil_soak") or 0, station.affordable(WINDOWS, SCRIPT_SECONDS))
        made = script(station.detector, station.core, min(most, WINDOWS))
        known[key] = Played(made, list(station.device().replay(made.windows)))
    return known[key]


def _require_alarm(station: Station) -> Alarm:
    if station.detector.alarm is None:
        pytest.skip("the detector has no alarm logic")
    return station.detector.alarm


def test_states_come_and_go_as_foretold(
    hil_station: Station, hil_record: Record, played: dict[str, Played], pytestconfig: pytest.Config
) -> None:
    """State, votes, reasons, change and rise of a script that brings each state that the settings allow."""
    made = _play(hil_station, played, pytestconfig)
    agree(hil_station, made.judged, hil_station.core.watch().run(made.script.windows), hil_record)
    assert len(made.judged) == len(made.script.windows)
    states = Counter(State(judgement.state).name.lower() for judgement in made.judged)
    hil_record("states", dict(states))
    assert not (hil_station.detector.uncalibrated and states["alarm"]), "a detector that learns has raised an alarm"
    wanted = {
        state.name.lower() for state in allowed(hil_station.detector, Kinds(hil_station.detector, hil_station.core))
    }
    if missing := sorted(wanted - set(states)):
        pytest.skip(f"{len(made.judged)} windows did not bring the state {', '.join(missing)}, and all that came is "
                    f"right; --hil-soak {WINDOWS} sends as many as it takes, if windows can bring it")  # fmt: skip


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


def test_votes_and_states_follow_from_the_verdicts(
    hil_station: Station, played: dict[str, Played], pytestconfig: pytest.Config
) -> None:
    """k of n is counted here, by the rules alone."""
    alarm, detector = _require_alarm(hil_station), hil_station.detector
    rules = Rules(alarm, detector.uncalibrated)
    for told in _play(hil_station, played, pytestconfig).judged:
        assert (told.votes, told.state) == rules.window(told), f"votes and state of window {told.window}"
        assert told.anomaly == (told.score > detector.threshold), f"verdict of window {told.window}"
        assert (told.threshold, told.flags) == (detector.threshold, detector.flags)


def test_a_new_stream_has_forgotten_the_one_before(
    hil_station: Station, hil_record: Record, played: dict[str, Played], pytestconfig: pytest.Config
) -> None:
    """Windows up to an alarm, or as many as raise one, twice: each time as built."""
    alarm, made = _require_alarm(hil_station), _play(hil_station, played, pytestconfig).script
    count = made.states.index(State.ALARM) + 1 if State.ALARM in made.states else alarm.raise_at + 2
    windows = made.windows[:count]
    expected = hil_station.core.watch().run(windows)
    for _ in range(2):
        agree(hil_station, hil_station.device().replay(windows), expected, hil_record)


class Stream:
    """A host's stream on the device, and the same windows in the host's own core beside it."""

    def __init__(self, station: Station, record: Record) -> None:
        self.station, self.record = station, record
        self.device, self.watch = station.device(), station.core.watch()
        self._kinds, self.begun = Kinds(station.detector, station.core), False

    def windows(self, kind: str, count: int) -> np.ndarray:
        return np.stack([self._kinds.next(kind) for _ in range(count)])

    def send(self, windows: np.ndarray, number: int | None = None) -> None:
        """The next ones of the stream: both say the same of them."""
        judged = self.device.replay(windows, goes_on=self.begun, number=number)
        agree(self.station, judged, self.watch.run(windows), self.record)
        self.begun = True

    def rebaseline(self, count: int, token: int | None = None) -> None:
        """By the next windows."""
        with unless_unknown("REBASELINE"):
            assert self.device.rebaseline(count, token).outcome == Outcome.UNDER_WAY
        self.watch.rebaseline(count)

    def outcome(self) -> Outcome:
        """Of the re-baselining: the same on both sides."""
        told, expected = self.device.baseline(), self.watch.baseline()
        assert (told.outcome, told.revision, told.gathered, told.wanted, told.change) == (
            expected.outcome, expected.revision, expected.gathered, expected.wanted, expected.change)  # fmt: skip
        self.record("outcome", expected.outcome.name.lower())
        return expected.outcome


def test_a_baseline_of_strange_windows_is_judged_as_on_the_host(hil_station: Station, hil_record: Record) -> None:
    """In a host's stream: taken and set back, or found to be too far away, where there is nothing to set back."""
    _require_alarm(hil_station)
    both = Stream(hil_station, hil_record)
    device, watch = both.device, both.watch
    both.send(both.windows("calm", 2))
    both.rebaseline(GATHERED)
    both.send(both.windows("strange", GATHERED))
    if both.outcome() == Outcome.DONE:
        both.send(both.windows("strange", 2))
        watch.undo()
        assert device.rebaseline(UNDO).revision == watch.baseline().revision
    else:
        with pytest.raises(CyberHansError):
            watch.undo()
        with pytest.raises(Refused):
            device.rebaseline(UNDO)
    both.send(both.windows("strange", 2))
    device.start()
    assert device.baseline().outcome == Outcome.NONE  # a new stream knows nothing of it


def test_a_baseline_of_like_windows_is_taken_and_set_back(hil_station: Station, hil_record: Record) -> None:
    """That of the golden windows is near the one that was learnt, so it is done, and UNDO counts one revision more."""
    alarm, both = _require_alarm(hil_station), Stream(hil_station, hil_record)
    device, windows = both.device, both.windows("calm", 2)
    device.start(Option.FEATURES, window := device.fresh_number(0))
    both.begun = True
    both.rebaseline(2, token=7)
    both.send(windows, number=window)
    told, outcome = device.baseline(), both.outcome()
    assert (told.token, told.reach) == (7, alarm.reach)
    assert device.rebaseline(4, token=7) == told  # it has had this token: only answered
    if outcome != Outcome.DONE:
        pytest.skip(f"a baseline of its own golden windows is foretold to be {outcome.name.lower()}: nothing to undo")
    both.send(windows)
    both.watch.undo()
    undone = device.rebaseline(UNDO, token=8)
    assert (undone.outcome, undone.revision) == (Outcome.UNDONE, 2)
    both.send(windows)


def test_every_reply_comes_after_all_that_it_caused(hil_station: Station, hil_record: Record) -> None:
    """VERDICT, FEATURES, COSTS of each window, numbered without a gap, then Taken with the next sample's index."""
    device, spec = hil_station.device(), hil_station.detector.spec
    windows = hil_station.detector.golden[: hil_station.affordable(3)]
    number = device.fresh_number(len(windows))
    index, options = device.start(told_of_windows(device), number).next, told_of_windows(device)
    step = (device.info.body_max - 4) // (2 * spec.channels)
    events: list[Packet] = []
    frames = stream(windows, spec.hop)
    for begin in range(0, len(frames), step):
        part = frames[begin : begin + step]
        came, answer = asked(device, Request.SAMPLES, Samples((index + begin) % 2**32, tail=part.tobytes()).pack())
        assert answer.type == Request.SAMPLES | REPLY
        assert Taken.unpack(answer.body).next == (index + begin + len(part)) % 2**32
        done = len(events) + len(came)
        events += came
        assert sum(event.type == Event.VERDICT for event in events) == _judged(begin + len(part), spec.window, spec.hop)
        assert done == len(events)
    _in_order(events, number, spec, options)
    hil_record("events", len(events))


def _judged(frames: int, window: int, hop: int) -> int:
    """Windows whose last sample frame is among the first so many."""
    return (frames - window) // hop + 1 if frames >= window else 0


def _in_order(events: list[Packet], number: int, spec: Spec, options: Option) -> None:
    numbers = [event.seq for event in events]
    assert numbers == [(numbers[0] + place) % 256 for place in range(len(events))], "events' numbers have a gap"
    windows: list[list[Packet]] = []
    for event in events:
        if event.type == Event.VERDICT:
            windows.append([])
        assert windows, "an event before the first VERDICT"
        windows[-1].append(event)
    for place, (verdict, *parts) in enumerate(windows):
        told, window = Verdict.unpack(verdict.body), (number + place) % 2**32
        assert (told.window, told.first) == (window, window * spec.hop % 2**32)
        if Option.COSTS in options:
            costs = parts.pop()
            assert costs.type == Event.COSTS and Costs.unpack(costs.body).window == window
        assert _features([Features.unpack(part.body) for part in parts if part.type == Event.FEATURES]) == spec.features
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
