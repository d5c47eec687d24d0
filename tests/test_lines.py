"""Lines of text: what is taken for samples, and what never is."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyberhans.errors import CyberHansError
from cyberhans.lines.decimals import sampled
from cyberhans.lines.format import learn
from cyberhans.lines.reader import CHANGED, LEARN, Lines


def fed(text: str | bytes, chunk: int = 10**9) -> Lines:
    """Lines of what came in chunks; whole from its beginning."""
    lines = Lines()
    data = b"\n" + (text if isinstance(text, bytes) else text.encode())
    for i in range(0, len(data), chunk):
        lines.feed(data[i : i + chunk], float(i))
    return lines


def three(count: int = 40) -> list[str]:
    return [f"{k / 100:.2f},{-k / 200:.2f},{9.8 + k % 7 / 10:.2f}" for k in range(count)]


@pytest.mark.parametrize("form", [
    "{},{},{}", "{}\t{}\t{}", "{} {} {}", "{}; {}; {}", " {},  {},{},", "x:{},y:{},z:{}", "x: {}\ty: {}\tz: {}",
    "acc_x = {}, acc_y = {}, acc_z = {}",
])  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("chunk", [1, 7, 10**6])
def test_what_forwarders_print_is_read(form: str, end: str, chunk: int) -> None:
    rows = [(k / 8, -k / 4, 3.5 + k) for k in range(40)]
    lines = fed("".join(form.format(*row) + end for row in rows), chunk)
    assert lines.values.tolist() == [list(row) for row in rows]
    assert lines.damaged == lines.skipped == 0


def test_labels_are_names() -> None:
    assert learn(["x:1,y:2", "x:3,y:4"]).names == ("x", "y")  # type: ignore[union-attr]
    assert learn(["1,y:2", "3,y:4"]).names == ()  # type: ignore[union-attr]


def test_half_a_line_at_the_start_and_a_banner_are_no_samples() -> None:
    lines = Lines()
    text = "3,0.44,9.80\nMPU6050 found at 0x68\n\nrange 16 g\n" + "\n".join(three())
    lines.feed(text.encode() + b"\n", 0.0)
    assert lines.frames == 40 and lines.values[0].tolist() == [0.0, 0.0, 9.8]
    assert lines.skipped == 2 and lines.damaged == 0


@pytest.mark.parametrize("hurt", [
    "0.20,-0.10", "0.20,-0.10,9.80.21", "0.2", "0.20,-0.10,", "0.20,-0.1,9.90", "0.20,-0.10,nan", "ovf,1.00,2.00",
    "0.20,-0\x00.10,9.90", "0..20,-0.10,9.90", "0.20 -0.10,x9.90", "", "\x7f",
])  # fmt: skip
def test_a_damaged_line_is_counted_and_never_written(hurt: str) -> None:
    rows = three()
    lines = fed("\n".join([*rows[:20], hurt, *rows[21:]]) + "\n")
    assert lines.values.tolist() == [[float(x) for x in row.split(",")] for k, row in enumerate(rows) if k != 20]
    assert lines.damaged == (hurt != "")  # an empty line is none
    assert lines.weight.tolist() == [0] * 20 + [1] * (hurt != "") + [0] * 19


@pytest.mark.parametrize("number", ["1e400", "-1e300", "1e99"])
def test_a_number_that_no_sensor_tells_is_damaged(number: str) -> None:
    rows = [f"{k / 7:.5e},{-k / 3:.5e}" for k in range(40)]
    lines = fed("\n".join([*rows[:20], f"{number},1.00000e+00", *rows[21:]]) + "\n")
    assert (lines.frames, lines.damaged) == (39, 1) and abs(lines.values).max() < 14


def test_a_line_may_be_rejected_later() -> None:
    lines = fed("\n".join(three()) + "\nhurt\n")
    lines.reject(np.arange(40) == 20)
    assert lines.values.tolist() == [[float(x) for x in row.split(",")] for k, row in enumerate(three()) if k != 20]
    assert (lines.damaged, lines.weight.tolist()) == (2, [0] * 20 + [1] + [0] * 19 + [1])
    assert lines.latest(20)[1] == 21


def test_lines_that_ran_together_count_as_many() -> None:
    rows = three()
    lines = fed("\n".join([*rows[:20], rows[20] + rows[21] + rows[22], *rows[23:]]) + "\n")
    assert lines.damaged == 1 and lines.weight.max() == 3


@given(st.lists(st.tuples(st.integers(0, 39), st.binary(max_size=30)), max_size=6), st.integers(1, 400))
def test_no_noise_becomes_a_sample_of_a_fixed_format(noise: list[tuple[int, bytes]], chunk: int) -> None:
    """Bytes that come in between, as long as they look like no number: every sample is a line that was sent."""
    rows = [row.encode() for row in three()]
    for at, extra in noise:
        kept = bytes(byte for byte in extra if not chr(byte).isdigit() and byte not in b"+-\r\n,; \t.")
        rows[at] = rows[at][:5] + kept + rows[at][5:]
    lines = fed(b"\n".join(three(LEARN)[i].encode() for i in range(LEARN)) + b"\n" + b"\n".join(rows) + b"\n", chunk)
    sent = {tuple(float(x) for x in row.split(",")) for row in three()}
    assert {tuple(row) for row in lines.values.tolist()} <= sent
    assert lines.frames + lines.damaged == LEARN + 40


def test_another_number_of_columns_ends_it_and_keeps_what_was() -> None:
    lines = Lines()
    lines.feed(("\n" + "\n".join(three(30)) + "\n").encode(), 0.0)
    with pytest.raises(CyberHansError, match="4 numbers a line now, not 3"):
        lines.feed(("\n".join("1.00,2.00,3.00,4.00" for _ in range(CHANGED)) + "\n").encode(), 1.0)
    assert lines.frames == 30 and lines.damaged == 0 and lines.weight.sum() == 0


@pytest.mark.parametrize(("text", "message"), [
    ("", "no line came; check --baud"),
    ("hello\nworld\n" * 10, "no lines of numbers, but 'hello'; check --baud"),
    ("\x80\x81\xfe\n" * 20, r"no lines of numbers, but '.*'; check --baud"),
    ("1,2\n1,2,3\n" * 10, "lines have 2 and 3 numbers; let each have the same"),
    ("2026-01-01 12:00:00,0.1\n" * 20, "no lines of numbers, but '2026-01-01 12:00:00,0.1'"),
])  # fmt: skip
def test_what_is_no_format_is_told(text: str, message: str) -> None:
    lines = Lines()
    lines.feed(b"\n" + text.encode("latin-1"), 0.0)
    with pytest.raises(CyberHansError, match=message):
        lines.settle()


def test_bytes_without_an_end_are_not_kept() -> None:
    lines = fed("\n".join(three()) + "\n")
    for _ in range(100):
        lines.feed(b"x" * 1000, 0.0)
    assert lines.damaged >= 20 and len(lines._rest) <= 5000


@pytest.mark.parametrize(("whole", "hurt"), [
    (",".join(["8388607"] * 8), ",".join(["8388607"] * 8) + "x"),
    (",".join(["x      :1"] * 8), ",".join(["x      :1"] * 8) + "x"),
    ("1 2 3", "1" + " " * 4000 + "x"),
    ("1,2,3", "a" + " " * 4000),
    ("1,2,3", "1" * 4000 + "x"),
], ids=["numbers", "labels", "spaces", "label", "digits"])  # fmt: skip
def test_a_damaged_line_costs_no_more_than_its_length(whole: str, hurt: str) -> None:
    """8 numbers of 7 digits can be cut in pieces in 7^8 ways."""
    form = learn([whole] * LEARN)
    assert form and form.numbers(whole)
    began = time.thread_time()
    assert form.numbers(hurt) is None and learn([hurt] * 2) is None
    assert time.thread_time() - began < 0.1


# --- decimals


def test_printed_decimals_become_samples_without_loss() -> None:
    values = np.array([[0.001, -32.767], [1.5, 32.767]])
    made = sampled(values, 3)
    assert made.samples.tolist() == [[1, -32767], [1500, 32767]]
    assert (made.scale, made.error, made.chosen, made.full_scale) == (0.001, 0.0, False, 32767)


def test_the_scale_of_fixed_decimals_does_not_follow_the_values() -> None:
    assert sampled(np.array([[0.5], [1.0]]), 2).scale == 0.01


def test_decimals_that_are_always_zero_make_room() -> None:
    made = sampled(np.array([[9.81], [-312.25]]), 6)
    assert made.scale == 0.01 and made.samples[:, 0].tolist() == [981, -31225] and made.error == 0


@given(st.lists(st.integers(-32767, 32767), min_size=1), st.integers(0, 9))
def test_every_decimal_that_fits_is_exact(numbers: list[int], places: int) -> None:
    values = np.array([[float(f"{number}e-{places}")] for number in numbers])
    made = sampled(values, places)
    assert made.samples[:, 0].tolist() == numbers and made.error == 0 and made.scale == 1 / 10**places


def test_a_range_sets_scale_and_full_scale_whatever_the_values_are() -> None:
    fits = sampled(np.array([[0.5], [16.2]]), 3, most=16)
    assert (fits.scale, fits.full_scale, fits.chosen) == (0.001, 16000, False)
    fine = sampled(np.array([[0.123456], [-16.5]]), 6, most=16)
    assert (fine.scale, fine.full_scale, fine.chosen) == (16 / 32767, 32767, False)
    assert fine.samples[:, 0].tolist() == [253, -32768]  # beyond the range: at full scale
    assert 0 < sampled(np.array([[0.123456]]), 6, most=16).error <= 16 / 32767 / 2


def test_without_a_range_the_least_scale_holds_all_and_says_so() -> None:
    values = np.array([[0.1234567], [-61.7654321]])
    made = sampled(values, 7)
    assert made.chosen and abs(made.samples).max() == 32766
    assert 0 < made.error <= made.scale / 2
    assert np.abs(made.samples * made.scale - values).max() == pytest.approx(made.error)


def test_a_scale_that_is_too_small_cuts_off_and_says_so() -> None:
    made = sampled(np.array([[16.0]]), 2, scale=16 / 32767)
    assert (made.samples[0, 0], made.beyond) == (32767, 0)
    made = sampled(np.array([[20.0], [1.5], [-1e30]]), 2, scale=0.0005)
    assert (made.samples[:, 0].tolist(), made.beyond, made.error) == ([32767, 3000, -32768], 1e30, 0)


def test_integers_with_a_scale_are_counts() -> None:
    made = sampled(np.array([[17280.0], [-32767.0]]), 0, scale=1 / 16384, most=2.0)
    assert (made.samples[:, 0].tolist(), made.scale, made.full_scale) == ([17280, -32767], 1 / 16384, 32767)
    assert (made.error, made.beyond, made.chosen) == (0, 0, False)
    assert sampled(np.array([[40_000.0]]), 0, scale=0.5).beyond == 20_000


def test_values_of_next_to_nothing_are_0() -> None:
    made = sampled(np.array([[1e-320], [-1e-310]]), None)
    assert made.samples.tolist() == [[0], [0]] and made.scale > 0
