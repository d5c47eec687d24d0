"""Arrivals: rate and losses of lines without number, against lines that were delayed in every way that lines are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from counts import full
from numpy.typing import NDArray

from cyberhans.errors import CyberHansError
from cyberhans.lines.arrival import LEAST, Pace, numbered, pace, strays

Floats = NDArray[np.float64]
Random = np.random.Generator
SECONDS = 60.0
NEAR = 20  # lines: as many as come together where they come every 16 ms
TRIALS = full(6, 60)


def packets(due: Floats, size: int, line: int = 18) -> Floats:
    """A line leaves when its last byte's packet is full."""
    last = np.ceil((np.arange(len(due)) + 1) * line / size) * size
    return due[np.minimum(np.ceil(last / line).astype(int) - 1, len(due) - 1)]


def every(due: Floats, period: float) -> Floats:
    """A line leaves at the next tick of another clock."""
    return (np.floor(due / period) + 1) * period


def at_host(sent: Floats, rng: Random, busy_s: float = 0.0003, stalls: int = 0, stall_s: float = 0.5) -> Floats:
    """Nothing overtakes; a busy host comes late, at times much too late."""
    came = np.maximum.accumulate(sent + rng.exponential(busy_s, len(sent)))
    for begin in rng.uniform(0, sent[-1] - 3, stalls):
        end = begin + rng.exponential(stall_s)
        came = np.where((came > begin) & (came < end), end, came)
    return np.maximum.accumulate(came)


WAYS: dict[str, Callable[[Floats, float, Random], Floats]] = {
    "direct": lambda due, rate, rng: at_host(due, rng),
    "every USB frame": lambda due, rate, rng: at_host(every(due, 0.001), rng),
    "16 ms latency timer": lambda due, rate, rng: at_host(every(due, 0.016), rng),
    "a timer nearly in step": lambda due, rate, rng: at_host(every(due, (1 + 2e-4) / rate), rng),
    "packets of 64 bytes": lambda due, rate, rng: at_host(packets(due, 64), rng),
    "packets of 512 bytes": lambda due, rate, rng: at_host(packets(due, 512), rng),
    "busy host": lambda due, rate, rng: at_host(every(due, 0.001), rng, 0.003, 60, 0.05),
    "stalled host": lambda due, rate, rng: at_host(every(due, 0.016), rng, stalls=6, stall_s=0.5),
}


def measured(arrival: Floats) -> Pace:
    return pace(arrival, np.arange(len(arrival)), np.zeros(len(arrival), bool))


def due(rate: float, rng: Random, seconds: float = SECONDS) -> Floats:
    return rng.uniform(0, 1) + np.arange(int(seconds * rate)) / rate + rng.normal(0, 2e-5, int(seconds * rate))


@pytest.mark.parametrize("nominal", [104, 1000, 4000])
@pytest.mark.parametrize("way", WAYS)
def test_a_rate_4_percent_off_is_found_within_its_interval(
    way: str, nominal: float, record_property: Callable[[str, object], None]
) -> None:
    """0.01 % as soon as one line in all is less than that: not where 6,240 lines wait for a timer nearly in step."""
    worst = 0.0
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        rate = nominal * 1.04 * (1 + rng.uniform(-1e-3, 1e-3))
        found = measured(WAYS[way](due(rate, rng), rate, rng))
        assert abs(found.rate.rate_hz - rate) <= found.rate.uncertainty_hz
        assert found.rate.uncertainty_hz / rate < 4 / (SECONDS * rate) + 2e-5
        worst = max(worst, abs(found.rate.rate_hz / rate - 1))
    if way != "a timer nearly in step" or nominal > 104:
        assert worst < 1e-4
        record_property("worst error of the rate of simulated lines after 60 s, ppm", round(worst * 1e6, 1))


@pytest.mark.parametrize("nominal", [104, 1000])
@pytest.mark.parametrize("way", [way for way in WAYS if "host" not in way and "512" not in way])
def test_lines_never_sent_are_found_at_their_place(way: str, nominal: float) -> None:
    """A device that pauses: 3 pauses in a minute. One line more or less where a timer in step hides one."""
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        rate = nominal * 1.04
        times = due(rate, rng)
        kept = np.ones(len(times), bool)
        for begin in (11.7, 30.2, 50.1):
            kept[int(begin * rate) : int((begin + rng.uniform(0.2, 3)) * rate)] = False
        found = measured(WAYS[way](times, rate, rng)[kept])
        true = np.diff(np.flatnonzero(kept), prepend=-1) - 1
        places = np.flatnonzero(true)
        assert all(np.abs(places - place).min() <= NEAR for place in np.flatnonzero(found.missing))
        told = [found.missing[place - NEAR : place + NEAR + 1].sum() for place in places]
        assert np.abs(told - true[places]).max() <= (way == "a timer nearly in step")
        assert abs(found.rate.rate_hz - rate) <= found.rate.uncertainty_hz


@pytest.mark.parametrize("way", ["direct", "16 ms latency timer"])
def test_a_full_buffer_loses_what_comes_after_what_it_held(way: str) -> None:
    """A host that does not read for 1.5 s: 180 lines come late, all at once, the others are gone."""
    rng, rate = np.random.default_rng(1), 1040.0
    times = due(rate, rng)
    came, first, end = WAYS[way](times, rate, rng), int(30 * rate), int(31.5 * rate)
    came[first:end] = came[end]
    kept = np.ones(len(times), bool)
    kept[first + 180 : end] = False
    found = measured(came[kept])
    places = np.flatnonzero(found.missing)
    assert len(places) == 1 and abs(places[0] - first - 180) <= 20
    assert found.missing.sum() == end - first - 180


def test_what_was_only_held_back_is_not_missing() -> None:
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        came = at_host(due(1040, rng), rng, stalls=4, stall_s=0.5)
        assert measured(came).missing.sum() == 0


def test_a_damaged_line_in_the_crowd_is_the_place() -> None:
    rng, rate = np.random.default_rng(1), 1040.0
    came = at_host(due(rate, rng), rng)
    first, end = int(30 * rate), int(31.5 * rate)
    came[first:end] = came[end]
    damaged = np.zeros(len(came), bool)
    damaged[first + 100] = True
    kept = np.ones(len(came), bool)
    kept[first + 101 : end] = False
    found = pace(came[kept], np.arange(kept.sum()), damaged[kept])
    assert np.flatnonzero(found.missing).tolist() == [first + 100]


def test_a_counter_tells_losses_exactly_and_overflows() -> None:
    rng, rate = np.random.default_rng(1), 104.0
    kept = np.ones(6240, bool)
    kept[1000:1003] = kept[5000] = False
    index = np.flatnonzero(kept)
    came = at_host(due(rate, rng), rng)[kept]
    found, counted = numbered(came, (index + 250.0) % 256)
    assert [(int(k), int(found.missing[k])) for k in np.flatnonzero(found.missing)] == [(1000, 3), (4997, 1)]
    assert counted.all()
    assert abs(found.rate.rate_hz - rate) <= found.rate.uncertainty_hz < 3e-4 * rate


def test_a_device_that_begins_anew_is_an_estimate() -> None:
    rate = 100.0
    came = np.concatenate([np.arange(3000), np.arange(3250, 6000)]) / rate
    column = np.concatenate([np.arange(3000) + 60_000, np.arange(2750)]).astype(float)
    found, counted = numbered(came, column)
    assert np.flatnonzero(counted == 0).tolist() == [3000]
    assert found.missing[3000] == 250
    assert found.rate.rate_hz == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("damage", [-5.0, 0.0, 7.0, 50.5, 49.0, 3e6, 2.0**53, -1e30, 1e300])
def test_one_damaged_count_is_astray(damage: float) -> None:
    column = np.arange(100) % 64 + 0.0
    column[50] = damage
    assert np.flatnonzero(strays(column)).tolist() == [50]


def test_overflows_losses_and_a_new_beginning_are_not_astray() -> None:
    column = np.concatenate([np.arange(300), np.arange(310, 400), np.arange(50)]) % 256 + 0.0
    assert not strays(column).any() and not strays(column[:0]).any() and not strays(column[:1]).any()


def test_a_column_of_other_numbers_is_refused() -> None:
    with pytest.raises(CyberHansError, match=r"--index-column has 1\.7e\+18: too much for a count"):
        strays(1.7e18 + np.arange(0.0, 1e8, 1e6))


def test_a_column_that_does_not_count_by_one_is_refused() -> None:
    with pytest.raises(CyberHansError, match="counts up by 10, not by 1"):
        numbered(np.arange(100) / 100, np.arange(0.0, 1000, 10))


def test_too_few_lines_have_no_rate() -> None:
    with pytest.raises(CyberHansError, match=r"15 lines in .* do not tell their rate"):
        measured(np.arange(LEAST - 1) / 100)
