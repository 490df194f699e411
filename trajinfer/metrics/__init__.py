"""Distances between samples: pure functions of arrays or tensors, each giving a float."""

from trajinfer.metrics.hellinger import (
    HellingerEstimate,
    hellinger_empirical,
    hellinger_kernel,
    hellinger_marginal,
)
from trajinfer.metrics.kernel import energy_distance, median_bandwidth, mmd
from trajinfer.metrics.probabilistic import crps
from trajinfer.metrics.sinkhorn import sinkhorn_divergence
from trajinfer.metrics.transport import bures_wasserstein, sliced_wasserstein, wasserstein

__all__ = [
    "HellingerEstimate",
    "bures_wasserstein",
    "crps",
    "energy_distance",
    "hellinger_empirical",
    "hellinger_kernel",
    "hellinger_marginal",
    "median_bandwidth",
    "mmd",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "wasserstein",
]
