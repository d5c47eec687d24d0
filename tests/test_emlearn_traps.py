"""Every trap of emlearn 0.23.2 that we can meet: it is still there, and our C does not fall into it.

A test that fails with "emlearn has mended" is good news: remove what it names, here and in emit.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from learnt import features, fitted, model
from numpy.typing import NDArray
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest, RandomForestRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from cyberhans import detectors, emit, truth
from cyberhans.core import compile_library, compiler
from cyberhans.detectors.autoencoder import Autoencoder
from cyberhans.detectors.forest import Forest
from cyberhans.detectors.gaussian import Gaussian
from cyberhans.detectors.heads import one_head
from cyberhans.detectors.whitening import Rows, Whitening
from cyberhans.errors import CyberHansError

ROWS = features(seed=5)
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
UPSTREAM = ("-O2", "-std=gnu99", "-w", "-ffp-contract=off", "-fPIC", "-shared", "-lm")


@pytest.fixture(scope="module")
def emlearn() -> Any:
    before = np.geterr()
    import emlearn

    np.seterr(**before)
    return emlearn


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # upstream leaves a folder tmp where it stands


def mended(what: str) -> str:
    return f"emlearn has mended this: {what}"


def upstream(
    emlearn: Any, text: str, call: str, rows: NDArray[Any], kind: str, outputs: int = 1
) -> NDArray[np.float32]:
    """emlearn's C as it stands, compiled; `call` on each row (x, its length n, outputs o)."""
    code = (
        text
        + f"""
void rows(const {kind} *X, int m, int n, float *O)
{{ for (int i = 0; i < m; i++) {{ const {kind} *x = X + i * n; float *o = O + i * {outputs}; {call} }} }}"""
    )
    library = ctypes.CDLL(str(compile_library([code], [Path(emlearn.includedir)], UPSTREAM)))
    given = np.ascontiguousarray(rows, {"float": np.float32, "int16_t": np.int16}[kind])
    found = np.zeros((len(given), outputs), np.float32)
    library.rows(
        given.ctypes.data_as(ctypes.c_void_p), len(given), given.shape[1], found.ctypes.data_as(ctypes.c_void_p)
    )
    return found


def net(sizes: tuple[int, ...] = (3,), scale: float = 1.0) -> MLPRegressor:
    rows = np.random.default_rng(0).normal(size=(100, 6)) * scale
    return MLPRegressor(hidden_layer_sizes=sizes, max_iter=20, random_state=0).fit(rows, rows)


# 3.1: emlearn goes left when x < threshold, scikit-learn when x <= threshold


def test_3_1_upstream_thresholds_are_off_by_one(emlearn: Any) -> None:
    x = np.arange(6)[:, None]
    tree = DecisionTreeClassifier().fit(x, [0, 0, 0, 1, 1, 1])
    text = emlearn.convert(tree, method="inline").save(name="m")
    found = upstream(emlearn, text, "o[0] = m_predict(x, n);", x, "int16_t").ravel()
    assert found[2] != tree.predict(x)[2], mended("take floor(threshold), without + 1, in emit._tree")


@pytest.mark.parametrize("method", ["loadable", "inline"])
def test_3_1_ours_agrees_on_and_beside_every_threshold(method: str) -> None:
    """Features of a few small and negative values, not whitened, so that many windows lie on a threshold."""
    random = np.random.default_rng(0)
    rows = random.integers(-4, 5, (300, 6)).astype(np.int16)
    plain = Rows(np.zeros(6), np.eye(6), np.eye(6, dtype=np.int8), np.zeros(6, np.uint8))
    as_they_are = Whitening(one_head(6), np.zeros(6, np.int16), (plain,))
    np.testing.assert_array_equal(as_they_are.apply(rows)[0], rows)
    forest = Forest(as_they_are, IsolationForest(random_state=0).fit(rows))
    made, _ = emit.emit(forest, rows, method=method)
    path = truth.run(made, rows)[:, 0].astype(np.float64)
    wanted = -forest.trees.score_samples(rows)
    assert np.abs(np.exp2(-path / forest.typical_path) - wanted).max() < 1e-6


# 3.2: float constants are printed with six decimals


def test_3_2_upstream_prints_six_decimals(emlearn: Any) -> None:
    assert emlearn.cgen.constant(1.5e-7) == "0.000000f", mended("drop emit._constant")


def test_3_2_ours_gives_every_float_back() -> None:
    values = np.random.default_rng(0).normal(size=500) * 10.0 ** np.random.default_rng(1).integers(-30, 30, 500)
    for value in (*values, 0.0, -1.0, 1e9, 16777217, 1.5e-7):
        text = emit._float(value)
        assert text.endswith("f") and ("." in text or "e" in text)
        assert np.float32(text[:-1]) == np.float32(value)


def test_3_2_the_distance_of_steep_features_is_lost(emlearn: Any) -> None:
    """Of features that vary by thousands its precision is 1e-7: six decimals leave nothing. Ours is in integers."""
    rows = np.clip(np.random.default_rng(0).normal(size=(200, 5)) * 9000, -32768, 32767).astype(np.int16)
    text = emlearn.convert(EllipticEnvelope(random_state=0).fit(rows), method="inline").save(name="m")
    theirs = upstream(emlearn, text, "o[0] = m_predict(x, n);", rows, "float")
    assert np.abs(theirs).max() < 1e-3, mended("drop emit._constant")
    assert emit.emit(detectors.fit("gaussian", rows, 0), rows)[1]["error"] < 0.1


def test_3_2_a_constant_that_no_float_holds_is_refused() -> None:
    for value in (1e39, float("nan"), -float("inf")):
        with pytest.raises(CyberHansError, match="no float32 holds"), np.errstate(over="ignore"):
            emit._float(value)


# 3.3: importing emlearn makes every floating-point exception of numpy an error


def numpy_state(statements: str) -> str:
    code = f"import numpy\n{statements}\nprint(set(numpy.geterr().values()))"
    run = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_3_3_upstream_changes_numpys_error_state() -> None:
    assert numpy_state("import emlearn") == "{'raise'}", mended("drop numpy.seterr in emit._emlearn")


@pytest.mark.slow
def test_3_3_ours_leaves_it_alone() -> None:
    root = Path(__file__).parent.parent
    ours = f"import sys; sys.path.insert(0, {str(root)!r})\nnumpy.seterr(all='print')\nfrom cyberhans import emit\n"
    assert numpy_state(ours + "with emit._emlearn(): pass") == "{'print'}"


# 3.5: loadable regressors with leaf_bits return not-a-number


def test_3_5_upstream_regressors_with_leaf_bits_are_no_numbers(emlearn: Any) -> None:
    tree = DecisionTreeRegressor(max_depth=3, random_state=0).fit(ROWS, ROWS[:, 0])
    text = emlearn.convert(tree, method="loadable", leaf_bits=8).save(name="m")
    found = upstream(emlearn, text, "o[0] = m_predict(x, n);", ROWS[:1], "int16_t")
    assert np.isnan(found).all(), mended("leaf_bits may be used")


def test_3_5_ours_are_numbers_with_whole_leaves() -> None:
    assert np.isfinite(truth.run(model("forest"), ROWS)).all()
    assert re.search(r"net_leaves,\s+32,", model("forest").text), "leaf_bits is 32"


# 3.6: predictions of the Python wrapper are useless


def test_3_6_upstream_wrapper_says_nothing(emlearn: Any) -> None:
    wrapper = emlearn.convert(net(), return_type="regressor")
    assert np.isnan(np.asarray(wrapper.predict(np.ones((2, 6))))).all(), mended("its predict could be trusted")


def test_3_6_ours_is_taken_from_the_compiled_c() -> None:
    autoencoder = fitted("autoencoder")
    assert isinstance(autoencoder, Autoencoder)
    found = truth.run(model("autoencoder"), ROWS)
    np.testing.assert_allclose(found, autoencoder.squares(ROWS), rtol=1e-3, atol=1e-5)


# 3.7: a dtype or method that emlearn cannot give is ignored


def test_3_7_upstream_ignores_requests(emlearn: Any) -> None:
    plain = emlearn.convert(net(), return_type="regressor").save(name="m")
    asked = emlearn.convert(net(), return_type="regressor", dtype="int8_t").save(name="m")
    assert asked == plain, mended("nets of int8_t may exist: offer them in emit._request")


@pytest.mark.parametrize(
    ("kind", "request_", "words"),
    [
        ("autoencoder", {"dtype": "int8_t"}, "would be ignored"),
        ("autoencoder", {"method": "inline"}, "loadable"),
        ("gaussian", {"method": "loadable"}, "inline"),
        ("gaussian", {"dtype": "int16_t"}, "would be ignored"),
        ("forest", {"dtype": "float"}, "would be ignored"),
        ("forest", {"dtype": "int16"}, "would be ignored"),
        ("forest", {"method": "fast"}, "loadable or inline"),
    ],
)
def test_3_7_ours_refuses_them(kind: str, request_: dict[str, str], words: str) -> None:
    with pytest.raises(CyberHansError, match=words):
        emit.emit(fitted(kind), ROWS, **request_)


# 3.8: float features are cut to int16 without a word


def test_3_8_upstream_cuts_floats(emlearn: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(300, 4))
    tree = DecisionTreeClassifier(random_state=0).fit(rows, rows[:, 0] > 0)
    text = emlearn.convert(tree, method="inline").save(name="m")
    assert "int16_t *features" in text, mended("float trees are the default")


def test_3_8_ours_learns_the_integers_that_the_device_sees() -> None:
    forest = fitted("forest")
    assert isinstance(forest, Forest)
    rows = np.array([[-32768] * 20, [32767] * 20], np.int16)
    path = truth.run(model("forest"), rows)[:, 0].astype(np.float64)
    seen = forest.inputs(rows)
    assert {seen.min(), seen.max()} == {-32768, 32767}  # saturated, as it happens
    np.testing.assert_allclose(np.exp2(-path / forest.typical_path), -forest.trees.score_samples(seen), atol=1e-6)


# 4.1: a folder tmp and an executable appear in the current directory


def test_4_1_upstream_compiles_into_the_current_directory(emlearn: Any) -> None:
    emlearn.convert(net(), return_type="regressor")
    assert Path("tmp").exists(), mended("drop the CompiledClassifier patch in emit._emlearn")


@pytest.mark.parametrize("kind", detectors.KINDS)
def test_4_1_ours_leaves_nothing_behind(kind: str) -> None:
    emit.emit(fitted(kind), ROWS)
    assert list(Path.cwd().iterdir()) == []


# 4.2: leaves are floats read through bytes that may lie anywhere


def test_4_2_upstream_leaves_are_bytes(emlearn: Any) -> None:
    tree = DecisionTreeRegressor(max_depth=2, random_state=0).fit(ROWS, ROWS[:, 0])
    text = emlearn.convert(tree, method="loadable").save(name="m")
    assert "static const uint8_t m_leaves" in text, mended("drop emit._float_leaves")


def test_4_2_ours_are_floats() -> None:
    text = model("forest").text
    assert re.search(r"static const float hans_\w+_net_leaves\[\d+\]", text)
    assert not re.search(r"uint8_t \**\w*leaves", text) and "(float *)" not in text


# 4.3: headers define functions that are not static, so two models cannot share an image


def symbols(text: str, folder: Path) -> dict[str, str]:
    """Name → kind, as nm gives them, of the text compiled on its own with every warning on."""
    (folder / "m.c").write_text(text)
    core = Path(__file__).parent.parent / "firmware" / "core"
    strict = ["-std=c99", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    subprocess.run([*compiler(), *strict, f"-I{core}", "-c", "m.c", "-o", "m.o"], cwd=folder, check=True)
    lines = subprocess.run(["nm", "m.o"], cwd=folder, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[-1]: line.split()[-2] for line in lines}


def test_4_3_upstream_functions_are_global(emlearn: Any) -> None:
    header = (Path(emlearn.includedir) / "eml_net.h").read_text()
    assert re.search(r"^int32_t\s+eml_net_argmax", header, re.MULTILINE), mended("everything is static already")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "method"), [("autoencoder", None), ("gaussian", None), ("forest", "loadable"), ("forest", "inline")]
)
def test_4_3_ours_shows_one_symbol(kind: str, method: str | None, tmp_path: Path) -> None:
    made = model(kind, method=method)
    found = symbols(made.text, tmp_path)
    assert [name for name, where in found.items() if where.isupper() and where != "U"] == [f"{made.prefix}_entry"]
    local = [name for name, where in found.items() if where.islower() and not name.startswith((".", "$"))]
    assert all(name.startswith(f"{made.prefix}_") for name in local), local


# 4.4: removing duplicate leaves takes quadratic time


def test_4_4_ours_gives_the_same_forest_as_upstream(emlearn: Any) -> None:
    forest = RandomForestRegressor(4, max_depth=6, random_state=0).fit(ROWS, ROWS[:, 0] // 100)
    flat = emlearn.trees.flatten_forest([tree.tree_ for tree in forest.estimators_], leaf="value")
    ours = emit._without_duplicates(([list(node) for node in flat[0]], flat[1], flat[2]))
    theirs = emlearn.trees.remove_duplicate_leaves(flat)
    assert ours[0] == [list(node) for node in theirs[0]]
    assert ours[2] == [float(leaf) for leaf in theirs[2]]
    assert len(ours[2]) < len(flat[2])


def test_4_4_upstream_compares_every_leaf_with_every_other(emlearn: Any) -> None:
    import inspect

    source = inspect.getsource(emlearn.trees.remove_duplicate_leaves)
    assert "find_array_index" in source, mended("drop emit._without_duplicates")


# section 1: a leaf's number and the way to a child have 16 bits


def forest_of(leaves: int, jump: int) -> tuple[list[list[int]], list[int], list[float]]:
    """One node for every two leaves, and a first one whose child is `jump` nodes away."""
    nodes = [[0, 0, -1 - leaf, -1 - min(leaf + 1, leaves - 1)] for leaf in range(0, leaves, 2)]
    nodes += [[0, 0, -1, -1]] * (jump + 1 - len(nodes))
    nodes[0] = [0, 0, jump, -1]
    return nodes, [0], [float(leaf) for leaf in range(leaves)]


@pytest.mark.parametrize(("leaves", "jump"), [(32769, 1), (4, 32768)])
def test_1_upstream_asserts_the_width_at_most(emlearn: Any, leaves: int, jump: int) -> None:
    nodes = forest_of(leaves, jump)[0]
    with contextlib.suppress(AssertionError):
        text = emlearn.trees.generate_c_nodes(nodes, "m", dtype="int16_t")
        assert "32768" in text, mended("drop emit._refuse_wide")


@pytest.mark.parametrize(("leaves", "jump"), [(32769, 1), (4, 32768)])
def test_1_ours_refuses_what_16_bits_do_not_hold(leaves: int, jump: int) -> None:
    with pytest.raises(CyberHansError, match=f"{leaves:,} different leaves and a child {jump:,} nodes away"):
        emit._without_duplicates(forest_of(leaves, jump))


def test_1_ours_takes_what_16_bits_just_hold() -> None:
    nodes, _, leaves = emit._without_duplicates(forest_of(32768, 32767))
    assert len(leaves) == 32768 and min(min(node[2:4]) for node in nodes) == -32768


# 4.7: EllipticEnvelope converts only when asked for inline


def test_4_7_upstream_needs_to_be_told_inline(emlearn: Any) -> None:
    with pytest.raises(ValueError, match="Unsupported classifier method"):
        emlearn.convert(EllipticEnvelope(random_state=0).fit(ROWS[:, :3]))


def test_4_7_ours_needs_no_envelope() -> None:
    """The integers that C gives are those of NumPy, whatever emlearn does."""
    gaussian = fitted("gaussian")
    assert isinstance(gaussian, Gaussian)
    np.testing.assert_array_equal(truth.run_parts(model("gaussian"), ROWS), gaussian.parts(ROWS))


# 4.8: from Python 3.12 on distutils is gone, which emlearn imports


def test_4_8_upstream_imports_distutils(emlearn: Any) -> None:
    source = Path(emlearn.common.__file__).read_text()
    assert "distutils" in source, mended("drop setuptools from pyproject.toml")


def test_4_8_we_depend_on_setuptools() -> None:
    assert '"setuptools' in (Path(__file__).parent.parent / "pyproject.toml").read_text()


# 4.9: libm and stdio come along


def test_4_9_upstream_pulls_in_libm_and_stdio(emlearn: Any) -> None:
    folder = Path(emlearn.includedir)
    assert "expf(" in (folder / "eml_net.h").read_text(), mended("drop the first of emit._NET_EDITS")
    assert "#include <stdio.h>" in (folder / "eml_common.h").read_text(), mended("headers are clean")


@pytest.mark.parametrize(
    ("kind", "method"), [("autoencoder", None), ("gaussian", None), ("forest", "loadable"), ("forest", "inline")]
)
def test_4_9_ours_needs_neither(kind: str, method: str | None, tmp_path: Path) -> None:
    made = model(kind, method=method)
    needed = {name for name, where in symbols(made.text, tmp_path).items() if where == "U"}
    assert needed <= {"memcpy", "memset", "_GLOBAL_OFFSET_TABLE_"}
    floats = {"<float.h>", "<stdbool.h>"} if kind != "gaussian" else set()
    assert set(re.findall(r"#include\s+(\S+)", made.text)) == {'"hans.h"', *floats}


# Section 1: limits of loadable trees


def test_127_features_upstream_refuses_more(emlearn: Any) -> None:
    wide = features(128)
    tree = DecisionTreeRegressor(max_depth=2, random_state=0).fit(wide, wide[:, 0])
    with pytest.raises(ValueError, match="max=127"):
        emlearn.convert(tree, method="loadable")


@pytest.mark.parametrize(("count", "loadable"), [(127, True), (128, False), (255, False)])
def test_127_features_ours_changes_over(count: int, loadable: bool) -> None:
    made = model("forest", count)
    assert ("EmlTreesNode" in made.text) == loadable
    assert np.isfinite(truth.run(made, features(count))).all()


def test_127_features_ours_refuses_loadable_beyond() -> None:
    with pytest.raises(CyberHansError, match="128 features cannot be 'loadable'"):
        emit.emit(fitted("forest", 128), features(128), method="loadable")


def test_int16_upstream_writes_any_threshold(emlearn: Any) -> None:
    x = np.array([[0], [300000]])
    text = emlearn.convert(DecisionTreeClassifier().fit(x, [0, 1]), method="loadable", dtype="int16_t").save(name="m")
    assert "150000" in text, mended("drop the range check in emit._tree")


@pytest.mark.parametrize(
    ("threshold", "fits"), [(32766.5, True), (32767.5, False), (-32768.5, True), (-32770.0, False)]
)
def test_int16_ours_checks_thresholds(threshold: float, fits: bool) -> None:
    tree = SimpleNamespace(
        node_count=3, children_left=np.array([1, -1, -1]), children_right=np.array([2, -1, -1]),
        feature=np.array([0, -2, -2]), threshold=np.array([threshold, -2, -2]), n_node_samples=np.array([4, 2, 2]),
    )  # fmt: skip
    if fits:
        assert emit._tree(tree, np.array([0]), 1).tree_.threshold[0] == np.floor(threshold) + 1
    else:
        with pytest.raises(CyberHansError, match="int16"):
            emit._tree(tree, np.array([0]), 1)


# What we change in emlearn lasts only as long as we use it


def test_emlearn_is_left_as_it_was_found(emlearn: Any) -> None:
    places = (
        (emlearn.cgen, "constant"),
        (emlearn.common, "CompiledClassifier"),
        (emlearn.trees, "remove_duplicate_leaves"),
    )
    before = [getattr(module, name) for module, name in places]
    emit.emit(fitted("forest"), ROWS)
    with pytest.raises(RuntimeError), emit._emlearn():
        assert emlearn.cgen.constant is not before[0]
        raise RuntimeError
    assert [getattr(module, name) for module, name in places] == before
