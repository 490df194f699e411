"""Truncated signatures of piecewise linear paths, and distances between their expectations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from trajinfer._core.checks import check_shape, require_integer
from trajinfer._core.errors import InputError
from trajinfer.metrics.features import feature_discrepancy
from trajinfer.metrics.signature_engine import Engine, accelerated_signature, require_engine


def truncated_signature(paths: Tensor, depth: int, *, engine: Engine = "torch") -> Tensor:
    r"""Iterated integrals of piecewise linear paths up to a depth, without the leading 1.

    .. math:: S^{i_1 \dots i_k} = \int_{0 < t_1 < \dots < t_k < T} dx^{i_1}_{t_1} \cdots
        dx^{i_k}_{t_k}

    A straight piece with increment v has the signature $\exp(v)$; pieces are joined by Chen's
    identity, $S \otimes \exp(v)$, with every level in Horner form. Repeated points change nothing,
    so series padded with their last value need no mask. Differentiable.

    Args:
        paths: (B, T, D) with T >= 2.
        depth: largest level, at least 1.
        engine: "torch", or "pysiglib" for the compiled code of that package (extra `sig`).

    Returns:
        (B, D + D^2 + ... + D^depth), level by level, words in lexicographic order.

    Raises:
        InputError: for another shape, a depth below 1 or an unknown engine.
        MissingExtra: if pysiglib is asked for and not installed.

    References:
        Kidger, Lyons, "Signatory: differentiable computations of the signature and logsignature
        transforms", ICLR 2021, section 3.2.

    Example:
        >>> line = torch.tensor([[[0.0], [2.0]]])
        >>> truncated_signature(line, 3).tolist()[0]
        [2.0, 2.0, 1.3333333730697632]
    """
    require_integer(depth, "depth", least=1)
    require_engine(engine)
    if check_shape(paths, "B T D")["T"] < 2:
        raise InputError("a signature needs paths of at least two points, got one")
    if engine == "pysiglib":
        return accelerated_signature(paths, depth)
    # Paths stand last in memory: D is small, and inner loops then run over the batch.
    increments = paths.diff(dim=1).permute(1, 2, 0).contiguous()
    levels = _exponential(increments[0], depth)
    for increment in increments[1:]:
        levels = _extend(levels, increment)
    return torch.cat(levels).T


def signature_sizes(dim: int, depth: int) -> tuple[int, ...]:
    """Number of words per level, for splitting what `truncated_signature` gives.

    Example:
        >>> signature_sizes(3, 4)
        (3, 9, 27, 81)
    """
    return tuple(dim**k for k in range(1, depth + 1))


def scale_levels(signature: Tensor, dim: int, depth: int, power: float) -> Tensor:
    r"""A signature with level k multiplied by $(k!)^{power}$.

    Level k of a path of length one is of size 1/k!, so without weights a distance between
    signatures hardly sees the high levels, which carry the roughness.
    """
    weights = [
        signature.new_full((size,), math.factorial(k) ** power)
        for k, size in enumerate(signature_sizes(dim, depth), start=1)
    ]
    return signature * torch.cat(weights)


def expected_signature_distance(x: Tensor, y: Tensor, depth: int) -> Tensor:
    r"""Euclidean distance of the mean truncated signatures of two samples of paths.

    .. math:: \Bigl\| \frac1n \sum_i S(x_i) - \frac1m \sum_j S(y_j) \Bigr\|_2

    The plug-in form that published generators minimise. It is biased upwards by sampling noise:
    two samples of one law do not have distance 0. `expected_signature_discrepancy` is the square
    without that bias.

    Args:
        x: (n, T, D); put `with_time` and `from_zero` around the paths where speed and start count.
        y: (m, T', D).
        depth: largest level.

    Returns:
        The distance, 0-d; differentiable.

    References:
        Ni, Szpruch, Sabate-Vidales, Xiao, Wiese, Liao, "Sig-Wasserstein GANs for time series
        generation", ICAIF 2021.
    """
    first, second = truncated_signature(x, depth), truncated_signature(y, depth)
    distance: Tensor = torch.linalg.vector_norm(first.mean(0) - second.mean(0))
    return distance


def expected_signature_discrepancy(
    x: Tensor, y: Tensor, depth: int, *, level_power: float = 1.0
) -> Tensor:
    r"""Unbiased squared distance of expected signatures with levels weighted by $(k!)^{power}$.

    Args:
        x: (n, T, D), n >= 2.
        y: (m, T', D), m >= 2.
        depth: largest level.
        level_power: 0 leaves the levels as they are, 1 makes them of equal size.

    Returns:
        An estimate of the square with expectation 0 for equal laws, 0-d; differentiable.
    """
    dim = x.shape[-1]
    first, second = (
        scale_levels(truncated_signature(paths, depth), dim, depth, level_power) for paths in (x, y)
    )
    return feature_discrepancy(first, second)


def _exponential(v: Tensor, depth: int) -> list[Tensor]:
    """Levels v^k / k! of a straight piece; v is (D, B)."""
    levels = [v]
    for k in range(2, depth + 1):
        levels.append(_outer(levels[-1], v / k))
    return levels


def _extend(levels: Sequence[Tensor], v: Tensor) -> list[Tensor]:
    """Levels of S times exp(v): for each k, ((v/k + S_1) v/(k-1) + S_2) v/(k-2) + ... + S_k.

    The k = j, ..., depth that have not ended before level j are stacked, (depth - j + 1, W, B).
    """
    depth = len(levels)
    shares = v / torch.arange(1, depth + 1, dtype=v.dtype, device=v.device).view(-1, 1, 1)
    parts = shares + levels[0]
    extended = []
    for level in levels[1:]:
        done, rest = parts.split([1, len(parts) - 1])
        extended.append(done[0])
        # the part of k is multiplied by v/(k - j), whose k - j begins at 1 again
        factors = shares[: len(rest)].unsqueeze(1)
        parts = torch.addcmul(level.view(1, -1, *v.shape), rest.unsqueeze(2), factors).flatten(1, 2)
    return [*extended, parts[0]]


def _outer(words: Tensor, letters: Tensor) -> Tensor:
    """Tensor product of (W, B) and (D, B) as (W D, B)."""
    return (words.unsqueeze(1) * letters.unsqueeze(0)).flatten(0, 1)
