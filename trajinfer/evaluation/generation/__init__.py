"""How good generated series are: the report, and the plain generators to hold beside it."""

from trajinfer.evaluation.generation.baselines import (
    block_bootstrap,
    gaussian_process,
    nearest_neighbour_markov,
    vector_autoregression,
)
from trajinfer.evaluation.generation.report import GenerationReport, generation_report

__all__ = [
    "GenerationReport",
    "block_bootstrap",
    "gaussian_process",
    "generation_report",
    "nearest_neighbour_markov",
    "vector_autoregression",
]
