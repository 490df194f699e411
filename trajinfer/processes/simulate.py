"""Sample paths of a process, and snapshots in which every individual is seen once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.checks import (
    Array,
    as_array,
    require_finite,
    require_increasing,
    require_integer,
    unmasked,
)
from trajinfer._core.devices import home_of
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, spawn, torch_generator
from trajinfer.data import Snapshots, TimeAxis, Trajectories
from trajinfer.data.time_axis import nearest_time
from trajinfer.processes.base import Process
from trajinfer.sde import SDELike, solve

_STEPS_PER_INTERVAL = 10
_STEPS_PER_RELAXATION = 20


@independent_of_global_state
def simulate(
    process: SDELike,
    y0: Any | Callable[[torch.Generator], Tensor],
    ts: Any,
    n: int,
    random_state: RandomState = None,
    *,
    step: float | None = None,
) -> Trajectories:
    """Draw sample paths of a process.

    Processes with a known transition law are drawn exactly; others are solved with steps of at most
    `step`, on the device where the process stands.

    Args:
        process: the SDE.
        y0: (D,) one start for all, (n, D) one each, or a function generator -> (n, D).
        ts: (T,) increasing times (numbers, datetimes or durations); the start is at ts[0].
        n: number of paths.
        random_state: seed or generator.
        step: largest step; None takes a tenth of the shortest interval or a twentieth of the
            shortest relaxation time at the start, whichever is smaller.

    Returns:
        n trajectories with values (n, T, D).

    Raises:
        InputError: for times that do not increase, a start of the wrong shape, or n < 1.
        SolverError: if the solution explodes.

    Example:
        >>> from trajinfer.processes import Brownian
        >>> simulate(Brownian(volatility=1.0), [0.0], [0, 1, 2], n=5, random_state=0)
        Trajectories(5 paths, 3 times, dim 1)
    """
    labels = ts if isinstance(ts, pd.Index) else np.ravel(unmasked(ts))
    axis = TimeAxis.of(labels)
    times = axis.encode(labels)
    require_finite(times, "ts")
    require_increasing(times, "ts")
    n = require_integer(n, "n", least=1)
    if step is not None and not step > 0:
        raise InputError(f"step must be positive, got {step!r}")
    seed_start, seed_noise = spawn(seed_from(random_state), 2)
    start = _starts(y0, n, torch_generator(seed_start))
    if isinstance(process, Process) and start.shape[1] != process.dim:
        raise InputError(f"y0 must have {process.dim} columns, got {start.shape[1]}")
    if len(times) == 1:
        return Trajectories(times, start.unsqueeze(1).numpy(), axis=axis)
    start = start.to(home_of(process))
    exact = isinstance(process, Process) and process.has_exact_step
    with torch.no_grad():
        solution = solve(
            process,
            start,
            torch.as_tensor(times),
            method="exact" if exact else _method(process),
            step=None if exact else step or default_step(process, start, times),
            random_state=seed_noise,
        )
    return Trajectories(times, solution.ys.cpu().numpy(), axis=axis)


@independent_of_global_state
def make_snapshots(
    trajectories: Trajectories,
    times: Any = None,
    *,
    n: int | None = None,
    random_state: RandomState = None,
) -> Snapshots:
    """Turn trajectories into population snapshots in which each is seen at one time only.

    Args:
        trajectories: paths on a shared grid.
        times: K times of the grid; None takes all.
        n: individuals per snapshot; None shares all paths out equally.
        random_state: decides who is seen when.

    Raises:
        InputError: if there are fewer than n K paths, or paths have times of their own.
    """
    if trajectories.ts.ndim != 1:
        raise InputError("trajectories must share their times to be cut into snapshots")
    axis = trajectories.axis
    chosen = trajectories.ts if times is None else axis.encode(np.atleast_1d(times))
    size = len(trajectories) // len(chosen) if n is None else n
    if size < 1 or size * len(chosen) > len(trajectories):
        raise InputError(
            f"{len(chosen)} snapshots of {max(size, 1)} individuals need "
            f"{max(size, 1) * len(chosen)} trajectories, got {len(trajectories)}; each is seen once"
        )
    order = np.random.default_rng(seed_from(random_state)).permutation(len(trajectories))
    seen = order[: size * len(chosen)].reshape(len(chosen), size)
    labels = axis.decode(chosen)
    points = [trajectories.at(t)[who] for t, who in zip(labels, seen, strict=True)]
    return Snapshots(
        chosen,
        tuple(points),
        _seen_weights(trajectories, chosen, seen),
        trajectories.features,
        axis,
    )


def _seen_weights(
    trajectories: Trajectories, times: Array, seen: Array
) -> tuple[Array, ...] | None:
    """Weights of those who are seen at each time."""
    weights = trajectories.weights
    if weights is None:
        return None
    if weights.ndim == 1:
        return tuple(weights[who] for who in seen)
    index, _ = nearest_time(times[:, None], trajectories.ts)
    return tuple(weights[who, int(k)] for who, k in zip(seen, np.ravel(index), strict=True))


def default_step(process: SDELike, start: Tensor, times: Array) -> float:
    """A step that resolves the output times and the fastest relaxation at the start."""
    step = float(np.diff(times).min()) / _STEPS_PER_INTERVAL
    if isinstance(process, Process):
        sample = start[:256]
        jacobian = process.jacobian(sample.new_tensor(times[0]), sample, process.values())
        rate = float(torch.linalg.matrix_norm(jacobian.detach()).quantile(0.9))
        if rate > 0:
            step = min(step, 1.0 / (_STEPS_PER_RELAXATION * rate))
    return step


def _method(process: SDELike) -> str | None:
    """The most accurate cheap solver for coordinate-wise noise; else the solver's own default."""
    if not isinstance(process, Process):
        return None
    if process.noise_type == "additive":
        return "sra1"
    return "milstein" if process.commutes else "euler"


def _starts(y0: Any, n: int, generator: torch.Generator) -> Tensor:
    given = y0(generator) if callable(y0) else y0
    array = as_array(given, "y0")
    if array.ndim == 1:
        array = np.broadcast_to(array, (n, len(array))).copy()
    if array.ndim != 2 or len(array) != n:
        raise InputError(f"y0 must have shape (D,) or ({n}, D), got {array.shape}")
    require_finite(array, "y0")
    return torch.as_tensor(array)
