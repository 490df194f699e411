"""Boosted trees of one or several outputs as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_DEPTH = 5
_INNER = 2**_DEPTH - 1
_SCORE_OF_ABSENT = -4.0
_MOST_VALUES = 250_000
_BINS = 64


@dataclass(frozen=True)
class BoostingSettings:
    """How trees are grown.

    Attributes:
        rounds: number R of rounds.
        leaves: most leaves of a tree.
        smallest_leaf: fewest rows of a leaf.
        penalty: on the squares of the values of the leaves.
        feature_share: share of the features that a split may choose from.
    """

    rounds: int = 60
    leaves: int = 12
    smallest_leaf: int = 20
    penalty: float = 5.0
    feature_share: float = 0.4


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
    def fit(
        cls,
        design: Array,
        codes: Array,
        weights: Array | None,
        n_classes: int,
        settings: BoostingSettings,
        seed: int,
    ) -> Self:
        """Fit trees to classes, or to numbers, by gradient boosting on histograms.

        Args:
            design: (n, F), NaN = unknown.
            codes: (n,) classes 0..K-1, or numbers where `n_classes` is 0.
            weights: (n,) of the rows; None: equal ones.
            n_classes: K; 0 for numbers.
            settings: of the trees.
            seed: of the choice of features.
        """
        # imported here, since fits without trees would pay for it
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kind = HistGradientBoostingClassifier if n_classes else HistGradientBoostingRegressor
        model = kind(
            max_iter=settings.rounds,
            learning_rate=0.1,
            max_leaf_nodes=settings.leaves,
            max_depth=_DEPTH,
            max_bins=_BINS,
            min_samples_leaf=settings.smallest_leaf,
            l2_regularization=settings.penalty,
            max_features=settings.feature_share,
            early_stopping=False,
            random_state=seed % 2**32,
        )
        fill = _means(design)
        known = np.where(np.isnan(design), fill, design)
        with threadpool_limits(1):
            if weights is None or bool((weights == weights[0]).all()):
                model.fit(known, codes)
            else:
                model.fit(_levels(known), codes, sample_weight=weights)
        rounds = model._predictors
        trees = cls.blank(len(rounds), np.ravel(model._baseline_prediction).astype(float), fill)
        for r, k in np.ndindex(*trees.leaf.shape[:2]):
            nodes = rounds[r][k].nodes
            _unfold(nodes, 0, 0, trees.feature[r, k], trees.threshold[r, k], trees.leaf[r, k])
        if not n_classes:
            return trees
        # of two classes the trees score the second one alone
        present = np.unique(codes)
        return trees._placed(present if len(trees.base) > 1 else present[1:], n_classes, present)

    @classmethod
    def blank(cls, n_rounds: int, base: Array, fill: Array) -> Self:
        """Trees that add nothing to a base (K,)."""
        shape = (n_rounds, len(base))
        return cls(
            np.zeros((*shape, _INNER), dtype=np.int64),
            np.full((*shape, _INNER), np.inf),
            np.zeros((*shape, _INNER + 1)),
            base,
            fill,
        )

    def __call__(self, design: Array) -> Array:
        """(B, K) raw scores."""
        return np.asarray(self.staged(design, (len(self.leaf),))[0])

    def staged(self, design: Array, stages: tuple[int, ...]) -> Array:
        """Raw scores (S, B, K) after S numbers of rounds."""
        n_rounds, n_outputs = self.leaf.shape[:2]
        result = np.empty((len(stages), len(design), n_outputs))
        at_once = max(1, _MOST_VALUES // max(1, n_rounds * n_outputs))
        for start in range(0, len(design), at_once):
            rows = slice(start, start + at_once)
            added = self._rounds(design[rows])
            for k, stage in enumerate(stages):
                result[k, rows] = self.base + added[:stage].sum(axis=0)
        return result

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
        n_rounds, n_outputs = self.leaf.shape[:2]
        x = np.ascontiguousarray(np.where(np.isnan(design), self.fill, design).T)
        row = np.arange(x.shape[1])
        flat = n_rounds * n_outputs
        tree = np.arange(flat)[:, None]
        feature, threshold = self.feature.reshape(flat, -1), self.threshold.reshape(flat, -1)
        node = np.zeros((flat, x.shape[1]), dtype=np.int64)
        for _ in range(_DEPTH):
            node = 2 * node + 1 + (x[feature[tree, node], row] > threshold[tree, node])
        leaf = self.leaf.reshape(flat, -1)[tree, node - _INNER]
        return np.asarray(leaf.reshape(n_rounds, n_outputs, -1).transpose(0, 2, 1))

    def _placed(self, outputs: Array, n_classes: int, present: Array) -> Self:
        """With an output per class; classes that were absent keep a low score."""
        base = np.full(n_classes, self.base.min() + _SCORE_OF_ABSENT)
        base[present] = 0.0
        base[outputs] = self.base
        trees = self.blank(len(self.leaf), base, self.fill)
        trees.feature[:, outputs], trees.threshold[:, outputs] = self.feature, self.threshold
        trees.leaf[:, outputs] = self.leaf
        return trees


def _means(design: Array) -> Array:
    known = ~np.isnan(design)
    return np.asarray(np.where(known, design, 0.0).sum(0) / np.maximum(known.sum(0), 1))


def _levels(design: Array) -> Array:
    """Features rounded to as many values as the trees tell apart.

    Weighted quantiles of many different values take most of the time of a fit.
    """
    edges = np.quantile(design, np.linspace(0, 1, _BINS)[1:-1], axis=0)
    rounded = np.empty_like(design)
    for k, column in enumerate(design.T):
        place = np.searchsorted(edges[:, k], column)
        counts = np.maximum(np.bincount(place, minlength=_BINS - 1), 1)
        rounded[:, k] = (np.bincount(place, column, _BINS - 1) / counts)[place]
    return rounded


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
