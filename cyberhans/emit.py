"""A fitted detector becomes C. The only room with emlearn: what emlearn gets wrong is put right here.

The numbers T… are those of tests/test_emlearn_traps.py, which shows each trap and that it is avoided.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from cyberhans import amalgamation, model_source, truth
from cyberhans.detector import Model
from cyberhans.detectors import Features, Fitted
from cyberhans.detectors.autoencoder import Autoencoder
from cyberhans.detectors.forest import Forest, path_length
from cyberhans.detectors.gaussian import Gaussian
from cyberhans.detectors.trees import Trees
from cyberhans.detectors.whitening import UNIT_BITS, Whitening
from cyberhans.emit_whitening import gaussian_c, whitening_c
from cyberhans.errors import CyberHansError
from cyberhans.spec import LOADABLE_FEATURES
from cyberhans.tables import version_check

Edit = tuple[str, str | Callable[[re.Match[str]], str]]

P = "hans_00000000"  # stands for the prefix until the text, and so its digest, is known
MOST_LEAVES = 1 << 15  # of emlearn's tables
_patched = threading.Lock()


def emit(
    fitted: Fitted, features: Features, *, method: str | None = None, dtype: str | None = None
) -> tuple[Model, dict[str, Any]]:
    """The self-contained model.c of a fitted detector, and how well it was found to agree with its source.

    `features` (k, n) are real windows for that comparison (truth.py); too large a difference is an error. `method`
    (loadable, inline) and `dtype` (float, int8_t, int16_t) default to what suits; what would be ignored is an error.
    """
    kind = type(fitted).__name__.lower()
    requested = _request(kind, _whitening(fitted).size, method, dtype)
    body, heads, ram = _CONVERSIONS[kind](fitted, requested)
    text = amalgamation.wrap(_head(kind) + _named(body) + model_source.TAIL)
    prefix = "hans_" + hashlib.sha256(text.encode()).hexdigest()[:8]
    model = Model(text.replace(P, prefix), prefix, heads, ram)
    return model, truth.compare(fitted, model, features)


def _request(kind: str, inputs: int, method: str | None, dtype: str | None) -> str:
    """The method to take. emlearn ignores what it cannot do (T3.7), so nothing is passed on that it does not know."""
    possible = {"autoencoder": ("loadable",), "forest": ("loadable", "inline")}.get(kind, ("inline",))
    if kind == "forest" and inputs > LOADABLE_FEATURES:
        possible = ("inline",)
    only = {"forest": "int16_t", "trees": "int16_t", "gaussian": "int8_t"}.get(kind, "float")
    if method not in (None, *possible):
        raise CyberHansError(f"{kind} of {inputs} features cannot be {method!r}: choose {' or '.join(possible)}")
    if dtype not in (None, only):
        raise CyberHansError(f"{kind} with dtype {dtype!r}: it would be ignored; only {only} can be had")
    return method or possible[0]


def _whitening(fitted: Any) -> Whitening:
    whitening: Whitening = fitted.whitening
    return whitening


def _head(kind: str) -> str:
    check = version_check("model.c was generated for another version of the core: train the detector again")
    if kind == "gaussian":
        parts = {"about": model_source.ABOUT_INTEGERS, "includes": "", "floats": ""}
    else:
        parts = {"about": _licensed(), "includes": model_source.INCLUDES, "floats": model_source.FLOATS}
    return model_source.HEAD.substitute(title=kind, check=check, **parts)


def _licensed() -> str:
    found = importlib.metadata.distribution("emlearn")
    licence = found.read_text("licenses/LICENSE.md") or found.read_text("LICENSE.md")
    if not licence:
        raise CyberHansError("emlearn is installed without its licence, which model.c must carry: install it with pip")
    return model_source.ABOUT_FLOATS.substitute(version=found.version, licence=model_source.comment(licence))


@contextlib.contextmanager
def _emlearn() -> Iterator[Any]:
    """emlearn put right for as long as it is used, and left as it was found."""
    with _patched:
        before = np.geterr()
        import emlearn.cgen
        import emlearn.common
        import emlearn.trees

        np.seterr(**before)  # T3.3: importing it makes every underflow of the process an error
        patches = (
            (emlearn.cgen, "constant", _constant(emlearn.cgen.constant)),  # T3.2
            (emlearn.common, "CompiledClassifier", lambda *_, **__: None),  # T4.1: we compile, not it, into ./tmp
            (emlearn.trees, "remove_duplicate_leaves", _without_duplicates),  # T4.4
        )
        originals = [getattr(module, name) for module, name, _ in patches]
        try:
            for module, name, replacement in patches:
                setattr(module, name, replacement)
            yield emlearn
        finally:
            for (module, name, _), original in zip(patches, originals, strict=True):
                setattr(module, name, original)


def _constant(original: Callable[[Any, str], str]) -> Callable[..., str]:
    """emlearn's printing of constants, but floats with the 9 digits that give every binary32 back (T3.2)."""

    def constant(value: Any, dtype: str = "float") -> str:
        return _float(value) if dtype == "float" else original(value, dtype)

    return constant


def _float(value: float) -> str:
    single = float(np.float32(value))
    if not np.isfinite(single):
        raise CyberHansError(f"a constant of the model is {value:g}, which no float32 holds: train on other recordings")
    text = f"{single:.9g}"
    return text + ("f" if "." in text or "e" in text else ".0f")


def _table(declaration: str, values: Iterable[Any]) -> str:
    texts = (str(value) if isinstance(value, np.integer) else _float(value) for value in values)
    return f"static const {declaration} = {{ {', '.join(texts)} }};"


def _convert(kind: str, carrier: Any, roots: Iterable[str], edits: Iterable[Edit] = (), **request: str) -> str:
    """emlearn's C for a carrier of numbers, with its headers, edited and reduced to what is used."""
    with _emlearn() as emlearn:
        code = emlearn.convert(carrier, kind=kind, **request).save(name=f"{P}_net")
        code = amalgamation.flatten(code, Path(emlearn.includedir))
    for pattern, replacement in edits:
        code = amalgamation.replace_once(code, pattern, replacement)
    return amalgamation.reduce(code, roots, P)


_NET_EDITS: tuple[Edit, ...] = (
    # Only relu and identity: the other activations would need libm (T4.9).
    (r"\} else if \(activation == EmlNetActivationLogistic\).*?\} else \{(?=\s*return EmlUnsupported)", "} else {"),
    (rf"static EmlNet {P}_net = ", f"static const EmlNet {P}_net = "),
    (r"(?<=eml_net_infer\()EmlNet \*", "const EmlNet *"),
    (r"(?<=eml_net_valid\()EmlNet \*", "const EmlNet *"),
    (r"(?<=eml_net_find_largest_layer\()EmlNet \*", "const EmlNet *"),
)


def _autoencoder(fitted: Autoencoder, method: str) -> tuple[str, int, int]:
    net, whitening = fitted.net, fitted.whitening
    carrier = SimpleNamespace(n_layers_=net.n_layers_, coefs_=net.coefs_, intercepts_=net.intercepts_,
                              activation=net.activation, out_activation_=net.out_activation_)  # fmt: skip
    roots = (f"{P}_net", f"{P}_net_buf2", "eml_net_infer")
    code = _convert("MLPRegressor", carrier, roots, _NET_EDITS, method=method, return_type="regressor")  # T3.6
    white, room = whitening_c(whitening)
    heads = len(whitening.heads)
    values = model_source.AUTOENCODER.substitute(inputs=whitening.size, heads=heads, unit=_float(2.0**-UNIT_BITS))
    widest = max(whitening.size, *(len(bias) for bias in net.intercepts_))
    parts = model_source.PARTS.substitute(parts=heads)
    return code + white + values + parts, heads, 2 * 4 * widest + room + 4 * heads


def _gaussian(fitted: Gaussian, method: str) -> tuple[str, int, int]:
    code, room = gaussian_c(fitted.whitening)
    return code, len(fitted.whitening.heads), room


def _forest(fitted: Forest, method: str) -> tuple[str, int, int]:
    """The path length of an isolation tree is a regression tree whose leaf holds its depth + c(its samples)."""
    carrier = type("IsolationRegressor", (), {})()  # emlearn looks for Regressor in this name
    inputs = fitted.whitening.size
    pairs = zip(fitted.trees.estimators_, fitted.trees.estimators_features_, strict=True)
    carrier.estimators_ = [_tree(tree.tree_, chosen, inputs) for tree, chosen in pairs]
    loadable = method == "loadable"
    roots = (f"{P}_net", "eml_trees_regress") if loadable else (f"{P}_net_predict",)
    edits = _TREE_EDITS if loadable else ()
    code = _convert("RandomForestRegressor", carrier, roots, edits, method=method, dtype="int16_t")
    call = model_source.LOADABLE_CALL if loadable else model_source.INLINE_CALL
    white, room = whitening_c(fitted.whitening)
    values = model_source.FOREST.substitute(
        call=call.replace("$inputs", str(inputs)),
        typical=_float(fitted.typical_path),
        factor=_float(65536 / fitted.typical_path),
    )
    return code + white + values, 0, 4 + room


def _trees(fitted: Trees, method: str) -> tuple[str, int, int]:
    """A function per tree by emlearn; what it makes of all together is left out."""
    whitening, heads = fitted.whitening, len(fitted.whitening.heads)
    starts = [start for start, head in _spans(whitening) for _ in range(head)]
    places = [place for _, head in _spans(whitening) for place in range(head)]
    rows = list(zip(fitted.trees, starts, places, strict=True))
    carrier = type("TreesRegressor", (), {})()
    carrier.estimators_ = [_guess(tree.tree_, start, place, whitening.size) for tree, start, place in rows if tree]
    names = [f"{P}_net_tree_{number}" for number in range(len(carrier.estimators_))]
    code = _convert("RandomForestRegressor", carrier, names, method=method, dtype="int16_t") if names else ""
    code = model_source.APART + code.replace("static inline float", "static P_APART float")
    white, room = whitening_c(whitening)
    sums = "\n".join(_sums(whitening, [tree is not None for tree in fitted.trees]))
    calls = "\n".join(f"    P_square[{head}] = P_head_{head}();" for head in range(heads))
    values = model_source.TREES.substitute(heads=heads, unit=_float(2.0**-UNIT_BITS), sums=sums, calls=calls)
    return code + white + values + model_source.PARTS.substitute(parts=heads), heads, room + 4 * heads


def _sums(whitening: Whitening, grown: list[bool]) -> Iterator[str]:
    """C that adds up a head's squares, one after the other; where no tree has grown its guess is 0."""
    numbers = iter(range(len(grown)))
    for head, (start, size) in enumerate(_spans(whitening)):
        yield f"static P_APART float P_head_{head}(void)\n{{\n    float sum = 0.0f;"
        for place in range(start, start + size):
            guess = f"P_net_tree_{next(numbers)}(P_white, {whitening.size})" if grown[place] else "0.0f"
            yield f"    sum += P_left({place}, {guess});"
        yield f"    return sum / {size}.0f;\n}}\n"


def _spans(whitening: Whitening) -> list[tuple[int, int]]:
    """Where each head begins among all whitened features, and its size."""
    sizes = [head.size for head in whitening.heads]
    return list(zip(np.cumsum([0, *sizes[:-1]]).tolist(), sizes, strict=True))


def _guess(tree: Any, start: int, place: int, inputs: int) -> SimpleNamespace:
    """A regression tree whose features count from `start`, past the one at `place`, which it guesses."""
    split = tree.feature >= 0
    feature = np.where(split, start + tree.feature + (tree.feature >= place), -2)
    columns = SimpleNamespace(
        node_count=tree.node_count, children_left=tree.children_left, children_right=tree.children_right,
        feature=feature, threshold=_cuts(tree), value=tree.value.astype(np.float32).reshape(-1, 1, 1),
    )  # fmt: skip
    return SimpleNamespace(n_features_in_=inputs, tree_=columns)


def _tree(tree: Any, chosen: npt.NDArray[Any], features: int) -> SimpleNamespace:
    """One tree as emlearn reads it."""
    split = tree.feature >= 0
    threshold = _cuts(tree)
    depth = np.zeros(tree.node_count)
    for node in np.flatnonzero(split):  # parents stand before their children
        depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
    value = (depth + path_length(tree.n_node_samples)).astype(np.float32)
    columns = SimpleNamespace(
        node_count=tree.node_count, children_left=tree.children_left, children_right=tree.children_right,
        feature=np.where(split, chosen[np.maximum(tree.feature, 0)], -2), threshold=threshold,
        value=value.reshape(-1, 1, 1),
    )  # fmt: skip
    return SimpleNamespace(n_features_in_=features, tree_=columns)


def _cuts(tree: Any) -> npt.NDArray[Any]:
    """Its thresholds, whole: emlearn goes left when x < threshold, scikit-learn when x <= threshold (T3.1)."""
    threshold: npt.NDArray[Any] = np.where(tree.feature >= 0, np.floor(tree.threshold) + 1, 0)
    if threshold.min() < -32768 or threshold.max() > 32767:  # emlearn would write them unchecked
        raise CyberHansError("a threshold of the forest is no int16: features must be int16")
    return threshold


def _without_duplicates(forest: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """(nodes, roots, leaves) with every leaf value once: as emlearn does it, in linear time (T4.4)."""
    nodes, roots, leaves = forest
    order = {value: place for place, value in enumerate(dict.fromkeys(float(leaf) for leaf in leaves))}
    for node in nodes:
        for side in (2, 3):
            if node[side] < 0:
                node[side] = -1 - order[float(leaves[-1 - node[side]])]
    _refuse_wide(nodes, len(order))
    return nodes, roots, list(order)


def _refuse_wide(nodes: Any, leaves: int) -> None:
    """Raise where 16 bits cannot hold the number of a leaf or the way to a child; emlearn asserts it, one too far."""
    jump = max((child - place for place, node in enumerate(nodes) for child in node[2:4]), default=0)
    if leaves > MOST_LEAVES or jump >= MOST_LEAVES:
        raise CyberHansError(
            f"the forest has {leaves:,} different leaves and a child {jump:,} nodes away, below {MOST_LEAVES:,} can be"
            " written: grow it from fewer windows"
        )


def _float_leaves(match: re.Match[str]) -> str:
    """Leaves as the floats that they are, not as bytes that may lie at any address (T4.2)."""
    leaves = np.array(match[1].split(","), np.uint8).view("<f4")
    return _table(f"float {P}_net_leaves[{len(leaves)}]", leaves)


_TREE_EDITS: tuple[Edit, ...] = (
    (rf"static const uint8_t {P}_net_leaves\[\d+\] = \{{([^}}]*)\}};", _float_leaves),
    (rf"\(uint8_t \*\)\({P}_net_leaves\)", f"{P}_net_leaves"),
    (r"uint8_t \*leaves;", "const float *leaves;"),
    (
        r"const int32_t leaf_offset = leaf_number \* leaf_size;\s*const float \*leaf_data = \(float \*\)[^;]*;",
        "const float *leaf_data = forest->leaves + leaf_number;",
    ),
    (rf"EmlTrees {P}_net = ", f"static const EmlTrees {P}_net = "),
)


def _named(text: str) -> str:
    return re.sub(r"\bP_", f"{P}_", text)


_CONVERSIONS: dict[str, Callable[[Any, str], tuple[str, int, int]]] = {
    "autoencoder": _autoencoder,
    "gaussian": _gaussian,
    "forest": _forest,
    "trees": _trees,
}
