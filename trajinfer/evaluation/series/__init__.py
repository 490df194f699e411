"""Protocols and simple methods for irregular series: what every model is to be read beside."""

from trajinfer.evaluation.series.anomalies import anomaly_table
from trajinfer.evaluation.series.calibration import calibration, forecast_figures
from trajinfer.evaluation.series.gaussian_process import gaussian_process
from trajinfer.evaluation.series.increments import IncrementRidge
from trajinfer.evaluation.series.interpolants import (
    channel_means,
    linear_interpolation,
    persistence,
    resampled,
)
from trajinfer.evaluation.series.minirocket import MiniRocket
from trajinfer.evaluation.series.missing_rates import missing_rates
from trajinfer.evaluation.series.nearest_neighbour import NearestNeighbour

__all__ = [
    "IncrementRidge",
    "MiniRocket",
    "NearestNeighbour",
    "anomaly_table",
    "calibration",
    "channel_means",
    "forecast_figures",
    "gaussian_process",
    "linear_interpolation",
    "missing_rates",
    "persistence",
    "resampled",
]
