"""Distances between samples: pure functions of arrays or tensors, each giving a float."""

from trajinfer.metrics.by_name import METRICS, Cloud, MetricName, metric_names, score_of
from trajinfer.metrics.exact_coupling import exact_coupling
from trajinfer.metrics.excursions import crossing_counts, crossing_intervals, time_above
from trajinfer.metrics.features import feature_discrepancy, gram_discrepancy
from trajinfer.metrics.hellinger import (
    HellingerEstimate,
    hellinger_empirical,
    hellinger_kernel,
    hellinger_marginal,
)
from trajinfer.metrics.kernel import energy_distance, median_bandwidth, mmd
from trajinfer.metrics.marginal_ks import marginal_ks
from trajinfer.metrics.memorisation import Memorisation
from trajinfer.metrics.path_augmentation import from_zero, lead_lag, with_time
from trajinfer.metrics.path_dependence import independent_dependence, path_dependence
from trajinfer.metrics.path_mmd import PathKernel, path_mmd
from trajinfer.metrics.paths import as_paths
from trajinfer.metrics.probabilistic import crps
from trajinfer.metrics.serial_dependence import (
    autocorrelation_error,
    channel_correlation_error,
    increment_autocorrelation,
)
from trajinfer.metrics.signature import (
    expected_signature_discrepancy,
    expected_signature_distance,
    scale_levels,
    signature_sizes,
    truncated_signature,
)
from trajinfer.metrics.signature_kernel import SignatureKernel, signature_mmd
from trajinfer.metrics.sinkhorn import sinkhorn_divergence
from trajinfer.metrics.transport import bures_wasserstein, sliced_wasserstein, wasserstein

__all__ = [
    "METRICS",
    "Cloud",
    "HellingerEstimate",
    "Memorisation",
    "MetricName",
    "PathKernel",
    "SignatureKernel",
    "as_paths",
    "autocorrelation_error",
    "bures_wasserstein",
    "channel_correlation_error",
    "crossing_counts",
    "crossing_intervals",
    "crps",
    "energy_distance",
    "exact_coupling",
    "expected_signature_discrepancy",
    "expected_signature_distance",
    "feature_discrepancy",
    "from_zero",
    "gram_discrepancy",
    "hellinger_empirical",
    "hellinger_kernel",
    "hellinger_marginal",
    "increment_autocorrelation",
    "independent_dependence",
    "lead_lag",
    "marginal_ks",
    "median_bandwidth",
    "metric_names",
    "mmd",
    "path_dependence",
    "path_mmd",
    "scale_levels",
    "score_of",
    "signature_mmd",
    "signature_sizes",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "time_above",
    "truncated_signature",
    "wasserstein",
    "with_time",
]
