"""Answers at given starts, with standard errors: exact where they can be, else by simulation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.special import ndtri

from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.checks import Array, require_fraction, require_integer
from trajinfer._core.errors import InputError, SolverError, nearest
from trajinfer._core.seeding import RandomState, seed_from, seeds_by_name
from trajinfer.functionals.asked import as_dynamics
from trajinfer.functionals.counting import count_paths
from trajinfer.functionals.dynamics import Chain, Diffusion, PathSource, horizon_of, names_of
from trajinfer.functionals.exits import Exits
from trajinfer.functionals.extrapolation import told_beyond
from trajinfer.functionals.guide import Guide
from trajinfer.functionals.methods import chain as chains
from trajinfer.functionals.methods import scale_measure
from trajinfer.functionals.methods.domain import natural_duration
from trajinfer.functionals.walk import Rules, Stepper, Walkers
from trajinfer.questions.functional import Functional, require_functional, values_at
from trajinfer.questions.region import Region

_EXITS = ("bridge", "weights", "plain")
_ROWS = 200_000
_MOST_STEPS = 1_000_000
_FORGOTTEN = 1e-6
_FEWEST_PATHS, _ALL_PATHS = 20, 400_000


@dataclass(frozen=True, eq=False)
class Estimate:
    """Answers at B starts.

    Attributes:
        value: (B,).
        std_error: (B,) of the simulation; 0 where the answer is exact.
        n: paths per start; 0 where none were needed.
        effective_n: (B,) paths that count after weighting.
        n_steps: the largest number of steps of a path.
        step_error: (B,) difference between steps of this length and of twice this length.
    """

    value: Array
    std_error: Array
    n: int
    effective_n: Array
    n_steps: int
    step_error: Array

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Lower and upper end (B,) of the interval of the simulation error.

        Raises:
            InputError: for a level outside (0, 1).
        """
        require_fraction(level, "level")
        half = float(ndtri((1 + level) / 2)) * self.std_error
        return self.value - half, self.value + half


@independent_of_global_state
def estimate(  # noqa: PLR0913 (each is one choice of the user)
    functional: Functional,
    process: Any,
    x0: Any = None,
    *,
    n: int = 10_000,
    step: float | None = None,
    exits: Exits = "bridge",
    control: Any = None,
    tilt: Callable[..., Array] | Literal["auto"] | None = None,
    antithetic: bool = False,
    t0: float = 0.0,
    chunk: int | None = None,
    random_state: RandomState = None,
) -> Estimate:
    """What a functional is worth at given starts, with standard errors.

    Chains are answered exactly. Diffusions are simulated, with exact steps where the drift is
    affine and Euler's elsewhere; exits between steps are drawn by the law of a Brownian bridge.
    Sources of paths are drawn from and counted.

    Args:
        functional: the question.
        process: a process, or a fitted estimator; see `as_dynamics`.
        x0: starts: (D,), (B, D), labels of a chain, or the series that a forecaster goes on from;
            None takes the last observed states where the process knows them.
        n: paths per start.
        step: length of a step; None takes one that resolves drift and horizon.
        exits: "bridge" draws whether and when a wall was touched; "weights" carries the probability
            that it was not, which is smooth and less noisy; "plain" looks at the ends of steps
            alone, and finds too few exits.
        control: a fitted `ValueFunction` whose martingale is subtracted, or "auto" for one made
            here; None for none.
        tilt: (t, x) -> (n, M) added to the noise and weighed out, for rare events; "auto" follows
            the logarithm of a committor.
        antithetic: whether paths come in pairs with opposite noise.
        t0: the time at the start.
        chunk: rows simulated at once; it bounds the memory and changes nothing else.
        random_state: seed or generator. A start has the same draws in any company.

    Returns:
        Values, standard errors, and the error of the step.

    Raises:
        InputError: for settings or starts that cannot be used, or path questions to a source whose
            samples are no paths.
        SolverError: if paths explode, or do not stop.

    Example:
        >>> from trajinfer.functionals import estimate, hitting_time, outside
        >>> from trajinfer.processes import Brownian
        >>> exit = estimate(hitting_time(outside(-1, 1)), Brownian(volatility=1.0), [0.0],
        ...                 n=1000, step=0.05, random_state=0)
        >>> bool(abs(exit.value[0] - 1.0) < 4 * exit.std_error[0] + exit.step_error[0])
        True
    """
    require_functional(functional)
    dynamics = as_dynamics(process)
    question = functional.on(names_of(dynamics), getattr(dynamics, "dim", 1))
    if exits not in _EXITS:
        raise InputError(f"unknown exits={exits!r}; {nearest(str(exits), _EXITS)}")
    require_integer(n, "n", least=2)
    seed = seed_from(random_state)
    if isinstance(dynamics, Chain):
        return _exact(question, dynamics, x0)
    if isinstance(dynamics, PathSource):
        values, errors, steps = count_paths(question, dynamics, x0, n, step, seed)
        size = np.full(len(values), float(n))
        return Estimate(values, errors, n, size, steps, np.full(len(values), np.nan))
    starts = dynamics.points(dynamics.last if x0 is None else x0)
    horizon = horizon_of(question, dynamics.axis)
    dynamics = told_beyond(dynamics, starts, question.regions, horizon)
    steady = not dynamics.depends_on_time(starts)
    if steady and question.running is not None and scale_measure.applies(question, dynamics):
        scale_measure.solve(question, dynamics, starts)  # refuses what has no finite mean
    simulation = _Simulation.of(
        question, dynamics, starts, step, exits, control, tilt, antithetic, t0, seed
    )
    return simulation.run(starts, n, chunk)


def paths_each(n_states: int) -> int:
    """Paths from each of many states, such that they are about 400 000 in all, but 20 at least."""
    return max(_FEWEST_PATHS, _ALL_PATHS // max(n_states, 1))


def shares(
    questions: Sequence[Functional], diffusion: Diffusion, starts: Array, n: int, seed: int
) -> Array:
    """Shares (B, K) of n paths per start that end in each of the stopping regions first.

    Args:
        questions: one for each region, in their order; they share regions and horizon.
        diffusion: the process.
        starts: (B, D) states.
        n: paths per start.
        seed: of the draws.
    """
    stop = questions[0].stop
    regions = list(stop) if isinstance(stop, Mapping) else []
    numbered = {region: float(k + 1) for k, region in enumerate(regions)}
    question = replace(questions[0], stop=numbered)
    simulation = _Simulation.of(
        question, diffusion, starts, None, "bridge", None, None, False, 0.0, seed
    )
    ends = simulation.ends(starts, n, None)[0]
    reached = np.stack([(ends == k + 1).mean(axis=1) for k in range(len(regions))], axis=1)
    for k, region in reversed(list(enumerate(regions))):
        inside = region.contains(starts)
        reached[inside] = 0.0
        reached[inside, k] = 1.0
    return reached


def _exact(functional: Functional, chain: Chain, x0: Any) -> Estimate:
    values = chains.solve(functional, chain, horizon_of(functional, chain.axis)).values
    codes = np.arange(len(values)) if x0 is None else chain.codes(x0)
    zero = np.zeros(len(codes))
    return Estimate(values[codes], zero, 0, np.full(len(codes), np.inf), 0, zero)


@dataclass(frozen=True, eq=False)
class _Simulation:
    rules: Rules
    diffusion: Diffusion
    step: float
    horizon: float | None
    tilt: Any
    antithetic: bool
    t0: float
    seed: int

    @classmethod
    def of(
        cls,
        functional: Functional,
        diffusion: Diffusion,
        starts: Array,
        step: float | None,
        exits: Exits,
        control: Any,
        tilt: Any,
        antithetic: bool,
        t0: float,
        seed: int,
    ) -> _Simulation:
        if functional.power > 1:
            raise InputError("estimate has no powers of hitting times; take ValueFunction")
        if control is not None and tilt is not None:
            raise InputError("give control= or tilt=, not both: each changes what is averaged")
        horizon = horizon_of(functional, diffusion.axis)
        if step is not None and not step > 0:
            raise InputError(f"step must be positive, got {step!r}")
        length = step or _default_step(diffusion, starts, horizon)
        if horizon is not None:  # an even number of equal steps, so that pairs of them fit
            length = horizon / (2 * max(1, int(np.ceil(horizon / (2 * length) - 1e-9))))
        if exits != "plain":
            _warn_of_unknown_distances([region for region, _ in functional.stopping], starts)
        guide = Guide(functional, diffusion, starts, horizon, t0, seed)
        slope, push = guide.slope(control), guide.push(tilt)
        rules = Rules(functional, exits, slope)
        return cls(rules, diffusion, length, horizon, push, antithetic, t0, seed)

    def run(self, starts: Array, n: int, chunk: int | None) -> Estimate:
        """Values from all starts."""
        with np.errstate(all="ignore"):  # paths that explode are told
            fine, coarse, weights, steps = self.ends(starts, n, chunk)
        return self._summary(starts, n, fine, coarse, weights, steps)

    def ends(self, starts: Array, n: int, chunk: int | None) -> tuple[Array, Array, Array, int]:
        """Payoffs (B, n) with the step and twice the step, weights, and the number of steps.

        Starts are taken in groups that fit the chunk.
        """
        size = max(1, (chunk or _ROWS) // n)
        names = [row.tobytes().hex() for row in np.ascontiguousarray(starts)]
        seeds = seeds_by_name(self.seed, names)
        parts = [
            self._group(starts[k : k + size], seeds[k : k + size], n)
            for k in range(0, len(starts), size)
        ]
        fine, coarse, weights = (np.concatenate(group) for group in list(zip(*parts))[:3])
        return fine, coarse, weights, max(part[3] for part in parts)

    def _summary(
        self, starts: Array, n: int, fine: Array, coarse: Array, weights: Array, steps: int
    ) -> Estimate:
        independent = fine.reshape(len(fine), 2, -1).mean(axis=1) if self.antithetic else fine
        error = independent.std(axis=1, ddof=1) / np.sqrt(independent.shape[1])
        effective = weights.sum(axis=1) ** 2 / np.maximum((weights**2).sum(axis=1), 1e-300)
        value, gap = fine.mean(axis=1), np.abs(fine.mean(axis=1) - coarse.mean(axis=1))
        inside = np.zeros(len(starts), bool)
        for region, paid in reversed(self.rules.functional.stopping):
            there = region.contains(starts)
            value[there] = values_at(paid, self.t0, starts[there])
            inside |= there
        error[inside], gap[inside] = 0.0, 0.0
        if inside.any():
            warnings.warn(
                f"{int(inside.sum())} of the starts already lie in the stopping set; they have the "
                "value paid there",
                UserWarning,
                stacklevel=5,
            )
        if self.tilt is not None and (effective < n / 50).any():
            warnings.warn(
                f"the weights of the tilt leave {effective.min():.0f} of {n} paths; take a weaker "
                "tilt",
                UserWarning,
                stacklevel=5,
            )
        return Estimate(value, error, n, effective, steps, gap)

    def _group(self, starts: Array, seeds: list[int], n: int) -> tuple[Array, Array, Array, int]:
        """Payoffs (B, n) with the step and with twice the step, and weights (B, n)."""
        b = len(starts)
        draws = _Draws([np.random.default_rng(seed) for seed in seeds], n, self.antithetic)
        x = np.repeat(starts, n, axis=0)
        fine, coarse = Walkers.at(x), Walkers.at(x)
        fine_step = Stepper(self.diffusion, self.step, self.tilt)
        coarse_step = Stepper(self.diffusion, 2 * self.step, self.tilt)
        k = len(self.rules.regions)
        t, steps = self.t0, 0
        while self._goes_on(t, fine, coarse):
            rows = np.flatnonzero(fine.alive | coarse.alive)
            parts = fine.take(rows), coarse.take(rows)
            normals = draws.normal(rows, 2 * fine_step.width + 3 * k, fine_step.width * 2)
            chance = draws.uniform(rows, 6 * k)
            z = normals[:, : 2 * fine_step.width].reshape(len(rows), 2, fine_step.width)
            late = normals[:, 2 * fine_step.width :].reshape(len(rows), 3, k)
            odds = chance.reshape(len(rows), 3, 2 * k)
            for half in range(2):
                at = t + half * self.step
                self.rules.advance(
                    parts[0], fine_step, at, z[:, half], odds[:, half], late[:, half]
                )
            joint = z.sum(axis=1) / np.sqrt(2)
            self.rules.advance(parts[1], coarse_step, t, joint, odds[:, 2], late[:, 2])
            fine.put(rows, parts[0])
            coarse.put(rows, parts[1])
            t, steps = t + 2 * self.step, steps + 2
            if not np.isfinite(fine.x[rows]).all():
                raise SolverError(
                    "paths explode before they stop; if the stopping set is not reached for sure, "
                    "give horizon=, else a smaller step=",
                    t=t,
                    h=self.step,
                )
        if self.horizon is not None:
            self.rules.conclude(fine, t)
            self.rules.conclude(coarse, t)
        weights = np.exp(fine.log_weight) * np.where(fine.total != 0, 1.0, 0.0)
        if self.tilt is None:
            weights = np.ones_like(weights)
        payoffs = fine.payoff, coarse.payoff, weights
        fine_values, coarse_values, weight = (part.reshape(b, n) for part in payoffs)
        return fine_values, coarse_values, weight, steps

    def _goes_on(self, t: float, fine: Walkers, coarse: Walkers) -> bool:
        elapsed = t - self.t0
        if self.horizon is not None and elapsed > self.horizon - self.step:
            return False
        if elapsed > _MOST_STEPS * self.step:
            raise SolverError(
                f"{fine.alive.mean():.2%} of the paths have not stopped by t = {t:g}; give "
                "horizon=, or ask ValueFunction",
                t=t,
            )
        for paths in (fine, coarse):
            if self.horizon is None and self.rules.functional.discounted:
                paths.alive &= paths.discount > _FORGOTTEN
        return bool(fine.alive.any() or coarse.alive.any())


class _Draws:
    """Random numbers row by row: those of a start come from its own generator."""

    def __init__(self, generators: list[np.random.Generator], n: int, antithetic: bool) -> None:
        if antithetic and n % 2:
            raise InputError(f"antithetic paths come in pairs; give an even n, got {n}")
        self.generators, self.n, self.antithetic = generators, n, antithetic

    def normal(self, rows: Array, width: int, mirrored: int) -> Array:
        """Normal draws (rows, width); with pairs, the first ones are mirrored in the partner."""
        if not self.antithetic:
            return self._of(rows, lambda g, m: g.standard_normal((m, width)))
        half = self.n // 2
        whole = np.concatenate([self._pairs(g, half, width, mirrored) for g in self.generators])
        return np.asarray(whole[rows])

    def _pairs(self, generator: np.random.Generator, half: int, width: int, own: int) -> Array:
        first, second = generator.standard_normal((2, half, width))
        second[:, :own] = -first[:, :own]
        return np.concatenate([first, second])

    def uniform(self, rows: Array, width: int) -> Array:
        """Uniform draws (rows, width)."""
        return self._of(rows, lambda g, m: g.random((m, width)))

    def _of(self, rows: Array, draw: Callable[[np.random.Generator, int], Array]) -> Array:
        counts = np.bincount(rows // self.n, minlength=len(self.generators))
        return np.concatenate([draw(g, m) for g, m in zip(self.generators, counts) if m])


def _default_step(diffusion: Diffusion, starts: Array, horizon: float | None) -> float:
    natural = natural_duration(diffusion, starts)
    length = natural / 2000 if horizon is None else min(horizon / 64, natural / 200)
    return float(length)


def _warn_of_unknown_distances(regions: list[Region], starts: Array) -> None:
    if any(region.distance(starts[:1]) is None for region in regions):
        warnings.warn(
            "a region has no distance, so exits between steps are missed and times come out too "
            "long; give where(inside, distance)",
            UserWarning,
            stacklevel=5,
        )
