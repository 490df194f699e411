"""`make_*`: paths of interacting particles, held out within the same realisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import (
    Array,
    as_array,
    require_finite,
    require_increasing,
    require_integer,
)
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, spawn, torch_generator
from trajinfer.data import Trajectories
from trajinfer.datasets.series_split import SeriesSplit
from trajinfer.processes import FitzHughNagumo, OpinionDynamics, Process
from trajinfer.sde import solve

_STEP = 0.01
_PLACES = 4096
_MOST_PAIRS = 256
_HELD_OUT = 4


def make_opinion_dynamics(
    n: int = 8192,
    times: Any = None,
    *,
    n_systems: int = 1,
    strength: float = 6.0,
    reach: float = 0.2,
    volatility: float = 0.1,
    random_state: RandomState = None,
) -> SeriesSplit:
    r"""Opinions $dX_i = -\frac1n \sum_j \varphi(|X_i - X_j|)(X_i - X_j) dt + \sigma dW_i$.

    Two camps form and then merge; see `OpinionDynamics`. All agents of a system share one random
    macroscopic state, so two realisations differ in law at finite n. A single system is therefore
    split by agents (every fourth is held out), several systems by whole systems.

    Args:
        n: agents per system.
        times: (T,) increasing, from 0; None takes 101 times in [0, 1].
        n_systems: independent systems, each from a fresh start.
        strength: $\theta_1$ of the influence.
        reach: $\theta_2$ of the influence.
        volatility: $\sigma$.
        random_state: seed or generator.

    Returns:
        Paths of one coordinate. Groups are the systems; with one system every agent is a group.

    Raises:
        InputError: for times that do not increase from 0, or sizes too small to split.

    References:
        Motsch and Tadmor, SIAM Review 56(4), 2014; as a test of generators: Min, Hu, Ichiba,
        ICML 2023, arXiv 2304.13131.

    Example:
        >>> make_opinion_dynamics(40, [0.0, 0.5, 1.0], random_state=0)
        SeriesSplit(30 training and 10 held-out series, 3 times, dim 1)
    """
    n = require_integer(n, "n", least=1)
    # Few agents are compared pair by pair; many are shared out to places.
    n_grid = None if n <= _MOST_PAIRS else _PLACES
    process = OpinionDynamics(n, strength, reach, volatility=volatility, n_grid=n_grid)

    def start(generator: torch.Generator) -> Tensor:
        return 4 * torch.rand(n_systems, n, generator=generator, dtype=torch.float64) - 2

    return _split(process, start, n, n_systems, times, ("opinion",), random_state)


def make_fitzhugh_nagumo(
    n: int = 8192,
    times: Any = None,
    *,
    n_systems: int = 1,
    coupling: float = 1.0,
    random_state: RandomState = None,
) -> SeriesSplit:
    r"""Neurons (V, w, y) coupled by the mean share of open channels; see `FitzHughNagumo`.

    Starts are normal with mean (0, 0.5, 0.3) and variances (0.4, 0.4, 0.05). The recovery w has no
    noise of its own.

    Args:
        n: neurons per system.
        times: as in `make_opinion_dynamics`.
        n_systems: as in `make_opinion_dynamics`.
        coupling: J; 0 uncouples the drift.
        random_state: seed or generator.

    Returns:
        Paths of three coordinates, split as in `make_opinion_dynamics`.

    Raises:
        InputError: as for `make_opinion_dynamics`.

    References:
        Baladron, Fasoli, Faugeras and Touboul, J. Math. Neuroscience 2:10, 2012, section 2.
    """
    n = require_integer(n, "n", least=1)
    process = FitzHughNagumo(n, coupling=coupling, volatility=1.0)
    mean = torch.tensor([0.0, 0.5, 0.3], dtype=torch.float64)
    sd = torch.tensor([0.4, 0.4, 0.05], dtype=torch.float64).sqrt()

    def start(generator: torch.Generator) -> Tensor:
        drawn = torch.randn(n_systems, n, 3, generator=generator, dtype=torch.float64)
        return (mean + sd * drawn).flatten(1)

    return _split(process, start, n, n_systems, times, ("v", "w", "y"), random_state)


def _split(
    process: Process,
    start: Callable[[torch.Generator], Tensor],
    n: int,
    n_systems: int,
    times: Any,
    features: tuple[str, ...],
    random_state: RandomState,
) -> SeriesSplit:
    n_systems = require_integer(n_systems, "n_systems", least=1)
    units, kind = (n, "n") if n_systems == 1 else (n_systems, "n_systems")
    if units < 2 * _HELD_OUT:
        raise InputError(
            f"{kind} must be at least {2 * _HELD_OUT}, got {units}: every {_HELD_OUT}th is held out"
        )
    ts = _grid(times)
    values = _simulate(process, start, ts, len(features), random_state)
    paths = Trajectories(ts, values, features=features)
    system = np.repeat(np.arange(n_systems), n)
    groups = np.arange(n) if n_systems == 1 else system
    return SeriesSplit.cut(paths, groups, groups % _HELD_OUT == _HELD_OUT - 1)


def _simulate(
    process: Process,
    start: Callable[[torch.Generator], Tensor],
    ts: Array,
    dim: int,
    random_state: RandomState,
) -> Array:
    """Euler-Maruyama paths (n_systems n, T, dim) of all particles."""
    seed_start, seed_noise = spawn(seed_from(random_state), 2)
    with torch.no_grad():
        solution = solve(
            process,
            start(torch_generator(seed_start)),
            torch.as_tensor(ts),
            method="euler",
            step=_STEP,
            random_state=seed_noise,
        )
    systems = solution.ys.unflatten(2, (-1, dim))
    return np.asarray(systems.transpose(1, 2).flatten(0, 1).numpy())


def _grid(times: Any) -> Array:
    ts = np.linspace(0, 1, 101) if times is None else as_array(times, "times", ndim=1)
    require_finite(ts, "times")
    require_increasing(ts, "times")
    if len(ts) < 2 or ts[0] != 0:
        raise InputError(f"times must be at least two, the first of them 0, got {ts.tolist()}")
    return ts
