"""The uncertainty of a fit carried into an answer."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trajinfer._core.checkpoint_folder import checkpointed, once
from trajinfer._core.checks import Array, require_fraction, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.parallel import Task, fan_out
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.functionals.asked import as_dynamics
from trajinfer.functionals.dynamics import Chain, Diffusion
from trajinfer.functionals.methods.chain import ENDLESS
from trajinfer.functionals.methods.scale_measure import NeverSurely
from trajinfer.functionals.value_function import ValueFunction
from trajinfer.questions.functional import Functional


@dataclass(frozen=True, eq=False)
class FitInterval:
    """An answer at B starts, with an interval over fits.

    Attributes:
        value: (B,) of the fit itself, or the median where only refits were given.
        lower: (B,).
        upper: (B,).
        draws: (n, B) the answers of the single fits.
    """

    value: Array
    lower: Array
    upper: Array
    draws: Array


def fit_interval(
    functional: Functional,
    process: Any,
    x0: Any,
    *,
    level: float = 0.9,
    n: int = 200,
    random_state: RandomState = None,
    n_jobs: int | None = None,
    checkpoint: str | Path | None = None,
    **settings: Any,
) -> FitInterval:
    """An answer with an interval that carries the uncertainty of the fit.

    Args:
        functional: the question.
        process: a fitted `MarkovJumpProcess` or `SchrodingerBridge`, whose rates or parameters are
            drawn with their errors; or a sequence of fits of the same estimator to resampled data,
            the first of them to the data themselves. A draw in which a mean time is infinite counts
            as infinite.
        x0: starts, as for `estimate`.
        level: probability of the interval.
        n: draws of the rates, or of the parameters.
        random_state: seed of the draws.
        n_jobs: workers, of the back end of `joblib.parallel_config`; -1 takes all cores, None
            what is configured there, else 1. The answer is the same for any number.
        checkpoint: folder in which every answer is kept as it is done, so that a call that was
            killed goes on from there.
        settings: of the `ValueFunction` that answers.

    Raises:
        InputError: if there is neither a source of draws nor more than one fit, or the checkpoint
            is that of another call.
    """
    require_fraction(level, "level")

    def identity() -> dict[str, Any]:
        return {"functional": functional, "process": process, "x0": x0, "n": n} | settings

    with checkpointed(checkpoint, "interval of an answer", identity):
        seed = once("seed", seed_from, random_state)
        fits = _fits(process, n, seed)
        asked = {**settings, "functional": functional, "random_state": seed}
        value = _answer(asked, fits[0], x0)
        tasks = [
            Task(f"answer of fit {k + 1} of {len(fits)} (seed {seed})", (asked, fit, x0))
            for k, fit in enumerate(fits[1:], start=1)
        ]
        draws = np.stack(fan_out(_answer_of_draw, tasks, n_jobs=n_jobs))
    tail = (1 - level) / 2
    lower = np.quantile(draws, tail, axis=0, method="lower")
    upper = np.quantile(draws, 1 - tail, axis=0, method="higher")
    return FitInterval(value, np.asarray(lower), np.asarray(upper), draws)


def _fits(process: Any, n: int, seed: int) -> list[Any]:
    """The fit itself, and others as plausible as the data leave them."""
    if not isinstance(process, Sequence) or isinstance(process, str):
        return [process, *_drawn(process, require_integer(n, "n", least=10), seed)]
    if len(process) < 10:
        raise InputError(
            f"an interval needs at least 10 fits to resampled data, got {len(process)}"
        )
    return list(process)


def _answer(settings: dict[str, Any], fit: Any, x0: Any) -> Array:
    points = None if isinstance(as_dynamics(fit), Chain) else x0
    answer: Array = ValueFunction(**settings).fit(fit, points).predict(x0)
    return answer


def _answer_of_draw(settings: dict[str, Any], fit: Any, x0: Any) -> Array:
    try:
        with warnings.catch_warnings():  # of the fit itself it is said once
            warnings.filterwarnings("ignore", ENDLESS)
            return _answer(settings, fit, x0)
    except NeverSurely:
        return np.array([_of_one_start(settings, fit, x) for x in np.atleast_1d(x0)])


def _of_one_start(settings: dict[str, Any], fit: Any, x: Any) -> float:
    try:
        return float(_answer(settings, fit, [x])[0])
    except NeverSurely:
        return np.inf


def _drawn(process: Any, n: int, seed: int) -> list[Chain] | list[Diffusion]:
    """The process with rates, or parameters, as plausible as the data leave them."""
    dynamics = as_dynamics(process)
    if isinstance(dynamics, Chain) and dynamics.draw_rates is not None:
        return [Chain(r, dynamics.states, dynamics.axis) for r in dynamics.draw_rates(n, seed)]
    if isinstance(dynamics, Diffusion) and dynamics.draw_fits is not None:
        return dynamics.draw_fits(n, seed)
    raise InputError(
        f"a {type(process).__name__} does not say how far its fit may be off; give a list of "
        "fits to resampled data, the first of them to the data themselves"
    )
