"""From noise to data: exponential multistep and single-step samplers, Heun, and inversion."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array, require_integer, require_positive
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.seeding import RandomState, seed_from, torch_generator
from trajinfer.diffusion.base_law import first_state, levels_of, matched_law
from trajinfer.diffusion.denoiser import Denoiser, Level, as_denoiser
from trajinfer.diffusion.gaussian import WienerDenoiser
from trajinfer.diffusion.grids import jump_factor, level_grid
from trajinfer.diffusion.inversion import bdia
from trajinfer.diffusion.noise import NoiseLaw, White
from trajinfer.diffusion.normals import standard_normals
from trajinfer.diffusion.plans import SolverPlan, default_order, named_plan
from trajinfer.diffusion.steps import single_step

Method = Literal["multistep", "singlestep", "heun", "bdia"]

_WHITE = White()


def sample(  # noqa: PLR0913 (the contract of the front door)
    denoiser: Any,
    n: int | None = None,
    *,
    start: Any = None,
    levels: tuple[float, float] | None = None,
    n_evaluations: int = 20,
    method: Method = "multistep",
    order: int | None = None,
    corrector: bool = True,
    churn: float = 0.0,
    plan: SolverPlan | None = None,
    jump: bool = True,
    grid: Any = "edm",
    noise: NoiseLaw = _WHITE,
    return_state: bool = False,
    random_state: RandomState = None,
) -> Any:
    r"""Draw data by removing noise, from rho_max down to rho_min.

    Solves $dy = (1 + \tau^2)(D - y)\,d\lambda + \sqrt2\,\tau e^{-\lambda} L\,dW$ with
    $\lambda = -\log\rho$: an ODE for churn $\tau = 0$, else an SDE with the same marginal laws.

    Args:
        denoiser: with `denoise(y, rho)`, or a function (y, rho) -> D.
        n: number of draws; the start has the law of the matched Gaussian with noise rho_max.
        start: the state at rho_max, (B, D), instead of n; "center" is the centre of that Gaussian.
        levels: (rho_max, rho_min); None takes 10 times the largest and a quarter of the smallest
            standard deviation of the data, if the denoiser knows its moments.
        n_evaluations: evaluations of the denoiser.
        method: "multistep", "singlestep" (order evaluations a step), "heun" in rho (two a step), or
            "bdia", which `invert` undoes exactly.
        order: None is 2 up to six evaluations and 3 above.
        corrector: multistep: redo every step but the last with the next value, at no cost.
        churn: tau >= 0, multistep only.
        plan: a `SolverPlan` instead of order, corrector and grid.
        jump: go down to a few standard deviations by the flow of the matched Gaussian, at no
            evaluation, and spend all steps below. Not for "bdia", not without moments.
        grid: "edm", "lambda", or levels (n_evaluations + 1,), or (n_evaluations + 1, D) where
            entries have levels of their own; then levels and jump are not used.
        noise: law of the noise, `White()` or a process at given times.
        return_state: "bdia": return (draws, state).
        random_state: seed of start and churn.

    Returns:
        The state at rho_min, (B, D): data with noise rho_min; `denoiser.denoise(y, rho_min)`
        removes that. With `return_state` also an `InversionState`.

    Raises:
        InputError: for arguments that cannot be used.

    Warns:
        UserWarning: for levels whose rho_min is above the smallest spread that the denoiser knows.

    Example:
        >>> from trajinfer.scores import GaussianMixture
        >>> mixture = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.01]], [[0.01]]])
        >>> draws = sample(mixture, 1000, random_state=0)
        >>> round(draws.abs().mean().item(), 1)
        1.0
    """
    model = as_denoiser(denoiser)
    require_sampler(method, n_evaluations, order, churn, return_state)
    law = matched_law(model, noise)
    own = None if isinstance(grid, str) else level_grid(grid, n_evaluations, (1.0, 0.5))
    ends = levels_of(model, law, levels) if own is None else (own[0].max(), own[-1].min())
    home = start.device if isinstance(start, Tensor) else "cpu"
    generator = torch_generator(seed_from(random_state), home)
    begin = _begin(method, plan, law, ends, n_evaluations, jump and own is None)
    y = first_state(start, n, law, (float(ends[0]), begin), generator)
    if method == "bdia":
        rhos = level_grid(grid, n_evaluations, ends) if own is None else own
        state = bdia(model, y, rhos)
        return (state.last, state) if return_state else state.last
    if plan is not None:
        plan.require(n_evaluations, ends, y.shape[1])
    n_steps = n_evaluations // _evaluations_a_step(method, order, n_evaluations)
    if method == "multistep":
        rule = order or default_order(n_evaluations), corrector
        if plan is not None:
            chosen = plan
        elif own is not None:
            chosen = SolverPlan.fixed(own, ends, *rule)
        else:
            chosen = named_plan(grid, n_steps, (float(ends[0]), begin, float(ends[1])), *rule)
        return multistep(model, y, chosen, churn=churn, noise=noise, generator=generator)
    rhos = (
        _thinned(own, n_steps) if own is not None else level_grid(grid, n_steps, (begin, ends[1]))
    )
    if method == "heun":
        return heun(model, y, rhos)
    return singlestep(model, y, rhos, min(order or default_order(n_evaluations), 3))


def _begin(
    method: str,
    plan: SolverPlan | None,
    law: WienerDenoiser | None,
    ends: tuple[float, float],
    n_evaluations: int,
    jump: bool,
) -> float:
    """The level at which steps begin: that of the plan or of the jump, else rho_max."""
    if plan is not None and method != "bdia":
        return float(plan.rhos[0].max())
    if law is None or not jump or method == "bdia":
        return float(ends[0])
    level = jump_factor(n_evaluations) * law.top_sd
    return level if 2 * ends[1] < level < ends[0] else float(ends[0])


def _evaluations_a_step(method: str, order: int | None, n_evaluations: int) -> int:
    if method == "multistep":
        return 1
    return 2 if method == "heun" else min(order or default_order(n_evaluations), 3)


def multistep(
    model: Denoiser,
    y: Tensor,
    plan: SolverPlan,
    *,
    churn: float = 0.0,
    noise: NoiseLaw = _WHITE,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Run a plan from the state y (B, D) at its first level; one evaluation a step.

    The value at a predicted point serves the correction of the step before and all later steps.
    """
    values: list[Tensor] = []
    for i, step in enumerate(plan.steps(churn)):
        values.insert(0, model.denoise(y, level_at(plan.rhos, i, y)))
        y = step(y, values, _draw(churn, noise, y, generator))
        del values[max(plan.orders) :]
    return y


def singlestep(model: Denoiser, y: Tensor, rhos: Array, order: int) -> Tensor:
    """Single-step exponential sampler of order 1, 2 or 3, with as many evaluations a step."""
    lams = -np.log(rhos)
    for a, b in pairwise(lams.tolist()):
        nodes, values = [a], [model.denoise(y, math.exp(-a))]
        for stage in range(1, order):
            c = a + stage * (b - a) / order
            middle = single_step(nodes, a, c)(y, values, None)
            nodes.insert(0, c)
            values.insert(0, model.denoise(middle, math.exp(-c)))
        ends = slice(None, None, max(order - 1, 1))
        y = single_step(nodes[ends], a, b)(y, values[ends], None)
    return y


def heun(model: Denoiser, y: Tensor, rhos: Array) -> Tensor:
    """Heun's method in rho, two evaluations a step."""
    for high, low in pairwise(rhos):
        slope = (y - model.denoise(y, float(high))) / high
        guess = y + (low - high) * slope
        y = y + 0.5 * (low - high) * (slope + (guess - model.denoise(guess, float(low))) / low)
    return y


def level_at(rhos: Array, i: int, y: Tensor) -> Level:
    """The i-th level: a number, or one per entry."""
    return float(rhos[i]) if rhos.ndim == 1 else torch.as_tensor(rhos[i], dtype=y.dtype)


def _draw(
    churn: float, noise: NoiseLaw, y: Tensor, generator: torch.Generator | None
) -> Tensor | None:
    if churn == 0:
        return None
    if generator is None:
        raise InputError("churn adds noise: give generator=, the stream it is drawn from")
    return noise.colour(standard_normals(y.shape, generator, y))


def _thinned(rhos: Array, n_steps: int) -> Array:
    if rhos.ndim > 1:
        raise InputError("levels by entry are for method='multistep'")
    return np.asarray(rhos[np.linspace(0, len(rhos) - 1, n_steps + 1).round().astype(int)])


def require_sampler(
    method: str,
    n_evaluations: int,
    order: int | None = None,
    churn: float = 0.0,
    return_state: bool = False,
) -> None:
    """Refuse settings of `sample` that do not go together.

    Raises:
        InputError: naming the setting, and what it may be.
    """
    if method not in get_args(Method):
        raise InputError(f"no method {method!r}; {nearest(method, get_args(Method))}")
    require_integer(n_evaluations, "n_evaluations", least=1)
    if order is not None:
        require_integer(order, "order", least=1)
    _check_churn(method, churn)
    if method == "bdia" and n_evaluations < 2:
        raise InputError("method='bdia' needs n_evaluations >= 2: its state is a pair")
    needed = _evaluations_a_step(method, order, n_evaluations)
    if method == "singlestep" and order is not None and order > 3:
        raise InputError(f"method='singlestep' has orders 1 to 3, got {order}; use 'multistep'")
    if n_evaluations < needed:
        raise InputError(
            f"method={method!r} makes {needed} evaluations a step, got n_evaluations="
            f"{n_evaluations}; allow more or lower the order"
        )
    if return_state and method != "bdia":
        raise InputError("return_state=True is for method='bdia'; other methods have no inverse")


def _check_churn(method: str, churn: float) -> None:
    require_positive(churn, "churn", or_zero=True)
    if churn > 0 and method == "bdia":
        raise InputError("churn with method='bdia': inversion needs the ODE, use churn=0")
    if churn > 0 and method != "multistep":
        raise InputError(f"churn is for method='multistep', got method={method!r}")
