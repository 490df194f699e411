"""`make_*`: snapshots of a simulated population, with the parameters of the literature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array, as_array, require_finite, require_increasing
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer.data import Snapshots
from trajinfer.processes import (
    LotkaVolterra,
    Process,
    Repressilator,
    RepressilatorWithProteins,
    Vortex,
    make_snapshots,
    simulate,
)

Volatility = float | Array | Callable[[Tensor], Tensor]
Box = Any


def make_lotka_volterra(
    n: int = 50,
    times: Any = None,
    *,
    alpha: float = 1.0,
    beta: float = 0.4,
    delta: float = 0.1,
    gamma: float = 0.4,
    volatility: Volatility = 0.1,
    start: Box = ((5.0, 5.1), (4.0, 4.1)),
    same_individuals: bool = False,
    random_state: RandomState = None,
) -> Snapshots:
    r"""Prey x and predator y: $dx = (\alpha x - \beta x y)dt$, $dy = (\delta x y - \gamma y)dt$.

    Args:
        n: individuals per snapshot.
        times: (K,) increasing, not negative; the population starts at time 0. None takes 0..8.
        alpha: growth rate of the prey.
        beta: predation rate.
        delta: growth of the predator per prey.
        gamma: death rate of the predator.
        volatility: a number, one per coordinate, or a callable y (B, D) -> (B, D), such as
            `lambda y: 0.02 * y`.
        start: (D, 2) box in which the population starts uniformly.
        same_individuals: follow the same individuals, row i through all snapshots. By default each
            snapshot is an independent simulation from a fresh start.
        random_state: seed or generator.

    Returns:
        K snapshots of n individuals, features prey and predator.

    Raises:
        InputError: for times that do not increase or are negative, a box of the wrong shape, n < 1,
            or parameters of the wrong sign.

    References:
        Shen, Berlinghieri, Broderick, arXiv 2408.06277, section 5.1 (the defaults).

    Example:
        >>> make_lotka_volterra(20, times=[0, 1, 2], random_state=0)
        Snapshots(3 times, sizes 20, 20, 20, dim 2)
    """
    process = LotkaVolterra(alpha, beta, delta, gamma, volatility=volatility)
    ts = np.arange(9) if times is None else times
    cloud = _population(process, n, ts, start, same_individuals, random_state)
    return _named(cloud, ("prey", "predator"))


def make_repressilator(
    n: int = 50,
    times: Any = None,
    *,
    beta: float = 10.0,
    hill: float = 3.0,
    k: float = 1.0,
    gamma: float = 1.0,
    volatility: Volatility = 0.1,
    start: Box = ((1.0, 1.1), (1.0, 1.1), (2.0, 2.1)),
    same_individuals: bool = False,
    random_state: RandomState = None,
) -> Snapshots:
    r"""Three genes repressing each other: $dx_i = (\beta/(1+(x_{i-1}/k)^h) - \gamma x_i)dt$.

    Args:
        n: cells per snapshot.
        times: (K,) increasing, not negative; None takes 0, 0.75, ..., 7.5.
        beta: maximal production rate.
        hill: Hill exponent h.
        k: concentration of half repression.
        gamma: degradation rate.
        volatility: as in `make_lotka_volterra`.
        start: (3, 2) box in which the population starts uniformly.
        same_individuals: as in `make_lotka_volterra`.
        random_state: seed or generator.

    Returns:
        K snapshots of n cells, three mRNA concentrations.

    Raises:
        InputError: as for `make_lotka_volterra`.

    References:
        Elowitz, Leibler, "A synthetic oscillatory network of transcriptional regulators", Nature
        403 (2000); the mRNA-only form and the defaults: arXiv 2408.06277, section 5.1.
    """
    process = Repressilator(beta, hill, k, gamma, volatility=volatility)
    ts = 0.75 * np.arange(11) if times is None else times
    cloud = _population(process, n, ts, start, same_individuals, random_state)
    return _named(cloud, ("mrna_1", "mrna_2", "mrna_3"))


def make_repressilator_mrna(
    n: int = 200,
    times: Any = None,
    *,
    volatility: Volatility | None = None,
    start: Box = ((1.0, 1.1), (1.0, 1.1), (2.0, 2.1), (0.0, 0.1), (0.0, 0.1), (0.0, 0.1)),
    same_individuals: bool = False,
    random_state: RandomState = None,
) -> Snapshots:
    r"""The repressilator with proteins, of which only the mRNA is seen (3 of 6 coordinates).

    $dm_i = (a + \beta_m/(1+(p_{i-1}/k)^h) - \gamma_m m_i)dt$,
    $dp_i = (\beta_p m_i - \gamma_p p_i)dt$ with $(a, \beta_m, h, k, \gamma_m, \beta_p, \gamma_p)
    = (10^{-5}, 10, 3, 1, 1, 1, 1)$.

    Args:
        n: cells per snapshot.
        times: (K,) increasing, not negative; None takes 0, 1, ..., 10.
        volatility: as in `make_lotka_volterra`, for the six coordinates; None takes 0.02 times the
            state.
        start: (6, 2) box in which mRNA and proteins start uniformly.
        same_individuals: as in `make_lotka_volterra`.
        random_state: seed or generator.

    Returns:
        K snapshots of n cells, three mRNA concentrations.

    Raises:
        InputError: as for `make_lotka_volterra`.

    References:
        Berlinghieri, Shen, Jiang, Broderick, arXiv 2505.16082 (the experiment with hidden
        proteins).
    """
    process = RepressilatorWithProteins(
        leak=1e-5,
        production=10.0,
        hill=3.0,
        k=1.0,
        decay=1.0,
        translation=1.0,
        protein_decay=1.0,
        volatility=_in_proportion if volatility is None else volatility,
    )
    ts = np.arange(11) if times is None else times
    cloud = _population(process, n, ts, start, same_individuals, random_state)
    observed = Snapshots(
        cloud.times, tuple(points[:, :3] for points in cloud.points), axis=cloud.axis
    )
    return _named(observed, ("mrna_1", "mrna_2", "mrna_3"))


def make_vortex(
    n: int = 100,
    times: Any = None,
    *,
    strength: float = 0.8,
    center: Any = (0.0, 0.0),
    log_aspect: float = 0.3,
    volatility: Volatility = 0.05,
    start: Box = ((-0.05, 0.05), (-0.8, -0.7)),
    same_individuals: bool = False,
    random_state: RandomState = None,
) -> Snapshots:
    r"""Drifters on ellipses: $dx = s\,e^{-l}(y - y_0)\,dt$, $dy = -s\,(x - x_0)\,dt$.

    Args:
        n: drifters per snapshot.
        times: (K,) increasing, not negative; None takes 0..8.
        strength: s, per unit of time; positive turns clockwise.
        center: (x_0, y_0).
        log_aspect: l, logarithm of the squared ratio of the axes.
        volatility: as in `make_lotka_volterra`.
        start: (2, 2) box in which the drifters start uniformly.
        same_individuals: as in `make_lotka_volterra`.
        random_state: seed or generator.

    Returns:
        K snapshots of n drifters.

    Raises:
        InputError: as for `make_lotka_volterra`.
    """
    process = Vortex(strength, center, log_aspect, volatility=volatility)
    ts = np.arange(9) if times is None else times
    return _named(_population(process, n, ts, start, same_individuals, random_state), ("x", "y"))


def _in_proportion(y: Tensor) -> Tensor:
    return 0.02 * y


def _named(snapshots: Snapshots, features: tuple[str, ...]) -> Snapshots:
    return Snapshots(snapshots.times, snapshots.points, features=features, axis=snapshots.axis)


def _population(
    process: Process,
    n: int,
    times: Any,
    start: Box,
    same_individuals: bool,
    random_state: RandomState,
) -> Snapshots:
    """Snapshots at `times` of a population that starts at time 0."""
    observed, box = as_array(times, "times", ndim=1), as_array(start, "start")
    require_finite(observed, "times")
    require_increasing(observed, "times")
    if len(observed) == 0 or observed[0] < 0:
        raise InputError(f"times must not be negative or empty, got {observed.tolist()}")
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise InputError(f"n must be a positive integer, got {n!r}")
    if box.shape != (process.dim, 2) or not (box[:, 0] <= box[:, 1]).all():
        raise InputError(
            f"start must be a box of {process.dim} pairs (low, high), got {box.tolist()}"
        )
    size = int(n) if same_individuals else int(n) * len(observed)

    def draw(generator: torch.Generator) -> Tensor:
        uniform = torch.rand(size, len(box), generator=generator, dtype=torch.float64)
        low, high = torch.from_numpy(box).unbind(1)
        return low + (high - low) * uniform

    paths_seed, deal_seed = spawn(seed_from(random_state), 2)
    grid = observed if observed[0] == 0 else np.concatenate([[0.0], observed])
    paths = simulate(process, draw, grid, size, paths_seed)
    if same_individuals:
        return Snapshots(times, tuple(paths.at(t) for t in observed))
    dealt = make_snapshots(paths, observed, n=int(n), random_state=deal_seed)
    return Snapshots(times, dealt.points)
