"""Trains one model in eight ways and prints what each costs: the table of the heuristics examples.

All ways share the model, the data, the number of training steps and the optimiser. Evaluations are
counted on held-out data with every penalty off. The baselines STEER (random end times) and TayNODE
(penalty on a derivative of the path) live here only.
"""

from __future__ import annotations

import argparse
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer import sde
from trajinfer.sde import Anneal, SolverRegularization
from trajinfer.training import Loss, Optimization, train


@dataclass(frozen=True)
class Way:
    """How a model is trained.

    Attributes:
        name: row of the table.
        regularization: penalty on the steps.
        steer: half the width of the random end time, as a share of the time span.
        derivative: weight of the second time derivative of the path (TayNODE, K = 2).
    """

    name: str
    regularization: SolverRegularization | None = None
    steer: float = 0.0
    derivative: float = 0.0

    def end(self, t0: float, t1: float, generator: torch.Generator) -> float:
        """The end time of a training solve."""
        shift = 2 * float(torch.rand((), generator=generator)) - 1 if self.steer else 0.0
        return t1 + shift * self.steer * (t1 - t0)

    def jittered(self, times: Tensor, generator: torch.Generator) -> Tensor:
        """The output times of a training solve, each moved by part of its gaps."""
        if not self.steer:
            return times
        gaps = times.diff()
        room = 0.99 * torch.minimum(gaps, torch.cat([gaps[1:], gaps[-1:]])) * self.steer
        shift = (2 * torch.rand(len(gaps), generator=generator) - 1) * room
        return torch.cat([times[:1], times[1:] + shift])


class Experiment(ABC):
    """What an example provides.

    Attributes:
        title: printed above the table.
        metric: name of the task metric.
        steps: training steps.
        rate: learning rate.
        validates: evaluate on validation data, on which the weights were chosen, not on test data.
    """

    title: str
    metric: str
    steps: int
    rate: float = 0.01
    validates: bool = False

    @property
    def held_out(self) -> Any:
        """The data to evaluate on."""
        return self.validation if self.validates else self.test  # type: ignore[attr-defined]

    def cooling(self, step: int) -> float:
        """Factor on the learning rate at a training step."""
        return 1 / (1 + 1e-5 * step)

    @abstractmethod
    def model(self, seed: int) -> torch.nn.Module:
        """A fresh model."""

    @abstractmethod
    def loss(self, model: Any, way: Way, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Task loss and unweighted penalty of one training step."""

    @abstractmethod
    def evaluate(self, model: Any, seed: int) -> tuple[float, Sequence[sde.Solution], float]:
        """Task metric on held-out data, solutions whose evaluations count, and seconds taken."""


class ODE(sde.SDE):
    """A base class for dynamics without noise."""

    noise_type, noise_dim = "none", 0

    def g(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        raise TypeError("an ODE has no diffusion")


class WithDerivative(ODE):
    """An ODE with one more coordinate: the integral of the squared second derivative of the path.

    References:
        Kelly, Bettencourt, Johnson and Duvenaud, arXiv 2007.04504.
    """

    def __init__(self, ode: sde.SDE) -> None:
        super().__init__()
        self.ode, self.dim = ode, ode.dim + 1

    def f(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        z = y[:, :-1]
        first = self.ode.f(t, z)
        tangents = (torch.ones_like(t), first)
        second = torch.func.jvp(self.ode.f, (t, z), tangents)[1]
        return torch.cat([first, second.square().mean(1, keepdim=True)], dim=1)


def solve_trained(
    ode: sde.SDE, y0: Tensor, ts: Any, way: Way, **options: Any
) -> tuple[Tensor, Tensor]:
    """States and unweighted penalty of a training solve in one of the ways."""
    if not way.derivative:
        solution = sde.solve(ode, y0, ts, regularization=way.regularization, **options)
        return solution.ys, solution.penalty
    wide = torch.cat([y0, y0.new_zeros(y0.shape[0], 1)], dim=1)
    solution = sde.solve(WithDerivative(ode), wide, ts, **options)
    return solution.ys[..., :-1], solution.ys[:, -1, -1].mean()


def digits() -> tuple[tuple[Tensor, Tensor], ...]:
    """Pixels (n, 64) and labels (n,) of 1000 training, 297 validation and 500 test digits."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    x, y = torch.as_tensor(pixels / 16, dtype=torch.float32), torch.as_tensor(labels)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return tuple((x[part], y[part]) for part in order.split([1000, 297, 500]))


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """A result and the processor time it took; the clock on the wall depends on other programs."""
    start = time.process_time()
    result = action()
    return result, time.process_time() - start


def ways(
    weights: dict[str, float],
    steps: int,
    *,
    ode: bool,
    last: float = 0.1,
    reduce: Any = "mean",
    **settings: Any,
) -> tuple[Way, ...]:
    """The rows: vanilla, global, local, and for ODEs the baselines.

    Args:
        weights: of "error", "local error", "stiffness", "local stiffness", "steer", "taynode".
        steps: over which the weight of the error changes.
        ode: whether STEER and TayNODE apply; on an SDE they would change the law, or do not exist.
        last: factor on the weight of the error at the end.
        reduce: how errors of the steps are put together.
        settings: of all penalties.
    """

    def penalty(kind: Any, weight: str, **more: Any) -> SolverRegularization:
        start = weights[weight]
        annealed = Anneal.exponential(start, last * start, steps) if kind == "error" else start
        return SolverRegularization(kind, reduce=reduce, weight=annealed, **settings, **more)

    local = {"mode": "local"}
    rows = [
        Way("vanilla"),
        Way("global error", penalty("error", "error")),
        Way("global stiffness", penalty("stiffness", "stiffness")),
        Way("local unbiased", penalty("error", "local error", **local)),
        Way("local biased", penalty("error", "local error", sampling="biased", **local)),
        Way("local stiffness", penalty("stiffness", "local stiffness", **local)),
    ]
    if ode:
        rows += [
            Way("STEER", steer=weights["steer"]),
            Way("TayNODE K=2", derivative=weights["taynode"]),
        ]
    return tuple(rows)


class Draws:
    """The randomness of a training as one stream: these trainings are short and never resumed."""

    per_epoch = 50

    def __init__(self, seed: int) -> None:
        self.seed, self._generator = seed, torch.Generator().manual_seed(seed)

    def at(self, _step: int) -> torch.Generator:
        return self._generator


def trained(experiment: Experiment, way: Way, seed: int) -> Any:
    """A model trained in one way."""
    model = experiment.model(seed)

    def objective(generator: torch.Generator, step: int) -> Loss:
        loss, penalty = experiment.loss(model, way, generator)
        weight = way.regularization.weight(step) if way.regularization else way.derivative
        return Loss(loss + weight * penalty, {"task": loss, "penalty": penalty})

    optimiser = torch.optim.Adam(model.parameters(), lr=experiment.rate)
    optimization = Optimization("model", model, objective, optimiser, schedule=experiment.cooling)
    train([optimization], Draws(seed), experiment.steps)
    return model.eval()


def row(
    experiment: Experiment, way: Way, seeds: Sequence[int], repeats: int
) -> dict[str, np.ndarray]:
    """Costs and task metric of one way, one number per seed.

    "motion" is the root mean square way from start to end, in units of the start: a solve that is
    cheap because it does nothing has none.
    """
    columns: dict[str, list[float]] = {}
    for seed in seeds:
        model, train_time = timed(lambda seed=seed: trained(experiment, way, seed))
        with torch.no_grad():
            runs = [experiment.evaluate(model, seed) for _ in range(repeats)]
        metric, solutions, _ = runs[0]
        # the shortest time is the one least disturbed by other programs
        seconds = min(run[2] for run in runs)
        nfe = [solution.stats.nfe_f + solution.stats.nfe_g for solution in solutions]
        moved = [(s.ys[:, -1] - s.ys[:, 0]).square().mean() for s in solutions]
        size = [s.ys[:, 0].square().mean() for s in solutions]
        numbers = {
            "train s": train_time,
            "predict ms": 1e3 * seconds / len(solutions),
            "NFE": float(np.mean(nfe)),
            "NFE p90": float(np.quantile(nfe, 0.9)),
            experiment.metric: metric,
            "motion": (sum(moved) / sum(size)).sqrt().item(),
        }
        for name, number in numbers.items():
            columns.setdefault(name, []).append(number)
    return {name: np.array(numbers) for name, numbers in columns.items()}


def report(experiment: Experiment, rows: Sequence[Way], seeds: Sequence[int], repeats: int) -> None:
    """Print the table: mean and standard deviation over the seeds, and ratios to vanilla."""
    print(f"{experiment.title}: {len(seeds)} seeds, {experiment.steps} training steps")
    first: dict[str, np.ndarray] | None = None
    for way in rows:
        numbers = row(experiment, way, seeds, repeats)
        if first is None:
            first = numbers
            print("| way | " + " | ".join(numbers) + " | NFE ratio | time ratio |")
            print("|---|" + "---|" * (len(numbers) + 2))
        cells = [f"{v.mean():.4g} ± {v.std():.2g}" for v in numbers.values()]
        ratios = [f"{numbers[k].mean() / first[k].mean():.2f}" for k in ("NFE", "predict ms")]
        print(f"| {way.name} | " + " | ".join([*cells, *ratios]) + " |", flush=True)


def main(experiment: Experiment, rows: Callable[[int], Sequence[Way]]) -> None:
    """Read the settings of the command line and print the table.

    Args:
        experiment: the example.
        rows: the ways by the number of training steps.
    """
    parser = argparse.ArgumentParser(description=experiment.title)
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--steps", type=int, default=experiment.steps, help="training steps")
    parser.add_argument("--only", nargs="*", help="names of the rows to run")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on all weights")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--natural", action="store_true", help="the published estimate (spiral)")
    parser.add_argument("--rising", action="store_true", help="weights that grow (spiral)")
    parser.add_argument("--validate", action="store_true", help="evaluate on validation data")
    parser.add_argument("--quick", action="store_true", help="a check that everything runs")
    given = parser.parse_args()
    experiment.validates = given.validate
    experiment.steps = 3 if given.quick else given.steps
    torch.set_num_threads(1)
    chosen = [way for way in rows(experiment.steps) if not given.only or way.name in given.only]
    if given.scale != 1.0:
        chosen = [_scaled(way, given.scale) for way in chosen]
    n_seeds = 1 if given.quick else given.seeds
    seeds = range(given.first_seed, given.first_seed + n_seeds)
    report(experiment, chosen, seeds, repeats=1 if given.quick else 7)


def _scaled(way: Way, factor: float) -> Way:
    """The same way with another weight."""
    derivative = way.derivative * factor
    if way.regularization is None:
        return replace(way, derivative=derivative)
    settings = {name: getattr(way.regularization, name) for name in _SETTINGS}
    weight = way.regularization.weight
    settings["weight"] = lambda step: factor * weight(step)
    return replace(way, regularization=SolverRegularization(**settings))


_SETTINGS = (
    *("kind", "mode", "sampling", "estimate", "power", "reduce", "n_times", "h", "state_grad"),
    *("rtol", "atol"),
)
