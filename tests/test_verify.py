"""A device against its host: equality on hard windows, and what is told when bits differ."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import serial
from small_detector import noise, small_detector, small_image, small_spec

from cyberhans import verify as verify_room
from cyberhans.boards import board
from cyberhans.build import build
from cyberhans.dataset import load_protocol
from cyberhans.device import Device, open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.judgement import Judgement
from cyberhans.messages import Request
from cyberhans.protocol import Packet
from cyberhans.recording import Recording
from cyberhans.spec import Family, Frame, Spec, design
from cyberhans.verify import adversarial_windows, gather_windows, verify, verify_on
from cyberhans.watch import Watched

BOARDS = [
    "native",
    *(pytest.param(name, marks=pytest.mark.emulator) for name in ("netduinoplus2", "microbit", "virt-rv32imac")),
]
NO_BITS = {"features": 0, "score": 0, "verdict": 0, "alarm": 0}
RUNNING = tuple(f", running: {state}\r\n" for state in ("normal", "suspicious", "alarm"))


@pytest.mark.parametrize("name", BOARDS)
def test_hard_windows_give_the_same_bits(name: str) -> None:
    detector, image = small_image(name)
    windows = np.concatenate((adversarial_windows(detector.spec), noise(detector.spec, 4)))
    with open_device(f"board:{name}", image=image) as device:
        outcome = verify(detector, windows, device)
    assert outcome.equal
    assert (outcome.windows, outcome.differing_bits, outcome.first_difference) == (13, NO_BITS, None)


@pytest.mark.parametrize("name", BOARDS)
def test_bulk_gives_the_same_bits(name: str) -> None:
    detector, image = small_image(name)
    with open_device(f"board:{name}", image=image) as device:
        outcome = verify(detector, noise(detector.spec, 60, seed=2), device, bulk=True)
    assert outcome.equal and outcome.windows == 60


SPECS = {
    "tiny": small_spec(2, "tiny", 8000, 1024),
    "full": small_spec(3, "full", 20000, 4096),
    "one channel, gaps": Spec(
        44_100_000, 1, 3000, 5001, Family(7), (Frame(64, (1, 3, 9, 32)), Frame(1024, (2, 5, 512)))
    ),
    "six channels": Spec(1_000_000, 6, 600, 600, Family(7), (Frame(128, (1, 4, 16, 64)),)),
}


@pytest.mark.parametrize("name", SPECS)
def test_every_shape_of_spec_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    detector = small_detector(tmp_path / "detector", spec)
    image = build(tmp_path / "detector", "native", tmp_path).image
    windows = np.concatenate((adversarial_windows(spec), noise(spec, 20)))
    for bulk in (False, True):
        outcome = verify_on("board:native", detector, windows, image=image, bulk=bulk)
        assert outcome.equal, outcome.to_dict()


def test_verify_on_builds_the_image_itself() -> None:
    detector = dataclasses.replace(small_image()[0], folder=None)
    assert verify_on("board:native", detector, noise(detector.spec, 2)).equal


def test_json_says_all_of_it(tmp_path: Path) -> None:
    detector = small_detector(tmp_path / "detector", uncalibrated=True)
    windows = noise(detector.spec, 2)
    told = verify_on("board:native", detector, windows).to_dict()
    score = detector.core().run(windows).score
    assert json.loads(json.dumps(told)) == {
        "device": "board:native", "windows": 2, "streams": 1, "differing_bits": NO_BITS, "first_difference": None,
        "instructions_per_window": None, "anomalies": int((score > detector.threshold).sum()),
        "highest_score": max(score) / 65536, "threshold": detector.threshold / 65536,
        "states": {"learning": 2}, "uncalibrated": True, "warnings": detector.warnings,
    }  # fmt: skip
    assert told["warnings"]


def test_a_bad_recording_is_refused_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    detector, image = small_image()
    spec = detector.spec
    silent = Recording(np.zeros((3 * spec.window, 3), np.int16), spec.rate_hz, path=Path("silent.wav"))
    good = Recording(noise(spec, 3).reshape(-1, 3), spec.rate_hz)
    with (
        open_device("board:native", image=image) as device,
        pytest.raises(CyberHansError, match=r"silent\.wav: all samples are zero"),
    ):
        verify(detector, [good, silent], device)
    monkeypatch.setattr(verify_room, "_build", lambda *_: pytest.fail("it went on"))
    with pytest.raises(CyberHansError, match=r"silent\.wav: all samples are zero"):
        verify_on("board:native", detector, [good, silent])


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["netduinoplus2", "microbit", "virt-rv32imac", "virt-rv32imafc"])
def test_instructions_are_counted_by_stage_and_alike_each_time(name: str) -> None:
    detector, image = small_image(name)
    windows = noise(detector.spec, 3)
    first, second = (verify_on(f"board:{name}", detector, windows, image=image) for _ in range(2))
    counts = first.instructions_per_window
    assert counts and second.instructions and first.instructions == counts["total"]
    assert counts["total"] == sum(count for stage, count in counts.items() if stage != "total")
    assert second.instructions == pytest.approx(first.instructions, rel=0.005)  # the tick interrupts here and there
    frames = detector.spec.frame_count(detector.spec.frames[0]) * detector.spec.channels
    assert counts["spectrum"] / frames > 512 * 5  # no transform of 512 takes less than some instructions a sample
    assert counts["spectrum"] > counts["bands"] > counts["score"] > 0


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["microbit", "virt-rv32imac"])
def test_instructions_do_not_depend_on_the_clock_of_the_host(name: str) -> None:
    """A window twice: the same stages within a part in a thousand."""
    detector, image = small_image(name)
    window = noise(detector.spec, 1)
    with open_device(f"board:{name}", image=image, counting=True) as device:
        counts = [verify_room.count_instructions(device, board(name), window) for _ in range(2)]
    assert counts[0]["spectrum"] == pytest.approx(counts[1]["spectrum"], rel=0.001)


def test_recordings_are_cut_into_windows_and_limited_each() -> None:
    spec = small_spec()
    made = Recording(samples=noise(spec, 5).reshape(-1, 3), rate_hz=spec.rate_hz)
    assert len(gather_windows([made, made], spec)) == 10
    assert len(gather_windows([made, made], spec, limit=2)) == 4
    assert (gather_windows([made], spec) == noise(spec, 5)).all()
    with pytest.raises(CyberHansError, match="nothing to verify"):
        gather_windows([], spec)


def test_adversarial_windows_are_what_they_say() -> None:
    windows = adversarial_windows(small_spec())
    silence, rail, dc, square, impulse, bit, clipped, alternating, bits = windows
    assert not silence.any() and (rail == -32768).all() and (dc == 12345).all()
    assert set(np.unique(square)) == set(np.unique(alternating)) == {-32768, 32767}
    assert impulse.sum() == 3 and set(np.unique(bit)) == {0, 1}
    assert (np.abs(clipped.astype(int)) >= 32767).mean() > 0.3
    assert np.unique(bits).size > 2000
    assert (windows == adversarial_windows(small_spec())).all()


class Liar:
    """A device that bends what the real one says."""

    def __init__(self, device: Device, bend: dict[int, dict[str, object]]) -> None:
        self._device, self._bend = device, bend

    def __getattr__(self, name: str) -> object:
        return getattr(self._device, name)

    def replay(self, windows: np.ndarray, *rest: object) -> object:
        for judgement in self._device.replay(windows, *rest):
            change = self._bend.get(judgement.window, {}) if len(windows) > 1 else {}
            yield dataclasses.replace(judgement, **change)


def lie(bend: dict[int, dict[str, object]]) -> verify_room.Verification:
    detector, image = small_image()
    with open_device("board:native", image=image) as device:
        return verify(detector, noise(detector.spec, 4), Liar(device, bend))  # type: ignore[arg-type]


def truth() -> Watched:
    detector = small_image()[0]
    return detector.core().watch().run(noise(detector.spec, 4))


def test_each_differing_bit_is_counted() -> None:
    right = truth()
    features, mean = right.features[2].copy(), right.mean[2].copy()
    features[3] ^= 0b101
    features[9] ^= -32768
    mean[1] ^= 1
    score, anomaly = int(right.score[2]) ^ 0b1111, 1 - int(right.verdict[2])
    alarm = {"state": int(right.state[2]) ^ 1, "votes": int(right.votes[2]) ^ 6, "reasons": int(right.reasons[2]) ^ 128,
             "change": int(right.change[2]) ^ 7, "rise": ~int(right.rise[2])}  # fmt: skip
    outcome = lie({2: {"features": features, "score": score, "anomaly": anomaly, "mean": mean, **alarm}})
    assert outcome.differing_bits == {"features": 3, "score": 4, "verdict": 2, "alarm": 1 + 2 + 1 + 3 + 16}
    assert not outcome.equal


def test_what_the_trace_does_not_show_is_told_from_the_events() -> None:
    right = truth()
    score = int(right.score[1])
    first = lie({1: {"score": score + 1}, 3: {"score": 0}}).first_difference
    assert first and (first.window, first.stage, first.device, first.host) == (1, "score", score + 1, score)
    assert first.to_dict()["host_hex"] == f"0x{score % 2**32:08x}"
    features = right.features[3].copy()
    features[5] -= 1
    first = lie({3: {"features": features}}).first_difference
    assert first and (first.stage, first.index) == ("features", 5)
    assert first.what == f"feature {small_spec().feature_names[5]}"


def test_alarms_and_the_highest_score_tell_whether_the_recording_is_anomalous() -> None:
    detector, image = small_image()
    outcome = verify_on("board:native", detector, noise(detector.spec, 20), image=image)
    score = detector.core().run(noise(detector.spec, 20)).score
    assert outcome.anomalies == np.count_nonzero(score > detector.threshold)
    assert 0 < outcome.anomalies < 20
    assert outcome.highest_score == score.max() / 65536 > outcome.threshold == detector.threshold / 65536


@pytest.mark.parametrize("name", ["state", "votes", "reasons", "change", "rise"])
def test_another_state_is_told_by_its_value(name: str) -> None:
    host = int(getattr(truth(), name)[2])
    first = lie({2: {name: host ^ 3}}).first_difference
    assert first and (first.window, first.stage, first.what) == (2, "alarm", name)
    assert (first.device, first.host) == (host ^ 3, host)
    assert first.to_dict()["host_hex"] == f"0x{host % 2**16:0{4 if name in ('change', 'rise') else 2}x}"


@pytest.mark.parametrize("bend", [{"threshold": 5}, {"flags": 1}])
def test_a_device_that_judges_by_other_settings_is_refused_by_their_name(bend: dict[str, object]) -> None:
    name, value = next(iter(bend.items()))
    expected = getattr(small_image()[0], name)
    with pytest.raises(CyberHansError, match=f"window 2: the device sent {name} {value}, the detector has {expected};"):
        lie({2: bend})


@pytest.mark.parametrize("count", [0, 1, 9])
def test_a_wrong_number_of_means_is_an_error(count: int) -> None:
    with pytest.raises(CyberHansError, match="window 1: the device sent a wrong number of means"):
        lie({1: {"mean": np.zeros(count, np.int16)}})


def test_a_differing_mean_is_told_with_all_its_bits() -> None:
    mean = truth().mean[1].copy()
    mean[2] = -300
    first = lie({1: {"mean": mean}}).first_difference
    assert first and first.what == "mean of channel 2"
    assert first.to_dict()["device_hex"] == "0xfed4"


def banner(url: str) -> str:
    with serial.serial_for_url(url, timeout=3) as port:
        port.write(b"\0?\n")
        return bytes(port.read_until(b"\n")).rpartition(b"\0")[2].decode()


def test_after_all_a_device_watches_its_machine_again() -> None:
    """After equal bits, a difference, an error, and a packet that was cut short."""
    detector, image = small_image()
    windows = noise(detector.spec, 3)
    with Emulator(board("native"), image) as running:
        verify_on(running.url, detector, windows)
        assert banner(running.url).endswith(RUNNING)
        with open_device(running.url) as device:
            assert not verify(detector, windows, Liar(device, {1: {"score": 0}})).equal  # type: ignore[arg-type]
        assert banner(running.url).endswith(RUNNING)
        with open_device(running.url) as device, pytest.raises(CyberHansError):
            verify(detector, windows, Liar(device, {1: {"flags": 1}}))  # type: ignore[arg-type]
        assert banner(running.url).endswith(RUNNING)
        with open_device(running.url) as device:
            device.start()
            device._line.write(Packet(Request.SAMPLES, 1, bytes(200)).encode()[:-50])
            device.leave()
        assert banner(running.url).endswith(RUNNING)


def test_missing_and_extra_verdicts_are_errors() -> None:
    detector, image = small_image()
    with open_device("board:native", image=image) as device:
        pushed = device._push
        device._push = lambda samples, *rest: pushed(samples[:-1], *rest)  # type: ignore[method-assign]
        with pytest.raises(CyberHansError, match="1 verdicts for 2 windows, 6 times at window 1 of 2; check the line"):
            list(device.replay(noise(detector.spec, 2)))
        device._push = lambda samples, *rest: pushed(np.concatenate((samples, samples)), *rest)  # type: ignore
        with pytest.raises(CyberHansError, match="3 verdicts for 2 windows"):
            list(device.replay(noise(detector.spec, 2)))


def test_a_window_that_comes_in_part_is_an_error() -> None:
    def lossy(judgement: Judgement) -> Judgement:
        features = None if judgement.features is None else judgement.features[:-1]
        return dataclasses.replace(judgement, features=features)

    detector, image = small_image()
    with open_device("board:native", image=image) as device:
        whole = device.replay
        device.replay = lambda windows, *rest: map(lossy, whole(windows, *rest))  # type: ignore
        with pytest.raises(CyberHansError, match="wrong number of features"):
            verify(detector, noise(detector.spec, 2), device)


@pytest.mark.recordings
@pytest.mark.parametrize("name", BOARDS)
def test_two_hundred_real_windows_give_the_same_bits(name: str, recordings: Path) -> None:
    """Three axes of a ceiling fan, with and without a weight on a blade, at a shape of Spec that a MEMS sensor uses."""
    part = load_protocol(recordings, "ceiling_fan/low")
    tests = part.test_normal + part.test_anomaly
    spec = design("small", tests[0].rate_hz, 3, tests[0].segment_len)
    with tempfile.TemporaryDirectory() as scratch:
        detector = small_detector(Path(scratch) / "detector", spec)
        outcome = verify_on(f"board:{name}", detector, tests, limit=110)
    assert outcome.equal, outcome.to_dict()
    assert outcome.windows >= 200
