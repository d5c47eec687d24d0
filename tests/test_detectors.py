"""What is learnt: the same numbers again, large scores for strange windows, and the formulas the C is made from."""

from __future__ import annotations

import numpy as np
import pytest
from learnt import features, fitted
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.ensemble._iforest import _average_path_length

from cyberhans import detectors
from cyberhans.detectors import KINDS, WITHOUT_CHANCE, Scale, log2_mean
from cyberhans.detectors.autoencoder import hidden_size
from cyberhans.detectors.forest import Forest, path_length
from cyberhans.detectors.gaussian import Gaussian
from cyberhans.detectors.heads import Head, Run, one_head
from cyberhans.detectors.trees import Trees
from cyberhans.detectors.whitening import Whitening
from cyberhans.emit import emit
from cyberhans.errors import CyberHansError


@pytest.mark.parametrize("kind", KINDS)
def test_strange_windows_score_above_all_normal_ones(kind: str) -> None:
    normal = features(seed=1)
    strange = normal.copy()
    strange += 2000
    scores = fitted(kind).score(normal), fitted(kind).score(strange)
    assert scores[0].shape == (len(normal),)
    assert scores[1].min() > scores[0].max()


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_numbers(kind: str) -> None:
    again = detectors.fit(kind, features(), 0).arrays()
    first = fitted(kind).arrays()
    assert first.keys() == again.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])


def test_the_kinds_without_chance_are_those_that_no_seed_changes() -> None:
    for kind in KINDS:
        first, other = fitted(kind).arrays(), detectors.fit(kind, features(), 1).arrays()
        same = all(np.array_equal(array, other[name]) for name, array in first.items())
        assert same == (kind in WITHOUT_CHANCE)


def test_learning_takes_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """More threads add in another order, and other bits come out."""
    from threadpoolctl import threadpool_info

    from cyberhans.detectors import gaussian

    monkeypatch.setattr(gaussian, "fit", lambda *_: [pool["num_threads"] for pool in threadpool_info()])
    threads = detectors.fit("gaussian", features(), 0)
    assert threads and set(threads) == {1}  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_hold_no_objects(kind: str) -> None:
    assert all(array.dtype.kind in "iuf" for array in fitted(kind).arrays().values())


def test_a_constant_feature_does_no_harm() -> None:
    normal = features()
    normal[:, 3] = 0
    for kind in KINDS:
        assert np.isfinite(detectors.fit(kind, normal, 0).score(normal)).all()


@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize("kind", ["autoencoder", "gaussian", "trees"])
def test_a_machine_whose_features_all_stand_still_is_learnt(kind: str, count: int) -> None:
    still = np.full((40, count), 1234, np.int16)
    learnt = detectors.fit(kind, still, 0)
    made, guard = emit(learnt, still)
    assert made.parts and guard["error"] <= guard["limit"]
    assert learnt.score(still + np.int16(300)).min() > learnt.score(still).max() + 8


def test_no_part_at_all_scores_as_on_a_device() -> None:
    """One step of a part: -12 (SPEC.md section 7)."""
    assert log2_mean(np.zeros((1, 8)))[0] == -12
    assert log2_mean(np.full((1, 8), 2.0**-12))[0] == -12


def test_a_score_is_the_mean_over_heads_of_their_logs() -> None:
    assert log2_mean(np.array([[1.0, 16.0], [4.0, 4.0]])).tolist() == [2.0, 2.0]


def test_a_forest_of_windows_that_are_all_alike_is_refused() -> None:
    with pytest.raises(
        CyberHansError, match="all windows have the same features, so a forest could never alarm"
    ) as told:
        detectors.fit("forest", np.full((40, 3), 1234, np.int16), 0)
    assert "\n" not in str(told.value)


def test_a_gaussian_of_one_feature() -> None:
    rows = features(count=1)
    gaussian = detectors.fit("gaussian", rows, 0)
    assert gaussian.score(rows + np.int16(2000)).min() > gaussian.score(rows).max()


def test_scale_gives_mean_zero_and_deviation_one() -> None:
    normal = features()
    z = Scale.of(normal).apply(normal)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-12)


def test_scale_takes_no_feature_for_steadier_than_its_step() -> None:
    still = np.full((50, 4), 1234, np.int16)
    assert Scale.of(still).deviation.min() >= 2.0


def test_scale_does_not_overflow_int16() -> None:
    extremes = np.array([[-32768] * 2, [32767] * 2] * 10, np.int16)
    assert np.abs(Scale.of(extremes).apply(extremes)).max() == pytest.approx(1, rel=1e-3)


def test_the_gaussian_is_the_mahalanobis_distance_of_its_covariance() -> None:
    """Of a head no longer than a row's reach, before rounding; over the number of features."""
    gaussian, rows = fitted("gaussian"), features(seed=2)
    assert isinstance(gaussian, Gaussian)
    scale = Scale.of(features())
    z, training = scale.apply(rows), scale.apply(features())
    shrinkage = max(ledoit_wolf_shrinkage(training), 0.05)
    covariance = training.T @ training / len(training)
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / 20 * np.eye(20)
    wanted = np.einsum("ki,ij,kj->k", z, np.linalg.inv(shrunk), z) / 20
    np.testing.assert_allclose(gaussian.squares(rows)[:, 0], wanted, rtol=1e-9)
    np.testing.assert_allclose(gaussian.score(rows), np.log2(wanted), atol=0.1)


def test_path_length_is_that_of_scikit_learn() -> None:
    counts = np.arange(1, 300)
    np.testing.assert_allclose(path_length(counts), _average_path_length(counts), rtol=1e-12)


def test_a_forest_score_is_log2_of_scikit_learns() -> None:
    forest = fitted("forest")
    assert isinstance(forest, Forest)
    rows = features(seed=3)
    seen = forest.inputs(rows)
    np.testing.assert_allclose(-np.exp2(forest.score(rows)), forest.trees.score_samples(seen), rtol=1e-12)
    assert forest.score(rows).max() < 0


def test_trees_guess_each_whitened_feature_from_the_others_of_its_head() -> None:
    """What no straight line tells, whether two features have one sign, is strange to trees and not to a gaussian."""
    random = np.random.default_rng(0)
    sides = random.choice([-400, 400], (300, 2))

    def rows(product: int) -> np.ndarray:
        third = product * np.sign(sides[:, 0] * sides[:, 1]) * 400
        return np.column_stack([sides, third]).astype(np.int16) + random.integers(-20, 21, (300, 3)).astype(np.int16)

    normal, strange = rows(1), rows(-1)
    trees, gaussian = (detectors.fit(kind, normal, 0) for kind in ("trees", "gaussian"))
    assert np.median(trees.score(strange)) > np.median(trees.score(normal)) + 1.0
    assert abs(np.median(gaussian.score(strange)) - np.median(gaussian.score(normal))) < 0.3


def test_trees_keep_to_their_head() -> None:
    """A feature of one head changes nothing in the other's part."""
    rows = features(20)
    heads = (Head((Run(0, None, 12, 0),)), Head((Run(12, None, 8, 0),)))
    learnt = detectors.fit("trees", rows, 0, heads)
    assert isinstance(learnt, Trees) and len(learnt.trees) == 20 and any(learnt.trees)
    moved = rows.copy()
    moved[:, 3] += 200
    before, after = learnt.squares(rows), learnt.squares(moved)
    np.testing.assert_array_equal(before[:, 1], after[:, 1])
    assert (before[:, 0] != after[:, 0]).all()


def test_a_forest_grows_from_fewer_windows_than_it_would_like() -> None:
    forest = detectors.fit("forest", features(windows=7), 0)
    assert isinstance(forest, Forest) and forest.trees.max_samples_ == 7


@pytest.mark.parametrize(("count", "size"), [(4, 4), (38, 4), (70, 8), (298, 24)])
def test_the_rule_of_the_net(count: int, size: int) -> None:
    assert hidden_size(count) == size


def test_the_best_start_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several seeds the one with the least score on the last fifth; then it learns all windows with that seed."""
    from cyberhans.detectors import autoencoder

    taught: list[tuple[int, int]] = []

    class Stub:
        def __init__(self, seed: int) -> None:
            self.seed = seed

        def score(self, rows: np.ndarray) -> np.ndarray:
            assert len(rows) == 32
            return np.full(len(rows), abs(self.seed - 12.0))

    def teach(whitening: Whitening, rows: np.ndarray, seed: int, share: float) -> Stub:
        assert share == 1.0
        taught.append((len(rows), seed))
        return Stub(seed)

    monkeypatch.setattr(autoencoder, "_teach", teach)
    assert autoencoder.fit(features(), 2, one_head(20)).seed == 12  # type: ignore[attr-defined]
    assert taught == [(128, seed) for seed in range(10, 15)] + [(160, 12)]


def test_unknown_kind_and_too_few_windows() -> None:
    with pytest.raises(CyberHansError, match=r"detector 'svm': choose autoencoder, forest, gaussian"):
        detectors.fit("svm", features(), 0)
    with pytest.raises(CyberHansError, match="3 windows are left to learn from, 4 are the least"):
        detectors.fit("forest", features(windows=3), 0)
