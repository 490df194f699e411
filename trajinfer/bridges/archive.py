"""A fitted bridge as plain data, for saving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.bridges.fitting import restore
from trajinfer.bridges.problem import Problem
from trajinfer.data import Snapshots, TimeAxis
from trajinfer.processes.description import describe, rebuild

if TYPE_CHECKING:
    from trajinfer.bridges.schrodinger_bridge import SchrodingerBridge

_PLAIN_SETTINGS = (
    "n_refinements",
    "backend",
    "n_particles",
    "max_samples",
    "tol",
    "verbose",
    "device",
    "n_jobs",
)
_STATE = ("history_", "converged_", "n_features_in_", "_seed")


def pack(estimator: SchrodingerBridge) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors of a fitted bridge.

    Raises:
        InputError: if the reference or a setting cannot be written as plain data.
    """
    snapshots, bridge = estimator.snapshots_, estimator.bridge_
    settings = {name: getattr(estimator, name) for name in _PLAIN_SETTINGS}
    settings["volatility"] = _plain(estimator.volatility)
    random_state = estimator.random_state
    seeded = isinstance(random_state, (int, np.integer))
    settings["random_state"] = _plain(random_state) if seeded else None
    tensors = {"times": _tensor(snapshots.times), "f": bridge.coupling.f, "g": bridge.coupling.g}
    for k, points in enumerate(snapshots.points):
        tensors[f"points.{k}"] = _tensor(points)
        tensors[f"kept.{k}"] = _tensor(estimator._kept[k])
        if snapshots.weights is not None:
            tensors[f"weights.{k}"] = _tensor(snapshots.weights[k])
    processes = {"fitted": estimator.reference_}
    if estimator.reference is not None:
        processes["given"] = estimator.reference
    described = {}
    for role, process in processes.items():
        described[role], state = describe(process)
        tensors |= {f"{role}.{name}": value for name, value in state.items()}
    config = {
        "estimator": type(estimator).__name__,
        "settings": settings,
        "state": {name: _plain(getattr(estimator, name)) for name in _STATE},
        "processes": described,
        "n_steps": bridge.n_steps,
        "features": snapshots.features,
        "axis": snapshots.axis.to_config(),
        "time_name": snapshots.time_name,
        "weight_name": snapshots.weight_name,
    }
    if hasattr(estimator, "feature_names_in_"):
        config["feature_names_in"] = list(map(str, estimator.feature_names_in_))
    return config, tensors


def unpack(
    estimator: SchrodingerBridge, config: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    """Fill an unfitted estimator with what `pack` kept."""
    for name, value in config["settings"].items():
        setattr(estimator, name, value)
    for name, value in config["state"].items():
        setattr(estimator, name, value)
    if "feature_names_in" in config:
        estimator.feature_names_in_ = np.array(config["feature_names_in"], dtype=object)
    snapshots = _unpack_snapshots(config, tensors)
    estimator.snapshots_ = snapshots
    estimator._kept = [tensors[f"kept.{k}"].numpy() for k in range(len(snapshots))]
    for role, attribute in (("fitted", "reference_"), ("given", "reference")):
        if role in config["processes"]:
            state = {
                name.removeprefix(f"{role}."): value
                for name, value in tensors.items()
                if name.startswith(f"{role}.")
            }
            setattr(estimator, attribute, rebuild(config["processes"][role], state))
    problem = Problem.of(snapshots.take(estimator._kept))
    estimator.bridge_ = restore(
        estimator.reference_,
        problem,
        tensors["f"],
        tensors["g"],
        n_steps=config["n_steps"],
        linearise=estimator.backend == "linear_noise",
    )


def _unpack_snapshots(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Snapshots:
    n = len(tensors["times"])
    weighted = "weights.0" in tensors
    return Snapshots(
        tensors["times"].numpy(),
        tuple(tensors[f"points.{k}"].numpy() for k in range(n)),
        tuple(tensors[f"weights.{k}"].numpy() for k in range(n)) if weighted else None,
        None if config["features"] is None else tuple(config["features"]),
        TimeAxis.from_config(config["axis"]),
        **{name: config[name] for name in ("time_name", "weight_name") if name in config},
    )


def _plain(value: Any) -> Any:
    if callable(value):
        raise InputError("a callable volatility cannot be saved; give numbers instead")
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _tensor(array: Array) -> Tensor:
    return torch.as_tensor(np.array(array))
