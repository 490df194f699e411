"""Fitted values of archives that version 0.1 wrote."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, as_tensor, float64, ones

from trajinfer.data.scaling import Standardisation
from trajinfer.data.time_axis import TimeAxis
from trajinfer.fractional.nodes import default_nodes
from trajinfer.long_memory.exact import ExactProcess
from trajinfer.long_memory.linear import LinearParameters, NoiseBasis
from trajinfer.long_memory.model import FractionalModel
from trajinfer.long_memory.network import GuidedProcess
from trajinfer.long_memory.process import Process
from trajinfer.long_memory.variational import VariationalProcess

_NETWORK = "model."
_REACH = 1.5


def fitted(config: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The fitted attributes of an estimator; the number of series was not saved and stays 1."""
    values, channels = config["values"], tuple(config["channels"])
    process = _process(config, tensors)
    span = values["horizon_"]
    given = config["settings"]["horizon"]
    model = FractionalModel(
        process,
        Standardisation(tensors["center_"].numpy(), tensors["spread_"].numpy()),
        span,
        span / _REACH if given is None else 0.0,
        1,
        TimeAxis.from_config(config["axis"]),
        channels,
        tensors["hurst_interval_"].numpy(),
        values["elbo_"],
    )
    return {
        "model_": model,
        "n_features_in_": len(channels),
        "feature_names_in_": np.array(channels, dtype=object),
        "seed_": config["seed"],
        "n_iter_": len(values["history_"]),
        "converged_": values["converged_"],
        "history_": values["history_"],
    }


def _process(config: dict[str, Any], tensors: dict[str, Tensor]) -> Process:
    settings = config["settings"]
    nodes = default_nodes(settings["n_ou"], 1.0, settings["fbm_type"])
    basis = NoiseBasis(as_tensor(nodes), settings["fbm_type"])
    names = LinearParameters.__annotations__
    parameters = LinearParameters(*(tensors[f"linear.{name}"] for name in names))
    if "pseudo_noise" not in tensors:
        return ExactProcess(basis, parameters)
    network = GuidedProcess(
        basis,
        parameters,
        ones(len(config["channels"]), dtype=float64),
        loading=tensors.get(f"{_NETWORK}loading"),
        drift=settings["drift"],
        likelihood=settings["likelihood"],
        hidden=(settings["hidden"], settings["hidden"]),
    )
    weights = {k[len(_NETWORK) :]: v for k, v in tensors.items() if k.startswith(_NETWORK)}
    network.load_state_dict(weights)
    return VariationalProcess(
        network, tensors["pseudo_noise"], config["values"]["step_"], config["seed"]
    )
