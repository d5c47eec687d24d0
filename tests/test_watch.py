"""Watch: samples in, a machine's state out; what is remembered, re-centred, undone, saved and resumed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import oracle
import pytest
from alarm_oracle import Machine, Window
from counts import full
from numpy.typing import NDArray
from small_detector import small_detector

from cyberhans.alarm import NEVER_IDLE, Alarm, Cause, Outcome, Reset, State
from cyberhans.core import Core, Stage
from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError
from cyberhans.spec import Family, Frame, Spec
from cyberhans.watch import Watch, Watched

SPEC = Spec(8_000_000, 3, 96, 96, Family.LEVEL | Family.STEPS, (Frame(64, (1, 4, 12, 32)),))
CENTRE = 3000  # of the toy model
GRAVITY = (0, 600, 8000)
Samples = NDArray[np.int16]


def noise(count: int, seed: int, loudness: float = 300, gravity: Sequence[int] = GRAVITY) -> Samples:
    """Windows (count, n, 3) of white noise around its mean, which is gravity to the LSB or so."""
    loud = np.random.default_rng(seed).normal(0, loudness, (count, SPEC.window, 3))
    return np.rint(loud - loud.mean(axis=1, keepdims=True) + gravity).astype(np.int16)


def settings(features: NDArray[np.int16], **changed: int) -> Alarm:
    fixed = {"of": 7, "raise_at": 5, "clear_at": 1, "fast": 2, "slow": 4, "change": 26, "rise": 900, "idle": 1500,
             "full_scale": 16000, "reach": 400, "clipped": 20, "moved": 80, "gravity": GRAVITY}  # fmt: skip
    limit = np.full(SPEC.features, 150, np.int16)
    centre = np.rint(features.mean(axis=0)).astype(np.int16)
    return Alarm(**fixed | changed, centre=centre, limit=limit)  # type: ignore[arg-type]


def detector_of(folder: Path, **changed: int) -> Detector:
    """Learnt from noise(); a threshold that one healthy window in fifty exceeds."""
    features = Core(SPEC).features(noise(500, seed=1))
    made = small_detector(folder, SPEC, CENTRE, alarm=settings(features, **changed))
    threshold = int(np.quantile(made.core().run(noise(500, seed=1)).score, 0.98))
    return dataclasses.replace(made, threshold=threshold, folder=None).save(folder)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return detector_of(tmp_path_factory.mktemp("watch") / "detector")


@pytest.fixture
def watch(detector: Detector) -> Watch:
    return detector.core().watch()


def states(watched: Watched) -> list[State]:
    return [State(state) for state in watched.state]


def toy_score(features: Sequence[int]) -> int:
    return oracle.score([(x - CENTRE) ** 2 & 0xFFFFFFFF for x in features])


def story(count: int, seed: int) -> Samples:
    """A machine that runs, grows loud and quiet again, stops, is moved; its sensor sticks and clips."""
    rng = np.random.default_rng(seed)
    parts: list[Samples] = []
    while sum(map(len, parts)) < count:
        kind, length = rng.integers(12), int(rng.integers(1, 40))
        part = noise(length, int(rng.integers(2**31)), 300 * 2.0 ** rng.normal(0, 0.2))
        if kind == 0:
            part = noise(length, seed, 2)
        elif kind == 1:
            part = noise(length, seed, 300, (300, 600, 8000))
        elif kind == 2:
            part[:, :, rng.integers(3)] = 5
        elif kind == 3:
            part[:, :12, :] = np.where(part[:, :12, :] > 300, 16000, -16000)
        elif kind < 7:
            part = noise(length, int(rng.integers(2**31)), 300 * 2.0 ** rng.uniform(-3, 3))
        parts.append(part)
    return np.concatenate(parts)[:count]


@pytest.mark.parametrize("uncalibrated", [False, True])
def test_state_follows_the_specification_over_thousands_of_windows(
    detector: Detector, uncalibrated: bool, tmp_path: Path
) -> None:
    """Samples to states through the C core, and through both oracles: every bit, every state."""
    chosen = dataclasses.replace(detector, uncalibrated=uncalibrated, folder=None).save(tmp_path / "detector")
    windows = story(full(5_200, 20_000), seed=5)
    watch = chosen.core().watch()
    assert chosen.alarm
    machine = Machine(SPEC, chosen.alarm, chosen.threshold, toy_score, chosen.digest, uncalibrated)
    features, means = oracle.features(windows, SPEC), oracle.means(windows)
    wide = windows.astype(np.int64)
    seen: set[State] = set()
    clipped = (np.abs(wide) >= 16000).sum(axis=(1, 2))
    extremes = np.stack((wide.min(axis=1), wide.max(axis=1)), axis=2)
    for start in range(0, len(windows), 400):
        piece = slice(start, start + 400)
        watched = watch.run(windows[piece])
        wanted = [
            machine.window(Window(f.tolist(), m.tolist(), [tuple(pair) for pair in e.tolist()], int(c)))
            for f, m, e, c in zip(features[piece], means[piece], extremes[piece], clipped[piece], strict=True)
        ]
        columns = (watched.score, watched.verdict, watched.state, watched.votes, watched.reasons, watched.change,
                   watched.rise)  # fmt: skip
        assert np.array_equal(np.stack(columns, axis=1), np.array(wanted))
        assert watch.save() == machine.memory()
        if start % 1200 == 0:
            watch.rebaseline(30)
            machine.rebaseline(30)
        seen.update(states(watched))
    missing = {State.NORMAL, State.SUSPICIOUS, State.ALARM} if uncalibrated else set()
    assert set(State) - seen == missing


def test_an_alarm_needs_its_votes_and_ends_when_they_do(watch: Watch) -> None:
    healthy, loud = noise(40, seed=2), noise(9, seed=3, loudness=700)
    told = states(watch.run(np.concatenate((healthy, loud, healthy))))
    assert set(told[:40]) <= {State.NORMAL, State.SUSPICIOUS} and told[40:44] != [State.ALARM] * 4
    assert told[44:49] == [State.ALARM] * 5
    assert told[49:53] == [State.ALARM] * 4 and told[58:] == [State.NORMAL] * len(told[58:])


def test_without_the_physical_key_votes_raise_no_alarm(tmp_path: Path) -> None:
    loud = noise(40, seed=3, loudness=420)  # half an octave of amplitude: one of power
    for change, wanted in ((200, State.ALARM), (300, State.SUSPICIOUS)):
        watched = detector_of(tmp_path / "d", change=change, slow=0).core().watch().run(loud)
        assert watched.votes.max() == 7 and State(watched.state.max()) == wanted


def test_a_rise_alarms_without_the_score(tmp_path: Path) -> None:
    """A threshold that nothing reaches; a machine that doubles its power, slowly enough to be tracked."""
    deaf = dataclasses.replace(detector_of(tmp_path / "d", rise=600, slow=2), threshold=2**31 - 1, folder=None)
    core = deaf.save(tmp_path / "deaf").core()
    growing = np.concatenate([noise(40, seed, 300 * 2.0 ** (seed / 4)) for seed in range(9)])
    watched = core.watch().run(growing)
    assert not watched.verdict.any() and watched.state[-1] == State.ALARM
    assert watched.reasons[-1] == Cause.BY_RISE and (watched.state[:160] == State.NORMAL).all()


def test_tracking_follows_a_slow_machine_and_only_that(tmp_path: Path) -> None:
    slowly = np.concatenate([noise(60, seed, 300 * 2.0 ** (seed / 40)) for seed in range(20)])
    for slow, wanted in ((4, False), (0, True)):
        watched = detector_of(tmp_path / f"d{slow}", slow=slow, rise=0).core().watch().run(slowly)
        assert (watched.state == State.ALARM).any() == wanted


@pytest.mark.parametrize(("count", "fault"), [(20, False), (21, True)])
def test_clipped_samples_are_counted_over_channels_and_signs(watch: Watch, count: int, fault: bool) -> None:
    window = noise(1, seed=4)
    places = np.random.default_rng(count).permutation(window.size)[:count]
    window.reshape(-1)[places] = np.where(places % 2, 16000, -16000)
    told = watch.run(np.concatenate((window, noise(1, seed=5))))
    assert [bool(reasons & Cause.CLIPPED) for reasons in told.reasons] == [fault, False]
    assert (told.state[0] == State.FAULT) == fault


def test_one_stuck_channel_is_a_fault_and_a_quiet_machine_is_idle(watch: Watch) -> None:
    stuck, quiet = noise(2, seed=6), noise(2, seed=7, loudness=3)
    stuck[:, :, 2] = 11
    half = noise(2, seed=8, loudness=3)
    half[:, :, 0] = noise(2, seed=9)[:, :, 0]  # one channel alone hears the machine
    told = watch.run(np.concatenate((stuck, quiet, half)))
    assert states(told)[:4] == [State.FAULT] * 2 + [State.IDLE] * 2
    assert State.IDLE not in states(told)[4:]


@pytest.mark.parametrize("moved", [(0, 700, 8000), (0, -600, -8000), (80, 600, 8000)])
def test_gravity_from_elsewhere_is_a_moved_sensor(watch: Watch, moved: tuple[int, int, int]) -> None:
    """By 0.6 degrees and more, or upside down; not by an eighth of a degree."""
    told = states(watch.run(np.concatenate((noise(20, 1, gravity=(15, 610, 8000)), noise(20, 2, gravity=moved)))))
    assert State.MOVED not in told[:20] and told[-10:] == [State.MOVED] * 10


@pytest.mark.parametrize("pause", ["off", "moved", "stuck"])
def test_an_alarm_outlives_what_hides_it(watch: Watch, pause: str) -> None:
    loud = noise(12, seed=3, loudness=900)
    assert watch.run(loud).state[-1] == State.ALARM
    hidden = {"off": noise(30, 1, 2), "moved": noise(30, 1, 900, (2000, 600, 8000)), "stuck": noise(30, 1) * 0}[pause]
    told = watch.run(hidden)
    assert State.ALARM not in states(told)[4:] and watch.baseline().alarmed
    assert watch.run(noise(12, seed=4, loudness=900)).state[-1] == State.ALARM


def test_run_judges_each_window_by_itself(detector: Detector) -> None:
    windows = story(300, seed=8)
    core = detector.core()
    whole, forward, backward = core.run(windows), core.watch().run(windows[:1]), core.run(windows[::-1])
    assert np.array_equal(whole.score, backward.score[::-1]) and whole.score[0] == forward.score[0]
    assert not np.array_equal(whole.score, core.watch().run(windows).score)  # a watch tracks


def test_a_trace_tells_the_alarm_as_built(detector: Detector) -> None:
    window, core = noise(1, seed=3, loudness=900), detector.core()
    first = core.watch().run(window)
    item = bytes([first.state[0], first.votes[0], first.reasons[0], 0]) + first.change.tobytes() + first.rise.tobytes()
    assert core.trace(window[0])[Stage.ALARM] == [item]
    assert Core(SPEC).trace(window[0])[Stage.ALARM] == [bytes([State.NORMAL, *bytes(7)])]


# Re-baselining


def test_a_session_is_re_centred_and_the_way_back_is_exact(watch: Watch) -> None:
    session, before = noise(60, seed=11, loudness=380), watch.save()
    as_built = watch.run(session[:1]).score
    watch.resume(before)
    watch.rebaseline(5)
    told = watch.run(session[:5])
    assert states(told) == [State.LEARNING] * 5 and (told.reasons == Cause.GATHERING).all() and not told.change.any()
    done = watch.baseline()
    assert (done.revision, done.gathered, done.wanted, done.outcome) == (1, 5, 5, Outcome.DONE)
    assert 120 < done.change < 220  # 2 log2(380 / 300) octaves of power
    assert set(states(watch.run(session[5:]))) <= {State.NORMAL, State.SUSPICIOUS}
    watch.undo()
    assert watch.baseline().revision == 2 and watch.run(session[:1]).score == as_built
    watch.undo()  # and forth again
    assert watch.run(session[:1]).score < as_built


def test_too_far_is_refused_and_changes_nothing(watch: Watch) -> None:
    far = noise(60, seed=12, loudness=1500)
    watch.run(far[:20])
    alone = watch.run(far[20:21]).score
    watch.rebaseline(10)
    watch.run(far[:10])
    told = watch.baseline()
    assert (told.outcome, told.revision) == (Outcome.TOO_FAR, 0) and told.change > 400 and told.alarmed
    again = watch.run(far[20:21])
    assert again.score == pytest.approx(alone, abs=300) and again.state == State.ALARM


def test_windows_without_a_machine_are_not_gathered(watch: Watch) -> None:
    watch.rebaseline(4)
    dead = noise(2, seed=1) * 0
    told = watch.run(np.concatenate((noise(2, 1, 2), dead, noise(3, 1), noise(2, 1, 2))))
    assert watch.baseline().gathered == 3 and watch.baseline().outcome == Outcome.UNDER_WAY
    assert states(told)[:4] == [State.IDLE] * 2 + [State.FAULT] * 2
    watch.undo()
    assert watch.baseline().outcome == Outcome.STOPPED
    with pytest.raises(CyberHansError, match="nothing to undo"):
        watch.undo()


def test_a_moved_sensor_is_re_centred_with_its_gravity(watch: Watch) -> None:
    moved = noise(40, seed=13, gravity=(900, 900, 7800))
    assert watch.run(moved[:8]).state[-1] == State.MOVED
    watch.rebaseline(5)
    assert set(states(watch.run(moved[8:13]))) == {State.MOVED}
    assert State.MOVED not in states(watch.run(moved[13:]))
    assert watch.run(noise(10, seed=14)).state[-1] == State.MOVED  # the old place is now another


def test_what_a_reset_leaves(watch: Watch) -> None:
    session = noise(40, seed=11, loudness=380)
    as_built = watch.run(session[:1]).score
    watch.reset()
    watch.rebaseline(5)
    watch.run(session[:5])
    centred = watch.run(session[:1]).score
    loud = noise(12, seed=3, loudness=900)
    for how, wanted, revision in ((Reset.KEEP_BASELINE, centred, 1), (Reset.BASELINE_ASIDE, as_built, 1),
                                  (Reset.KEEP_BASELINE, centred, 1), (Reset.AS_BUILT, as_built, 0)):  # fmt: skip
        assert watch.run(loud).state[-1] == State.ALARM
        watch.reset(how)
        assert not watch.baseline().alarmed and watch.baseline().revision == revision
        told = watch.run(session[:1])
        assert told.score == wanted and told.votes <= 1


@pytest.mark.parametrize("windows", [0, 1, 4097, -1, 70_000])
def test_so_many_windows_are_refused(watch: Watch, windows: int) -> None:
    with pytest.raises(CyberHansError, match="2 to 4096"):
        watch.rebaseline(windows)


# Memory


def test_what_was_saved_goes_on_as_if_nothing_had_been(detector: Detector) -> None:
    windows, core = story(400, seed=9), detector.core()
    whole, first, second = core.watch(), core.watch(), core.watch()
    wanted = whole.run(windows)
    first.run(windows[:150])
    second.resume(first.save())
    rest = second.run(windows[150:])
    for name in ("score", "state", "votes", "reasons", "change", "rise"):
        assert np.array_equal(getattr(wanted, name)[150:], getattr(rest, name)), name
    assert whole.save() == second.save()


def damages(saved: bytes) -> list[bytes]:
    flipped = [saved[:i] + bytes([saved[i] ^ 1 << i % 8]) + saved[i + 1 :] for i in range(len(saved))]
    return [*flipped, saved[:-1], saved + b"\0", b"", bytes(len(saved)), b"\xff" * len(saved)]


def test_damaged_memory_is_refused_and_changes_nothing(watch: Watch) -> None:
    watch.run(story(100, seed=10))
    saved = watch.save()
    for damaged in damages(saved):
        with pytest.raises(CyberHansError, match="damaged, or another detector's"):
            watch.resume(damaged)
    assert watch.save() == saved


def test_another_detectors_memory_is_refused(watch: Watch, tmp_path: Path) -> None:
    other = detector_of(tmp_path / "other", change=27).core().watch()
    with pytest.raises(CyberHansError, match="another detector's"):
        watch.resume(other.save())


def test_a_detector_without_settings_has_no_states(tmp_path: Path) -> None:
    plain = dataclasses.replace(small_detector(tmp_path / "made", SPEC, CENTRE), alarm=None)
    watch = plain.save(tmp_path / "plain").core().watch()
    watched = watch.run(story(50, seed=1))
    assert set(watched.state) == {State.NORMAL} and not watched.reasons.any() and not watched.votes.any()
    calls: list[Callable[[], object]] = [watch.undo, watch.baseline, watch.reset, lambda: watch.rebaseline(5)]
    for call in calls:
        with pytest.raises(CyberHansError, match="no alarm settings"):
            call()
    assert watch.save() == b""


def test_no_windows_tell_nothing(watch: Watch) -> None:
    nothing = watch.run(noise(0, 1))
    assert nothing.features.shape == (0, SPEC.features) and nothing.mean.shape == (0, 3) and len(nothing.state) == 0


def test_idle_may_be_never(tmp_path: Path) -> None:
    watched = detector_of(tmp_path / "d", idle=NEVER_IDLE).core().watch().run(noise(3, 1, 2))
    assert State.IDLE not in states(watched)
