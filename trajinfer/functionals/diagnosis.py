"""Whether a value function is right: martingale losses and scores; what its parameters do to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.functionals.dynamics import Diffusion, Dynamics, PathSource
from trajinfer.questions.functional import Functional, values_at

_WORST = 4.0
_WAVES = 4
_MOVE = 0.01


def martingale_loss(solution: Any, source: Dynamics) -> float:
    """Mean square of what was realised from each time on, less the value there, over time.

    What comes after the end of a path is taken from the value itself, so paths should be long.

    Raises:
        InputError: if the paths are not recorded ones, or the question has a horizon.
    """
    along = _Along.of(solution, source)
    realised = along.values[:, -1]
    loss, weight = 0.0, 0.0
    for k in range(along.decay.shape[1] - 1, -1, -1):
        going = along.going[:, k]
        ahead = along.earned[:, k] + along.decay[:, k] * realised
        realised = np.where(going, ahead, along.values[:, k])
        error = (realised - along.values[:, k])[going]
        gap = along.times[k + 1] - along.times[k]
        loss, weight = loss + gap * float(error @ error), weight + gap * len(error)
    return loss / max(weight, 1e-300)


@dataclass(frozen=True, eq=False)
class _Along:
    """The value along recorded paths.

    Attributes:
        times: (T,).
        paths: (n, T, D).
        values: (n, T).
        going: (n, T - 1) bool, whether a path had not stopped before the step.
        decay: (n, T - 1) the discount of each step.
        earned: (n, T - 1) the reward of each step.
    """

    times: Array
    paths: Array
    values: Array
    going: Array
    decay: Array
    earned: Array

    @classmethod
    def of(cls, solution: Any, source: Dynamics) -> _Along:
        functional: Functional = solution.functional
        times, paths = _grid(functional, source)
        n, steps, dim = paths.shape
        flat = paths.reshape(-1, dim)

        def on_paths(values: Array) -> Array:
            return values.reshape(n, steps)

        stopped = np.zeros(len(flat), dtype=bool)
        for region, _ in functional.stopping:
            stopped |= region.contains(flat)
        going = ~np.maximum.accumulate(on_paths(stopped), axis=1)[:, :-1]
        rate = on_paths(values_at(functional.discount, 0.0, flat))
        reward = on_paths(values_at(functional.running, 0.0, flat))
        gaps = np.diff(times)
        decay = np.exp(-(rate[:, 1:] + rate[:, :-1]) / 2 * gaps)
        earned = gaps / 2 * (reward[:, :-1] + decay * reward[:, 1:])
        values = on_paths(np.asarray(solution.value(0.0, flat)))
        return cls(times, paths, values, going, decay, earned)

    @property
    def increments(self) -> Array:
        """(n, T - 1) of what is a martingale if the value is right."""
        after = self.decay * self.values[:, 1:] + self.earned
        return np.asarray((after - self.values[:, :-1]) * self.going)


def martingale_scores(solution: Any, source: Dynamics, seed: int) -> pd.DataFrame:
    """z-scores of the sums of test functions over the increments of the value along paths."""
    along = _Along.of(solution, source)
    n, steps, dim = along.paths.shape
    flat = along.paths[:, :-1].reshape(-1, dim)
    scale = np.where(flat.std(axis=0) > 0, flat.std(axis=0), 1.0)
    z = (flat - flat.mean(axis=0)) / scale
    tests = {"1": np.ones(len(flat)), "time": np.tile(along.times[:-1], n)}
    tests |= {f"x{d}": z[:, d] for d in range(dim)}
    rng = np.random.default_rng(seed)
    for k in range(_WAVES):
        wave = rng.normal(0, 2 / np.sqrt(dim), dim)
        tests[f"wave {k}"] = np.sin(z @ wave + rng.uniform(0, 2 * np.pi))
    rows = []
    for name, test in tests.items():
        sums = (test.reshape(n, steps - 1) * along.increments).sum(axis=1)
        error = sums.std(ddof=1) / np.sqrt(n)
        score = float(sums.mean() / error) if error > 0 else 0.0
        rows.append({"function": name, "z": score, "flagged": abs(score) > _WORST})
    return pd.DataFrame(rows)


def _grid(functional: Functional, source: Dynamics) -> tuple[Array, Array]:
    """Times (T,) and values (n, T, D) of recorded paths."""
    if not isinstance(source, PathSource) or source.recorded is None:
        raise InputError("the value is tested along recorded paths; give Trajectories")
    if functional.horizon is not None:
        raise InputError(
            "a question with a horizon is tested by estimate, at the starts of interest"
        )
    paths = source.recorded.in_order()
    times = paths.ts if paths.ts.ndim == 1 else paths.ts[0]
    return times - times[0], paths.values


def elasticities(dynamics: Dynamics, values: Callable[[Any], Array]) -> pd.DataFrame:
    """Derivatives d log V / d log theta, mean over the states, for every parameter of a process.

    Raises:
        InputError: if the parameters are not known.
    """
    if not isinstance(dynamics, Diffusion) or dynamics.sde is None:
        raise InputError(
            "elasticities are known for the processes of trajinfer; for a chain take fit_interval"
        )
    rows = []
    for name, value in dynamics.sde.coefficients.values().items():
        array = value.detach().numpy()
        for place in np.ndindex(array.shape):
            if array[place] == 0:
                continue
            answers = [values(_moved(dynamics.sde, name, place, sign)) for sign in (1, -1)]
            up, down = (np.log(np.abs(answer)) for answer in answers)
            known = np.isfinite(up) & np.isfinite(down)
            mean = float((up - down)[known].mean() / (2 * _MOVE)) if known.any() else np.nan
            label = name if not place else f"{name}[{', '.join(map(str, place))}]"
            rows.append({"parameter": label, "value": float(array[place]), "elasticity": mean})
    return pd.DataFrame(rows)


def _moved(sde: Any, name: str, place: tuple[int, ...], sign: int) -> Any:
    """A copy with one parameter changed by one per cent."""
    other = sde.copy()
    value = other.coefficients.values()[name].detach().numpy().copy()
    value[place] = value[place] * (1 + sign * _MOVE)
    other.coefficients.assign(name, value)
    return other
