"""Discrepancies of paths by kernels, with the law they have when both samples are of one law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.evaluation.generation.features import evenly_thinned
from trajinfer.evaluation.generation.samples import subset
from trajinfer.metrics import PathKernel, SignatureKernel, from_zero, with_time

_PERMUTATIONS = 499
_FLAGGED = 0.002
_MOST_PATHS = 1024
_MOST_SIGNED, _MOST_SIGNED_TIMES = 128, 26


@dataclass(frozen=True)
class Discrepancy:
    """An unbiased squared discrepancy, and its law under permutation.

    Attributes:
        value: the discrepancy.
        p_value: of the permutation test.
        null_error: standard deviation under permutation.
        null_limit: exceeded by one in 500 permutations.
    """

    value: float
    p_value: float
    null_error: float
    null_limit: float


def path_discrepancy(x: Array, y: Array, rng: np.random.Generator) -> Discrepancy:
    """One kernel on levels and increments; at most 1024 paths of either sample."""
    first, second = (torch.from_numpy(subset(p, _MOST_PATHS, rng)) for p in (x, y))
    pooled = torch.cat([first, second])
    return _with_null(PathKernel.of(second).gram(pooled, pooled), len(first), rng)


def signature_discrepancy(x: Array, y: Array, rng: np.random.Generator) -> Discrepancy:
    """The signature kernel with time and start; at most 128 paths at 26 times."""
    times = evenly_thinned(x.shape[1], _MOST_SIGNED_TIMES)
    few = [torch.from_numpy(subset(p, _MOST_SIGNED, rng)[:, times]) for p in (x, y)]
    scale = few[1].std(dim=(0, 1))
    centre = few[1].mean(dim=(0, 1))
    clock = torch.linspace(0, 1, len(times), dtype=torch.float64)
    first, second = (
        from_zero(with_time((p - centre) / torch.where(scale > 0, scale, 1.0), clock)) for p in few
    )
    pooled = torch.cat([first, second])
    with torch.no_grad():
        gram = SignatureKernel.of(second).gram(pooled, pooled)
    return _with_null(gram, len(first), rng)


def _with_null(gram: Tensor, n: int, rng: np.random.Generator) -> Discrepancy:
    """The discrepancy of the first n against the rest, and of random relabellings."""
    total = len(gram)
    labels = np.zeros((total, 1 + _PERMUTATIONS))
    labels[:n, 0] = 1
    for column in range(1, labels.shape[1]):
        labels[rng.permutation(total)[:n], column] = 1
    values = _discrepancies(gram.numpy(), labels, n)
    null = values[1:]
    p_value = (1 + (null >= values[0]).sum()) / (1 + len(null))
    limit = float(np.quantile(null, 1 - _FLAGGED))
    return Discrepancy(float(values[0]), float(p_value), float(null.std()), limit)


def _discrepancies(gram: Array, labels: Array, n: int) -> Array:
    """Unbiased squared discrepancies for every column of labels, 1 = first sample."""
    m = len(gram) - n
    own = np.diag(gram)
    rows = gram @ labels
    within_first = (labels * rows).sum(axis=0) - own @ labels
    all_of_first = rows.sum(axis=0)
    across = all_of_first - (labels * rows).sum(axis=0)
    within_second = gram.sum() - own.sum() - within_first - 2 * across
    return np.asarray(
        within_first / (n * (n - 1)) + within_second / (m * (m - 1)) - 2 * across / (n * m)
    )
