"""A fitted jump process as plain data, for saving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data.time_axis import TimeAxis
from trajinfer.jumps.emission import EmissionModel, GaussianEmission, LabelNoise
from trajinfer.jumps.uncertainty import Intervals

if TYPE_CHECKING:
    from trajinfer.jumps.estimator import MarkovJumpProcess

_PLAIN = ("n_states", "method", "reversible", "max_iter", "tol", "verbose")
_UNCERTAIN = ("std_errors_", "intervals_")
_ARRAYS = (
    "rates_",
    "initial_",
    *_UNCERTAIN,
    "expected_jumps_",
    "theta_",
    "draws_",
    "r_hat_",
    "ess_",
)
_VALUES = (
    "log_likelihood_",
    "method_",
    "n_iter_",
    "converged_",
    "history_",
    "n_paths_",
    "n_observations_",
)


def pack(model: MarkovJumpProcess) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors. A function given as `model` is not written, its rates are.

    Raises:
        InputError: if labels are neither numbers nor text.
    """
    if not all(isinstance(label, (int, str, bool)) for label in model.states_):
        raise InputError(f"only labels that are numbers or text can be saved: {model.states_}")
    tensors: dict[str, Tensor] = {}
    fitted = any(hasattr(model, name) for name in ("_estimate", "_spread", "draws_"))
    if fitted and not hasattr(model, "draws_"):
        tensors |= _pack_spread(*model._spread_of_rates())
    for name in _ARRAYS:
        if name in _UNCERTAIN and not fitted:
            continue
        if hasattr(model, name):
            tensors[name] = _tensor(getattr(model, name))
    emission = model._emission
    noise = model.label_noise
    for name, value in {
        "links": model.links if isinstance(model.links, (np.ndarray, list)) else None,
        "label_noise": noise.matrix if isinstance(noise, LabelNoise) else noise,
        "labels": emission.labels,
        "means": None if emission.gaussian is None else emission.gaussian.means,
        "stds": None if emission.gaussian is None else emission.gaussian.stds,
    }.items():
        if value is not None and np.ndim(value) and not isinstance(value, str):
            tensors[name] = _tensor(np.asarray(value))
    axis = getattr(model, "axis_", None)
    config = {
        "estimator": "MarkovJumpProcess",
        "settings": {name: getattr(model, name) for name in _PLAIN},
        "random_state": model.random_state if isinstance(model.random_state, int) else None,
        "links": model.links if isinstance(model.links, str) else None,
        "label_noise": noise if isinstance(noise, str) or np.isscalar(noise) else None,
        "noise_learned": emission.learn_error,
        "error": emission.error,
        "states": list(model.states_),
        "conditional": model._conditional,
        "seed": model._seed,
        "axis": None if axis is None else axis.to_config(),
        "values": {n: getattr(model, n) for n in _VALUES if hasattr(model, n)},
    }
    return config, tensors


def unpack(cls: type[MarkovJumpProcess], config: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    """The model that `pack` described."""
    arrays = {name: value.double().numpy() for name, value in tensors.items()}
    noise = config["label_noise"] if config["label_noise"] is not None else arrays["label_noise"]
    links = config["links"] if config["links"] is not None else arrays.get("links")
    gaussian = None
    if "means" in arrays:
        gaussian = GaussianEmission(arrays["means"], arrays["stds"])
    model = cls(
        **config["settings"],
        label_noise=noise,
        links=links.astype(bool) if isinstance(links, np.ndarray) else links,
        emission=gaussian,
        random_state=config["random_state"],
    )
    model.states_ = tuple(config["states"])
    model._emission = EmissionModel(
        len(model.states_),
        config["error"],
        arrays.get("labels"),
        gaussian,
        learn_error=config["noise_learned"],
    )
    model._conditional, model._seed = config["conditional"], config["seed"]
    model._set(arrays["rates_"], arrays["initial_"])
    for name in _ARRAYS[2:]:
        if name in arrays:
            model.__dict__[name] = arrays[name]
    if "spread_links" in arrays:
        model._spread = _unpack_spread(arrays)
    for name, value in config["values"].items():
        setattr(model, name, value)
    if config["axis"] is not None:
        model.axis_ = TimeAxis.from_config(config["axis"])
    return model


def _pack_spread(links: Array, found: Intervals) -> dict[str, Tensor]:
    out = {"spread_links": _tensor(links), "spread_deviations": _tensor(found.deviations)}
    if found.covariance is not None:
        out["spread_covariance"] = _tensor(found.covariance)
    return out


def _unpack_spread(arrays: dict[str, Array]) -> tuple[Array, Intervals]:
    deviations = arrays["spread_deviations"]
    unknown = np.full(deviations.shape, np.nan)
    covariance = arrays.get("spread_covariance")
    return arrays["spread_links"] > 0, Intervals(deviations, unknown, unknown, covariance)


def _tensor(value: Array) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(value, dtype=np.float64))
