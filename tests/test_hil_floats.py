"""Windows that strain a model's floats: nearly each one's score tips where sums are rounded otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from learnt import SPEC, recording
from small_detector import small_detector, small_spec

from cyberhans.detector import Detector
from cyberhans.hil import floats
from cyberhans.hil.floats import EACH, WAYS, has_floats, tipping_windows
from cyberhans.hil.sources import sources
from cyberhans.train import train


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    made = train([recording(seed) for seed in range(3)], kind="autoencoder", spec=SPEC, false_alarm_rate=0.05,
                 uncalibrated=True)  # fmt: skip
    return made.save(tmp_path_factory.mktemp("floats") / "autoencoder")


def tips(detector: Detector, windows: np.ndarray, way: str) -> int:
    """How many scores are others that way."""
    other = floats._compiled(detector, WAYS[way]).run(windows).score
    return int(np.count_nonzero(other != detector.core().run(windows).score))


@pytest.mark.slow
def test_scores_tip_where_sums_are_rounded_otherwise(learnt: Detector) -> None:
    """EACH for each way that this computer can try; of golden windows hardly any does."""
    windows = tipping_windows(learnt)
    assert windows.dtype == np.int16 and windows.shape[1:] == (SPEC.window, SPEC.channels)
    ways = [way for way in WAYS if way != "fused" or floats._fuses()]
    assert len(windows) == EACH * len(ways)
    for way in ways:
        assert tips(learnt, windows, way) >= EACH
    assert sum(tips(learnt, learnt.golden, way) for way in ways) <= 1


@pytest.mark.slow
def test_the_same_windows_each_time(learnt: Detector) -> None:
    assert np.array_equal(tipping_windows(learnt), tipping_windows(learnt))


@pytest.mark.slow
def test_where_none_tips_there_are_windows_all_the_same(learnt: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a compiler that does not know the pragmas."""
    monkeypatch.setattr(floats, "WAYS", {"same": ""})
    monkeypatch.setattr(floats, "SEARCHED", 1 << 22)
    assert len(tipping_windows(learnt)) == EACH


@pytest.mark.slow
def test_only_a_model_with_floats_has_such_windows(learnt: Detector, tmp_path: Path) -> None:
    integers = small_detector(tmp_path / "toy", small_spec(size="tiny"))
    assert has_floats(learnt) and not has_floats(integers)
    assert [source.name for source in sources(learnt, None, 1)] == ["golden", "adversarial", "floats"]
    assert [source.name for source in sources(integers, None, 1)] == ["golden", "adversarial"]
    assert len(sources(learnt, None, 1)[-1].windows(learnt)) >= EACH
