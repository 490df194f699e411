"""Long memory: fractional Brownian motion, its Markov approximation, and estimators of H."""

from trajinfer.fractional.covariance import (
    fbm_covariance,
    fgn_autocovariance,
    fou_covariance,
    markov_covariance,
    stationary_fou_autocovariance,
)
from trajinfer.fractional.estimate import HurstEstimate, NonStationaryWarning, estimate_hurst
from trajinfer.fractional.nodes import default_nodes, symmetric_nodes
from trajinfer.fractional.scaling import detrended_fluctuation, variogram
from trajinfer.fractional.simulate import (
    simulate_fbm,
    simulate_fgn,
    simulate_fractional_ou,
    simulate_varying_hurst,
)
from trajinfer.fractional.weights import approximation_error, weights, weights_derivative

__all__ = [
    "HurstEstimate",
    "NonStationaryWarning",
    "approximation_error",
    "default_nodes",
    "detrended_fluctuation",
    "estimate_hurst",
    "fbm_covariance",
    "fgn_autocovariance",
    "fou_covariance",
    "markov_covariance",
    "simulate_fbm",
    "simulate_fgn",
    "simulate_fractional_ou",
    "simulate_varying_hurst",
    "stationary_fou_autocovariance",
    "symmetric_nodes",
    "variogram",
    "weights",
    "weights_derivative",
]
