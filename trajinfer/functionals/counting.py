"""Functionals of paths that can only be drawn, or were recorded: evaluated path by path."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.functionals.dynamics import PathSource, as_points, horizon_of
from trajinfer.questions.functional import Functional, values_at

_STEPS = 64
_ROUNDING = 1e-6


def count_paths(
    functional: Functional, source: PathSource, x0: Any, n: int, step: float | None, seed: int
) -> tuple[Array, Array, int]:
    """Mean (B,) and standard error (B,) over paths, and the number of steps.

    Raises:
        InputError: for questions about paths to a source whose samples are none, without a horizon,
            or beyond what was recorded.
    """
    values, times = paths_of(functional, source, x0, n, step, seed)
    payoff = np.stack([path_payoffs(functional, times, paths) for paths in values])
    error = payoff.std(axis=1, ddof=1) / np.sqrt(payoff.shape[1])
    return payoff.mean(axis=1), error, len(times) - 1


def paths_of(
    functional: Functional, source: PathSource, x0: Any, n: int, step: float | None, seed: int
) -> tuple[Array, Array]:
    """Paths (B, n, T, D) and their times (T,) from the start on."""
    if functional.is_path_question and not source.coherent:
        raise InputError(
            f"samples of this {source.name} are right at each time, but are no paths along them, "
            "so nothing that happens on the way can be counted; fit one with dynamics='lead', or "
            "ask for a value at the horizon (expected, exceedance)"
        )
    horizon = horizon_of(functional, source.axis)
    if source.recorded is not None:
        return _recorded(source, horizon)
    if horizon is None:
        raise InputError(
            f"a {source.name} can only be followed for some time; give the functional a horizon="
        )
    if source.draw is None:
        raise InputError(f"no paths can be drawn from {source.name}")
    if source.times is None:
        times = _even_times(functional, horizon, step)
    else:
        times = _rows_until(horizon, source.times, step)
    starts = source.last if x0 is None else x0
    paths = source.draw(starts, times, n, seed)
    if starts is not None:
        _tell_stopped(functional, paths[:, 0, 0])
    return paths, times


def _even_times(functional: Functional, horizon: float, step: float | None) -> Array:
    count = _STEPS if functional.is_path_question else 1
    if step is not None:
        count = max(1, int(np.ceil(horizon / step - 1e-9)))
    return np.linspace(0.0, horizon, count + 1)


def _rows_until(horizon: float, rows: Array, step: float | None) -> Array:
    """Durations of the rows up to the horizon, which is that of a row.

    Raises:
        InputError: for another horizon, or steps.
    """
    near = np.abs(rows - horizon) <= _ROUNDING * rows[-1]
    if not near.any():
        raise InputError(
            f"there are draws at rows alone, {rows[1]:g} to {rows[-1]:g} after the first; the "
            f"horizon is {horizon:g}, take {rows[1:][np.argmin(np.abs(rows[1:] - horizon))]:g}"
        )
    if step is not None:
        raise InputError("there are draws at rows alone, so that there is no step= to choose")
    return rows[: int(near.argmax()) + 1]


def _tell_stopped(functional: Functional, starts: Array) -> None:
    """Warn of starts (B, D) at which nothing is left to ask."""
    stopped = np.zeros(len(starts), dtype=bool)
    for region, _ in functional.stopping:
        stopped |= region.contains(starts)
    if stopped.any():
        warnings.warn(
            f"{int(stopped.sum())} of the starts already lie in the stopping set; they have the "
            "value paid there",
            UserWarning,
            stacklevel=4,
        )


def _recorded(source: PathSource, horizon: float | None) -> tuple[Array, Array]:
    paths = source.recorded.in_order()
    since = paths.ts - paths.ts[..., :1]
    if since.ndim == 2:
        if (np.ptp(since, axis=0) > 1e-9 * since.max()).any():
            raise InputError(
                "recorded paths must be observed at the same times since their start; cut them to "
                "a common grid first"
            )
        since = since[0]
    if horizon is not None and horizon > since[-1] * (1 + 1e-9):
        raise InputError(
            f"the paths were recorded for {since[-1]:g}, the horizon is {horizon:g}; shorten it"
        )
    keep = slice(None) if horizon is None else since <= horizon * (1 + 1e-9)
    return paths.values[None, :, keep], since[keep]


def path_payoffs(functional: Functional, times: Array, paths: Array) -> Array:
    """What each of n paths (n, T, D) at `times` (T,) is worth, (n,); exits are those observed."""
    n, steps, dim = paths.shape
    flat = as_points(paths.reshape(-1, dim), dim, "paths")
    stop = np.full((n, steps), False)
    value = np.zeros((n, steps))
    for region, paid in reversed(functional.stopping):
        inside = region.contains(flat).reshape(n, steps)
        value = np.where(inside, _along(paid, times, paths), value)
        stop |= inside
    first = np.where(stop.any(axis=1), stop.argmax(axis=1), steps - 1)
    stopped = stop.any(axis=1)
    rate = _along(functional.discount, times, paths)
    gaps = np.diff(times)
    decay = np.cumsum((rate[:, 1:] + rate[:, :-1]) / 2 * gaps, axis=1)
    discount = np.exp(-np.concatenate([np.zeros((n, 1)), decay], axis=1))
    reward = _along(functional.running, times, paths) * discount
    collected = np.cumsum((reward[:, 1:] + reward[:, :-1]) / 2 * gaps, axis=1)
    collected = np.concatenate([np.zeros((n, 1)), collected], axis=1)
    rows = np.arange(n)
    end = _along(functional.terminal, times, paths)[:, -1]
    if not functional.ends_by_horizon:
        end = np.zeros(n)
    paid_at_end = np.where(stopped, value[rows, first], end) * discount[rows, first]
    return np.asarray(paid_at_end + collected[rows, first])


def _along(part: Any, times: Array, paths: Array) -> Array:
    """A part of a functional along paths, (n, T)."""
    return np.stack([values_at(part, t, paths[:, k]) for k, t in enumerate(times)], axis=1)
