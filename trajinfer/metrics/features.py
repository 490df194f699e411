"""Maximum mean discrepancy from Gram matrices or features, as tensors that can be minimised."""

from __future__ import annotations

from torch import Tensor

from trajinfer._core.checks import check_shape
from trajinfer._core.errors import InputError


def gram_discrepancy(k_xx: Tensor, k_yy: Tensor, k_xy: Tensor) -> Tensor:
    r"""Unbiased squared maximum mean discrepancy from three Gram matrices.

    .. math:: \frac{1}{n(n-1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{m(m-1)} \sum_{i \ne j}
        k(y_i, y_j) - \frac{2}{nm} \sum_{ij} k(x_i, y_j)

    Args:
        k_xx: (n, n), n >= 2.
        k_yy: (m, m), m >= 2.
        k_xy: (n, m).

    Returns:
        A 0-d tensor; it may be negative.

    Raises:
        InputError: if shapes disagree or a sample has one member only.

    References:
        Gretton, Borgwardt, Rasch, Schoelkopf, Smola, "A kernel two-sample test", JMLR 13 (2012),
        equation 3.
    """
    n, m = check_shape(k_xy, "n m").values()
    check_shape(k_xx, "n n2", n=n, n2=n)
    check_shape(k_yy, "m m2", m=m, m2=m)
    return _within(k_xx) + _within(k_yy) - 2 * k_xy.mean()


def feature_discrepancy(x: Tensor, y: Tensor) -> Tensor:
    r"""`gram_discrepancy` of the kernel $\langle x, y \rangle$ in time linear in the sample.

    Args:
        x: (n, F) features, n >= 2.
        y: (m, F) features, m >= 2.

    Returns:
        A 0-d tensor: unbiased for the squared distance of the mean features.

    Raises:
        InputError: if shapes disagree or a sample has one member only.
    """
    width = check_shape(x, "n F")["F"]
    check_shape(y, "m F", F=width)
    within = [_within_from_sums(z) for z in (x, y)]
    return within[0] + within[1] - 2 * x.mean(0) @ y.mean(0)


def _within(gram: Tensor) -> Tensor:
    n = _at_least_two(len(gram))
    return (gram.sum() - gram.diagonal().sum()) / (n * (n - 1))


def _within_from_sums(x: Tensor) -> Tensor:
    n = _at_least_two(len(x))
    return (x.sum(0).square().sum() - x.square().sum()) / (n * (n - 1))


def _at_least_two(n: int) -> int:
    if n < 2:
        raise InputError(f"an unbiased estimate needs at least two members per sample, got {n}")
    return n
