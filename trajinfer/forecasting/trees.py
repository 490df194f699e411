"""Boosted trees as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_ROUNDS = 60
_DEPTH = 5
_CHUNK = 4096


@packable
@dataclass(frozen=True)
class Trees:
    """A sum of T complete binary trees of depth 5; a value goes left where it is <= the threshold.

    Attributes:
        features: (F,) columns of the design that the trees see.
        feature, threshold: (T, 31) of the inner nodes; node k has children 2 k + 1 and 2 k + 2.
        leaf: (T, 32) values.
        base: what is added.
    """

    features: Array
    feature: Array
    threshold: Array
    leaf: Array
    base: float

    def __call__(self, design: Array) -> Array:
        """(P,) for features (P, W)."""
        result = np.empty(len(design))
        tree = np.arange(len(self.leaf))
        for start in range(0, len(design), _CHUNK):
            x = np.ascontiguousarray(design[start : start + _CHUNK, self.features].T)
            row = np.arange(x.shape[1])
            node = np.zeros((len(self.leaf), x.shape[1]), dtype=np.int64)
            for _ in range(_DEPTH):
                chosen = self.feature[tree[:, None], node]
                right = x[chosen, row] > self.threshold[tree[:, None], node]
                node = 2 * node + 1 + right
            leaf = self.leaf[tree[:, None], node - (2**_DEPTH - 1)]
            result[start : start + _CHUNK] = self.base + leaf.sum(axis=0)
        return result


def fit_trees(design: Array, target: Array, features: Array, seed: int) -> Trees:
    """Gradient boosting on histograms.

    Args:
        design: (P, W).
        target: (P,).
        features: columns to use.
        seed: of the choice of features at each split.
    """
    model = HistGradientBoostingRegressor(
        max_iter=_ROUNDS,
        learning_rate=0.1,
        max_leaf_nodes=16,
        max_depth=_DEPTH,
        max_bins=64,
        min_samples_leaf=max(5, min(40, len(target) // 40)),
        l2_regularization=10.0,
        max_features=0.5,
        early_stopping=False,
        random_state=seed % 2**32,
    )
    with threadpool_limits(1):
        model.fit(design[:, features], target)
    inner, leaves = 2**_DEPTH - 1, 2**_DEPTH
    n = len(model._predictors)
    feature, threshold = np.zeros((n, inner), dtype=np.int64), np.full((n, inner), np.inf)
    leaf = np.zeros((n, leaves))
    for k, (predictor,) in enumerate(model._predictors):
        _unfold(predictor.nodes, 0, 0, feature[k], threshold[k], leaf[k])
    return Trees(features, feature, threshold, leaf, float(model._baseline_prediction.ravel()[0]))


def _unfold(
    nodes: Array, at: int, place: int, feature: Array, threshold: Array, leaf: Array
) -> None:
    """Copy a tree into complete arrays; a leaf that ends early fills what lies below it."""
    if place >= len(feature):
        leaf[place - len(feature)] = nodes[at]["value"]
        return
    node = nodes[at]
    if node["is_leaf"]:
        children = (at, at)
    else:
        feature[place], threshold[place] = node["feature_idx"], node["num_threshold"]
        children = (int(node["left"]), int(node["right"]))
    for side, child in enumerate(children):
        _unfold(nodes, child, 2 * place + 1 + side, feature, threshold, leaf)
