"""Heads: which features are judged together; a loud machine moves no ratio."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cyberhans.detectors.heads import Head, heads_of, one_head
from cyberhans.spec import Family, Frame, Spec, design

TWO = (Frame(64, (1, 2, 4, 8)), Frame(128, (1, 3, 9, 20, 50)))  # 2 and 3 bands
BOTH = Family.LEVEL | Family.STEPS


def spec(channels: int, families: Family = BOTH, frames: tuple[Frame, ...] = TWO) -> Spec:
    return Spec(8_000_000, channels, 256, 256, families, frames)


def names(of: Spec, head: Head) -> list[str]:
    """Each place of a head by the features that a gather shows to be in it."""
    unit = np.eye(of.features, dtype=np.int16)
    columns = head.gather(unit)
    found = []
    for column in columns.T:
        plus, minus = np.flatnonzero(column == 1), np.flatnonzero(column == -1)
        found.append("-".join(of.feature_names[place] for place in (*plus, *minus)))
    return found


def test_one_channel_is_one_head_of_all_features() -> None:
    of = spec(1)
    (head,) = heads_of(of)
    assert names(of, head) == list(of.feature_names)
    assert head.gather(np.arange(of.features, dtype=np.int16)[None]).tolist() == [list(range(of.features))]


def test_each_channel_has_its_own_features_in_their_order() -> None:
    for families in (BOTH, BOTH | Family.SPREAD, Family(0), BOTH | Family.DIFFERENCES):
        of = spec(3, families)
        for channel, head in enumerate(heads_of(of)[:3]):
            assert names(of, head) == [name for name in of.feature_names if name.startswith(f"c{channel}.")]


def test_ratios_are_taken_from_channel_0_band_by_band() -> None:
    of = spec(3)
    short, long = heads_of(of)[3:]
    assert names(of, short) == [f"c0.n64.b{b}.mean-c{k}.n64.b{b}.mean" for b in range(2) for k in (1, 2)]
    assert names(of, long) == [f"c0.n128.b{b}.mean-c{k}.n128.b{b}.mean" for b in range(3) for k in (1, 2)]


def test_differences_of_the_spec_stand_for_the_ratios() -> None:
    of = spec(3, BOTH | Family.DIFFERENCES)
    short, long = heads_of(of)[3:]
    assert names(of, short) == [name for name in of.feature_names if "-c" in name and "n64" in name]
    assert names(of, long) == [name for name in of.feature_names if "-c" in name and "n128" in name]


def test_a_machine_that_is_twice_as_loud_moves_no_ratio() -> None:
    of = spec(3)
    quiet = np.random.default_rng(0).integers(0, 4000, (5, of.features)).astype(np.int16)
    for head in heads_of(of)[3:]:
        np.testing.assert_array_equal(head.gather(quiet), head.gather(quiet + np.int16(512)))


def test_ratios_of_extremes_do_not_overflow() -> None:
    of = spec(2)
    rows = np.zeros((1, of.features), np.int16)
    rows[0, :2], rows[0, 2:4] = 32767, -32768  # c0's and c1's short bands
    assert heads_of(of)[2].gather(rows)[0].tolist() == [65535, 65535]


@pytest.mark.parametrize("channels", range(1, 7))
@pytest.mark.parametrize("size", ["tiny", "small", "full"])
def test_no_more_heads_than_features_and_all_of_them_used(size: str, channels: int) -> None:
    """The core has room for as many parts as features."""
    designs = [design(size, 8000, channels, 20_000)] if size != "tiny" or channels <= 3 else []
    bare = spec(channels, Family(0), (Frame(64, (1, 4, 32)),))
    for of in (*designs, bare, dataclasses.replace(bare, frames=(Frame(64, (1, 4, 9, 32)),))):
        heads = heads_of(of)
        assert len(heads) <= of.features
        used = {run.first + i for head in heads for run in head.runs for i in range(run.count)}
        assert used == set(range(of.features))
        for head in heads:
            assert sorted(run.into + i * run.step for run in head.runs for i in range(run.count)) == list(
                range(head.size)
            )


def test_one_head_takes_all() -> None:
    rows = np.arange(12, dtype=np.int16).reshape(2, 6)
    np.testing.assert_array_equal(one_head(6)[0].gather(rows), rows)
