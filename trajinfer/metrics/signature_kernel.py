"""The signature kernel: inner products of full signatures from a partial differential equation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trajinfer._core.checks import check_shape, require_integer
from trajinfer._core.errors import InputError
from trajinfer.metrics.features import gram_discrepancy
from trajinfer.metrics.paths import as_paths
from trajinfer.metrics.signature_engine import Engine, accelerated_gram, require_engine

# Grid values of one block of pairs: what stays in cache.
_BLOCK = 400_000
_MEDIAN_PATHS = 256
_ROWS = 32


@dataclass(frozen=True)
class SignatureKernel:
    r"""Kernel $k(x, y) = \langle S(x), S(y) \rangle$ over all levels, with a lifted or plain state.

    With a bandwidth h the points of a path are first lifted by the Gaussian kernel
    $\exp(-|x - y|^2 / h)$, which keeps the kernel bounded however long the paths are; without one
    the static kernel is the inner product, and unscaled long paths overflow.

    Args:
        bandwidth: h in squared units of the state; None for the inner product.
        dyadic_order: every step of both paths is halved this many times before the
            equation is solved; each order costs four times as much.
        engine: "torch", or "pysiglib" for the compiled code of that package (extra `sig`), three
            times as fast and equal to rounding.

    Raises:
        InputError: if the bandwidth is not positive, the order negative or the engine unknown.
        MissingExtra: if pysiglib is asked for and not installed.

    References:
        Salvi, Cass, Foster, Lyons, Yang, "The signature kernel is the solution of a Goursat PDE",
        SIAM J. Math. Data Sci. 3 (2021).
    """

    bandwidth: float | None = None
    dyadic_order: int = 0
    engine: Engine = "torch"

    def __post_init__(self) -> None:
        require_engine(self.engine)
        require_integer(self.dyadic_order, "dyadic_order", least=0)
        if self.bandwidth is not None and not 0 < self.bandwidth < float("inf"):
            raise InputError(f"bandwidth must be positive and finite, got {self.bandwidth!r}")

    @classmethod
    def of(
        cls, paths: Tensor, *, dyadic_order: int = 0, engine: Engine = "torch"
    ) -> SignatureKernel:
        """The lifted kernel whose bandwidth is the median squared distance of points of `paths`."""
        check_shape(paths, "n T D")
        points = paths.detach()[:_MEDIAN_PATHS].flatten(0, 1)
        points = points[:: max(1, len(points) // 2000)]
        median = torch.pdist(points).square().median().item()
        if not median > 0:
            raise InputError("most points of the paths coincide, so they set no bandwidth; give it")
        return cls(median, dyadic_order, engine)

    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        """Kernel of every pair of paths, (n, m), in their precision; differentiable once.

        Args:
            x: (n, T, D), T >= 2.
            y: (m, T', D), T' >= 2; repeated points change nothing.

        Raises:
            InputError: if dimensions differ or a path has one point only.
        """
        sizes = check_shape(x, "n T D")
        others = check_shape(y, "m T D", D=sizes["D"])
        if min(sizes["T"], others["T"]) < 2:
            raise InputError("a signature needs paths of at least two points, got one")
        dtype = torch.promote_types(x.dtype, y.dtype)
        x, y = (x.to(dtype),) * 2 if x is y else (x.to(dtype), y.to(dtype))
        if self.engine == "pysiglib":
            gram = accelerated_gram(x.double(), y.double(), self.bandwidth, self.dyadic_order)
            return gram.to(dtype)
        if x is y and not x.requires_grad:
            return self._gram_of_one(x)
        return self._pairs(x, y)

    def _gram_of_one(self, x: Tensor) -> Tensor:
        """All pairs of one sample, each computed once, by blocks of rows."""
        gram = x.new_empty(len(x), len(x))
        for start in range(0, len(x), _ROWS):
            rows = slice(start, start + _ROWS)
            part = self._pairs(x[rows], x[start:])
            gram[rows, start:] = part
            gram[start:, rows] = part.T
        return gram

    def _pairs(self, x: Tensor, y: Tensor) -> Tensor:
        increments = self._increments(x, y)
        n, m, rows, columns = increments.shape
        pairs = increments.reshape(n * m, rows, columns)
        corners: Tensor = _Goursat.apply(pairs, self.dyadic_order)  # type: ignore[no-untyped-call]
        return corners.reshape(n, m)

    def discrepancy(self, x: Tensor, y: Tensor) -> Tensor:
        """Unbiased squared maximum mean discrepancy of two samples of paths, 0-d."""
        return gram_discrepancy(self.gram(x, x), self.gram(y, y), self.gram(x, y))

    def _increments(self, x: Tensor, y: Tensor) -> Tensor:
        """Second differences (n, m, T - 1, T' - 1) of the static kernel along both paths."""
        if self.bandwidth is None:
            return torch.einsum("nid,mjd->nmij", x.diff(dim=1), y.diff(dim=1))
        # far from the origin the expanded square would lose its digits
        centre = y.detach().mean(dim=(0, 1))
        x, y = x - centre, y - centre
        squared = (
            x.square().sum(-1)[:, None, :, None]
            + y.square().sum(-1)[None, :, None, :]
            - 2 * torch.einsum("nid,mjd->nmij", x, y)
        )
        return torch.exp(-squared.clamp_min(0) / self.bandwidth).diff(dim=2).diff(dim=3)


def signature_mmd(
    x: Any, y: Any, *, bandwidth: float | None = None, dyadic_order: int = 0
) -> float:
    r"""Unbiased squared maximum mean discrepancy of two samples of paths, signature kernel.

    Zero in expectation if and only if the laws agree as laws of paths up to translation and change
    of speed; add the time as a channel (`with_time`) and a base point (`from_zero`) where start
    and speed count. Costs n m T T' operations.

    Args:
        x: (n, T, D), or (n, T) for one channel; the sample to be judged.
        y: (m, T', D); the reference, which sets the bandwidth.
        bandwidth: of the Gaussian lift, in squared units of the state; None takes the median
            squared distance between points of y.
        dyadic_order: see `SignatureKernel`.

    Returns:
        MMD squared; it may be slightly negative.

    Raises:
        InputError: for other shapes, values that are not finite, or one path only.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> walks = rng.normal(size=(80, 10)).cumsum(axis=1)
        >>> abs(signature_mmd(walks[:40], walks[40:])) < signature_mmd(2 * walks[:40], walks[40:])
        True
    """
    first, second = torch.from_numpy(as_paths(x, "x")), torch.from_numpy(as_paths(y, "y"))
    if bandwidth is None:
        kernel = SignatureKernel.of(second, dyadic_order=dyadic_order)
    else:
        kernel = SignatureKernel(bandwidth, dyadic_order)
    with torch.no_grad():
        return float(kernel.discrepancy(first, second))


class _Goursat(torch.autograd.Function):
    r"""Solution at the far corner of $\partial_s \partial_t k = z k$ with k = 1 on the border.

    One cell: $k_{i+1,j+1} = (k_{i+1,j} + k_{i,j+1}) (1 + z/2 + z^2/12) - k_{i,j} (1 - z^2/12)$.
    The backward pass is the adjoint of this recursion, swept from the far corner; the grid is
    solved again there, so that memory does not grow with the number of pairs.
    """

    @staticmethod
    def forward(ctx: Any, increments: Tensor, order: int) -> Tensor:
        ctx.order = order
        ctx.save_for_backward(increments)
        corner = increments.new_empty(len(increments))
        for block in _blocks(increments, order):
            corner[block] = _solve(_refined(increments[block], order))[-1, -1]
        return corner

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (increments,) = ctx.saved_tensors
        slope = torch.empty_like(increments)
        for block in _blocks(increments, ctx.order):
            z = _refined(increments[block], ctx.order)
            fine = _adjoint(z, _solve(z), gradient[block])
            slope[block] = _coarsened(fine, ctx.order)
        return slope, None


def _blocks(increments: Tensor, order: int) -> Iterator[slice]:
    n, rows, columns = increments.shape
    step = max(1, _BLOCK // (rows * columns * 4**order))
    return (slice(start, start + step) for start in range(0, n, step))


def _refined(increments: Tensor, order: int) -> Tensor:
    """Increments of halved steps, (rows, columns, P): pairs stand last in memory."""
    times = 2**order
    z = increments.permute(1, 2, 0).contiguous() / times**2
    return torch.repeat_interleave(torch.repeat_interleave(z, times, dim=0), times, dim=1)


def _coarsened(slope: Tensor, order: int) -> Tensor:
    """Adjoint of `_refined`."""
    times = 2**order
    rows, columns, n = slope.shape
    blocks = slope.reshape(rows // times, times, columns // times, times, n)
    summed: Tensor = blocks.sum(dim=(1, 3)).permute(2, 0, 1)
    return summed.div(times**2)


def _diagonals(rows: int, columns: int) -> Iterator[tuple[int, int, int]]:
    """Cells (i, j) of each anti-diagonal: row and column of the first one, and their number."""
    for s in range(rows + columns - 1):
        i = max(0, s - columns + 1)
        yield i, s - i, min(s, rows - 1) - i + 1


def _along(grid: Tensor, i: int, j: int, count: int) -> Tensor:
    """View of the cells (i, j), (i + 1, j - 1), ... of a contiguous grid (rows, columns, P)."""
    stride = grid.shape[1] - 1
    start = i * grid.shape[1] + j
    flat = grid.view(-1, grid.shape[2])
    return flat[start : start + max(stride, 1) * (count - 1) + 1 : max(stride, 1)]


def _solve(z: Tensor) -> Tensor:
    """All grid values (rows + 1, columns + 1, P)."""
    rows, columns, n = z.shape
    k = z.new_ones(rows + 1, columns + 1, n)
    sides, corner = _coefficients(z)
    for i, j, count in _diagonals(rows, columns):
        new = (_along(k, i + 1, j, count) + _along(k, i, j + 1, count)).mul_(
            _along(sides, i, j, count)
        )
        new.addcmul_(_along(k, i, j, count), _along(corner, i, j, count), value=-1)
        _along(k, i + 1, j + 1, count).copy_(new)
    return k


def _coefficients(z: Tensor) -> tuple[Tensor, Tensor]:
    twelfth = z.square() / 12
    return 1 + z / 2 + twelfth, 1 - twelfth


def _adjoint(z: Tensor, k: Tensor, gradient: Tensor) -> Tensor:
    """Derivative of the far corner by every z, times `gradient` (P,).

    `pull` is the derivative by the value that a cell computes; three later cells use that value.
    """
    rows, columns, _ = z.shape
    # One more row and column of zeros: cells beyond the far border pull on nothing.
    padded = [torch.nn.functional.pad(c, (0, 0, 0, 1, 0, 1)) for c in _coefficients(z)]
    sides, corner = (c.contiguous() for c in padded)
    pull = torch.zeros_like(sides)
    pull[rows - 1, columns - 1] = gradient
    for i, j, count in list(_diagonals(rows, columns))[-2::-1]:
        total = _along(pull, i, j + 1, count) * _along(sides, i, j + 1, count)
        total.addcmul_(_along(pull, i + 1, j, count), _along(sides, i + 1, j, count))
        later = _along(pull, i + 1, j + 1, count), _along(corner, i + 1, j + 1, count)
        _along(pull, i, j, count).copy_(total.addcmul_(*later, value=-1))
    by_z = (k[1:, :-1] + k[:-1, 1:]) * (0.5 + z / 6) + k[:-1, :-1] * (z / 6)
    return by_z * pull[:rows, :columns]
