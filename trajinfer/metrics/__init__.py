"""Distances between samples: pure functions of arrays or tensors, each giving a float."""

from trajinfer.metrics.by_name import METRICS, Cloud, MetricName, metric_names, score_of
from trajinfer.metrics.exact_coupling import exact_coupling
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
    "METRICS",
    "Cloud",
    "HellingerEstimate",
    "MetricName",
    "bures_wasserstein",
    "crps",
    "energy_distance",
    "exact_coupling",
    "hellinger_empirical",
    "hellinger_kernel",
    "hellinger_marginal",
    "median_bandwidth",
    "metric_names",
    "mmd",
    "score_of",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "wasserstein",
]
