"""Fits of the law of series whose innovations have sizes of their own."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.scores.cell_size_fit import fit_cell_sizes
from trajinfer.scores.mixture_choice import fit_parts
from trajinfer.scores.sized_law import SizedLaw

_ROUNDS = 3
_DEGREES = 4
_STILL = 1e-3
_NORMAL_MEDIAN = 0.6745


def fit_sized(values: Array, knots: Array, unchanging: Array, seed: int) -> SizedLaw:
    """The law of rows (N, J, C) that share all times.

    Mean and factor are those of one Gaussian fitted to rows whose innovations were divided by their
    sizes, which is done three times: the size of a cell is what Student's t with four degrees of
    freedom makes of it around the median size of its series and channel. A function that never
    changes is given noise as wide as the widest direction of the cells it reads, so that it is
    no cell's task to make up for all others.

    Args:
        values: rows, in standard units.
        knots: (J,) times.
        unchanging: (M, J C) orthonormal functions of a row that are the same in all rows.
        seed: of what is added.
    """
    rng = np.random.default_rng(seed)
    shape, rows = values.shape[1:], values.reshape(len(values), -1)
    still = rows.std(axis=0) <= 1e-9
    freed = rows + still * _STILL * rng.standard_normal(rows.shape)
    if len(unchanging):
        noise = rng.standard_normal((len(rows), len(unchanging)))
        freed = (
            freed + (noise - noise.mean(axis=0)) * np.sqrt(_widest(rows, unchanging)) @ unchanging
        )
    moving = ~still.reshape(shape)
    scaled = freed
    for _ in range(_ROUNDS):
        mean, factor = _gaussian(scaled, seed)
        z = np.linalg.solve(factor, (freed - mean).T).T.reshape(-1, *shape)
        scaled = mean + (z / _sizes(z, moving)).reshape(len(rows), -1) @ factor.T
    mean, factor = _gaussian(scaled, seed)
    z = np.linalg.solve(factor, (freed - mean).T).T.reshape(-1, *shape)
    mean = mean - (mean - rows.mean(axis=0)) @ unchanging.T @ unchanging
    sizes = fit_cell_sizes(z, moving, float(np.median(np.diff(knots))))
    return SizedLaw(mean, factor, sizes, knots, unchanging)


def _gaussian(rows: Array, seed: int) -> tuple[Array, Array]:
    """Mean, and lower triangular factor of the covariance, of one Gaussian."""
    one = fit_parts(rows, 1, seed)
    return one.mean.numpy(), np.linalg.cholesky(one.covariance.numpy())


def _sizes(z: Array, moving: Array) -> Array:
    """(N, J, C) sizes of innovations, 1 in cells that are the same in all series."""
    known = np.where(moving, np.abs(z), np.nan)
    own = np.nanmedian(known, axis=1, keepdims=True) / _NORMAL_MEDIAN
    return np.asarray(np.where(moving, np.sqrt((_DEGREES * own**2 + z**2) / (_DEGREES + 1)), 1.0))


def _widest(rows: Array, unchanging: Array) -> float:
    """Variance of the widest direction of the cells that functions read, by its median."""
    read = rows[:, (np.abs(unchanging) > 1e-9).any(axis=0)]
    axes = np.linalg.eigh(np.cov(read.T))[1]
    middle = np.median(np.abs((read - read.mean(axis=0)) @ axes), axis=0)
    return float((middle.max() / _NORMAL_MEDIAN) ** 2)
