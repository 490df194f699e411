"""Making a reference ready: a copy, in the units of the data, with a volatility."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree

from trajinfer._core.checks import Array, as_array
from trajinfer._core.devices import on_cpu
from trajinfer._core.errors import InputError
from trajinfer.data import Snapshots
from trajinfer.data.scaling import moments
from trajinfer.processes import Brownian, Process
from trajinfer.sde import SDELike

logger = logging.getLogger(__name__)

SPREAD_FRACTION = 0.3
LEARN, LIKELIHOOD = "learn", "likelihood"
_UNLIKE_UNITS, _NEIGHBOURS, _AT_ONCE = 10.0, 1000, 2**22


def prepare_reference(reference: SDELike | None, volatility: Any, snapshots: Snapshots) -> SDELike:
    """Copy the reference, adapt its neutral starts to the data, and settle its volatility.

    The copy stands on the CPU.

    Args:
        reference: an SDE; None for Brownian motion.
        volatility: a positive number, (D,) numbers, a callable, "learn" or "likelihood", which
            free it, or None, which keeps the reference's own and otherwise takes
            `spread_volatility`.
        snapshots: the data.

    Raises:
        InputError: if the reference does not fit the data or the volatility is not positive.
    """
    given = Brownian(dim=snapshots.dim) if reference is None else reference
    if isinstance(given, type) or not (hasattr(given, "f") and hasattr(given, "g")):
        found = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        raise InputError(
            "reference must be an SDE with methods f and g (an object, such as "
            f"trajinfer.processes.AffineDrift(2)), got {found}"
        )
    if not isinstance(given, Process):
        return _foreign(given, volatility)
    if given.dim != snapshots.dim:
        raise InputError(
            f"the reference {type(given).__name__} has dimension {given.dim}, the "
            f"snapshots have {snapshots.dim}; choose a reference of their dimension"
        )
    process = on_cpu(given.copy())
    center, scale = snapshot_moments(snapshots)
    process.adapt_to(center, _positive(scale), _typical_duration(snapshots))
    _settle_volatility(process, volatility, snapshots)
    return process


def _foreign(reference: SDELike, volatility: Any) -> SDELike:
    """An SDE of another make owns its diffusion, which is only copied."""
    if volatility is not None:
        raise InputError(
            "volatility= applies to the processes of trajinfer; this reference has its own "
            "diffusion g, so set it there"
        )
    return on_cpu(copy.deepcopy(reference))


def _settle_volatility(process: Process, volatility: Any, snapshots: Snapshots) -> None:
    learn = isinstance(volatility, str)
    if learn and volatility not in (LEARN, LIKELIHOOD):
        raise InputError(
            f"volatility must be numbers, a callable, 'learn' or 'likelihood', got {volatility!r}"
        )
    if volatility is not None and not learn:
        process.set_volatility(_checked(volatility, snapshots.dim))
    elif process.volatility is None:
        process.set_volatility(spread_volatility(snapshots, process))
    if learn:
        if callable(process.volatility):
            raise InputError("a callable volatility cannot be learned; give numbers or None")
        process.learn("volatility")
    logger.info("volatility: %s%s", process.volatility, " (start, learned)" if learn else "")


def _checked(volatility: Any, dim: int) -> Any:
    if callable(volatility):
        return volatility
    values = as_array(volatility, "volatility")
    if values.shape not in {(), (dim,)}:
        raise InputError(f"volatility must be a number or have shape ({dim},), got {values.shape}")
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise InputError(
            f"volatility must be positive and finite, got {values.tolist()}; None sets a small one "
            "from the spread of the data"
        )
    return values


def spread_volatility(snapshots: Snapshots, process: Process | None = None) -> Array:
    """A small volatility: 0.3 x mean sd within a snapshot / root of the mean segment length.

    It is one number for all dimensions, so that the couplings measure distance as the data do,
    unless their spreads differ more than tenfold, as they do between unlike units: then every
    dimension has its own. Groups that lie apart spread as well; units are unlike only where nearest
    neighbours differ more than tenfold too. For a process whose noise scales with the state the
    spread is taken relative to that scale.

    Returns:
        (D,).
    """
    spread = _mean_over_times(snapshots, process, lambda x, mass: moments(x, mass)[1])
    if not (spread > 0).any():
        spread = _positive(snapshot_moments(snapshots)[1])
    if not (_differ_tenfold(spread) and _unlike_units(snapshots, process, spread > 0)):
        spread = np.full_like(spread, spread[spread > 0].mean())
    spread = np.where(spread > 0, spread, spread[spread > 0].min())
    return np.asarray(SPREAD_FRACTION * spread / np.sqrt(_typical_duration(snapshots)))


def _differ_tenfold(spread: Array) -> bool:
    """Whether the largest is more than ten times the smallest; zeros do not count."""
    varying = spread[spread > 0]
    return bool(varying.max() > _UNLIKE_UNITS * varying.min())


def _unlike_units(snapshots: Snapshots, process: Process | None, varying: Array) -> bool:
    """Whether neighbours differ tenfold more in one dimension than in another.

    Where most of them do not differ at all in a dimension that varies, they say nothing: units
    then count as unlike.
    """
    gaps = _mean_over_times(snapshots, process, lambda x, _: _neighbour_gaps(x))[varying]
    return not (gaps > 0).all() or _differ_tenfold(gaps)


def _neighbour_gaps(points: Array) -> Array:
    """Median distance (D,) of nearest neighbours in every coordinate, among some of the points."""
    rows = np.unique(np.linspace(0, len(points) - 1, _NEIGHBOURS).round().astype(int))
    some = np.asarray(points, dtype=np.float64)[rows]
    if len(some) < 2:
        return np.zeros(some.shape[1])
    deviation = some.std(0)
    alike = some / np.where(deviation > 0, deviation, 1.0)
    _, nearest = cKDTree(alike).query(alike, k=2)
    return np.asarray(np.median(np.abs(some - some[nearest[:, 1]]), axis=0))


def _mean_over_times(
    snapshots: Snapshots, process: Process | None, spread: Callable[[Array, Array], Array]
) -> Array:
    """Mean (D,) of a spread within snapshots, relative to the noise scale of a process."""
    return np.asarray(
        np.mean(
            [
                spread(points, snapshots.probabilities(k))
                / _noise_scale(points, snapshots.probabilities(k), process)
                for k, points in enumerate(snapshots.points)
            ],
            axis=0,
        )
    )


def _noise_scale(points: Array, weights: Array, process: Process | None) -> Array:
    """Mean size (D,) of what multiplies the volatility at these points; ones for constant noise."""
    ones = np.ones(points.shape[1])
    if process is None:
        return ones
    y = torch.as_tensor(np.array(points))
    scale = process.noise_scale(y.new_zeros(()), y)
    return ones if scale is None else np.asarray(weights @ scale.abs().numpy())


def snapshot_moments(snapshots: Snapshots) -> tuple[Array, Array]:
    """Mean and standard deviation (D,) over all snapshots, every one with the same mass."""
    mass = np.concatenate([snapshots.probabilities(k) for k in range(len(snapshots))])
    width = max(1, _AT_ONCE // len(mass))  # columns have moments of their own
    found = [
        moments(np.concatenate([own[:, c : c + width] for own in snapshots.points]), mass)
        for c in range(0, snapshots.dim, width)
    ]
    mean, deviation = map(np.concatenate, zip(*found, strict=True))
    return mean, deviation


def _typical_duration(snapshots: Snapshots) -> float:
    return float(np.mean(np.diff(snapshots.times)))


def _positive(scale: Array) -> Array:
    """A scale without zeros: a constant dimension counts as the largest one, or as 1."""
    varying = scale[scale > 0]
    return np.asarray(np.where(scale > 0, scale, varying.max() if len(varying) else 1.0))
