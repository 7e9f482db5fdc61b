"""Trees of LightGBM, XGBoost and scikit-learn as a `Forest`, whose answers are theirs.

Each library has ways of its own: LightGBM reads a missing value as 0 where it saw none when it learnt; XGBoost
compares single precision by "less", and lists the categories that go right; scikit-learn moves categorical columns to
the front and numbers their values anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from pilotfish.errors import ModelError
from pilotfish.models.forest._walk import CATEGORICAL, LISTED_RIGHT, MISSING_LEFT, NODE
from pilotfish.models.forest.forest import Forest, Link

__all__ = ["from_lightgbm", "from_sklearn", "from_xgboost"]


class _Growing:
    """Nodes and sets as they are collected, parents before children."""

    def __init__(self) -> None:
        self.nodes: list[tuple[float, float, float, int, int, int, int, int, int]] = []
        self.sets: list[int] = []
        self.roots: list[int] = []
        self.outputs: list[int] = []

    def leaf(self, value: float, cover: float) -> int:
        self.nodes.append((0.0, value, cover, 0, -1, -1, 0, 0, 0))
        return len(self.nodes) - 1

    def split(self, feature: int, cover: float, flags: int, threshold: float = 0.0, listed: Iterable[int] = ()) -> int:
        codes = list(listed)
        at, words = 0, 0
        if flags & CATEGORICAL:
            words = max(codes, default=-1) // 32 + 1
            own = [0] * words
            for code in codes:
                own[code // 32] |= 1 << code % 32
            at = len(self.sets)
            self.sets += own
        self.nodes.append((threshold, 0.0, cover, feature, 0, 0, at, words, flags))
        return len(self.nodes) - 1

    def children(self, at: int, left: int, right: int) -> None:
        threshold, value, cover, feature, _, _, begin, words, flags = self.nodes[at]
        self.nodes[at] = (threshold, value, cover, feature, left, right, begin, words, flags)

    def tree(self, output: int, root: int) -> None:
        self.roots.append(root)
        self.outputs.append(output)

    def forest(self, base: Sequence[float], columns: int, link: Link, *, single: bool = False) -> Forest:
        return Forest(
            np.array(self.nodes, dtype=NODE),
            np.array(self.sets, dtype=np.uint32),
            np.array(self.roots, dtype=np.int32),
            np.array(self.outputs, dtype=np.int32),
            np.array(base, dtype=np.float64),
            columns,
            link,
            single,
        )


def from_lightgbm(booster: Any) -> Forest:
    """Return a LightGBM booster's trees (`model.booster_`).

    Raises:
        ModelError: an objective whose link is not known here, or averaged or linear trees.
    """
    told = booster.dump_model()
    objective = str(told.get("objective", "")).split(" ")[0]
    links: dict[str, Link] = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}
    links |= dict.fromkeys(("regression_l1", "huber", "quantile", "fair"), "identity")
    if objective not in links or told.get("average_output"):
        raise ModelError(f"trees of LightGBM with the objective {objective!r} are not known here")
    growing, outputs = _Growing(), int(told["num_tree_per_iteration"])

    def grow(root: dict[str, Any]) -> int:
        return _grown(growing, root, _lightgbm_node, lambda one: (one["left_child"], one["right_child"]))

    for number, tree in enumerate(told["tree_info"]):
        growing.tree(number % outputs, grow(tree["tree_structure"]))
    return growing.forest([0.0] * outputs, int(told["max_feature_idx"]) + 1, links[objective])


def _lightgbm_node(growing: _Growing, node: dict[str, Any]) -> int:
    if "split_feature" not in node:
        if "leaf_coeff" in node:
            raise ModelError("linear trees are not known here")
        # A tree that is one leaf has no count.
        return growing.leaf(float(node["leaf_value"]), float(node.get("leaf_count", 1)))
    feature, missing, cover = int(node["split_feature"]), node["missing_type"], float(node["internal_count"])
    if node["decision_type"] == "==":
        return growing.split(feature, cover, CATEGORICAL, listed=map(int, str(node["threshold"]).split("||")))
    threshold = float(node["threshold"])
    if missing == "Zero":
        raise ModelError("trees for which zero is missing are not known here")
    left = bool(node["default_left"]) if missing == "NaN" else threshold >= 0
    return growing.split(feature, cover, MISSING_LEFT if left else 0, threshold)


def _grown(
    growing: _Growing,
    root: Any,
    node: Callable[[_Growing, Any], int],
    below: Callable[[Any], tuple[Any, Any]],
) -> int:
    """Take a tree in, parents first, without recursion: trees that grow leaf by leaf are deep."""
    first = node(growing, root)
    waiting = [(first, root)]
    while waiting:
        at, one = waiting.pop()
        if growing.nodes[at][4] < 0:
            continue
        left, right = below(one)
        places = (node(growing, left), node(growing, right))
        growing.children(at, *places)
        waiting += zip(places, (left, right), strict=True)
    return first


def from_xgboost(booster: Any) -> Forest:
    """Return an XGBoost booster's trees (`model.get_booster()`).

    Raises:
        ModelError: an objective whose link is not known here, or another booster than trees.
    """
    told = json.loads(bytes(booster.save_raw("json")))["learner"]
    objective = told["objective"]["name"]
    links: dict[str, Link] = {
        "binary:logistic": "sigmoid",
        "multi:softprob": "softmax",
        "multi:softmax": "softmax",
        "reg:squarederror": "identity",
    }
    if objective not in links or told["gradient_booster"]["name"] != "gbtree":
        raise ModelError(f"trees of XGBoost with the objective {objective!r} are not known here")
    model = told["gradient_booster"]["model"]
    growing = _Growing()
    for number, tree in enumerate(model["trees"]):
        node = _xgboost_nodes(tree)
        root = _grown(growing, 0, node, lambda at, tree=tree: (tree["left_children"][at], tree["right_children"][at]))  # type: ignore[misc]
        growing.tree(int(model["tree_info"][number]), root)
    given = str(told["learner_model_param"]["base_score"]).strip("[]").split(",")
    scores = [float(one) for one in given]
    outputs = max(1, int(told["learner_model_param"]["num_class"]))
    base = scores if len(scores) == outputs else scores * outputs
    if links[objective] == "sigmoid":
        base = [float(np.log(one / (1 - one))) for one in base]
    return growing.forest(base, int(told["learner_model_param"]["num_feature"]), links[objective], single=True)


def _xgboost_nodes(tree: dict[str, Any]) -> Callable[[_Growing, int], int]:
    segments = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    listed = {at: tree["categories"][begin : begin + size] for at, begin, size in segments}

    def node(growing: _Growing, at: int) -> int:
        cover = float(tree["sum_hessian"][at])
        if tree["left_children"][at] < 0:
            return growing.leaf(float(np.float32(tree["split_conditions"][at])), cover)
        feature = int(tree["split_indices"][at])
        missing = MISSING_LEFT if tree["default_left"][at] else 0
        if tree["split_type"][at]:
            return growing.split(feature, cover, CATEGORICAL | LISTED_RIGHT | missing, listed=listed[at])
        # x < t of single numbers is x <= the next number below t.
        below = np.nextafter(np.float32(tree["split_conditions"][at]), np.float32(-np.inf))
        return growing.split(feature, cover, missing, float(below))

    return node


def from_sklearn(model: Any, columns: int) -> Forest:
    """Return a fitted `HistGradientBoostingClassifier` or `-Regressor`'s trees.

    scikit-learn shows them under private names only; tests hold the answers beside its own.

    Args:
        model: fitted on numbers, with codes from 0 on in its categorical columns.
        columns: how many it was fitted on.

    Raises:
        ModelError: a loss whose link is not known here.
    """
    kind = type(model._loss).__name__
    links: dict[str, Link] = {
        "HalfBinomialLoss": "sigmoid",
        "HalfMultinomialLoss": "softmax",
        "HalfSquaredError": "identity",
        "AbsoluteError": "identity",
        "PinballLoss": "identity",
    }
    if kind not in links:
        raise ModelError(f"trees of scikit-learn with the loss {kind} are not known here")
    place = list(range(columns))
    values: dict[int, Sequence[float]] = {}
    if getattr(model, "_preprocessor", None) is not None:
        mask = np.asarray(model.is_categorical_, bool)
        own = np.flatnonzero(mask).tolist()
        place = [*own, *np.flatnonzero(~mask).tolist()]
        encoder = model._preprocessor.named_transformers_["encoder"]
        values = dict(zip(own, encoder.categories_, strict=True))
    growing = _Growing()
    for trees in model._predictors:
        for output, tree in enumerate(trees):
            growing.tree(output, _sklearn_tree(growing, tree, place, values))
    base = np.ravel(model._baseline_prediction).tolist()
    return growing.forest(base, columns, links[kind])


def _sklearn_tree(growing: _Growing, tree: Any, place: Sequence[int], values: dict[int, Sequence[float]]) -> int:
    nodes, bits = tree.nodes, tree.raw_left_cat_bitsets

    def node(growing: _Growing, at: int) -> int:
        one = nodes[at]
        if one["is_leaf"]:
            return growing.leaf(float(one["value"]), float(one["count"]))
        feature = place[int(one["feature_idx"])]
        missing = MISSING_LEFT if one["missing_go_to_left"] else 0
        if not one["is_categorical"]:
            return growing.split(feature, float(one["count"]), missing, float(one["num_threshold"]))
        words = bits[int(one["bitset_idx"])]
        # What was never seen goes where what is missing goes, so the side that it does not take is the one listed.
        listed = []
        for code, value in enumerate(values[feature]):
            left = bool(words[code // 32] >> (code % 32) & 1)
            if not np.isnan(value) and left != bool(missing):
                listed.append(int(value))
        flags = CATEGORICAL | missing | (LISTED_RIGHT if missing else 0)
        return growing.split(feature, float(one["count"]), flags, listed=listed)

    return _grown(growing, 0, node, lambda at: (int(nodes[at]["left"]), int(nodes[at]["right"])))
