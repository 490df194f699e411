"""Where the search begins: parameters under which mean positions lead from snapshot to snapshot.

Far from the data, transition densities say nothing. The mean of every snapshot is followed to the
next one by the drift alone, hidden coordinates being carried from the first snapshot to the last,
and the misses are made least from several random starts.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import OptimizeResult, least_squares
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import NotConverged
from trajinfer.hidden.partial_reference import PartialReference, held
from trajinfer.references.parameter_vector import ParameterVector
from trajinfer.references.problem import Problem

_STARTS, _JUMP, _MOST_ITERATIONS = 8, 0.7, 15
_STEPS = 4
_BLUR, _LARGE = 0.1, 1e3
_GOOD = 0.5


def begin_at_means(
    model: PartialReference, problem: Problem, spread: Tensor, generator: torch.Generator
) -> None:
    """Set the numbers to those of the start that misses the means least.

    Slopes and spreads of the hidden law at the first snapshot, and the volatility, do not move
    means, and stand still.

    Args:
        model: its numbers are set.
        problem: the snapshots.
        spread: (d,) standard deviations of all points together, the unit of misses.
        generator: of the starts.

    Raises:
        NotConverged: if the drift explodes from every start.
    """
    means = [m.exp() @ points for m, points in zip(problem.log_mass, problem.points)]
    with held(model.slopes, model.log_spread):
        vector = ParameterVector(model, with_volatility=False)
        origin, best = vector.get(), None

        def misses(numbers: Array) -> Array:
            vector.set(numbers)
            with torch.no_grad():
                off = (_arrivals(model, problem, means) - torch.stack(means[1:])) / (_BLUR * spread)
                found = torch.cat([off.flatten(), model.shrinkage]).numpy()
            return np.asarray(np.clip(np.nan_to_num(found, nan=_LARGE), -_LARGE, _LARGE))

        for trial in range(_STARTS):
            jump = torch.randn(len(origin), generator=generator, dtype=torch.float64).numpy()
            start = origin + (_JUMP * jump if trial else 0.0)
            found: OptimizeResult = least_squares(
                misses, start, x_scale="jac", max_nfev=_MOST_ITERATIONS
            )
            if best is None or found.cost < best.cost:
                best = found
            if best.cost < _GOOD * problem.n_segments * len(spread):
                break
        if best is None or best.cost >= 0.5 * _LARGE**2:
            raise NotConverged(
                "the drift of the reference explodes between the snapshots from every start; give "
                "parameters near those you expect and free them with learn()"
            )
        vector.set(best.x)


def _arrivals(model: PartialReference, problem: Problem, means: list[Tensor]) -> Tensor:
    """Measured coordinates (K-1, d) to which the drift leads from the means of snapshots."""
    coordinates, sde = model.coordinates, model.reference.sde
    hidden, found = model.start(means[0].unsqueeze(0)).mean, []
    for k, mean in enumerate(means[:-1]):
        state = coordinates.whole(mean.unsqueeze(0), hidden)
        t, end = problem.span(k)
        h = (end - t) / _STEPS
        for step in range(_STEPS):
            now = state.new_tensor(t + step * h)
            k1 = sde.f(now, state)
            k2 = sde.f(now + h / 2, state + h / 2 * k1)
            k3 = sde.f(now + h / 2, state + h / 2 * k2)
            k4 = sde.f(now + h, state + h * k3)
            state = state + h / 6 * (k1 + 2 * (k2 + k3) + k4)
        found.append(state[0, list(coordinates.observed)])
        hidden = state[:, list(coordinates.hidden)]
    return torch.stack(found)
