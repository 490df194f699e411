"""Bridges that version 0.1 saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer import processes
from trajinfer._core.errors import InputError
from trajinfer.bridges.couplings import Couplings
from trajinfer.bridges.kept_rounds import n_refinements_in
from trajinfer.bridges.multi_marginal import MultiMarginalBridge
from trajinfer.data import Snapshots, TimeAxis
from trajinfer.processes import Process
from trajinfer.references.dynamics import Reference
from trajinfer.references.problem import Problem
from trajinfer.references.transitions import Transitions


def settings_of(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The constructor's arguments."""
    given = {}
    if "given" in config["processes"]:
        given["reference"] = _process("given", config, tensors)
    return {**config["settings"], **given}


def fitted_of(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The learned attributes by name."""
    snapshots = _snapshots(config, tensors)
    atoms = [tensors[f"kept.{k}"].numpy() for k in range(len(snapshots))]
    problem = Problem.of(snapshots.take(atoms))
    reference = Reference(
        _process("fitted", config, tensors), config["settings"]["backend"] == "linear_noise"
    )
    transitions = Transitions(reference.frozen_dynamics, config["n_steps"])
    with torch.no_grad():
        couplings = Couplings.from_potentials(
            problem, transitions, _rows(tensors["f"], problem, 0), _rows(tensors["g"], problem, 1)
        )
    state = config["state"]
    history = state["history_"]
    names = {}
    if "feature_names_in" in config:
        names["feature_names_in_"] = np.array(config["feature_names_in"], dtype=object)
    return {
        "snapshots_": snapshots,
        "atoms_": atoms,
        "bridge_": MultiMarginalBridge(reference, transitions, couplings),
        "backend_": "linear_noise" if transitions.dynamics.affine is None else "exact",
        "history_": history,
        "seed_": history[0]["seed"],
        "n_iter_": n_refinements_in(history),
        "converged_": state["converged_"],
        "n_features_in_": state["n_features_in_"],
        **names,
    }


def _rows(potentials: Tensor, problem: Problem, side: int) -> list[Tensor]:
    """Potentials (S, N) of the points of every segment, without padding."""
    return [
        row[: len(problem.points[k + side])].clone() for k, row in enumerate(potentials.unbind(0))
    ]


def _process(role: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Process:
    described = config["processes"][role]
    cls = getattr(processes, described["name"], None)
    if cls is None:
        raise InputError(
            f"this version of trajinfer has no process '{described['name']}'; update it"
        )
    own = {
        name.removeprefix(f"{role}."): value
        for name, value in tensors.items()
        if name.startswith(f"{role}.")
    }
    process: Process = cls.from_state({**described, "tensors": own})
    return process


def _snapshots(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Snapshots:
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
