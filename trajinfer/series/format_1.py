"""Series estimators that version 0.1 saved."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from trajinfer._core.seeding import Seeds
from trajinfer.data import TimeAxis
from trajinfer.data.scaling import Standardisation
from trajinfer.series.network import NetworkPlan, Shape, network_of
from trajinfer.series.network_forecast import IncrementScale, NetworkForecast
from trajinfer.series.recent import Recent
from trajinfer.series.series_batch import Scaling
from trajinfer.series.series_estimator import SeriesEstimator
from trajinfer.series.series_model import SeriesModel

Kind = TypeVar("Kind", bound=SeriesEstimator)
_SHAPE = ("n_channels", "n_statics", "step", "slope_scale", "most_counts")


def series_estimator_of(
    kind: type[Kind], config: dict[str, Any], tensors: dict[str, Tensor], head: str, **sizes: int
) -> tuple[Kind, SeriesModel]:
    """An estimator with its settings, and the network that it had fitted.

    Args:
        kind: class of the estimator.
        config: what was saved beside the weights.
        tensors: the weights.
        head: kind of the head.
        **sizes: arguments of its class, where they do not follow from the weights.
    """
    settings = dict(config["settings"])
    settings["stochastic"] = settings.pop("noise")
    names = kind().get_params(deep=False)
    estimator = kind(**{name: value for name, value in settings.items() if name in names})
    shape = Shape(**{name: config["shape"][name] for name in _SHAPE})
    if head in ("class", "number"):
        sizes = {"n_out": len(config["learned"].get("classes", ["number"]))}
    plan = NetworkPlan(
        dynamics=settings["dynamics"],
        widths=(settings["hidden"],) * (1 + settings["layers"]),
        shape=shape,
        head=head,
        head_sizes=sizes,
        parameterization=settings["parameterization"],
        interpolation=settings["interpolation"],
        control=settings["control"],
        stochastic=settings["stochastic"],
        by_batch=True,
    )
    scaling = _scaling(config["scaling"])
    seed = int(settings["random_state"])
    model = SeriesModel(
        network_of(plan, tensors),
        scaling,
        TimeAxis.from_config(config["axis"]),
        Seeds.of(seed),
        settings["n_samples"],
    )
    estimator.n_features_in_ = shape.n_channels
    estimator.feature_names_in_ = np.array(scaling.channels, dtype=object)
    estimator.seed_, estimator.n_iter_, estimator.converged_ = seed, settings["max_epochs"], True
    estimator.history_ = []
    return estimator, model


def forecaster_of(
    kind: type[Kind], config: dict[str, Any], tensors: dict[str, Tensor]
) -> tuple[Kind, NetworkForecast]:
    """A forecaster and the model that it had fitted."""
    shape, learned, n_lags = config["shape"], config["learned"], config["settings"]["n_lags"]
    n_channels = shape["n_channels"]
    estimator, series = series_estimator_of(
        kind,
        config,
        tensors,
        "query",
        n_known=Recent.width(n_channels, n_lags) + shape["n_statics"],
        n_channels=n_channels,
        width=2 * config["settings"]["hidden"],
    )
    horizon = learned["horizon"]
    increment = np.array(shape["increment"], dtype=np.float32)
    lead = horizon / series.scaling.time_scale
    scale = IncrementScale(shape["lag"], n_lags, increment, lead)
    window = np.inf if learned["window"] is None else learned["window"]
    model = NetworkForecast(series, scale, horizon, window, np.array(learned["calibration"]))
    return estimator, model


def _scaling(saved: dict[str, Any]) -> Scaling:
    arrays = {name: np.array(value) for name, value in saved.items() if isinstance(value, list)}
    return Scaling(
        Standardisation(arrays["center"], arrays["spread"]),
        Standardisation(arrays["static_center"], arrays["static_spread"]),
        saved["time_origin"],
        saved["time_scale"],
        tuple(saved.get("channels", ())),
        tuple(saved.get("static_names", ())),
    )
