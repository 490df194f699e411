"""When a region is reached: survival, density, hazard, quantiles, mean."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy.ndimage

from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data import TimeAxis
from trajinfer.functionals.asked import as_dynamics
from trajinfer.functionals.counting import paths_of
from trajinfer.functionals.dynamics import Chain, Diffusion, PathSource, names_of
from trajinfer.functionals.extrapolation import told_beyond
from trajinfer.functionals.methods import chain as chains
from trajinfer.functionals.methods import scale_measure
from trajinfer.functionals.methods.chain import Killed
from trajinfer.functionals.methods.domain import domain_of
from trajinfer.functionals.methods.flow import Flow
from trajinfer.functionals.methods.grid_limit import Grids
from trajinfer.functionals.methods.grid_values import GridQuestions, stopping_set
from trajinfer.functionals.methods.registry import choose_or_simulate
from trajinfer.functionals.monte_carlo import estimate
from trajinfer.questions.functional import Functional, hitting_probability, hitting_time
from trajinfer.questions.region import Region, require_region

PassageMethod = Literal["auto", "exact", "grid", "simulate"]
_METHODS = ("auto", "exact", "grid", "simulate")


@dataclass(frozen=True, eq=False)
class PassageLaw:
    """The law of the time until a region is reached, from B starts.

    Attributes:
        ts: (T,) durations since the start, as numbers on the axis.
        survival: (B, T) probability not to have reached it yet.
        density: (B, T) of the time of reaching it.
        mean: (B,) mean time, infinite where it may not be reached; NaN where not known.
        std_error: (B, T) of the survival: of the simulation, or how far a grid may be off; 0 where
            the answer is exact.
        method: what was chosen, and why.
        axis: how durations map to numbers.
    """

    ts: Array
    survival: Array
    density: Array
    mean: Array
    std_error: Array
    method: str
    axis: TimeAxis

    @property
    def hazard(self) -> Array:
        """(B, T) rate of reaching it among those that have not."""
        safe = np.where(self.survival > 0, self.survival, np.nan)
        return np.asarray(self.density / safe)

    def quantile(self, q: float) -> Array:
        """(B,) time by which it is reached with probability q; NaN where that is after all `ts`.

        Raises:
            InputError: for a probability outside (0, 1).
        """
        if not 0 < q < 1:
            raise InputError(f"q must lie between 0 and 1, got {q}")
        left = 1 - q
        times = np.concatenate([[0.0], self.ts])
        result = np.full(len(self.survival), np.nan)
        for b, row in enumerate(self.survival):
            logs = np.log(np.maximum(np.concatenate([[1.0], row]), 1e-300))
            if row[-1] <= left:
                result[b] = np.interp(-np.log(left), -np.minimum.accumulate(logs), times)
        return result

    def interval(self, level: float = 0.9) -> tuple[Array, Array]:
        """(B,) times between which it is reached with the given probability.

        Raises:
            InputError: for a level outside (0, 1).
        """
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    def to_frame(self) -> pd.DataFrame:
        """One row per start and time: start, time, survival, density, hazard."""
        b, t = self.survival.shape
        return pd.DataFrame(
            {
                "start": np.repeat(np.arange(b), t),
                "time": self.axis.since_start().decode(np.tile(self.ts, b)),
                "survival": self.survival.ravel(),
                "density": self.density.ravel(),
                "hazard": self.hazard.ravel(),
            }
        )


@independent_of_global_state
def passage(
    process: Any,
    target: Region,
    x0: Any = None,
    *,
    ts: Any,
    method: PassageMethod = "auto",
    resolution: int | None = None,
    domain: Any = None,
    n: int = 10_000,
    step: float | None = None,
    random_state: RandomState = None,
) -> PassageLaw:
    """The law of the time until a region is reached.

    Args:
        process: a process, or a fitted estimator; see `as_dynamics`.
        target: what is to be reached.
        x0: starts, as for `estimate`.
        ts: (T,) increasing durations since the start.
        method: "exact" (chains), "grid" (at most three coordinates), "simulate", or "auto".
        resolution: cells along each axis of a grid.
        domain: (low, high) corners of a grid.
        n: paths per start, where they are simulated.
        step: of a simulation.
        random_state: seed of what is drawn.

    Raises:
        InputError: for a target that is no region, durations that do not increase, or a method that
            does not fit.

    Example:
        >>> from trajinfer.functionals import passage, outside
        >>> from trajinfer.processes import Brownian
        >>> law = passage(Brownian(volatility=1.0), outside(-1, 1), [0.0], ts=[0.5, 1.0])
        >>> law.survival.round(4).tolist()
        [[0.6854, 0.3708]]
    """
    require_region(target, "target")
    dynamics = as_dynamics(process)
    target = target.on(names_of(dynamics), getattr(dynamics, "dim", 1))
    times = _durations(dynamics.axis, ts)
    if method not in _METHODS:
        raise InputError(f"unknown method {method!r}; {nearest(str(method), _METHODS)}")
    if isinstance(dynamics, Diffusion):
        starts = dynamics.points(dynamics.last if x0 is None else x0)
        dynamics = told_beyond(dynamics, starts, [target], float(times[-1]))
        if (there := int(target.contains(starts).sum())) > 0:
            warnings.warn(
                f"{there} of the starts already lie in the target; their survival is 0",
                UserWarning,
                stacklevel=2,
            )
    question = hitting_probability(target, horizon=float(times[-1]))
    chosen, reason = choose_or_simulate(question, dynamics)
    if method != "auto":
        _require_fitting(method, dynamics)
        chosen, reason = method, "as asked"
    seed = seed_from(random_state)
    if isinstance(dynamics, Chain):
        parts = _of_chain(dynamics, target, x0, times)
    elif chosen == "simulate" or isinstance(dynamics, PathSource):
        parts = _simulated(dynamics, target, x0, times, n, step, seed)
    else:
        parts = _on_grid(dynamics, target, x0, times, resolution, domain, seed)
    survival, density, mean, error = parts
    said = f"{chosen}: {reason}"
    return PassageLaw(times, np.clip(survival, 0.0, 1.0), density, mean, error, said, dynamics.axis)


def _require_fitting(method: str, dynamics: Any) -> None:
    kinds = {Chain: ("exact",), Diffusion: ("grid", "simulate"), PathSource: ("simulate",)}
    known = kinds[type(dynamics) if type(dynamics) in kinds else Chain]
    if method not in known:
        raise InputError(
            f"passage of a {type(dynamics).__name__} has no method={method!r}; take "
            f"{' or '.join(map(repr, known))}"
        )


def _durations(axis: TimeAxis, ts: Any) -> Array:
    times = axis.durations(ts)
    require_finite(times, "ts")
    if (np.diff(times, prepend=0.0) <= 0).any():
        raise InputError(f"ts must be positive and increase, got {as_array(times, 'ts').tolist()}")
    return times


def _of_chain(chain: Chain, target: Region, x0: Any, times: Array) -> tuple[Array, ...]:
    question = hitting_probability(target)
    stopped, going = chains.killed([question], chain)
    n = len(chain.states)
    codes = np.arange(n) if x0 is None else chain.codes(x0)
    inner, density = _decay(stopped, times)
    survival, hits = np.zeros((n, len(times))), np.zeros((n, len(times)))
    survival[going], hits[going] = inner.T, density.T
    mean = chains.solve(hitting_time(target), chain, None).values
    return survival[codes], hits[codes], mean[codes], np.zeros((len(codes), len(times)))


def _decay(stopped: Killed, times: Array) -> tuple[Array, Array]:
    """Survival and density of stopping, (T, S) each."""
    leaving = np.asarray(-stopped.rates.sum(axis=1)).ravel()
    state = np.stack([np.ones(len(leaving)), leaving], axis=1)
    both = Flow(stopped.rates).along(times, state)
    return both[:, :, 0], np.maximum(both[:, :, 1], 0.0)


def _on_grid(
    diffusion: Diffusion,
    target: Region,
    x0: Any,
    times: Array,
    resolution: int | None,
    domain: Any,
    seed: int,
) -> tuple[Array, ...]:
    starts = diffusion.points(diffusion.last if x0 is None else x0)
    question = Functional(stop={target: 0.0}, terminal=1.0, horizon=float(times[-1]))
    low, high = domain_of(diffusion, starts, float(times[-1]), stopping_set(question), domain, seed)
    horizon = float(times[-1])
    grids = Grids.of([question], diffusion, low, high, resolution, horizon, starts)
    (survival, density), errors = grids.limit(partial(_on_cells, starts=starts, times=times))
    # a change that passes through 0 is no sign of an answer that is right
    error = scipy.ndimage.maximum_filter1d(errors[0], size=3, axis=1)
    inside = target.contains(starts)
    survival[inside], density[inside], error[inside] = 0.0, 0.0, 0.0
    mean = _mean(diffusion, target, starts)
    survival = np.clip(survival, 0.0, 1.0)  # the limit of two grids may go beyond
    return survival, np.maximum(density, 0.0), mean, error


def _on_cells(on_grid: GridQuestions, starts: Array, times: Array) -> Array:
    """Survival and density of stopping, (2, B, T)."""
    survival, density = _decay(on_grid.killed(), times)
    rows = [
        [on_grid.solution(values, 0).value(0.0, starts) for values in table]
        for table in (survival, density)
    ]
    return np.stack([np.stack(row, axis=1) for row in rows])


def _mean(diffusion: Diffusion, target: Region, starts: Array) -> Array:
    """Exact in one dimension; infinite where it is not reached for sure."""
    question = hitting_time(target)
    if not scale_measure.applies(question, diffusion):
        return np.full(len(starts), np.nan)
    try:
        return np.asarray(scale_measure.solve(question, diffusion, starts).value(0.0, starts))
    except scale_measure.NeverSurely:
        return np.full(len(starts), np.inf)


def _simulated(
    dynamics: Diffusion | PathSource,
    target: Region,
    x0: Any,
    times: Array,
    n: int,
    step: float | None,
    seed: int,
) -> tuple[Array, ...]:
    """Shares of paths that have not arrived; the density by differences of the survival."""
    if isinstance(dynamics, PathSource):
        survival, n = _counted(dynamics, target, x0, times, n, step, seed)
        error = np.sqrt(survival * (1 - survival) / n)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            answers = [
                estimate(
                    hitting_probability(target, horizon=float(t)),
                    _plain(dynamics),
                    x0 if x0 is not None else dynamics.last,
                    n=n,
                    step=step,
                    exits="weights",
                    random_state=seed,
                )
                for t in times
            ]
        survival = 1 - np.stack([a.value for a in answers], axis=1)
        error = np.stack([a.std_error for a in answers], axis=1)
    full = np.concatenate([np.ones((len(survival), 1)), survival], axis=1)
    density = -np.diff(full, axis=1) / np.diff(times, prepend=0.0)
    return survival, np.maximum(density, 0.0), np.full(len(survival), np.nan), error


def _plain(diffusion: Diffusion) -> Diffusion:
    """The same process with times as numbers."""
    from dataclasses import replace

    return replace(diffusion, axis=TimeAxis())


def _counted(
    source: PathSource,
    target: Region,
    x0: Any,
    times: Array,
    n: int,
    step: float | None,
    seed: int,
) -> tuple[Array, int]:
    question = hitting_probability(target, horizon=float(times[-1]))
    paths, grid = paths_of(question, source, x0, n, step, seed)
    b, count, steps, dim = paths.shape
    inside = target.contains(paths.reshape(-1, dim)).reshape(b, count, steps)
    arrived = np.maximum.accumulate(inside, axis=2)
    at = np.searchsorted(grid, times * (1 + 1e-9), side="right") - 1
    return 1 - arrived[:, :, at].mean(axis=1), count
