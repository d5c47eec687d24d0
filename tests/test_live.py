"""The live view of a capture: what a person reads off it is true, and it costs little."""

from __future__ import annotations

import io
import math
import re
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from cyberhans.live import BLOCKS, FIGURES, REFRESH_S, Live, picture
from cyberhans.meter import SPECTRUM, Meter

RATE = 26_667.0
BLOCK = 28  # sample frames of three channels in a packet


@dataclass(frozen=True)
class Piece:
    index: int
    samples: NDArray[Any]
    time_s: float


def signal(seconds: float = 3.0) -> NDArray[np.int16]:
    """Three channels: a sine of 1 kHz, one of 50 Hz on an offset, noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    channels = [8000 * np.sin(2 * np.pi * 1000 * t), 1000 + 300 * np.sin(2 * np.pi * 50 * t),
                20 * np.random.default_rng(0).standard_normal(len(t))]  # fmt: skip
    return np.rint(np.stack(channels, axis=1)).astype(np.int16)


def pieces(samples: NDArray[np.int16], first: int = 0, rate_hz: float = RATE) -> list[Piece]:
    return [Piece(first + i, samples[i : i + BLOCK], (first + i) / rate_hz) for i in range(0, len(samples), BLOCK)]


def terminal(width: int = 80, encoding: str = "utf-8") -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    return Console(width=width, height=24, file=file, force_terminal=True, color_system=None)


def written(console: Console) -> str:
    raw = console.file.buffer.getvalue()  # type: ignore[attr-defined]
    return str(raw.decode(console.encoding))


def view(console: Console, axes: tuple[str, ...] = ("x", "y", "z"), seconds: float | None = 60, **more: Any) -> Live:
    return Live("pump2 normal", axes, "g", 16 / 32768, 32767, RATE, seconds, console=console,
                file="pump2-normal-20260101T120000Z.wav", **more)  # fmt: skip


def shown(live: Live, width: int = 80) -> list[str]:
    """The lines of the view as it is now."""
    console = terminal(width)
    live._console = console
    console.print(live)
    return written(console).splitlines()


def fed(*blocks: Piece, **more: Any) -> Live:
    live = view(terminal(), **more)
    for block in blocks:
        live.meter.add(block)
    return live


def test_it_tells_level_crest_rate_losses_and_time_left_in_80_columns() -> None:
    head, tail = signal(2), signal(2)
    live = fed(*pieces(head, rate_hz=RATE * 1.04), *pieces(tail, len(head) + 1234, RATE * 1.04))
    live.note("unplugged: waiting for the device")
    lines = shown(live)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80 and len(lines) <= 24
    assert "pump2 normal" in text and "pump2-normal-20260101T120000Z.wav" in text
    assert "lost 1,234 in 1 gap" in text
    assert f"samples {len(head) + len(tail):,}" in text
    assert "26,667 Hz nominal, 27,733.7 measured (+4.00 %)" in text
    assert "56.1 s left of 1:00.0" in text  # by the measured rate
    assert "unplugged: waiting for the device" in text
    x, y, z = (line.split() for line in lines if line[:1] in "xyz" and line[:1])
    assert x[1:6] == [f"{8000 / math.sqrt(2) * 16 / 32768:.4g}", "g", "-15.3", "1.41", "0"]
    assert y[1:6] == [f"{300 / math.sqrt(2) * 16 / 32768:.4g}", "g", "-43.8", "1.41", "0"]  # without its offset
    assert z[2] == "g" and float(z[1]) == pytest.approx(20 * 16 / 32768, rel=0.02)


@pytest.mark.parametrize("hz", [80, 1000, 9000])
def test_the_spectrum_peaks_where_the_tone_is(hz: float) -> None:
    t = np.arange(8192) / RATE
    tone = np.rint(5000 * np.sin(2 * np.pi * hz * t)).astype(np.int16)[:, None]
    live = fed(*pieces(tone), axes=("c0",))
    lines = shown(live)
    columns = 80 - FIGURES
    drawn = next(line for line in lines if line.startswith("c0"))[FIGURES:].ljust(columns)
    full = [i for i, mark in enumerate(drawn) if mark == BLOCKS[-1]]
    expected = columns * math.log(hz / (RATE / SPECTRUM)) / math.log(SPECTRUM / 2)
    lines_apart = columns * math.log1p(RATE / SPECTRUM / hz) / math.log(SPECTRUM / 2)
    assert full and all(abs(i + 0.5 - expected) <= 1 + lines_apart for i in full)
    assert drawn.count(BLOCKS[0]) > columns / 3
    assert re.search(r" 13Hz-+ log -+13\.3kHz", lines[4])


def test_a_spectrum_has_the_mean_square_of_a_sine_and_nothing_of_an_offset() -> None:
    meter = Meter(1, 32767, RATE)
    k = 100
    tone = 3000 * np.sin(2 * np.pi * k / SPECTRUM * np.arange(SPECTRUM)) + 9000
    meter.add(Piece(0, np.rint(tone).astype(np.int16)[:, None], 0.0))
    meter.read()
    edges = np.array([1, k - 5, k + 5, SPECTRUM / 2]) / SPECTRUM
    low, peak, high = meter.spectrum(0, edges)
    assert peak == pytest.approx(3000**2 / 2, rel=1e-3)
    assert low < 1 and high < 1


def test_clipped_samples_are_counted_from_the_beginning() -> None:
    samples = np.zeros((40_000, 2), np.int16)
    samples[:10, 0], samples[20_000:20_005, 1] = 32767, -32768
    meter = Meter(2, 32767, RATE)
    for i in range(0, len(samples), BLOCK):
        meter.add(Piece(i, samples[i : i + BLOCK], i / RATE))
        if i % 5 == 0:
            meter.read()
    assert [reading.clipped for reading in meter.read()] == [10, 5]


def test_without_full_scale_there_is_no_clipping_and_no_dbfs() -> None:
    live = Live("m", ["c0"], "V", 1.0, None, RATE, None, claimed=False, console=terminal())
    live.meter.add(Piece(0, np.array([[1.0], [-1.0]] * 5000), 0.0))
    line = next(line for line in shown(live) if line.startswith("c0"))
    assert line.split()[1:6] == ["1", "V", "-", "1.00", "-"]
    assert shown(live)[2].startswith("26,667.0 Hz measured") and "Ctrl-C ends it" in shown(live)[1]


def test_a_terminal_without_unicode_gets_ascii() -> None:
    live = fed(*pieces(signal()))
    live._console = console = terminal(encoding="ascii")
    console.print(live)
    assert "#" in written(console) and "left of" in written(console)


@pytest.mark.parametrize(("width", "channels"), [(80, 40), (56, 3), (200, 1)])
def test_it_fits_any_terminal(width: int, channels: int) -> None:
    samples = np.repeat(signal(1)[:, :1], channels, axis=1)
    lines = shown(fed(*pieces(samples), axes=tuple(f"accelerometer{c}" for c in range(channels))), width)
    assert max(map(len, lines)) <= width and len(lines) <= 24


def test_a_device_that_was_plugged_in_again_has_another_clock() -> None:
    head, tail = signal(2), signal(2)
    again = [Piece(block.index, block.samples, block.time_s - 100) for block in pieces(tail, len(head) + 50_000)]
    assert fed(*pieces(head), *again).meter.rate_hz == pytest.approx(RATE, rel=1e-6)


def test_before_the_first_sample_there_is_a_view() -> None:
    assert any("nominal" in line for line in shown(view(terminal())))


def test_it_is_drawn_at_most_four_times_a_second_and_gone_at_the_end() -> None:
    console = terminal()
    began = time.monotonic()
    with view(console) as live:
        for block in pieces(signal(1)):
            live.add(block)
            time.sleep(0.0005)
    took = time.monotonic() - began
    views = written(console).count("Hz nominal")
    assert 2 <= views <= took / REFRESH_S + 2
    assert written(console).rstrip().endswith("\x1b[2K")  # erased


def test_adding_costs_a_few_microseconds() -> None:
    """950 blocks a second in a few per cent of a core: 20 µs each would be 2 %."""
    blocks = pieces(signal())
    live = view(terminal())
    live._due = math.inf
    best = math.inf
    for _ in range(5):
        began = time.perf_counter()
        for block in blocks:
            live.add(block)
        best = min(best, time.perf_counter() - began)
    assert best / len(blocks) < 20e-6


def test_without_a_terminal_it_tells_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=80, file=io.StringIO())
    now = [0.0]
    monkeypatch.setattr("cyberhans.live.time.monotonic", lambda: now[0])
    with view(console) as live:
        for block in pieces(signal(3)):
            live.add(block)
        now[0] = 10.5
        live.tick()
        live.tick()
        live.note("unplugged")
        live.note("unplugged")
    assert console.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "3.0 s of 1:00.0: 80,001 samples, 0 lost, 0 clipped, level (g): x 2.762, y 0.1036, z 0.009733",
        "unplugged",
    ]


@pytest.mark.parametrize("more", [{"plain": True, "quiet": True}])
def test_quiet_leaves_only_the_notes(more: dict[str, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    console = terminal()
    with view(console, **more) as live:
        live.add(pieces(signal(1))[0])
        live._due = 0.0
        live.tick()
        live.note("unplugged")
    assert written(console) == "unplugged\n"


def test_a_picture_is_the_same_text_every_time() -> None:
    live = fed(*pieces(signal()))
    first, second = picture(live), picture(live)
    assert first == second and first.startswith("<svg")
    assert "pump2&#160;normal" in first and "nominal" in first


@pytest.mark.slow
def test_the_picture_of_the_readme_is_that_of_a_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    from hil import screenshot

    monkeypatch.setattr(screenshot, "SECONDS", 2.0)
    text = screenshot.photograph().replace("&#160;", " ")
    for part in ("pump-3", "-normal-", "nothing lost", "3,200 Hz nominal", "3,200.0 measured", "clipped", "█"):
        assert part in text
