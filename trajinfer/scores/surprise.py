"""Entries of a row given all its others, under a mixture of Gaussians."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy import special
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.diffusion.mixture import GaussianMixture
from trajinfer.scores.tails import Tails

_LOG_TWO_PI = math.log(2 * math.pi)
_ENOUGH, _MOST = 40, 100

Scores = Callable[[int], Array]
"""Normal scores of the entries of a series, by its number."""


class Surprise(NamedTuple):
    """Of the n entries of a row, each given all others.

    Attributes:
        log_density: (n,).
        normal_score: (n,) z with the standard normal distribution function of the entry.
    """

    log_density: Array
    normal_score: Array


class Oddness(NamedTuple):
    """Of entries given all others, under the law of rows that were not learned.

    Attributes:
        score: minus the log-density; (n,) of a row, (B, T, C) of series.
        p_value: two-sided.
    """

    score: Array
    p_value: Array


def surprise_of(law: GaussianMixture, row: Array) -> Surprise:
    """Of the entries of a row (n,): closed form.

    Every part gives mean and variance of an entry by its precision matrix, and its weight given
    the other entries. The smaller tail is summed in logarithms, so that scores far out are exact.
    """
    x = torch.as_tensor(row)
    precision = torch.linalg.inv(law.covariances)
    variance = 1 / precision.diagonal(dim1=-2, dim2=-1)
    off = torch.einsum("knm,km->kn", precision, x - law.means) * variance
    return among_parts(off, variance, law.log_parts(x[None])[0])


def among_parts(off: Tensor, variance: Tensor, whole: Tensor) -> Surprise:
    """Of entries of which every part says how far off they are.

    Args:
        off: (K, n) from the mean given all other entries.
        variance: (K, n) given all other entries.
        whole: (K,) logarithm of weight times density of the row.
    """
    own = -0.5 * (off.square() / variance + variance.log() + _LOG_TWO_PI)
    others = torch.log_softmax(whole[:, None] - own, dim=0)
    density = torch.logsumexp(others + own, dim=0).numpy()
    z, weights = (off / variance.sqrt()).numpy(), others.numpy()
    below, above = (special.logsumexp(weights + special.log_ndtr(s * z), axis=0) for s in (1, -1))
    least = special.ndtri_exp(np.minimum(below, above))
    return Surprise(density, np.where(below < above, least, -least))


def tails_left_out(
    held: Array, first: Scores, learned: Array, fitted: Callable[[Array], Scores]
) -> Tails:
    """The law of normal scores of series that stay out of a fit.

    Those held out come first. Where they are fewer than 40, series that were learned are left out
    too, as many at a time, and the law is fitted to all others.

    Args:
        held: numbers of the series held out, at least one.
        first: scores under the law that was fitted without them.
        learned: numbers of the series that it was fitted to.
        fitted: numbers of series -> scores under a law fitted to them.
    """
    found = [first(i) for i in held[:_MOST]]
    n_folds = -(-len(learned) // len(held))
    for fold in range(min(n_folds, -(-_ENOUGH // len(held)) - 1)):
        left = learned[fold::n_folds]
        scores = fitted(np.concatenate([np.setdiff1d(learned, left), held]))
        found += [scores(i) for i in left]
    return Tails.of(np.concatenate(found), max(len(learned) - 1.0, 1.0))
