"""Protocols: how well snapshots that were held out are met, and beside what to judge it."""

from trajinfer.evaluation.baselines import exact_line, nearest_snapshot, sampling_floor
from trajinfer.evaluation.cell_intervals import cell_intervals
from trajinfer.evaluation.generation import (
    GenerationReport,
    block_bootstrap,
    gaussian_process,
    generation_report,
    nearest_neighbour_markov,
    vector_autoregression,
)
from trajinfer.evaluation.held_out import held_out_table, leave_one_snapshot_out, mean_scores
from trajinfer.evaluation.individuals import (
    forecast_scores,
    individual_scores,
    interval_coverage,
    mistaken_pairs,
    successor_counts,
    true_pair_dynamics,
)
from trajinfer.evaluation.resampling import bootstrap
from trajinfer.evaluation.volatility_choice import VolatilityChoice, choose_volatility

__all__ = [
    "GenerationReport",
    "VolatilityChoice",
    "block_bootstrap",
    "bootstrap",
    "cell_intervals",
    "choose_volatility",
    "exact_line",
    "forecast_scores",
    "gaussian_process",
    "generation_report",
    "held_out_table",
    "individual_scores",
    "interval_coverage",
    "leave_one_snapshot_out",
    "mean_scores",
    "mistaken_pairs",
    "nearest_neighbour_markov",
    "nearest_snapshot",
    "sampling_floor",
    "successor_counts",
    "true_pair_dynamics",
    "vector_autoregression",
]
