"""Boosted trees of several outputs as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_DEPTH = 5
_INNER = 2**_DEPTH - 1
_SCORE_OF_ABSENT = -4.0
_STAGES = (10, 20, 35, 60)


@packable
@dataclass(frozen=True, eq=False)
class BoostedTrees:
    """R rounds of complete trees of depth 5; a value goes left where it is <= the threshold.

    Attributes:
        feature, threshold: (R, K, 31) of the inner nodes; node k has children 2 k + 1 and 2 k + 2.
        leaf: (R, K, 32) values.
        base: (K,) what is added.
        fill: (F,) values for unknown features.
    """

    feature: Array
    threshold: Array
    leaf: Array
    base: Array
    fill: Array

    @classmethod
    def fit(cls, design: Array, codes: Array, weights: Array, n_classes: int, seed: int) -> Self:
        """Fit trees to classes, or to numbers.

        Args:
            design: (n, F), NaN = unknown.
            codes: (n,) classes 0..K-1, or numbers where `n_classes` is 0.
            weights: (n,) of the rows.
            n_classes: K; 0 for numbers.
            seed: of the choice of features.
        """
        kind = HistGradientBoostingClassifier if n_classes else HistGradientBoostingRegressor
        model = kind(
            max_iter=_STAGES[-1],
            learning_rate=0.1,
            max_leaf_nodes=12,
            max_depth=_DEPTH,
            max_bins=64,
            min_samples_leaf=max(3, min(20, len(codes) // 30)),
            l2_regularization=5.0,
            max_features=0.4,
            early_stopping=False,
            random_state=seed % 2**32,
        )
        fill = _means(design)
        with threadpool_limits(1):
            model.fit(np.where(np.isnan(design), fill, design), codes, sample_weight=weights)
        rounds = model._predictors
        shape = (len(rounds), len(rounds[0]))
        feature = np.zeros((*shape, _INNER), dtype=np.int64)
        threshold, leaf = np.full((*shape, _INNER), np.inf), np.zeros((*shape, _INNER + 1))
        for r, k in np.ndindex(*shape):
            _unfold(rounds[r][k].nodes, 0, 0, feature[r, k], threshold[r, k], leaf[r, k])
        base = np.ravel(model._baseline_prediction).astype(float)
        trees = cls(feature, threshold, leaf, base, fill)
        if not n_classes:
            return trees
        # of two classes the trees score the second one alone
        present = np.unique(codes)
        return trees._placed(present if len(base) > 1 else present[1:], n_classes, present)

    def __call__(self, design: Array) -> Array:
        """(B, K) raw scores."""
        return np.asarray(self.base + self._rounds(design).sum(0))

    def staged(self, design: Array) -> dict[int, Array]:
        """Raw scores (B, K) after some numbers of rounds."""
        sums = self.base + self._rounds(design).cumsum(0)
        return {stage: sums[stage - 1] for stage in _STAGES if stage <= len(sums)}

    def first(self, n_rounds: int) -> Self:
        """The trees of the first rounds."""
        return replace(
            self,
            feature=self.feature[:n_rounds],
            threshold=self.threshold[:n_rounds],
            leaf=self.leaf[:n_rounds],
        )

    def _rounds(self, design: Array) -> Array:
        """(R, B, K) what each round adds."""
        x = np.where(np.isnan(design), self.fill, design).T
        row = np.arange(x.shape[1])
        result = np.empty((self.leaf.shape[0], x.shape[1], self.leaf.shape[1]))
        for r, k in np.ndindex(*self.leaf.shape[:2]):
            node = np.zeros(x.shape[1], dtype=np.int64)
            for _ in range(_DEPTH):
                right = x[self.feature[r, k, node], row] > self.threshold[r, k, node]
                node = 2 * node + 1 + right
            result[r, :, k] = self.leaf[r, k, node - _INNER]
        return result

    def _placed(self, outputs: Array, n_classes: int, present: Array) -> Self:
        """With an output per class; classes that were absent keep a low score."""
        shape = (len(self.leaf), n_classes)
        feature = np.zeros((*shape, _INNER), dtype=np.int64)
        threshold, leaf = np.full((*shape, _INNER), np.inf), np.zeros((*shape, _INNER + 1))
        base = np.full(n_classes, self.base.min() + _SCORE_OF_ABSENT)
        base[present] = 0.0
        feature[:, outputs], threshold[:, outputs] = self.feature, self.threshold
        leaf[:, outputs], base[outputs] = self.leaf, self.base
        return type(self)(feature, threshold, leaf, base, self.fill)


def _means(design: Array) -> Array:
    known = ~np.isnan(design)
    return np.asarray(np.where(known, design, 0.0).sum(0) / np.maximum(known.sum(0), 1))


def _unfold(
    nodes: Array, at: int, place: int, feature: Array, threshold: Array, leaf: Array
) -> None:
    """Copy a tree into complete arrays; a leaf that ends early fills what lies below it."""
    if place >= _INNER:
        leaf[place - _INNER] = nodes[at]["value"]
        return
    node = nodes[at]
    children = (at, at)
    if not node["is_leaf"]:
        feature[place], threshold[place] = node["feature_idx"], node["num_threshold"]
        children = (int(node["left"]), int(node["right"]))
    for side, child in enumerate(children):
        _unfold(nodes, child, 2 * place + 1 + side, feature, threshold, leaf)
