"""Fits of the law at knots: mixtures of complete rows, and of series with holes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from trajinfer._core.checks import Array
from trajinfer.diffusion.mixture import GaussianMixture
from trajinfer.diffusion.scale_mixture import fit_scale_mixture
from trajinfer.metrics import crps
from trajinfer.scores.exact_draws import exact_draws
from trajinfer.scores.incomplete_mixture import Observed, Parts, maximised
from trajinfer.scores.kernel import likeliest_kernel
from trajinfer.scores.knot_law import KnotLaw, sparse_reach
from trajinfer.scores.long_entries import surprise_along
from trajinfer.scores.mixture_choice import fit_parts
from trajinfer.scores.seen import Seen
from trajinfer.scores.sized_choice import sized_if_likelier
from trajinfer.scores.surprise import Scores, surprise_of, tails_left_out
from trajinfer.scores.tails import Tails

_MOST_KNOTS, _KNOTS = 64, 24
_MOST_SERIES = 400
_FEW = 60
_COUNTS = (1, 2, 4, 6, 8)
_PARTS = (2, 3, 4, 6)
_ROWS_A_PART = 15
_HELD = 40
_LEVEL = 1.005
_STRENGTHS = (0.5, 2.0, 8.0)
_SMOOTH = 1.0


def fit_complete(
    knots: Array,
    values: Array,
    held: Array,
    n_components: Any,
    seed: int,
    unchanging: Array,
    unseen: bool = False,
) -> KnotLaw:
    """The mixture of rows (B, J, C) that share all times.

    With "auto" there are as many parts as foretell hidden values of held-out rows best, by CRPS:
    a likelier law may fill in worse. Of those within half a per cent of the best the likeliest is
    taken. Beside free parts there are those that differ in size alone. What was chosen is fitted to
    all rows, unless those held out are to stay `unseen`. Beside it is kept the law with sizes of
    innovations, where "auto" finds held-out rows likelier under it.

    Args:
        knots: (J,) times.
        values, held: rows to learn and rows to choose by.
        n_components: number of parts, or "auto".
        seed: of all starts.
        unchanging: (M, J C) orthonormal functions of a row that are the same in all rows.
        unseen: whether `held` stays out of the law, which then has no sizes.
    """
    rows, aside = (part.reshape(len(part), -1) for part in (values, held))
    rng = np.random.default_rng(seed)
    rows = _all_moving(rows, rng)
    counts: list[int | None] = [n_components]
    if n_components == "auto":
        counts = [k for k in _COUNTS if k == 1 or len(rows) >= _ROWS_A_PART * k]
        counts.append(None)
    laws = [_of_rows(rows, k, seed) for k in counts]
    best = 0
    if len(laws) > 1:
        masks = [rng.random(rows.shape[1]) < 0.5 for _ in range(2)]
        times = rng.random(len(knots)) < 0.5
        masks.append(np.repeat(times, values.shape[2]))
        errors = [
            np.mean([_hidden_crps(law, aside[:_HELD], mask) for mask in masks]) for law in laws
        ]
        level = [i for i, e in enumerate(errors) if e <= _LEVEL * min(errors)]
        seen_aside = torch.as_tensor(aside)
        best = max(level, key=lambda i: float(laws[i].log_prob(seen_aside).mean()))
    steps = np.diff(values, axis=1)
    gaps = np.diff(knots)[:, None]
    rate = (steps**2 / gaps).mean(axis=(0, 1)) if len(knots) > 1 else np.ones(values.shape[2])
    tails = _tails_of_rows(laws[best], rows, aside, lambda some: _of_rows(some, counts[best], seed))
    law, sized = laws[best], None
    if not unseen:
        if n_components == "auto":
            sized = sized_if_likelier(law, values, held, knots, unchanging, seed)
        law = _of_rows(_all_moving(np.concatenate([rows, aside]), rng), counts[best], seed)
    return KnotLaw(law, knots, np.zeros(values.shape[2]), rate, tails, sized)


def _all_moving(rows: Array, rng: np.random.Generator) -> Array:
    """Rows of which no cell is the same in all: such cells get a thousandth of noise."""
    still = rows.std(axis=0) <= 1e-9
    return np.asarray(rows + still * 1e-3 * rng.standard_normal(rows.shape))


def _of_rows(rows: Array, count: int | None, seed: int) -> GaussianMixture:
    """The law of rows with so many parts; None for parts that differ in size alone."""
    if count is None:
        return fit_scale_mixture(rows, seed)
    return fit_parts(rows, int(count), seed)


def _tails_of_rows(
    law: GaussianMixture, rows: Array, held: Array, fitted: Callable[[Array], GaussianMixture]
) -> Tails:
    """How far entries of rows that were not learned spread."""
    everyone, rng = np.concatenate([rows, held]), np.random.default_rng(0)

    def scores(law: GaussianMixture) -> Scores:
        return lambda i: surprise_of(law, everyone[i]).normal_score

    learned, aside = np.split(np.arange(len(everyone)), [len(rows)])
    return tails_left_out(
        aside, scores(law), learned, lambda some: scores(fitted(_all_moving(everyone[some], rng)))
    )


def _hidden_crps(law: GaussianMixture, rows: Array, known: Array) -> float:
    """Mean CRPS of the entries that are not known."""
    if known.all() or not len(rows):
        return 0.0
    drawn = exact_draws(law, rows, known, 20, 0)
    return float(np.mean(crps(drawn[..., ~known], rows[:, ~known])))


def knots_of(times: Array) -> Array:
    """All distinct times where they are few, else quantiles of the times."""
    distinct = np.unique(times)
    if len(distinct) <= _MOST_KNOTS:
        return distinct
    return np.unique(np.quantile(times, np.linspace(0, 1, _KNOTS)))


def fit_incomplete(
    series: Sequence[Seen],
    held: Sequence[Seen],
    knots: Array,
    n_channels: int,
    n_components: Any,
    seed: int,
    unseen: bool = False,
) -> KnotLaw:
    """A mixture of Gaussians at knots, from series with times of their own and holes.

    A stationary kernel, chosen by likelihood, is the prior of the covariances; expectation
    maximisation moves them towards the series. How strong the prior is, and with "auto" how many
    parts there are, is what makes held-out series likeliest. What was chosen is fitted to all
    series, unless those held out are to stay `unseen`.
    """
    series = series[:_MOST_SERIES]
    seen_parts = [
        Observed.of(one.values, sparse_reach(one.times, one.channels, knots, n_channels))
        for one in (*series, *held)
    ]
    learned, aside = seen_parts[: len(series)], seen_parts[len(series) :]
    mean = _smooth_mean(learned, knots, n_channels)
    prior, noise = likeliest_kernel(series[:_FEW], mean, knots, n_channels)
    start = Parts(np.ones(1), mean[None], prior[None], noise)

    def score(parts: Parts) -> float:
        return float(np.mean([parts.log_density(one) for one in aside]))

    tried = {strength: maximised(learned, start, 1, strength, seed) for strength in _STRENGTHS}
    strength = max(tried, key=lambda one: score(tried[one]))
    best = max((tried[strength], start), key=score)
    if n_components != "auto":
        count = int(n_components)
        best = best if count == 1 else maximised(learned, start, count, strength, seed)
    else:
        for count in _PARTS:
            if len(series) < _ROWS_A_PART * count:
                break
            more = maximised(learned, start, count, strength, seed)
            if score(more) <= score(best):
                break
            best = more

    def again(some: Array) -> Scores:
        known = [seen_parts[i] for i in some]
        if best is start:
            return scores_under(start)
        return scores_under(maximised(known, start, len(best.weights), strength, seed))

    def scores_under(parts: Parts) -> Scores:
        law = _law_of(parts, knots, n_channels)
        return lambda i: surprise_along(law, everyone[i]).normal_score

    everyone = (*series, *held)
    numbers = np.split(np.arange(len(everyone)), [len(series)])
    tails = tails_left_out(numbers[1], scores_under(best), numbers[0], again)
    if not unseen and best is not start:
        best = maximised(seen_parts, start, len(best.weights), strength, seed)
    return replace(_law_of(best, knots, n_channels), tails=tails)


def _law_of(parts: Parts, knots: Array, n_channels: int) -> KnotLaw:
    mixture = GaussianMixture(parts.weights, parts.means, parts.covariances)
    rate = _rate(mixture.covariance.numpy(), mixture.mean.numpy(), knots, n_channels)
    return KnotLaw(mixture, knots, np.full(n_channels, parts.noise), rate)


def _rate(covariance: Array, mean: Array, knots: Array, n_channels: int) -> Array:
    """(C,) mean squared step from knot to knot over the time it takes."""
    if len(knots) == 1:
        return np.ones(n_channels)
    square = (covariance + np.outer(mean, mean)).reshape((len(knots), n_channels) * 2)
    own = np.einsum("jcjc->jc", square)
    next_one = np.einsum("jckc->jkc", square)[np.arange(len(knots) - 1), np.arange(1, len(knots))]
    steps = own[1:] + own[:-1] - 2 * next_one
    return np.asarray(np.maximum((steps / np.diff(knots)[:, None]).mean(axis=0), 1e-12))


def _smooth_mean(series: Sequence[Observed], knots: Array, n_channels: int) -> Array:
    """Penalised least squares of all values on lines between knots, (J C,)."""
    size = len(knots) * n_channels
    gram, right = 1e-3 * np.eye(size), np.zeros(size)
    for one in series:
        gram += one.reach.T @ one.reach
        right += one.reach.T @ one.values
    if len(knots) > 2:
        bend = np.diff(np.eye(len(knots)), 2, axis=0)
        gram += _SMOOTH * np.kron(bend.T @ bend, np.eye(n_channels))
    return np.asarray(np.linalg.solve(gram, right))
