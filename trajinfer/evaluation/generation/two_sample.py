"""A strong classifier that tries to tell two samples of paths apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from trajinfer._core.checks import Array
from trajinfer._core.parallel import Task, fan_out
from trajinfer.evaluation.generation.features import path_features

_FOLDS = 3
_TREES = 60


@dataclass(frozen=True)
class Auc:
    """Area under the curve with its standard error."""

    value: float
    error: float


def classifier_auc(
    x: Array, y: Array, groups_x: Array, groups_y: Array, seeds: Sequence[int]
) -> Auc:
    """Area under the ROC curve of gradient boosting that was not shown the paths it scores.

    0.5 means that the samples cannot be told apart; below 0.5 is chance or groups of unequal law,
    and is not folded back. Cross-fitted: folds hold whole groups; each seed makes other folds, and
    a path's score is the mean over the seeds.

    Args:
        x: (n, T, C), scored low.
        y: (m, T, C), scored high.
        groups_x: (n,) groups that folds do not cut.
        groups_y: (m,) likewise; groups of x and y are different ones.
        seeds: one per repetition.

    References:
        Lopez-Paz, Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
    """
    table = path_features(np.concatenate([x, y]))
    truth = np.repeat([0, 1], [len(x), len(y)])
    groups = np.concatenate([groups_x, groups_y + groups_x.max() + 1])
    scores, areas = np.zeros(len(truth)), []
    tasks = (Task(f"boosted classifier (seed {s})", (table, truth, groups, s)) for s in seeds)
    for once in fan_out(_cross_fitted, tasks):
        areas.append(_area(once[truth == 1], once[truth == 0]))
        scores += once
    error = _placement_error(scores[truth == 1], scores[truth == 0], groups_y, groups_x)
    return Auc(float(np.mean(areas)), float(np.hypot(error, np.std(areas) / np.sqrt(len(areas)))))


def _cross_fitted(table: Array, truth: Array, groups: Array, seed: int) -> Array:
    """Scores (N,) by classifiers that saw neither the path nor its group."""
    sides = [np.unique(groups[truth == side]).size for side in (0, 1)]
    alone = sum(sides) == len(groups)
    kind = StratifiedKFold if alone else StratifiedGroupKFold
    folds = kind(min(_FOLDS, *sides), shuffle=True, random_state=seed % 2**32)
    scores = np.empty(len(truth))
    for learned, asked in folds.split(table, truth, None if alone else groups):
        if np.unique(truth[learned]).size < 2:  # all groups of a side fell into this fold
            scores[asked] = 0.5
            continue
        trees = HistGradientBoostingClassifier(
            max_iter=_TREES, max_leaf_nodes=7, max_bins=63, random_state=seed % 2**32
        )
        trees.fit(table[learned], truth[learned])
        scores[asked] = trees.predict_proba(table[asked])[:, 1]
    return scores


def _area(high: Array, low: Array) -> float:
    ranks = rankdata(np.concatenate([high, low]))[: len(high)]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))


def _placement_error(high: Array, low: Array, groups_high: Array, groups_low: Array) -> float:
    """Standard error of the area from the placement of every path, summed within groups.

    References:
        DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988).
    """
    both = rankdata(np.concatenate([high, low]))
    n, m = len(high), len(low)
    of_high = (both[:n] - rankdata(high)) / m
    of_low = 1 - (both[n:] - rankdata(low)) / n
    variance = 0.0
    for placed, groups in ((of_high, groups_high), (of_low, groups_low)):
        centred = placed - placed.mean()
        sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=centred)
        variance += float((sums**2).sum()) / len(placed) ** 2
    return float(np.sqrt(variance))
