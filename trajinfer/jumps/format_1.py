"""Jump processes as version 0.1 wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.data.time_axis import TimeAxis
from trajinfer.jumps.model import JumpModel
from trajinfer.jumps.posterior_uncertainty import DrawsUncertainty
from trajinfer.jumps.rate_draws import RateDraws
from trajinfer.jumps.rate_intervals import Intervals
from trajinfer.jumps.saved_uncertainty import SavedUncertainty
from trajinfer.markov.emission import EmissionModel, GaussianEmission
from trajinfer.markov.parameters import Parameters

_VALUES = (
    "log_likelihood_",
    "method_",
    "n_iter_",
    "converged_",
    "history_",
    "n_paths_",
    "n_observations_",
)
_ARRAYS = ("std_errors_", "intervals_", "expected_jumps_", "theta_", "draws_", "r_hat_", "ess_")


def settings_of(config: dict[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The settings of the estimator."""
    arrays = {name: value.double().numpy() for name, value in tensors.items()}
    noise = config["label_noise"] if config["label_noise"] is not None else arrays["label_noise"]
    links = config["links"] if config["links"] is not None else arrays.get("links")
    return {
        **config["settings"],
        "label_noise": noise,
        "links": links.astype(bool) if isinstance(links, np.ndarray) else links,
        "emission": _gaussian(arrays),
        "random_state": config["random_state"],
    }


def fitted_of(config: dict[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The fitted attributes by name."""
    arrays = {name: value.double().numpy() for name, value in tensors.items()}
    states = tuple(config["states"])
    emission = EmissionModel(
        len(states),
        config["error"],
        arrays.get("labels"),
        _gaussian(arrays),
        learn_error=config["noise_learned"],
    )
    axis = None if config["axis"] is None else TimeAxis.from_config(config["axis"])
    parameters = Parameters(arrays["rates_"], arrays["initial_"], emission)
    fitted: dict[str, Any] = {"model_": JumpModel(parameters, states, axis, config["conditional"])}
    fitted |= {"seed_": config["seed"], "n_features_in_": len(states)}
    fitted["feature_names_in_"] = _labels(states)
    fitted |= {name: arrays[name] for name in _ARRAYS if name in arrays}
    fitted |= {name: value for name, value in config["values"].items() if name in _VALUES}
    if "draws_" in arrays:
        fitted["uncertainty_"] = DrawsUncertainty(arrays["draws_"], arrays["expected_jumps_"])
    elif "spread_links" in arrays:
        fitted["uncertainty_"] = _uncertainty(arrays)
    return fitted


def _gaussian(arrays: Mapping[str, Array]) -> GaussianEmission | None:
    return GaussianEmission(arrays["means"], arrays["stds"]) if "means" in arrays else None


def _labels(states: tuple[Any, ...]) -> Array:
    names = np.empty(len(states), dtype=object)
    names[:] = states
    return names


def _uncertainty(arrays: Mapping[str, Array]) -> SavedUncertainty:
    links = arrays["spread_links"] > 0
    covariance = arrays.get("spread_covariance")
    draws = RateDraws.of(
        arrays["rates_"],
        links,
        arrays["spread_deviations"],
        covariance,
        np.zeros_like(links),
        np.ones(len(links)),
    )
    ends = arrays["intervals_"]
    at_95 = Intervals(arrays["std_errors_"], ends[..., 0], ends[..., 1], covariance)
    return SavedUncertainty(at_95, draws)
