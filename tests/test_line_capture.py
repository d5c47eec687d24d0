"""Lines mode, end to end: a sketch in a process of its own prints into a terminal; a recording comes out of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sketch
from command import cyberhans
from counts import full
from source import playing, source, wrong
from test_capture import Watching, record

from cyberhans.capture.plan import Wish
from cyberhans.errors import CyberHansError
from cyberhans.lines.capture import CapturedLines, LineWish, MakeView, Rows, capture_lines
from cyberhans.recording import load_recording
from cyberhans.spool import Spool

pytestmark = pytest.mark.slow  # in real time, all of it together

Recorded = Callable[..., CapturedLines]
CLAIMED = 1000.0
NEAR = 20  # lines: as many as come together


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., CapturedLines]:
    """Of a sketch that claims 1000 Hz, and is 4 % off."""

    def run(
        seconds: float = 3.0, *, axes: tuple[str, ...] = (), index: int | None = None, most: float | None = None,
        scale: float | None = None, view: MakeView | None = None, end: tuple[float, int] | None = None, **options: Any,
    ) -> CapturedLines:  # fmt: skip
        """end: after so many seconds this signal, to the sketch, or SIGINT to us."""
        wish = Wish("pump", "normal", seconds, tmp_path, axes=axes)
        with sketch.running(**{"rate_hz": 1.04 * CLAIMED, "burst_s": 0.016, "wait_s": 0.3, **options}) as (
            url,
            process,
        ):
            if end:
                number = process.pid if end[1] == signal.SIGKILL else os.getpid()
                threading.Timer(end[0], os.kill, (number, end[1])).start()
            return capture_lines(wish, LineWish("g", index=index, scale=scale, most=most), url, view=view)

    return run


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of what is recorded, all of it in the same second."""

    class Noon(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Noon:
            return cls(2026, 1, 1, 12, tzinfo=tz)

    monkeypatch.setattr("cyberhans.lines.capture.datetime", Noon)
    return "pump-normal-20260101T120000Z"


def numbers(made: CapturedLines) -> list[int]:
    """Which lines are in it; every sample is the one that was printed."""
    rows = [tuple(row) for row in made.recording.samples.tolist()]
    assert rows == [sketch.values(row[0]) for row in rows]
    return [row[0] for row in rows]


def missing(made: CapturedLines) -> list[tuple[int, int]]:
    """Where lines are missing in truth, and how many."""
    steps = np.diff(np.array(numbers(made))) % sketch.PERIOD
    return [(int(i) + 1, int(steps[i]) - 1) for i in np.flatnonzero(steps != 1)]


def gaps(made: CapturedLines) -> list[tuple[int, int]]:
    return [(gap.at, gap.lost) for gap in made.recording.gaps]


@pytest.mark.slow
def test_every_line_is_a_sample_and_the_true_rate_is_found(recorded: Recorded) -> None:
    made = recorded(banner="IMU ready\r\n1 axis? no, 3\r\n")
    one = made.recording
    assert missing(made) == [] and one.lost_samples == 0 and one.gaps == ()
    assert (one.unit, one.scale, one.channels, made.rounding) == ("g", 0.001, 3, 0.0)
    assert abs(one.rate_hz - 1040) <= one.rate_uncertainty_hz < 2
    assert one.frames == pytest.approx(3 * 1040, rel=0.05)
    assert one.start_utc.endswith("+00:00")


@pytest.mark.slow
@pytest.mark.parametrize("burst_s", [0.016, 0.0] if full(0, 1) else [0.016])
def test_a_clock_4_percent_off_is_measured_within_a_ten_thousandth_after_a_minute(
    burst_s: float, recorded: Recorded, record_property: Callable[[str, object], None]
) -> None:
    """After a third of it, in the ordinary run, within three times that."""
    seconds = full(20, 60)
    made = recorded(float(seconds), burst_s=burst_s)
    error = made.recording.rate_hz / 1040 - 1
    record_property(f"worst error of the rate of lines after {seconds} s, ppm", round(abs(error) * 1e6, 1))
    bound = 1e-4 * 60 / seconds
    assert abs(error) < bound
    assert abs(error) * 1040 <= made.recording.rate_uncertainty_hz < bound * 1040
    assert bool(missing(made)) == bool(
        made.recording.gaps
    )  # a host that stood still for a second loses lines, and says so


@pytest.mark.slow
def test_lost_and_damaged_lines_are_gaps_at_their_place(recorded: Recorded) -> None:
    """As exactly as the host tells the time of lines: 10 ms, where others run on it too."""
    made = recorded(7.0, lost=[[1500, 1700], [4000, 4400]], damaged=[1000, 3000, 3001], stalls=[[5500, 0.3]])
    told, true = gaps(made), missing(made)
    assert [lost for _, lost in true] == [1, 200, 2, 400]
    assert made.damaged == 3 and {true[0], true[2]} <= set(told)  # a damaged line has its place
    for at, lost in (true[1], true[3]):
        assert abs(sum(count for place, count in told if abs(place - at) <= NEAR) - lost) <= 0.01 * 1040
    assert abs(made.recording.lost_samples - 603) <= 0.02 * 1040
    assert not any(gap.counted for gap in made.recording.gaps)


@pytest.mark.slow
def test_a_counter_makes_losses_exact(recorded: Recorded) -> None:
    """A single line too, which no clock tells among lines that come sixteen at a time."""
    made = recorded(index=4, form="{x:.3f},{y:.3f},{z:.3f},{k8}\n", lost=[[900, 901], [1500, 1600]], damaged=[2000])
    assert gaps(made) == missing(made) and [lost for _, lost in gaps(made)] == [1, 100, 1]
    assert all(gap.counted for gap in made.recording.gaps)
    assert made.recording.channels == 3 and made.damaged == 1


@pytest.mark.slow
@pytest.mark.parametrize(("form", "odd"), [
    ("{x:.3f},{y:.3f},{z:.3f},{k}\n", "{x:.3f},{y:.3f},{z:.3f},1e300\n"),
    ("{x:.3f},{y:.3f},{z:.3f},{k}\n", "{x:.3f},{y:.3f},{z:.3f},1e20\n"),
    ("{x:.5e},{y:.5e},{z:.5e},{k}\n", "{x:.5e},1e400,{z:.5e},{k}\n"),
])  # fmt: skip
def test_one_damaged_number_costs_one_line(form: str, odd: str, recorded: Recorded) -> None:
    made = recorded(2.0, index=4, form=form, odd=[[700, odd]])
    assert [lost for _, lost in gaps(made)] == [1] and made.damaged == made.recording.lost_samples == 1
    assert all(gap.counted for gap in made.recording.gaps) and made.recording.quality != "failed"
    assert made.recording.frames > 1900


@pytest.mark.slow
def test_columns_are_named_and_left_out(recorded: Recorded) -> None:
    made = recorded(1.0, axes=("h", "-", "v"))
    assert made.recording.axes == ("h", "v")
    assert [tuple(row) for row in made.recording.samples.tolist()] == [
        (x, z) for x, _, z in map(sketch.values, made.recording.samples[:, 0].tolist())
    ]
    assert recorded(1.0, form="ax:{x:.3f} ay:{y:.3f} az:{z:.3f}\n").recording.axes == ("ax", "ay", "az")


@pytest.mark.slow
def test_a_device_that_goes_away_leaves_what_came(recorded: Recorded) -> None:
    made = recorded(20.0, end=(2.0, signal.SIGKILL), rate_hz=500.0, burst_s=0.0)
    assert 300 < made.recording.frames < 1100 and missing(made) == []
    assert "of 20 s: the device went away" in made.recording.reasons[0] and made.recording.quality == "warning"


@pytest.mark.slow
def test_ctrl_c_keeps_what_came(recorded: Recorded) -> None:
    made = recorded(20.0, end=(2.0, signal.SIGINT), rate_hz=500.0, burst_s=0.0)
    assert 300 < made.recording.frames < 1100 and missing(made) == []


@pytest.mark.slow
def test_a_view_sees_every_line_in_the_unit(recorded: Recorded) -> None:
    seen: list[Rows] = []
    opened: list[tuple[tuple[str, ...], float]] = []

    class View:
        def add(self, piece: Rows) -> None:
            seen.append(piece)

        def tick(self) -> None: ...

        def note(self, text: str) -> None:
            assert not text

    @contextlib.contextmanager
    def view(axes: Sequence[str], rate_hz: float, path: Path) -> Iterator[View]:
        opened.append((tuple(axes), rate_hz))
        yield View()

    made = recorded(2.5, axes=("x", "-", "-"), view=view)
    assert opened[0][0] == ("x",) and opened[0][1] == pytest.approx(1040, rel=0.05)
    shown = np.concatenate([piece.samples for piece in seen])[:, 0]
    index, came = np.array([piece.index for piece in seen]), np.array([piece.time_s for piece in seen])
    assert (index[-1] - index[0]) / (came[-1] - came[0]) == pytest.approx(1040, rel=0.05)
    assert (shown == made.recording.samples[: len(shown), 0] / 1000).all() and len(shown) > 2000


@pytest.mark.parametrize(("options", "message"), [
    ({"form": "temperature is fine\n"}, "no lines of numbers, but 'temperature is fine'; check --baud"),
    ({"axes": ("x", "y")}, "2 axes named, but a line has 3 numbers"),
    ({"index": 5}, "--index-column 5: a line has 3 numbers"),
    ({"index": 2, "form": "{x:.3f},{y:.3f}\n"}, "--index-column counts up by 0, not by 1"),
])  # fmt: skip
def test_what_cannot_be_is_refused(
    options: dict[str, Any], message: str, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cyberhans.lines.capture.WAIT_S", 0.7)
    with pytest.raises(CyberHansError, match=message):
        recorded(0.5, **options)


def test_nothing_is_written_over_and_a_folder_that_cannot_be_written_is_told_at_once(
    recorded: Recorded, tmp_path: Path, noon: str
) -> None:
    names = {recorded(0.5).recording.name, recorded(0.5).recording.name}
    assert names == {f"{noon}.wav", f"{noon}-2.wav"}
    (tmp_path / "fan").write_text("")
    done = verb(tmp_path, "loop://", "--seconds", 1e6, "--unit", "g", "--machine", "fan")
    assert done.code == 1 and "fan" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("packets", [False, True])
def test_a_port_that_somebody_has_open_is_left_to_him(
    packets: bool, recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by who holds it, and where that is not to be seen by its lock: the first capture loses nothing."""
    port, refusals = "", list[str]()

    def steal() -> None:
        for hidden in (False, True):
            with monkeypatch.context() as patch, pytest.raises(CyberHansError) as refused:
                if hidden:
                    patch.setattr("cyberhans.serial_port._holder", lambda _: None)
                capture_lines(Wish("thief", "normal", 0.5, tmp_path), LineWish("g"), port)
            refusals.append(str(refused.value))

    if packets:
        with playing(played := source(tmp_path, 20_000.0)) as on:
            port = on.url
            done = record(port, tmp_path / "out", 2.0, Watching(10_000, steal))
        assert done.recording.lost_samples == 0 and wrong(done.recording.path or "", played) == 0
    else:
        with sketch.running(rate_hz=1040.0, burst_s=0.016, wait_s=0.3) as (port, _):
            made = capture_lines(Wish("pump", "normal", 3.0, tmp_path), LineWish("g"), port,
                                 view=Watching(1500, steal))  # fmt: skip
        assert missing(made) == [] and made.damaged == 0
    assert ["busy" in refusal for refusal in refusals] == [True, True]
    assert str(os.getpid()) in refusals[0] and "another program" in refusals[1]
    assert not (tmp_path / "thief").exists() or not list((tmp_path / "thief").glob("*.wav"))


def test_captures_of_the_same_second_do_not_write_over_each_other(
    recorded: Recorded, tmp_path: Path, noon: str
) -> None:
    """Two of lines, and one of packets that is under way."""
    spool = Spool(tmp_path / "pump", noon, 1, 1000.0)
    with ThreadPoolExecutor(2) as pool:
        both = [job.result() for job in [pool.submit(recorded, 0.7) for _ in range(2)]]
    spool.add(np.zeros((1, 1), np.int16))
    spool.discard()
    assert {made.recording.name for made in both} == {f"{noon}-2.wav", f"{noon}-3.wav"}
    for made in both:
        assert made.recording.path
        assert load_recording(made.recording.path).samples.tolist() == made.recording.samples.tolist()
    assert not list(tmp_path.rglob(".*"))


def verb(out: Path, url: str, *more: object) -> Any:
    return cyberhans(
        "capture", "--lines", "--device", url, "--machine", "pump", "--label", "normal", "--out", out, *more
    )


@pytest.mark.slow
def test_the_verb_writes_a_recording_and_tells_its_rate(tmp_path: Path) -> None:
    with sketch.running(rate_hz=1040.0, burst_s=0.016, wait_s=0.3, damaged=[1500]) as (url, _):
        done = verb(tmp_path, url, "--seconds", 3, "--unit", "g", "--range", 20, "--axes", "x,y,z", "--load", "half",
                    "--rate", 1000, "--json")  # fmt: skip
    assert done.code == 0, done.err
    told = json.loads(done.out)
    one = load_recording(told["file"])
    assert (one.machine, one.label, one.load, one.unit, one.axes) == ("pump", "normal", "half", "g", ("x", "y", "z"))
    assert (one.scale, one.full_scale, one.rate_nominal_hz) == (0.001, 20_000, 1000.0)
    assert abs(told["rate_hz"] - 1040) <= told["rate_uncertainty"] == one.rate_uncertainty_hz < 2
    assert told["samples"] == one.frames and told["damaged_lines"] == told["lost_samples"] == one.lost_samples == 1
    assert told["quality"] in ("good", "warning") and told["clipped_samples"] == 0 and told["rounding"] == 0
    assert (Path(told["file"]).parent / "machine.toml").exists()


@pytest.mark.slow
def test_a_slow_device_is_waited_for(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first lines are too few to be sure of their form, but they are all there is."""
    monkeypatch.setattr("cyberhans.lines.capture.WAIT_S", 0.8)
    made = recorded(2.0, rate_hz=12.0, burst_s=0.0)
    assert 20 <= made.recording.frames <= 26 and missing(made) == []
    assert abs(made.recording.rate_hz - 12) <= made.recording.rate_uncertainty_hz


def test_a_scale_that_was_not_asked_for_is_told(recorded: Recorded) -> None:
    made = recorded(1.0, form="{x:.6f},{y:.6f},1.234567\n")
    assert made.rounding > 0
    assert any("every recording has the same" in reason for reason in made.recording.reasons)


def test_a_scale_that_does_not_hold_one_value_keeps_the_others(recorded: Recorded) -> None:
    made = recorded(1.0, scale=0.001, odd=[[300, "90.123,{y:.3f},{z:.3f}\n"]])
    assert "values up to 90.123 g do not fit 16 bits with --scale 0.001" in made.recording.reasons[0]
    assert made.recording.frames > 900 and made.recording.quality != "failed" and sum(made.recording.clipped) == 1


@pytest.mark.parametrize(("url", "more", "message"), [
    ("/dev/null", [], "Give --unit g"),
    ("/dev/null", ["--unit", "g", "--range", -1], "--range -1: must be above 0"),
    ("/dev/null", ["--unit", "g", "--scale", 1e-320], "--scale 9.99989e-321: no sensor has this"),
    ("/dev/null", ["--unit", "g", "--range", "1e300"], "--range 1e+300: no sensor has this"),
    ("/dev/null", ["--unit", "caf\udcff"], r"--unit 'caf\udcff': is not UTF-8"),
    ("/dev/null", ["--unit", "g", "--baud", 99999999999], "--baud 99999999999: must be 1 to 100,000,000"),
    ("/dev/null", ["--unit", "g", "--index-column", 0], "--index-column 0: columns count from 1"),
    ("/dev/null", ["--unit", "g", "--rate", "inf"], "--rate inf: must be 1 to 1,000,000 Hz"),
    ("/dev/null", ["--unit", "g", "--rate", 1e12], "--rate 1e+12: must be 1"),
    ("/dev/null", ["--unit", "g", "--rate", "-5"], "--rate -5: must be 1"),
    ("/dev/null", ["--unit", "g", "--rate", 0.4], "--rate 0.4: must be 1"),
    ("/dev/null", ["--unit", "g", "--rate", "nan"], "--rate nan: must be 1"),
    ("/dev/null", ["--unit", "g", "--speed", "nan"], "--speed nan: must be above 0"),
    ("/dev/null", ["--unit", "g", "--axes", "x,x,x"], "--axes x,x,x: give each channel a name of its own"),
    ("/dev/null", ["--unit", "g", "--axes", "x,,z"], "--axes x,,z: give each channel a name of its own"),
    ("board:native", ["--unit", "g"], "leave out --lines"),
    ("/nowhere", ["--unit", "g"], "/nowhere: cannot be opened"),
    ("/dev/null", ["--unit", "g", "--seconds", "nan"], "--seconds nan: must be above 0"),
    ("/dev/null", ["--unit", "g", "--channels", 2], "--channels does not go with --lines"),
])  # fmt: skip
def test_the_verb_says_what_is_missing(url: str, more: list[object], message: str, tmp_path: Path) -> None:
    done = verb(tmp_path, url, "--seconds", 1, *more)
    assert done.code == 1 and message in done.err and len(done.err.splitlines()) == 1
    assert not list(tmp_path.rglob("*.*"))


def test_what_goes_with_lines_is_refused_without(tmp_path: Path) -> None:
    done = cyberhans("capture", "--device", "/dev/null", "--machine", "m", "--label", "normal", "--seconds", 1, "--out",
                     tmp_path, "--unit", "g")  # fmt: skip
    assert done.code == 2 and "--lines" in done.err
