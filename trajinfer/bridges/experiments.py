"""Several experiments that share their dynamics: replicates, conditions, donors.

Each experiment has its own snapshots, at its own times, and its own couplings; the reference is
one, and refined until it explains all of them together: the objectives add up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from trajinfer._core.checkpoint_folder import checkpointed, once
from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import seed_from, spawn
from trajinfer._core.threads import torch_threads
from trajinfer.bridges.coupling_rules import AtomRule
from trajinfer.bridges.deconvolution import noise_by_coordinate, without_noise
from trajinfer.bridges.fitting import alternate
from trajinfer.bridges.schrodinger_bridge import SchrodingerBridge
from trajinfer.bridges.thinning import thin
from trajinfer.data import Snapshots
from trajinfer.data.input import as_snapshots
from trajinfer.references.dynamics import Reference
from trajinfer.references.problem import Problem, SegmentBatch
from trajinfer.references.reference import LEARN, prepare_reference


@dataclass(frozen=True)
class JointProblem(Problem):
    """The segments of several problems, side by side.

    Attributes:
        parts: the problems; times and points are those of the first.
    """

    parts: tuple[Problem, ...] = ()

    @cached_property
    def batches(self) -> tuple[SegmentBatch, ...]:
        """Those of all parts."""
        return tuple(batch for part in self.parts for batch in part.batches)


def fit_together(
    estimator: SchrodingerBridge,
    experiments: Mapping[str, Any],
    *,
    checkpoint: str | Path | None = None,
) -> dict[str, SchrodingerBridge]:
    """Bridges of several experiments under one reference, refined on all of them.

    Args:
        estimator: cloned and left as it is. Its measurement noise holds in every experiment; its
            growth in the bridges, but not while the reference is refined.
        experiments: by name, `Snapshots` or a table with a column "time"; all with the same
            coordinates.
        checkpoint: folder in which every round is kept as it is done, so that a call that was
            killed goes on from there; the estimator's own belongs to a single fit.

    Returns:
        By name, a fitted bridge with the couplings of its experiment and the common `reference_`,
        which it no longer refines: its `n_refinements` is 0.

    Raises:
        InputError: for no experiments, coordinates that differ, a backend without atoms,
            volatility="learn", whose correction is that of one experiment, or a checkpoint of
            another call.

    Example:
        >>> from trajinfer.processes import OrnsteinUhlenbeck
        >>> rng = np.random.default_rng(0)
        >>> def replicate(start):
        ...     spread = [(start * np.exp(-t), 0.3) for t in (0, 1, 2)]
        ...     return Snapshots([0, 1, 2], [rng.normal(m, s, (40, 1)) for m, s in spread])
        >>> bridges = fit_together(
        ...     SchrodingerBridge(OrnsteinUhlenbeck(), random_state=0),
        ...     {"high": replicate(3.0), "low": replicate(-3.0)},
        ... )
        >>> shared = [bridge.parameters_["theta"] for bridge in bridges.values()]
        >>> bool(np.array_equal(*shared)), bool(abs(shared[0][0] - 1) < 0.3)
        (True, True)
    """
    _check(estimator, experiments)
    data = {name: as_snapshots(given, None, None, None) for name, given in experiments.items()}
    first = next(iter(data.values()))
    for name, snapshots in data.items():
        _check_experiment(name, snapshots, first)

    def identity() -> dict[str, Any]:
        return {"estimator": clone(estimator), "experiments": data}

    with checkpointed(checkpoint, "fit_together", identity):
        return _fitted(estimator, data)


def _fitted(
    estimator: SchrodingerBridge, data: Mapping[str, Snapshots]
) -> dict[str, SchrodingerBridge]:
    noise = noise_by_coordinate(estimator.measurement_noise, next(iter(data.values())).dim)
    seed = once("seed", seed_from, estimator.random_state)
    seed_thin, seed_paths, _ = spawn(seed, 3)
    positions = [without_noise(snapshots, noise, seed_thin) for snapshots in data.values()]
    sde = prepare_reference(estimator.reference, estimator.volatility, _in_a_row(positions))
    reference = Reference(sde, linear_noise=estimator.backend == "linear_noise")
    parts = tuple(
        Problem.of(thin(snapshots, estimator.max_samples, seed_thin)[0]) for snapshots in positions
    )
    head = parts[0]
    rule = AtomRule(JointProblem(head.times, head.points, head.log_mass, parts=parts))
    with torch_threads(estimator.n_jobs):
        run = partial(alternate, estimator.tol, seed_paths, estimator.n_refinements)
        run(reference, rule, verbose=estimator.verbose)
    reference.keep_values()
    settled = clone(estimator).set_params(
        reference=sde, volatility=None, n_refinements=0, random_state=seed
    )
    return {name: clone(settled).fit(snapshots) for name, snapshots in data.items()}


def _check(estimator: SchrodingerBridge, experiments: Mapping[str, Any]) -> None:
    if not isinstance(experiments, Mapping) or not experiments:
        raise InputError(
            f"experiments must be snapshots by name, such as {{'a': data}}, got {experiments!r}"
        )
    if estimator.backend in ("mixture", "matching"):
        raise InputError(
            f"backend='{estimator.backend}' couples no atoms, which experiments that share "
            "dynamics need; leave backend='auto'"
        )
    if estimator.observed is not None:
        raise InputError(
            "experiments that share dynamics need all coordinates; leave observed=None, or fit "
            "every experiment alone"
        )
    if isinstance(estimator.volatility, str) and estimator.volatility == LEARN:
        raise InputError(
            "volatility='learn' is corrected for the points of one experiment; give "
            "volatility='likelihood' or a number"
        )


def _check_experiment(name: str, snapshots: Snapshots, first: Snapshots) -> None:
    if len(snapshots) < 2:
        raise InputError(f"experiment '{name}' has {len(snapshots)} snapshot; two are needed")
    if snapshots.dim != first.dim:
        raise InputError(
            f"experiment '{name}' has {snapshots.dim} coordinates, the first one {first.dim}"
        )
    first.require_features(snapshots.features)


def _in_a_row(experiments: list[Snapshots]) -> Snapshots:
    """All snapshots one after the other, as far apart as they are on average: for units alone."""
    gap = float(np.mean([step for data in experiments for step in np.diff(data.times)]))
    times: list[Array] = []
    for data in experiments:
        start = times[-1][-1] + gap if times else 0.0
        times.append(start + data.times - data.times[0])
    return Snapshots(
        np.concatenate(times),
        tuple(points for data in experiments for points in data.points),
        tuple(data.probabilities(k) for data in experiments for k in range(len(data))),
    )
