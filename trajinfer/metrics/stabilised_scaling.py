r"""One large entropic coupling: scaling with a stabilised kernel, then Newton steps by conjugate
gradients on a sparse plan.

With the potentials absorbed, $K_{ij} = \exp((f_i + g_j - C_{ij})/T)$ is the plan so far, and a
Sinkhorn sweep is two products with K. The Newton direction of the semi-dual solves
$(\mathrm{diag}(r) - K \mathrm{diag}(1/c) K^T)\,\delta = a - r$ with the row sums r and column sums
c; entries of K that no digit of the sums depends on are left out of these products.

References:
    Schmitzer, "Stabilized sparse scaling algorithms for entropy regularized transport problems",
    SIAM J. Sci. Comput. 41 (2019), section 3.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from trajinfer._core.checks import Array

_BLOCK = 2**17
_COOLING = 4.0
_SWEEPS_PER_TEMPERATURE = 5
_SWEEPS_BEFORE_NEWTON = 20
_NEGLIGIBLE = 1e-10
_DENSE_SHARE = 0.25
_MOST_PRODUCTS = 400
_MAX_HALVINGS = 30
_LONGEST_MOVE = 30.0

Product = Callable[[Array], Array]


def scale(
    cost: Tensor, a: Tensor, b: Tensor, f: Tensor | None, tol: float, max_steps: int
) -> tuple[Tensor, int]:
    """Potential of the rows at temperature 1.

    Args:
        cost: (N, M).
        a, b: (N,) and (M,) positive masses.
        f: (N,) potential of a similar problem, or None.
        tol: L1 error of the row sums at which to stop.
        max_steps: bound on the Newton steps.

    Returns:
        Potential (N,), and the sweeps and Newton steps spent.
    """
    kernel = _Kernel(cost, a, b, f)
    temperature = 1.0 if f is not None else max(1.0, float(cost.max() - cost.min()))
    n_sweeps = 0
    while True:
        final = temperature <= 1.0
        n = _SWEEPS_BEFORE_NEWTON if final else _SWEEPS_PER_TEMPERATURE
        kernel.sweep(temperature, n)
        n_sweeps += n
        if final:
            break
        temperature = max(1.0, temperature / _COOLING)
    for step in range(max_steps):
        if kernel.newton(tol):
            return kernel.f, n_sweeps + step
    return kernel.f, n_sweeps + max_steps


class _Kernel:
    """Potentials of one problem and the plan that belongs to them.

    Between two temperatures the plan is only multiplied by rows and columns: exponentials of all
    costs are taken once per temperature.
    """

    def __init__(self, cost: Tensor, a: Tensor, b: Tensor, f: Tensor | None) -> None:
        self.cost, self.a, self.b = cost, a, b
        self.f = torch.zeros_like(a)
        self.g = torch.zeros_like(b)
        if f is not None:
            self.g = b.log() - torch.logsumexp(f.unsqueeze(1) - cost, dim=0)
        self.plan = torch.empty_like(cost)
        self.damping = 1e-8

    def sweep(self, temperature: float, n: int) -> None:
        """Sinkhorn sweeps; the rows of the first in the log domain, all else by products."""
        self._meet_rows(temperature)
        u, v = torch.ones_like(self.a), torch.ones_like(self.b)
        for _ in range(n):
            v = self.b / (self.plan.mT @ u)
            u = self.a / (self.plan @ v)
        v = self.b / (self.plan.mT @ u)
        if bool((torch.isfinite(u) & (u > 0)).all()) and bool(torch.isfinite(v).all()):
            self._multiply(u, v, temperature)
        else:  # some column is out of reach of all rows: in the log domain it is not
            exponent = self.f.unsqueeze(1) - self.cost
            reach = torch.logsumexp(exponent / temperature, dim=0)
            self.g = temperature * (self.b.log() - reach)
            self._meet_rows(temperature)

    def newton(self, tol: float) -> bool:
        """One damped Newton step and one sweep; whether the row sums were met before."""
        rows = self.plan.sum(1)
        if float((rows - self.a).abs().sum()) <= tol:
            return True
        move, whole = self._line_search(self._direction(rows))
        self.damping = float(np.clip(self.damping * (0.1 if whole else 100.0), 1e-12, 1.0))
        v = self.b / (self.plan.mT @ move.exp())
        u = self.a / (self.plan @ v)
        v = self.b / (self.plan.mT @ u)
        self._multiply(u, v)
        return False

    def _meet_rows(self, temperature: float) -> None:
        """Plan and f whose row sums are exact, given g; in blocks that stay in the cache."""
        size = max(1, _BLOCK // self.cost.shape[1])
        for start in range(0, len(self.a), size):
            block = slice(start, start + size)
            exponent = torch.sub(self.g, self.cost[block]).div_(temperature)
            most = exponent.amax(1, keepdim=True)
            weights = exponent.sub_(most).exp_()
            total = weights.sum(1)
            a = self.a[block]
            self.f[block] = temperature * (a.log() - most.squeeze(1) - total.log())
            self.plan[block] = weights.mul_((a / total).unsqueeze(1))

    def _multiply(self, u: Tensor, v: Tensor, temperature: float = 1.0) -> None:
        self.f = self.f + temperature * u.log()
        self.g = self.g + temperature * v.log()
        self.plan.mul_(u.unsqueeze(1)).mul_(v)

    def _direction(self, rows: Tensor) -> Tensor:
        r, c = rows.numpy(), self.b.numpy()
        root_r = np.sqrt(r)
        onto, back = _products(self.plan, rows)
        null = root_r / np.linalg.norm(root_r)

        def hessian(x: Array) -> Array:
            y = onto(back(x / root_r) / c) / root_r
            return np.asarray((1 + self.damping) * x - y + null * (null @ x))

        gradient = (self.a.numpy() - r) / root_r
        error = float(np.abs(self.a.numpy() - r).sum())
        x = _conjugate_gradients(hessian, gradient, min(0.1, error))
        direction = torch.as_tensor(x / root_r)
        return direction.clamp(-_LONGEST_MOVE, _LONGEST_MOVE)

    def _line_search(self, direction: Tensor) -> tuple[Tensor, bool]:
        """The step, halved until the semi-dual does not fall; whether the whole step held."""

        def rise(move: Tensor) -> float:
            columns = self.plan.mT @ move.exp()
            return float(self.a @ move + self.b @ (self.b / columns).log())

        start = rise(torch.zeros_like(direction))
        share = 1.0
        for _ in range(_MAX_HALVINGS):
            if rise(share * direction) >= start - 1e-14:
                return share * direction, share == 1.0
            share /= 2
        return torch.zeros_like(direction), False


def _products(plan: Tensor, rows: Tensor) -> tuple[Product, Product]:
    """Products with the plan and with its transpose, sparse where most entries are negligible."""
    large = plan > _NEGLIGIBLE * rows.unsqueeze(1)
    counts = large.sum(1).numpy()
    if counts.sum() > _DENSE_SHARE * plan.numel():
        dense = plan.numpy()
        return lambda v: dense @ v, lambda u: u @ dense
    places = np.flatnonzero(large.numpy())
    ends = np.concatenate([[0], counts.cumsum()])
    entries = plan.numpy().ravel()[places], places % plan.shape[1], ends
    sparse = scipy.sparse.csr_array(entries, shape=tuple(plan.shape))
    transposed = sparse.T
    return lambda v: sparse @ v, lambda u: transposed @ u


def _conjugate_gradients(hessian: Product, gradient: Array, tol: float) -> Array:
    """Solve to a residual of `tol` times the right-hand side, within a bounded number of steps."""
    x = np.zeros_like(gradient)
    residual, direction = gradient.copy(), gradient.copy()
    size = first = float(residual @ residual)
    for _ in range(_MOST_PRODUCTS):
        if size <= tol**2 * first or size == 0.0:
            break
        image = hessian(direction)
        curvature = float(direction @ image)
        if curvature <= 0.0:
            break
        length = size / curvature
        x += length * direction
        residual -= length * image
        size, before = float(residual @ residual), size
        direction = residual + size / before * direction
    return x
