"""Where the process will be: densities at later times, and laws that do not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.interpolate
import scipy.sparse
import scipy.sparse.linalg

from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError
from trajinfer.data import TimeAxis
from trajinfer.functionals.asked import as_dynamics
from trajinfer.functionals.dynamics import Chain, Diffusion, as_points
from trajinfer.functionals.extrapolation import told_beyond
from trajinfer.functionals.methods.between import between
from trajinfer.functionals.methods.domain import domain_of, natural_duration
from trajinfer.functionals.methods.flow import Flow
from trajinfer.functionals.methods.grid import (
    FaceRate,
    Grid,
    added_noise,
    crossing_rate,
    grid_rates,
    moving_rate,
    shared_out,
)
from trajinfer.functionals.methods.grid_checks import (
    edge_share,
    warn_of_edges,
    warn_of_wide_cells,
)
from trajinfer.functionals.methods.grid_values import CELLS

_FACTOR = 2


@dataclass(frozen=True, eq=False)
class GridChain(Chain):
    """A diffusion on a grid, as a chain whose states are the numbers of the cells.

    Attributes:
        grid: the cells.
    """

    grid: Grid = None  # type: ignore[assignment]

    @property
    def centers(self) -> Array:
        """(N, D) centres of the cells."""
        return self.grid.centers

    @property
    def volumes(self) -> Array:
        """(N,) volumes of the cells."""
        return np.full(len(self.states), float(np.prod(self.grid.sizes)))


@independent_of_global_state
def on_grid(process: Any, domain: Any, resolution: int | None = None) -> GridChain:
    """A diffusion as a chain between cells, reflected at the edge of the domain.

    Args:
        process: a diffusion; see `as_dynamics`.
        domain: (low, high) corners.
        resolution: cells along each axis; None takes 400, 100 or 28 in one, two, three dimensions.

    Raises:
        InputError: for more than three coordinates, correlated noise, or what is no diffusion.
    """
    diffusion = _diffusion(process)
    grid = _grid(diffusion, domain, resolution)
    diffusion.require_steady(grid.centers)
    rates = grid_rates(diffusion, grid, None).rates
    states = tuple(range(len(grid.centers)))
    return GridChain(rates, states, diffusion.axis, notes=diffusion.notes, grid=grid)


def _grid(diffusion: Diffusion, domain: Any, resolution: int | None) -> Grid:
    middle = as_points(
        np.mean([as_array(end, "domain") for end in domain], axis=0), diffusion.dim, "domain"
    )
    low, high = domain_of(diffusion, middle, 1.0, None, domain, 0)
    cells = resolution or CELLS[diffusion.dim] * (_FACTOR if diffusion.dim == 1 else 1)
    return Grid(low, high, (cells,) * diffusion.dim)


def _diffusion(process: Any) -> Diffusion:
    dynamics = as_dynamics(process)
    if not isinstance(dynamics, Diffusion):
        raise InputError(
            f"a density needs a diffusion, got a {type(dynamics).__name__}; of a chain ask "
            "transition_probabilities or stationary_distribution"
        )
    if dynamics.dim > 3:
        raise InputError(
            f"a density of {dynamics.dim} coordinates does not fit on a grid; simulate, and look "
            "at the coordinates of interest"
        )
    return dynamics


@dataclass(frozen=True, eq=False)
class DensityPath:
    """Laws of a diffusion at several times, on the cells of a grid.

    Attributes:
        ts: (T,) durations since the start.
        masses: (T, N) probabilities of the cells; each row sums to 1.
        grid: the cells.
        axis: how durations map to numbers.
        edge: (T,) share of the law in the outermost cells.
        error: (T,) the L1 distance to the law on cells twice as wide, which is some three times the
            error of the density; more where the cells raise the noise.
    """

    ts: Array
    masses: Array
    grid: Grid
    axis: TimeAxis
    edge: Array
    error: Array

    @property
    def densities(self) -> Array:
        """(T, N) per unit of volume."""
        return np.asarray(self.masses / np.prod(self.grid.sizes))

    @property
    def mean(self) -> Array:
        """(T, D)."""
        return np.asarray(self.masses @ self.grid.centers)

    def at(self, t: Any) -> Array:
        """The density at time t on the grid, as an array of its shape.

        Raises:
            InputError: if t is not among the times.
        """
        return np.asarray(self.densities[self._place(t)].reshape(self.grid.shape))

    def marginal(self, t: Any, axes: int | tuple[int, ...]) -> Array:
        """The density of some coordinates at time t."""
        keep = (axes,) if isinstance(axes, int) else tuple(axes)
        others = tuple(d for d in range(len(self.grid.shape)) if d not in keep)
        whole: Array = self.at(t).sum(axis=others)
        return np.asarray(whole * np.prod(self.grid.sizes[list(others)]))

    def log_prob(self, t: Any, X: Any) -> Array:
        """Logarithm of the density (n,) at X (n, D), linear between centres."""
        x = as_points(X, len(self.grid.shape), "X")
        axes = self.grid.axes
        low = np.array([axis[0] for axis in axes])
        high = np.array([axis[-1] for axis in axes])
        look_up = scipy.interpolate.RegularGridInterpolator(axes, self.at(t))
        outside = ((x < self.grid.low) | (x > self.grid.high)).any(axis=1)
        with np.errstate(divide="ignore"):
            return np.where(outside, -np.inf, np.log(look_up(np.clip(x, low, high))))

    def total_variation(self, t: Any, X: Any, *, cells: int = 10) -> float:
        """Half the L1 distance to the histogram of X (n, D), on blocks of cells.

        Args:
            t: the time.
            X: states of a population.
            cells: cells of the grid along each side of a block.
        """
        x = as_points(X, len(self.grid.shape), "X")
        index = np.clip(
            ((x - self.grid.low) / self.grid.sizes).astype(int), 0, np.array(self.grid.shape) - 1
        )
        counts = np.zeros(self.grid.shape)
        np.add.at(counts, tuple(index.T), 1 / len(x))
        both = (counts, self.masses[self._place(t)].reshape(self.grid.shape))
        for d, size in enumerate(self.grid.shape):
            starts = np.arange(0, size, cells)
            both = tuple(np.add.reduceat(part, starts, axis=d) for part in both)  # type: ignore[assignment]
        return float(np.abs(both[0] - both[1]).sum() / 2)

    def _place(self, t: Any) -> int:
        wanted = float(self.axis.durations([t])[0])
        place = int(np.abs(self.ts - wanted).argmin())
        if abs(self.ts[place] - wanted) > 1e-9 * max(1.0, abs(wanted)):
            raise InputError(f"time {t} is not among the times of this law; ask for it in ts=")
        return place


@independent_of_global_state
def density(
    process: Any,
    start: Any,
    ts: Any,
    *,
    domain: Any = None,
    resolution: int | None = None,
    random_state: int = 0,
) -> DensityPath:
    """The law of a diffusion at later times: mass is kept, and nowhere negative.

    Args:
        process: a diffusion; see `as_dynamics`.
        start: states (n, D) of a population, or its density x (n, D) -> (n,).
        ts: (T,) durations since the start.
        domain: (low, high) corners; None follows some paths to find them.
        resolution: cells along each axis; None takes 400, 100 or 28 in one, two, three dimensions.
        random_state: of the paths that find the domain.

    Raises:
        InputError: for what is no diffusion of at most three coordinates.

    Warns:
        UserWarning: where more than 1e-4 of the law meets the edge of the domain, or cells are so
            wide for the noise that the law comes out wider by more than a tenth.
    """
    diffusion = _diffusion(process)
    times = diffusion.axis.durations(ts)
    known = None if callable(start) else diffusion.points(start, "start")
    diffusion = told_beyond(diffusion, known, (), float(times.max()))
    if domain is None:
        if callable(start):
            raise InputError("a density as start needs domain= (low, high)")
        points = diffusion.points(start, "start")
        ends = domain_of(diffusion, points, float(times.max()), None, None, random_state)
        domain = tuple(ends)
    grid = _grid(diffusion, domain, resolution)
    masses = _moved(start, diffusion, grid, times)
    edge = np.array([edge_share(grid, mass) for mass in masses])
    warn_of_edges(float(edge.max()))
    raised = _warn_of_wide_cells(diffusion, grid, masses, moving_rate)
    rough = _twice_as_wide(grid)
    error = _apart(grid, masses, rough, _moved(start, diffusion, rough, times)) * (1 + 2 * raised)
    return DensityPath(times, masses, grid, diffusion.axis, edge, error)


def _moved(start: Any, diffusion: Diffusion, grid: Grid, times: Array) -> Array:
    """Laws (T, N) on a grid at times (T,) in any order."""
    law = _first_law(start, diffusion, grid)
    diffusion.require_steady(grid.centers)
    rates = grid_rates(diffusion, grid, None, across=moving_rate).rates
    flow = Flow(scipy.sparse.csr_array(rates.T))
    masses, now = np.empty((len(times), len(law))), 0.0
    for k in np.argsort(times):
        law = flow.move(times[k] - now, law) if times[k] > now else law
        law = np.maximum(law, 0.0)  # rounding
        masses[k], now = law / law.sum(), times[k]
    return masses


def _twice_as_wide(grid: Grid) -> Grid:
    return Grid(grid.low, grid.high, tuple((count + 1) // 2 for count in grid.shape))


def _apart(grid: Grid, masses: Array, rough: Grid, others: Array) -> Array:
    """L1 distances (T,) of laws (T, N) on a grid to laws on another of the same domain."""
    volume, wider = np.prod(grid.sizes), np.prod(rough.sizes)
    distances = []
    for mass, other in zip(masses, others):
        there = between(rough.axes, (other / wider).reshape(rough.shape), None, grid.centers)
        distances.append(float(np.abs(mass - there * volume).sum()))
    return np.array(distances)


def _warn_of_wide_cells(diffusion: Diffusion, grid: Grid, masses: Array, across: FaceRate) -> float:
    """The share by which the cells raise the noise where the laws are."""

    def raised(parts: float) -> float:
        return max(added_noise(diffusion, grid, mass, parts, across) for mass in masses)

    warn_of_wide_cells(raised, grid.shape[0])
    return raised(1.0)


def _first_law(start: Any | Callable[[Array], Array], diffusion: Diffusion, grid: Grid) -> Array:
    if callable(start):
        mass = np.asarray(start(grid.centers), dtype=np.float64)
        if mass.shape != (len(grid.centers),) or (mass < 0).any() or mass.sum() <= 0:
            raise InputError("the density at the start must be one number per state, none negative")
        return np.asarray(mass / mass.sum())
    x = diffusion.points(start, "start")
    if (np.clip(x, grid.low, grid.high) != x).any():
        raise InputError("some states of start lie outside domain; widen the domain")
    return shared_out(x, grid)


@independent_of_global_state
def stationary(
    process: Any,
    X: Any = None,
    *,
    domain: Any = None,
    resolution: int | None = None,
    random_state: int = 0,
) -> DensityPath:
    """The law that does not change, as a `DensityPath` whose only time is 0.

    Args:
        process: a diffusion; see `as_dynamics`.
        X: (n, D) states from which some paths find the domain.
        domain: (low, high) corners.
        resolution: cells along each axis.
        random_state: of these paths.

    Raises:
        InputError: where neither X nor domain is known.
    """
    diffusion = _diffusion(process)
    if domain is None:
        points = diffusion.last if X is None else diffusion.points(X, "X")
        if points is None:
            raise InputError("give X, some states of the process, or domain= (low, high)")
        duration = natural_duration(diffusion, points)
        domain = tuple(domain_of(diffusion, points, duration, None, None, random_state))
    grid = _grid(diffusion, domain, resolution)
    law = _at_rest(diffusion, grid)
    edge = edge_share(grid, law)
    warn_of_edges(edge)
    raised = _warn_of_wide_cells(diffusion, grid, law[None], crossing_rate)
    rough = _twice_as_wide(grid)
    error = _apart(grid, law[None], rough, _at_rest(diffusion, rough)[None]) * (1 + 2 * raised)
    return DensityPath(np.zeros(1), law[None], grid, diffusion.axis, np.array([edge]), error)


def _at_rest(diffusion: Diffusion, grid: Grid) -> Array:
    """The law (N,) on a grid that does not change."""
    diffusion.require_steady(grid.centers)
    matrix = scipy.sparse.csc_array(grid_rates(diffusion, grid, None).rates.T)
    # one equation is the sum of the others: the mass of one cell is set instead
    drift = np.abs(diffusion.drift(0.0, grid.centers) / grid.sizes).sum(axis=1)
    fixed = int(drift.argmin())
    others = np.arange(len(drift)) != fixed
    right = -matrix[:, [fixed]].toarray()[others, 0]
    inner = scipy.sparse.csc_matrix(matrix[others][:, others])
    law = np.ones(len(drift))
    law[others] = np.maximum(scipy.sparse.linalg.splu(inner).solve(right), 0.0)
    return np.asarray(law / law.sum())
