"""Search for a solver plan: levels, orders and corrections that suit one denoiser."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, torch_generator
from trajinfer.diffusion.base_law import levels_of, matched_law
from trajinfer.diffusion.denoiser import Denoiser, as_denoiser
from trajinfer.diffusion.gaussian import WienerDenoiser
from trajinfer.diffusion.grids import jump_factor, level_grid
from trajinfer.diffusion.noise import White
from trajinfer.diffusion.plans import SolverPlan
from trajinfer.diffusion.samplers import multistep, singlestep

_TEACHER_STEPS = 120
_MOST_ORDER = 3
_ORDER_FLIPS, _CORRECTOR_FLIPS = 0.3, 0.2
_FIRST_SIZE, _GROWTH, _DECAY = 0.3, 1.3, 0.985
_JUMPS = (0.5, 1.0, 2.0)


def search_plan(
    denoiser: Any,
    n_evaluations: int,
    *,
    levels: tuple[float, float] | None = None,
    n_starts: int = 96,
    n_iter: int = 400,
    random_state: RandomState = 0,
) -> SolverPlan:
    """The plan of n evaluations whose ends are nearest to those of the exact flow.

    The exact flow is that of 120 single steps of order three from `n_starts` draws at rho_max. The
    search begins with the best of fixed plans (three jumps, two grids, three orders, with and
    without corrector) and goes on by mutations of the gaps of log rho, the orders and the
    corrections. The first level is reached by the flow of the matched Gaussian, at no evaluation.
    It takes `n_iter * n_evaluations * n_starts` evaluations; judge the plan on other starts.

    Args:
        denoiser: with `denoise(y, rho)`, `mean` and `covariance`.
        n_evaluations: of the denoiser per draw.
        levels: (rho_max, rho_min), from the moments by default.
        n_starts: draws that the error is measured on.
        n_iter: mutations.
        random_state: seed of the starts and the mutations.

    Returns:
        The plan, with its root mean squared error on the starts.

    Raises:
        InputError: for a denoiser without moments, or fewer than one evaluation.

    Example:
        >>> from trajinfer.scores import GaussianMixture
        >>> law = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.04]], [[0.04]]])
        >>> search_plan(law, 4, n_starts=8, n_iter=5).n_evaluations
        4
    """
    model = as_denoiser(denoiser)
    n = require_integer(n_evaluations, "n_evaluations", least=1)
    require_integer(n_starts, "n_starts", least=2)
    require_integer(n_iter, "n_iter", least=0)
    law = matched_law(model, White())
    if law is None:
        raise InputError("search_plan needs a denoiser with mean and covariance, for its starts")
    ends = levels_of(model, law, levels)
    seed = seed_from(random_state)
    start = law.draw(n_starts, ends[0], torch_generator(seed))
    with torch.no_grad():
        trial = _Trial(model, law, start, ends)
        best = min((trial.judged(plan) for plan in _fixed(n, law, ends)), key=_error)
        return trial.improved(best, n_iter, np.random.default_rng(seed))


class _Trial:
    """Starts, and where the exact flow takes them."""

    def __init__(
        self, model: Denoiser, law: WienerDenoiser, start: Tensor, ends: tuple[float, float]
    ) -> None:
        self.model, self.law, self.start, self.ends = model, law, start, ends
        grid = level_grid("lambda", _TEACHER_STEPS, ends)
        self.exact = singlestep(model, start, grid, _MOST_ORDER)

    def judged(self, plan: SolverPlan) -> SolverPlan:
        """The plan with its error."""
        y = self.law.flow(self.start, self.ends[0], float(plan.rhos[0]))
        off = multistep(self.model, y, plan) - self.exact
        error = float(off.square().sum(1).mean().sqrt())
        return replace(plan, dim=self.start.shape[1], error=error if np.isfinite(error) else np.inf)

    def improved(self, best: SolverPlan, n_iter: int, rng: np.random.Generator) -> SolverPlan:
        """The best of a chain of mutations; steps grow with success and shrink without."""
        size = _FIRST_SIZE
        for _ in range(n_iter):
            other = self.judged(_mutated(best, size, self.ends, rng))
            success = _error(other) < _error(best)
            best = other if success else best
            size = size * _GROWTH if success else max(size * _DECAY, 0.01)
        return best


def _error(plan: SolverPlan) -> float:
    return np.inf if plan.error is None else plan.error


def _fixed(n: int, law: WienerDenoiser, ends: tuple[float, float]) -> list[SolverPlan]:
    """Plans of one order on named grids, after jumps of several lengths or none."""
    usual = jump_factor(n) * law.top_sd
    begins = [
        ends[0],
        *(usual * factor for factor in _JUMPS if 2 * ends[1] < usual * factor < ends[0]),
    ]
    return [
        SolverPlan.fixed(level_grid(grid, n, (begin, ends[1])), ends, order, corrector)
        for begin in begins
        for grid in ("edm", "lambda")
        for order in range(1, _MOST_ORDER + 1)
        for corrector in (True, False)
    ]


def _mutated(
    plan: SolverPlan, size: float, ends: tuple[float, float], rng: np.random.Generator
) -> SolverPlan:
    """Some gaps of log rho by log-normal factors, and now and then an order or a correction."""
    n = plan.n_evaluations
    logs = np.log(plan.rhos)
    gaps = np.append(np.log(ends[0]) - logs[0], -np.diff(logs))
    chosen = rng.random(n + 1) < 0.5
    gaps = np.maximum(gaps, 1e-6) * np.exp(size * chosen * rng.standard_normal(n + 1))
    gaps *= np.log(ends[0] / ends[1]) / gaps.sum()
    rhos: Array = ends[0] * np.exp(-np.cumsum(gaps))
    rhos[-1] = ends[1]
    orders, corrections = np.array(plan.orders), np.array(plan.corrections)
    if rng.random() < _ORDER_FLIPS:
        i = int(rng.integers(n))
        orders[i] = rng.integers(1, min(_MOST_ORDER, i + 1) + 1)
    if rng.random() < _CORRECTOR_FLIPS and n > 1:
        i = int(rng.integers(n - 1))
        corrections[i] = not corrections[i]
    kept = tuple(map(int, orders)), tuple(map(bool, corrections))
    return replace(plan, rhos=rhos, orders=kept[0], corrections=kept[1])
