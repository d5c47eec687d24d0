"""A packet log played back to the host and to a device: equal where nothing was changed, and told where a bit was."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import replace as changed
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from command import cyberhans
from fake_device import fake_device, info_of
from small_detector import noise, small_detector, small_image, small_spec, steady_alarm

from cyberhans import exchange
from cyberhans.boards import board
from cyberhans.build import build
from cyberhans.detector import Detector
from cyberhans.device import Device, open_device
from cyberhans.emulator import Emulator
from cyberhans.errors import CyberHansError
from cyberhans.hil.proxy import proxy
from cyberhans.messages import (
    REPLY,
    STOP,
    UNDO,
    Baseline,
    Capture,
    Features,
    Nak,
    Request,
    Samples,
    Start,
    Taken,
    Verdict,
)
from cyberhans.packet_log import PacketLog
from cyberhans.protocol import Packet
from cyberhans.replay import Replay, replay, replay_on
from cyberhans.verify import verify

_SCRATCH = TemporaryDirectory(prefix="replay-")
WINDOWS = 12
Row = dict[str, Any]


@cache
def verified() -> Path:
    """The log of a verify run."""
    detector, image = small_image()
    path = Path(_SCRATCH.name) / "verified"
    with PacketLog(path, "board:native") as log, open_device("board:native", image=image, log=log) as device:
        assert verify(detector, noise(detector.spec, WINDOWS), device).equal
    return path


def rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rewritten(path: Path, lines: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in lines))
    return path


def bent(path: Path, kind: str, which: int, change: Callable[[bytes], bytes]) -> Path:
    """The log of the verify run with another body in its packet number `which` of that type."""
    lines = rows(verified())
    row = [row for row in lines if row.get("type") == kind][which]
    row["body"] = change(bytes.fromhex(row["body"])).hex()
    return rewritten(path, lines)


def flipped(place: int) -> Callable[[bytes], bytes]:
    """One bit of one byte."""
    return lambda body: body[:place] + bytes((body[place] ^ 4,)) + body[place + 1 :]


def both(path: Path) -> tuple[Replay, Replay]:
    """Against the host, and against a device."""
    detector, image = small_image()
    return replay(path, detector=detector), replay_on("board:native", path, image=image)


def test_a_verify_run_says_the_same_once_more_on_the_host_and_on_a_device() -> None:
    """Verify sends one window more, of which it compares all stages."""
    packets = sum("type" in row for row in rows(verified()))
    for outcome, against in zip(both(verified()), ("host", "board:native"), strict=True):
        assert outcome.equal and outcome.first_difference is None, outcome
        assert (outcome.windows, outcome.packets, outcome.against) == (WINDOWS + 1, packets, against)
        assert (outcome.differing_bits, outcome.differing_fields, outcome.device) == (0, 0, "board:native")
        assert outcome.answers > 6 * WINDOWS
        assert not [warning for warning in outcome.warnings if "run mode" not in warning]


@pytest.mark.parametrize(
    ("kind", "which", "place", "field"),
    [
        ("VERDICT", 3, 8, "score"),
        ("VERDICT", 3, 12, "threshold"),
        ("VERDICT", 5, 16, "anomaly"),
        ("VERDICT", 5, 19, "state"),
        ("VERDICT", 5, 20, "votes"),
        ("VERDICT", 7, 4, "first"),
        ("VERDICT", 7, 24, "change"),
        ("VERDICT", 2, 30, "mean of channel 1"),
        ("FEATURES", 4, 8, "feature 0"),
        ("FEATURES", 4, 8 + 2 * 20, "feature 20"),
    ],
)
def test_one_bit_of_an_event_is_told_at_its_window(
    tmp_path: Path, kind: str, which: int, place: int, field: str
) -> None:
    events = [row for row in rows(verified()) if row.get("type") == kind]
    judged = [row for row in events if int.from_bytes(bytes.fromhex(row["body"])[:4], "little") >= 2**31]
    window = int.from_bytes(bytes.fromhex(judged[which]["body"])[:4], "little")
    path = bent(tmp_path / "log", kind, events.index(judged[which]), flipped(place))
    for outcome in both(path):
        first = outcome.first_difference
        assert first and not outcome.equal
        place_told = which - (kind == "VERDICT")  # before the others comes one that was traced, without FEATURES
        assert (first.message, first.field, first.window, first.place) == (kind, field, window, place_told)
        assert (first.bits, outcome.differing_bits, outcome.differing_fields) == (1, 1, 1)
        assert first.logged and first.replayed
        assert (int(first.logged, 16) ^ int(first.replayed, 16)).bit_count() == 1
        assert json.loads(path.read_text().splitlines()[first.line - 1])["type"] == kind


def test_an_answer_that_differs_is_told_with_its_line(tmp_path: Path) -> None:
    path = bent(tmp_path / "log", "SAMPLES_REPLY", 4, flipped(0))
    for outcome in both(path):
        first = outcome.first_difference
        assert first and (first.message, first.field, first.window) == ("SAMPLES_REPLY", "next", None)
        assert rows(path)[first.line - 1]["type"] == "SAMPLES"  # the request


@pytest.mark.parametrize(("kind", "place"), [("SAMPLES_REPLY", 4), ("INFO_REPLY", 136), ("INFO_REPLY", 17)])
def test_what_may_differ_is_no_difference(tmp_path: Path, kind: str, place: int) -> None:
    """Overruns, and the mode in which the device was found."""
    for outcome in both(bent(tmp_path / "log", kind, 0, flipped(place))):
        assert outcome.equal, outcome.first_difference


def test_features_in_several_packets_are_compared_as_one(tmp_path: Path) -> None:
    """As a board with shorter packets sends them; and with a part that is missing."""
    lines, split, shift = rows(verified()), list[Row](), 0
    for row in lines:
        if row.get("type") in ("VERDICT", "FEATURES"):
            row["seq"] = (row["seq"] + shift) % 256
        if row.get("type") != "FEATURES":
            split.append(row)
            continue
        whole, shift = Features.unpack(bytes.fromhex(row["body"])), shift + 1
        for part in (changed(whole, tail=whole.tail[:80]), changed(whole, offset=40, tail=whole.tail[80:])):
            split.append({**row, "seq": (row["seq"] + (part.offset > 0)) % 256, "body": part.pack().hex()})
    for outcome in both(rewritten(tmp_path / "log", split)):
        assert outcome.equal and outcome.windows == WINDOWS + 1, outcome.first_difference
    last = [row for row in split if row.get("type") == "FEATURES"][-1]
    for outcome in both(rewritten(tmp_path / "log", [row for row in split if row is not last])):
        assert outcome.first_difference and outcome.first_difference.message == "FEATURES"


def test_a_window_without_its_verdict_is_a_difference_if_the_log_has_lost_nothing(tmp_path: Path) -> None:
    """The device's numbers tell: with them in turn it has never said it."""
    lines = rows(verified())
    events = [row for row in lines if row.get("type") in ("VERDICT", "FEATURES")]
    gone = events[-2:]
    for outcome in both(rewritten(tmp_path / "end", [row for row in lines if row not in gone])):
        first = outcome.first_difference
        assert first and (first.message, first.logged, first.replayed) == ("VERDICT", None, "0xc0")
        assert first.place == WINDOWS - 1
    gone = events[-4:-2]
    for outcome in both(rewritten(tmp_path / "midst", [row for row in lines if row not in gone])):
        assert outcome.equal and outcome.windows == WINDOWS
        assert "windows without a VERDICT in the log: 1" in outcome.warnings
        assert "events of the log's device that its host never got: 2" in outcome.warnings


def test_a_verdict_too_many_is_a_difference(tmp_path: Path) -> None:
    lines = rows(verified())
    last = max(i for i, row in enumerate(lines) if row.get("type") == "VERDICT")
    body = bytes.fromhex(lines[last]["body"])
    more = Verdict.unpack(body)
    extra = {**lines[last], "body": changed(more, window=more.window + 1).pack().hex(), "seq": lines[last]["seq"] + 2}
    lines.insert(last + 2, {**extra, "seq": extra["seq"] % 256})
    for outcome in both(rewritten(tmp_path / "log", lines)):
        first = outcome.first_difference
        assert first and (first.message, first.place, first.replayed) == ("VERDICT", WINDOWS, None)


def test_another_detector_is_refused_in_one_line() -> None:
    other, image = small_image(centre=3001)
    with pytest.raises(CyberHansError, match=r"^[^\n]*its device holds another detector: model digest [^\n]*$"):
        replay(verified(), detector=other)
    with pytest.raises(
        CyberHansError, match=r"^board:native holds another detector than the log's device: model [^\n]*$"
    ):
        replay_on("board:native", verified(), image=image)
    with pytest.raises(CyberHansError, match="holds another detector"):
        replay_on("board:native", verified(), other, image=small_image()[1])


def test_a_device_with_shorter_packets_is_refused_in_one_line() -> None:
    info = info_of(small_image()[0], body_max=256)

    def answer(packet: Packet) -> list[Packet]:
        body = info.pack() if packet.type == Request.INFO else b""
        if packet.type == Request.START:
            body = Taken(Start.unpack(packet.body).window * info.hop % 2**32, 0, 2, 0).pack()
        return [Packet(packet.type | REPLY, packet.seq, body)]

    with (
        fake_device(answer) as url,
        pytest.raises(CyberHansError, match=r"takes 256 bytes a packet, line \d+ of the log has 10\d\d: replay it on"),
    ):
        replay_on(url, verified())


# --- re-baselining inside a stream


def push(device: Device, windows: np.ndarray[Any, Any], number: int, at: int) -> int:
    """Send int16 windows (k, n, channels) whose first sample frame is `at` of the stream; the next one."""
    frames = windows.reshape(-1, windows.shape[2])
    for begin in range(0, len(frames), 100):
        part = frames[begin : begin + 100]
        body = Samples((number * device.info.hop + at) % 2**32, tail=part.tobytes()).pack()
        at += len(part)
        assert Taken.unpack(device.request(Request.SAMPLES, body)).next == (number * device.info.hop + at) % 2**32
    return at


@cache
def rebaselined() -> tuple[Detector, Path, Path]:
    """A detector, its image, and the log of a stream: a baseline by 3 windows, set back, another begun and stopped."""
    folder = Path(_SCRATCH.name) / "rebaselined"
    spec = small_spec()
    centre = small_image()[0].alarm
    assert centre
    detector = small_detector(folder / "detector", spec, alarm=steady_alarm(centre.centre, slow=3, rise=100))
    image = build(folder / "detector", "native", folder / "build").image
    windows, number, half = noise(spec, 20, seed=5), 2**31 + 7, spec.window // 2
    louder = (windows[:10].astype(np.int32) * 5 // 4).clip(-32768, 32767).astype(np.int16)
    with PacketLog(folder / "log") as log, open_device("board:native", image=image, log=log) as device:
        device.start(window=number)
        at = push(device, louder[:4], number, 0)
        at = push(device, louder[4:5, :half], number, at)  # in the midst of a window
        device.rebaseline(3, token=5)
        device.rebaseline(3, token=5)  # is only answered
        at = push(device, louder[4:5, half:], number, at)
        at = push(device, louder[5:], number, at)
        assert device.baseline().revision == 1
        device.rebaseline(UNDO, token=6)
        at = push(device, windows[10:14], number, at)
        device.rebaseline(4, token=7)
        at = push(device, windows[14:16], number, at)
        device.rebaseline(STOP, token=8)
        with pytest.raises(CyberHansError, match="no baseline is set"):
            device.rebaseline(4097, token=9)
        push(device, windows[16:], number, at)
        device.leave()
    return detector, image, folder / "log"


def test_a_rebaselining_inside_a_stream_is_foretold_exactly() -> None:
    detector, image, path = rebaselined()
    for outcome in (replay(path, detector=detector), replay_on("board:native", path, image=image)):
        assert outcome.equal and outcome.windows == 20, outcome
        assert not [warning for warning in outcome.warnings if "run mode" not in warning]


@pytest.mark.parametrize("which", range(6))
def test_another_answer_about_a_baseline_is_told(tmp_path: Path, which: int) -> None:
    detector, image, path = rebaselined()
    lines = rows(path)
    row = [row for row in lines if row.get("type") in ("REBASELINE_REPLY", "BASELINE_REPLY")][which]
    told = Baseline.unpack(bytes.fromhex(row["body"]))
    row["body"] = changed(told, change=told.change ^ 256).pack().hex()
    rewritten(tmp_path / "log", lines)
    for outcome in (
        replay(tmp_path / "log", detector=detector),
        replay_on("board:native", tmp_path / "log", image=image),
    ):
        first = outcome.first_difference
        assert first and (first.message, first.field, first.bits) == (row["type"], "change", 1)


def test_a_refusal_that_was_none_is_told(tmp_path: Path) -> None:
    detector, image, path = rebaselined()
    lines = rows(path)
    asked = [row["seq"] for row in lines if row.get("type") == "REBASELINE"]
    row = next(row for row in lines if row.get("type") == "REBASELINE_REPLY" and row["seq"] == asked[0])
    row.update(type="NAK", body=Nak(Request.REBASELINE, 9, 0, -7).pack().hex())
    rewritten(tmp_path / "log", lines)
    for outcome in (
        replay(tmp_path / "log", detector=detector),
        replay_on("board:native", tmp_path / "log", image=image),
    ):
        first = outcome.first_difference
        assert first and (first.message, first.field, first.logged, first.replayed) == ("NAK", "type", "0x80", "0x8e")


# --- logs that have lost something


BAD = {"drop": 0.02, "corrupt": 0.02, "duplicate": 0.01, "reorder": 0.02, "lose_byte": 0.01, "insert": 0.01}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_log_of_a_bad_line_accuses_nobody(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "REPEAT_SECONDS", (0.3, 0.6, 1.0, 2.0, 4.0))
    detector, image = small_image()
    with (
        Emulator(board("native"), image) as running,
        proxy(running.url, to_device=BAD, to_host=BAD, seed=seed) as line,
        PacketLog(tmp_path / "log") as log,
        open_device(line.url, log=log) as device,
    ):
        assert len(list(device.replay(noise(detector.spec, 40)))) == 40
        device.leave()
    for outcome in both(tmp_path / "log"):
        assert outcome.equal, outcome.first_difference
        assert outcome.windows >= 10
        assert any("broken packets from the log's device: " in warning for warning in outcome.warnings)
        assert any("requests without an answer" in warning for warning in outcome.warnings)


def test_wherever_a_log_is_cut_what_there_is_agrees(tmp_path: Path) -> None:
    whole, draw, most = verified().read_bytes(), random.Random(3), 0
    for _ in range(25):
        (tmp_path / "log").write_bytes(whole[: draw.randrange(8000, len(whole))])
        outcome = replay(tmp_path / "log", detector=small_image()[0])
        assert outcome.equal, outcome.first_difference
        assert "the log's last line was cut short, and is left out" in outcome.warnings
        most = max(most, outcome.windows)
    assert most >= WINDOWS - 2
    assert replay_on("board:native", tmp_path / "log", image=small_image()[1]).equal


def test_a_log_that_stops_between_a_verdict_and_its_features_accuses_nobody(tmp_path: Path) -> None:
    lines = verified().read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"VERDICT"' in line)
    (tmp_path / "log").write_bytes(b"".join(lines[: last + 1]))
    outcome = replay(tmp_path / "log", detector=small_image()[0])
    assert outcome.equal, outcome.first_difference
    assert outcome.windows >= WINDOWS


def test_samples_whose_reply_was_lost_count_and_those_that_were_lost_do_not(tmp_path: Path) -> None:
    """Of the verify run every third reply is taken out; and a packet that the device never got is put in."""
    lines, replies, kept = rows(verified()), 0, list[Row]()
    for row in lines:
        replies += row.get("type") == "SAMPLES_REPLY"
        if row.get("type") == "SAMPLES_REPLY" and replies % 3 == 0:
            continue
        kept.append(row)
        if row.get("type") == "START_REPLY":  # other samples at an index that comes later
            start = Taken.unpack(bytes.fromhex(row["body"])).next
            body = Samples((start + 1000) % 2**32, tail=bytes(600)).pack()
            kept.append({"t": row["t"], "from": "host", "type": "SAMPLES", "seq": 0, "body": body.hex()})
    for outcome in both(rewritten(tmp_path / "log", kept)):
        assert outcome.equal and outcome.windows >= WINDOWS, outcome


def test_a_log_whose_bodies_are_anything_never_breaks_a_replay(tmp_path: Path) -> None:
    """Lines are moved, doubled and dropped too. It ends with an outcome or with one line."""
    lines, draw, outcomes = rows(verified())[:120], random.Random(1), set[str]()
    for _ in range(150):
        made = [dict(row) for row in lines]
        for _ in range(draw.randrange(1, 4)):
            row = draw.choice(made[1:])
            body = bytearray.fromhex(row.get("body", ""))
            change = draw.choice(("flip", "shorten", "type", "seq", "move", "double"))
            if change == "flip" and body:
                body[draw.randrange(len(body))] ^= 1 << draw.randrange(8)
            if change == "shorten":
                body = body[: draw.randrange(len(body) + 1)]
            if "body" in row:
                row["body"] = body.hex()
                row["type"] = draw.choice(lines[2:])["type"] if change == "type" else row["type"]
                row["seq"] = (row["seq"] + (change == "seq")) % 256
            if change in ("move", "double"):
                made.insert(draw.randrange(1, len(made)), dict(row))
            if change == "move":
                made.remove(row)
        try:
            outcome = replay(rewritten(tmp_path / "log", made), detector=small_image()[0])
            outcomes.add("equal" if outcome.equal else "differs")
        except CyberHansError as error:
            assert "\n" not in str(error)
            outcomes.add("refused")
    assert outcomes == {"equal", "differs", "refused"}


@pytest.mark.slow
def test_a_stream_whose_windows_lie_apart(tmp_path: Path) -> None:
    """hop > window: what lies between is skipped; and its settings change nothing in what a window is."""
    spec = changed(small_spec(), hop=1500)
    detector = small_detector(tmp_path / "detector", spec)
    image = build(tmp_path / "detector", "native", tmp_path / "build").image
    with PacketLog(tmp_path / "log") as log, open_device("board:native", image=image, log=log) as device:
        assert verify(detector, noise(spec, 5), device).equal
    for outcome in (
        replay(tmp_path / "log", detector=detector),
        replay_on("board:native", tmp_path / "log", image=image),
    ):
        assert outcome.equal and outcome.windows == 6, outcome


# --- what cannot be compared


def test_a_stream_from_a_file_is_told_as_not_comparable(tmp_path: Path) -> None:
    detector, image = small_image()
    windows = noise(detector.spec, 3)
    with PacketLog(tmp_path / "log") as log, open_device("board:native", image=image, log=log) as device:
        verify(detector, windows, device, bulk=True)
        list(device.replay(windows[:2]))
        device.leave()
    for outcome in both(tmp_path / "log"):
        assert outcome.equal and outcome.windows == 1 + 2
        assert "windows that cannot be compared (read from a file): 3" in outcome.warnings
        assert "requests that are left out, FILE: 1" in outcome.warnings


def test_run_mode_and_its_baseline_are_left_alone(tmp_path: Path) -> None:
    """No re-baselining of the log is done to a device that watches its machine."""
    detector, image = small_image()
    with PacketLog(tmp_path / "log") as log, open_device("board:native", image=image, log=log) as device:
        device.rebaseline(2, token=3)
        device.last_verdicts()
        device.request(Request.SENSOR)
        device.request(Request.CAPTURE, Capture(9, 20_000_000, 2000, 1000, 3, 0, 0).pack())
        time.sleep(0.2)  # DATA comes
        device.run()
        list(device.replay(noise(detector.spec, 1)))
        device.leave()
    with open_device("board:native", image=image) as device:
        outcome = replay(tmp_path / "log", device=device)
        assert outcome.equal and outcome.windows == 1
        assert device.baseline().token == 0
        assert device.ask_info().mode == 0  # it runs again
    assert {"requests that are left out, REBASELINE: 1", "requests that are left out, VERDICTS: 1"} <= set(
        outcome.warnings
    )


def test_a_log_with_nothing_to_compare_is_an_error(tmp_path: Path) -> None:
    with PacketLog(tmp_path / "log"), pytest.raises(CyberHansError, match=r"log: nothing in it can be compared"):
        replay(tmp_path / "log", detector=small_image()[0])
    without = [row for row in rows(verified()) if not row.get("type", "").startswith("INFO")]
    with pytest.raises(CyberHansError, match="does not tell its device's detector"):
        replay(rewritten(tmp_path / "log", without), detector=small_image()[0])
    with pytest.raises(CyberHansError, match="needs the detector's folder"):
        replay(verified())


# --- the verb


def test_the_verb_tells_and_exits_by_what_it_finds(tmp_path: Path) -> None:
    detector, image = small_image()
    told = cyberhans("replay", verified(), "--detector", detector.folder, "--json")
    assert told.code == 0 and told.err == ""
    assert json.loads(told.out)["windows"] == WINDOWS + 1 and json.loads(told.out)["first_difference"] is None
    path = bent(tmp_path / "log", "VERDICT", -1, flipped(8))
    for more in (("--detector", detector.folder), ("--device", "board:native", "--image", image)):
        found = cyberhans("replay", path, *more, "--json")
        first = json.loads(found.out)["first_difference"]
        assert found.code == 1 and (first["field"], first["place"]) == ("score", WINDOWS - 1)
        shown = cyberhans("replay", path, *more)
        assert shown.code == 1 and first["logged"] in shown.out and first["replayed"] in shown.out


@pytest.mark.slow
def test_the_verb_builds_for_a_board(tmp_path: Path) -> None:
    shown = cyberhans("replay", verified(), "--device", "board:native", "--detector", small_image()[0].folder, "--json")
    assert shown.code == 0 and json.loads(shown.out)["against"] == "board:native"


def test_the_verb_fails_in_one_line(tmp_path: Path) -> None:
    detector, _ = small_image()
    for path in (tmp_path / "none", detector.folder, (detector.folder or tmp_path) / "detector.json"):
        outcome = cyberhans("replay", path, "--detector", detector.folder)
        assert outcome.code == 1 and outcome.err.count("\n") == 1, outcome


@pytest.mark.parametrize(
    "arguments",
    [(), ("--device", "board:native"), ("--image", "x"), ("--device", "/dev/x", "--image", "x"),
     ("--device", "/dev/x", "--serial", "5")],
)  # fmt: skip
def test_bad_usage_is_told_with_the_usage(arguments: tuple[object, ...]) -> None:
    assert cyberhans("replay", verified(), *arguments).code == 2


@pytest.mark.emulator
@pytest.mark.slow
@pytest.mark.parametrize("name", ["netduinoplus2"])
def test_an_emulated_board_says_what_this_computer_said(name: str) -> None:
    detector, image = small_image(name)
    assert detector.digest == small_image()[0].digest
    outcome = replay_on(f"board:{name}", verified(), image=image)
    assert outcome.equal and outcome.windows == WINDOWS + 1 and outcome.against == f"board:{name}"
