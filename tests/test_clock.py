"""The clock: the measured rate is true, its interval holds what it promises, whatever the stamps look like."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from counts import full

from cyberhans.clock import MOST, Floats, Stamps, rate, trend

TRUE_HZ = 26_667 * 1.04  # a sample clock that is 4 % fast
SECONDS, STAMPS = 60.0, 2000
STEP_S = 1e-3  # of a clock that ticks slowly
Random = np.random.Generator


def white(random: Random, n: int) -> Floats:
    return random.normal(0, 1e-3, n)


def correlated(random: Random, n: int) -> Floats:
    """First order, over about ten stamps."""
    fresh, late = random.normal(0, 1e-3, n), np.zeros(n)
    for k in range(1, n):
        late[k] = 0.9 * late[k - 1] + fresh[k]
    return late


def heavy_tailed(random: Random, n: int) -> Floats:
    return np.asarray(1e-4 * random.pareto(1.5, n))


def late_now_and_then(random: Random, n: int) -> Floats:
    return np.asarray(random.normal(0, 1e-4, n) + np.where(random.random(n) < 0.05, random.exponential(0.02, n), 0))


SCATTERS = (white, correlated, heavy_tailed, late_now_and_then)


def stamps(scatter: Callable[[Random, int], Floats], seed: int, seconds: float = SECONDS) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    index = np.arange(STAMPS) * np.floor(TRUE_HZ * seconds / STAMPS)
    return index, index / TRUE_HZ + scatter(random, STAMPS)


@pytest.mark.parametrize("scatter", SCATTERS)
@pytest.mark.parametrize("seconds", [5.0, SECONDS])
def test_the_interval_holds_the_truth_in_about_95_of_100(
    scatter: Callable[[Random, int], Floats], seconds: float
) -> None:
    seeds = full(300, 2000)
    found = [rate(*stamps(scatter, seed, seconds)) for seed in range(seeds)]
    held = np.mean([abs(one.rate_hz - TRUE_HZ) <= one.uncertainty_hz for one in found if one])
    assert len(found) == seeds and 0.91 <= held <= 0.99


@pytest.mark.parametrize("scatter", SCATTERS)
def test_four_per_cent_are_measured_within_a_hundredth_of_a_per_cent_in_60_s(
    scatter: Callable[[Random, int], Floats], record_property: Callable[[str, object], None]
) -> None:
    off = [abs(found.rate_hz / TRUE_HZ - 1) for seed in range(100) if (found := rate(*stamps(scatter, seed)))]
    record_property("worst rate measured in 60 s, relative error", max(off))
    assert len(off) == 100 and max(off) < 1e-4


def test_lost_blocks_do_no_harm() -> None:
    index, time = stamps(white, 1)
    random = np.random.default_rng(2)
    kept = random.random(STAMPS) < 0.5
    kept[STAMPS // 3 : STAMPS // 2] = False
    found = rate(index[kept], time[kept])
    assert found and abs(found.rate_hz / TRUE_HZ - 1) < 1e-5


def test_a_quarter_of_wild_stamps_does_no_harm() -> None:
    index, time = stamps(white, 3)
    time[np.random.default_rng(4).random(STAMPS) < 0.25] += 5.0
    found = rate(index, time)
    assert found and abs(found.rate_hz / TRUE_HZ - 1) < 1e-4 and found.jitter_s > 1


def test_the_jitter_is_that_of_the_stamps() -> None:
    found = rate(*stamps(white, 5))
    assert found and found.jitter_s == pytest.approx(1e-3, rel=0.1)


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.7])
def test_a_slow_clock_hides_no_more_than_it_says(offset: float) -> None:
    """Rounded stamps have an error that no scatter shows: one step over the span at the least."""
    index, time = stamps(lambda _, n: np.zeros(n), 0)
    found = rate(index, np.floor(time / STEP_S + offset) * STEP_S, STEP_S)
    assert found and abs(found.rate_hz - TRUE_HZ) <= found.uncertainty_hz
    assert 1 < found.uncertainty_hz / found.rate_hz / (STEP_S / SECONDS) < 2


def test_even_stamps_give_the_rate_itself() -> None:
    index, time = stamps(lambda _, n: np.zeros(n), 0)
    found = rate(index, time)
    assert found and found.rate_hz == pytest.approx(TRUE_HZ, rel=1e-12) and found.uncertainty_hz < 1e-6


@pytest.mark.parametrize("count", [0, 1, 7])
def test_too_few_stamps_say_nothing(count: int) -> None:
    index, time = stamps(white, 0)
    assert rate(index[:count], time[:count]) is None


def test_stamps_without_a_span_say_nothing() -> None:
    assert rate(np.zeros(20), np.arange(20.0)) is None
    assert rate(np.arange(20.0), np.zeros(20)) is None


def test_a_trend_needs_no_time() -> None:
    x = np.arange(100.0)
    found = trend(x, 3 * x + 7)
    assert found and found.slope == pytest.approx(3) and found.rms < 1e-9


def test_a_days_stamps_keep_their_span_and_their_room() -> None:
    kept = Stamps()
    count = 5 * MOST
    for number in range(count):
        kept.add(number, 2.0 * number)
    assert MOST / 2 <= len(kept) <= MOST + 1
    assert kept.x[0] == 0 and kept.x[-1] > count * 0.999 and kept.span == kept.x[-1]
    assert (kept.y == 2 * kept.x).all() and (np.diff(kept.x) > 0).all()


def test_stamps_that_do_not_ascend_are_left_out() -> None:
    stamps = Stamps()
    for x in (0, 1, 2, 2, 1, 3, 0, 4):
        stamps.add(x, 10 * x)
    assert stamps.x.tolist() == [0, 1, 2, 3, 4] and stamps.y.tolist() == [0, 10, 20, 30, 40]
