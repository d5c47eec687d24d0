"""Lines mode, end to end: a sketch in a process of its own prints into a terminal; a recording comes out of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import sketch
from counts import full

from cyberhans.errors import CyberHansError
from cyberhans.line_capture import Columns, LineCapture, Rows, record_lines

CLAIMED = 1000.0
NEAR = 20  # lines: as many as come together


def recorded(seconds: float | None = 3.0, columns: Columns | None = None, **options: Any) -> LineCapture:
    """Of a sketch that claims 1000 Hz, and is 4 % off."""
    with sketch.running(**{"rate_hz": 1.04 * CLAIMED, "burst_s": 0.016, "wait_s": 0.3, **options}) as (url, _):
        return record_lines(url, unit="g", seconds=seconds, columns=columns or Columns())


def numbers(made: LineCapture) -> list[int]:
    """Which lines are in it; every sample is the one that was printed."""
    rows = [tuple(row) for row in made.recording.samples.tolist()]
    assert rows == [sketch.values(row[0]) for row in rows]
    return [row[0] for row in rows]


def missing(made: LineCapture) -> list[tuple[int, int]]:
    """Where lines are missing in truth, and how many."""
    steps = np.diff(np.array(numbers(made))) % sketch.PERIOD
    return [(int(i) + 1, int(steps[i]) - 1) for i in np.flatnonzero(steps != 1)]


def gaps(made: LineCapture) -> list[tuple[int, int]]:
    return [(gap.at, gap.lost) for gap in made.recording.gaps]


def test_every_line_is_a_sample_and_the_true_rate_is_found() -> None:
    made = recorded(banner="IMU ready\r\n1 axis? no, 3\r\n")
    one = made.recording
    assert missing(made) == [] and one.lost_samples == 0 and one.gaps == ()
    assert (one.unit, one.scale, one.channels, made.rounding) == ("g", 0.001, 3, 0.0)
    assert abs(one.rate_hz - 1040) <= one.rate_uncertainty_hz < 2
    assert one.frames == pytest.approx(3 * 1040, rel=0.05)
    assert one.start_utc.endswith("+00:00") and made.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("burst_s", [0.016, 0.0] if full(0, 1) else [0.016])
def test_a_clock_4_percent_off_is_measured_within_a_ten_thousandth_after_60_s(
    burst_s: float, record_property: Callable[[str, object], None]
) -> None:
    made = recorded(60.0, burst_s=burst_s)
    error = made.recording.rate_hz / 1040 - 1
    record_property("worst error of the rate of lines after 60 s, ppm", round(abs(error) * 1e6, 1))
    assert abs(error) < 1e-4
    assert abs(error) * 1040 <= made.recording.rate_uncertainty_hz < 1e-4 * 1040
    assert missing(made) == [] and made.recording.gaps == ()


def test_lost_and_damaged_lines_are_gaps_at_their_place() -> None:
    """As exactly as the host tells the time of lines: 10 ms, where others run on it too."""
    made = recorded(7.0, lost=[[1500, 1700], [4000, 4400]], damaged=[1000, 3000, 3001], stalls=[[5500, 0.3]])
    told, true = gaps(made), missing(made)
    assert [lost for _, lost in true] == [1, 200, 2, 400]
    assert made.damaged == 3 and {true[0], true[2]} <= set(told)  # a damaged line has its place
    for at, lost in (true[1], true[3]):
        assert abs(sum(count for place, count in told if abs(place - at) <= NEAR) - lost) <= 0.01 * 1040
    assert abs(made.recording.lost_samples - 603) <= 0.02 * 1040
    assert not any(gap.counted for gap in made.recording.gaps)


def test_a_counter_makes_losses_exact() -> None:
    """A single line too, which no clock tells among lines that come sixteen at a time."""
    made = recorded(
        columns=Columns(index=4), form="{x:.3f},{y:.3f},{z:.3f},{k8}\n", lost=[[900, 901], [1500, 1600]], damaged=[2000]
    )
    assert gaps(made) == missing(made) and [lost for _, lost in gaps(made)] == [1, 100, 1]
    assert all(gap.counted for gap in made.recording.gaps)
    assert made.recording.channels == 3 and made.damaged == 1


def test_columns_are_named_and_left_out() -> None:
    made = recorded(1.0, columns=Columns(axes=("h", "-", "v")))
    assert made.recording.axes == ("h", "v")
    assert [tuple(row) for row in made.recording.samples.tolist()] == [
        (x, z) for x, _, z in map(sketch.values, made.recording.samples[:, 0].tolist())
    ]
    assert recorded(1.0, form="ax:{x:.3f} ay:{y:.3f} az:{z:.3f}\n").recording.axes == ("ax", "ay", "az")


def test_a_device_that_goes_away_leaves_what_came() -> None:
    with sketch.running(rate_hz=500.0, wait_s=0.3) as (url, process):
        threading.Timer(1.5, process.kill).start()
        made = record_lines(url, unit="g", seconds=20)
    assert 300 < made.recording.frames < 900 and missing(made) == []
    assert "the device went away after" in made.notes[0]


def test_it_ends_when_it_is_told_to_and_keeps_what_came() -> None:
    with sketch.running(rate_hz=500.0, wait_s=0.3) as (url, _):
        end = time.monotonic() + 1.5
        made = record_lines(url, unit="g", seconds=None, stopped=lambda: time.monotonic() > end)
    assert 300 < made.recording.frames < 900 and made.notes == ()


def test_a_view_sees_every_line_in_the_unit() -> None:
    seen: list[Rows] = []
    opened: list[tuple[tuple[str, ...], float]] = []

    class View:
        def add(self, piece: Rows) -> None:
            seen.append(piece)

        def tick(self) -> None: ...

        def note(self, text: str) -> None: ...

    @contextlib.contextmanager
    def view(axes: Sequence[str], rate_hz: float) -> Iterator[View]:
        opened.append((tuple(axes), rate_hz))
        yield View()

    with sketch.running(rate_hz=1040.0, burst_s=0.016, wait_s=0.3) as (url, _):
        made = record_lines(url, unit="g", seconds=2.5, columns=Columns(axes=("x", "-", "-")), view=view)
    assert opened[0][0] == ("x",) and opened[0][1] == pytest.approx(1040, rel=0.05)
    shown = np.concatenate([piece.samples for piece in seen])[:, 0]
    assert (shown == made.recording.samples[: len(shown), 0] / 1000).all() and len(shown) > 2000


@pytest.mark.parametrize(("options", "message"), [
    ({"form": "temperature is fine\n"}, "no lines of numbers, but 'temperature is fine'; check --baud"),
    ({"columns": Columns(axes=("x", "y"))}, "2 axes named, but a line has 3 numbers"),
    ({"columns": Columns(index=5)}, "--index-column 5: a line has 3 numbers"),
    ({"columns": Columns(index=2), "form": "{x:.3f},{y:.3f}\n"}, "--index-column counts up by 0, not by 1"),
])  # fmt: skip
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cyberhans.line_capture.WAIT_S", 0.7)
    with pytest.raises(CyberHansError, match=message):
        recorded(0.5, **options)


def test_the_unit_is_asked_for_and_packets_are_no_lines() -> None:
    with pytest.raises(CyberHansError, match="Give --unit g"):
        record_lines("/dev/null", unit=" ", seconds=1)
    with pytest.raises(CyberHansError, match="leave out --lines"):
        record_lines("board:native", unit="g", seconds=1)
    with pytest.raises(CyberHansError, match="/nowhere: cannot be opened"):
        record_lines("/nowhere", unit="g", seconds=1)
