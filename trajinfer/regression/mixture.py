"""Convex mixtures of experts by what held-out rows say."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from trajinfer._core.checks import Array

_PRIOR = 4.0
_STEPS = 200
_LEAST = 1e-12


def mixture_of_probabilities(probabilities: Array, codes: Array, weights: Array) -> Array:
    r"""Shares w of experts that maximise the held-out log-likelihood, shrunk to equal shares.

    $$\max_w \sum_i v_i \log \sum_e w_e p_{ie}(y_i) + \frac{4}{E} \sum_e \log w_e ,$$

    by expectation and maximisation; the objective is concave.

    Args:
        probabilities: (E, n, K) of rows that an expert was not fitted to.
        codes: (n,) classes.
        weights: (n,) of the rows, with mean 1.
    """
    likelihood = np.maximum(probabilities[:, np.arange(len(codes)), codes], _LEAST)
    n_experts = len(likelihood)
    shares = np.full(n_experts, 1 / n_experts)
    for _ in range(_STEPS):
        responsibility = shares[:, None] * likelihood
        responsibility /= responsibility.sum(0)
        shares = responsibility @ weights + _PRIOR / n_experts
        shares /= shares.sum()
    return shares


def mixture_of_numbers(numbers: Array, target: Array, weights: Array) -> Array:
    """Shares of experts of smallest held-out squared error, shrunk to equal shares.

    Args:
        numbers: (E, n) for rows that an expert was not fitted to.
        target: (n,).
        weights: (n,) of the rows, with mean 1.
    """
    n_experts, n = numbers.shape
    root = np.sqrt(weights)
    size = float(np.sqrt((weights * (target - numbers) ** 2).mean(1).min())) + _LEAST
    rows = ((numbers - target) * root).T / size
    pull = np.sqrt(_PRIOR) * np.eye(n_experts)
    unit = 1e3 * np.sqrt(n) * np.ones((1, n_experts))  # the shares sum to one
    wanted = np.concatenate(
        [np.zeros(n), np.sqrt(_PRIOR) * np.full(n_experts, 1 / n_experts), [1e3 * np.sqrt(n)]]
    )
    shares, _ = nnls(np.concatenate([rows, pull, unit]), wanted)
    return np.asarray(shares / shares.sum())


def temperature(scores: Array, codes: Array, weights: Array) -> float:
    """Factor on scores (n, K) after which their softmax is most likely on held-out rows."""
    factors = np.geomspace(0.3, 30.0, 41)
    losses = [
        -(weights * np.log(softmax(factor * scores)[np.arange(len(codes)), codes] + _LEAST)).mean()
        for factor in factors
    ]
    return float(factors[int(np.argmin(losses))])


def softmax(scores: Array) -> Array:
    """Probabilities (n, K) of scores."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
