"""Boosted trees of every channel, with as many rounds as the held-out parts ask for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array
from trajinfer._core.seeding import spawn
from trajinfer.regression import BoostedTrees, BoostingSettings

_ROUNDS = (30, 60, 120)
_WORK = 60_000
_MOST_PAIRS, _LEAST_MOST = 15_000, 2000
_FEWEST = 20


def fit_forests(
    features: Array,
    target: Array,
    held: Array,
    trains: list[Array],
    columns: Sequence[Array],
    seed: int,
) -> tuple[list[tuple[BoostedTrees, ...]], Array]:
    """Trees for each part, and what they say of the pairs that it holds out, (P, C).

    A channel has 30, 60 or 120 rounds, whichever predict its held-out pairs best.

    Args:
        features: (P, F) of the pairs.
        target: (P, C), NaN = not observed.
        held: (P,) the part in which each pair is held out; -1: in none.
        trains: for each part, (P,) whether a pair may be learned from.
        columns: of the features, for each channel.
        seed: of the choice of pairs and features.
    """
    n_channels = target.shape[1]
    most = min(_MOST_PAIRS, max(_LEAST_MOST, _WORK // n_channels))
    staged = np.zeros((len(_ROUNDS), *target.shape))
    forests: list[list[BoostedTrees]] = []
    for part, (rows, own_seed) in enumerate(zip(trains, spawn(seed, len(trains)), strict=True)):
        rng = np.random.default_rng(own_seed)
        asked = np.flatnonzero(held == part)
        forests.append([])
        for c in range(n_channels):
            usable = np.flatnonzero(rows & ~np.isnan(target[:, c]))
            if len(usable) > most:
                usable = np.sort(rng.choice(usable, most, replace=False))
            own = features[:, columns[c]]
            trees = once("trees", _grown, own[usable], target[usable, c], own_seed)
            staged[:, asked, c] = trees.staged(own[asked], _ROUNDS)[:, :, 0]
            forests[-1].append(trees)
    tried = held >= 0
    error = np.nansum((staged[:, tried] - target[tried]) ** 2, axis=1)
    best = error.argmin(axis=0)
    chosen = [
        tuple(trees.first(_ROUNDS[k]) for trees, k in zip(own, best, strict=True))
        for own in forests
    ]
    return chosen, np.stack([staged[k, :, c] for c, k in enumerate(best)], axis=1)


def _grown(design: Array, target: Array, seed: int) -> BoostedTrees:
    if len(target) < _FEWEST:
        return BoostedTrees.blank(0, np.zeros(1), np.zeros(design.shape[1]))
    settings = BoostingSettings(
        rounds=_ROUNDS[-1],
        leaves=16,
        smallest_leaf=max(5, min(40, len(target) // 40)),
        penalty=10.0,
        feature_share=0.5,
    )
    return BoostedTrees.fit(design, target, None, 0, settings, seed)
