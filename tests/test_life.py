"""Alarms over a life: a simulated one that ends badly, three real bearings, and a fan whose sensor was touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command import cyberhans

from cyberhans.alarm import Outcome, State
from cyberhans.bench import spec_for
from cyberhans.dataset import load_listed, load_protocol
from cyberhans.errors import CyberHansError
from cyberhans.evaluate import auc
from cyberhans.life import episodes, life, segments
from cyberhans.recording import Recording, save_recording
from cyberhans.train import train

BEARINGS = ("bearing1_2", "bearing2_1", "bearing3_1")


def short_life(end: float, seed: int = 3) -> Recording:
    """100 segments of noise whose loudness grows by `end` octaves of amplitude over the last fifth."""
    rng = np.random.default_rng(seed)
    growth = np.repeat(2.0 ** np.interp(np.arange(100), [0, 80, 99], [0, 0, end]), 2048)
    samples = np.clip(rng.normal(0, 600, len(growth)) * growth, -32768, 32767).astype(np.int16)[:, None]
    return Recording(samples, 20_000.0, segment_len=2048, segment_period_s=60.0)


def test_a_machine_that_grows_loud_is_told_before_its_end() -> None:
    told = life(short_life(2.0), 30, false_alarm_rate=0.05)
    assert told["detected"] and told["false_episodes"] == 0 and told["snapshots"] == 100
    assert 0.8 < told["first_alarm"] < 1 and told["reasons"]
    assert told["lead_min"] == pytest.approx((1 - told["first_alarm"]) * 100)


def test_a_machine_that_stays_as_it_was_is_not() -> None:
    told = life(short_life(0.0), 30, false_alarm_rate=0.05)
    assert (told["detected"], told["lead_min"], told["episodes"], told["reasons"]) == (False, None, 0, [])


@pytest.mark.parametrize("learn", [1, 51])
def test_what_cannot_be_learnt_from_is_refused(learn: int) -> None:
    with pytest.raises(CyberHansError, match="learn from 2 to 50 segments"):
        life(short_life(0.0), learn)


def test_episodes_are_stretches() -> None:
    assert [episodes(np.array(on, bool)) for on in ([], [1, 1], [0, 1, 0, 1], [1, 0, 0, 1])] == [0, 1, 2, 2]


@pytest.mark.recordings
@pytest.mark.slow
@pytest.mark.parametrize("learn", ["fifth", 120])
@pytest.mark.parametrize("name", BEARINGS)
def test_bearings_that_failed(
    recordings: Path, name: str, learn: str | int, record_property: Callable[[str, object], None]
) -> None:
    """No more than one false alarm between 20 and 50 % of their lives, and each told before it fails."""
    recording = load_listed(recordings, f"bearing_run_to_failure/{name}.wav")
    segments = recording.frames // recording.segment_len
    told = life(recording, segments // 5 if learn == "fifth" else int(learn))
    record_property(f"{name} {learn}", told)
    print(told)
    assert told["false_episodes"] <= 1 and told["detected"] and told["lead_min"] > 1


@pytest.mark.recordings
@pytest.mark.slow
def test_a_sensor_that_was_touched_is_told_and_re_centred(recordings: Path) -> None:
    """Windows of the later session are neither normal nor an alarm; five of them re-centre the detector."""
    protocol = load_protocol(recordings, "ceiling_fan_shift/low")
    spec = spec_for(protocol, "full")
    core = train(protocol.train, kind="gaussian", spec=spec, false_alarm_rate=0.02).core()
    for part in protocol.train:
        assert not (core.watch().run(part.windows(spec)).state == State.MOVED).any()
    for part in protocol.test_normal:
        states = core.watch().run(part.windows(spec)).state
        assert (states == State.MOVED).mean() > 0.99 and not (states == State.ALARM).any()
    later, anomaly = protocol.test_normal[0].windows(spec), protocol.test_anomaly[0].windows(spec)
    assert auc(core.run(later).score, core.run(anomaly).score) < 0.9
    for start in range(0, len(later) - 5, 50):
        watch = core.watch()
        watch.rebaseline(5)
        assert set(watch.run(later[start : start + 5]).state) == {State.MOVED}
        assert watch.baseline().outcome == Outcome.DONE
        saved, scores = watch.save(), []
        for window in np.concatenate((later[:start], later[start + 5 :], anomaly)):
            watch.resume(saved)  # each by itself: nothing is tracked
            scores.append(watch.run(window[None]).score[0])
        normal, odd = np.split(np.array(scores), [len(later) - 5])
        assert auc(normal, odd) >= 0.99
        watch.resume(saved)
        assert not (watch.run(later[start + 5 :]).state == State.MOVED).any()


def test_how_much_is_learnt_from_is_a_number_or_a_share() -> None:
    heard = short_life(0.0)
    assert [segments(heard, amount) for amount in ("30", "20%", "12.5%")] == [30, 20, 12]
    with pytest.raises(CyberHansError, match="learn from 'a fifth': give a number of segments, or a share such as 20%"):
        segments(heard, "a fifth")


def test_the_command_tells_a_line_for_each_life(tmp_path: Path) -> None:
    path = save_recording(short_life(2.0), tmp_path / "worn.wav").path
    told = cyberhans("life", path, "--learn", "30", "--learn", "40%", "--false-alarms", "0.05")
    assert told.code == 0 and len(told.out.splitlines()) == 2
    assert "learnt from 30 of 100; false alarms in 20-50 % of its life 0; alarm" in told.out
    refused = cyberhans("life", path, "--learn", "99")
    assert refused.code == 1 and "learn from 2 to 50 segments, not 99" in refused.err and refused.err.count("\n") == 1
