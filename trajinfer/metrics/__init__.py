"""Distances between samples: pure functions of arrays or tensors, each giving a float."""

from trajinfer.metrics.kernel import energy_distance, median_bandwidth, mmd
from trajinfer.metrics.probabilistic import crps
from trajinfer.metrics.sinkhorn import sinkhorn_divergence
from trajinfer.metrics.transport import bures_wasserstein, sliced_wasserstein, wasserstein

__all__ = [
    "bures_wasserstein",
    "crps",
    "energy_distance",
    "median_bandwidth",
    "mmd",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "wasserstein",
]
