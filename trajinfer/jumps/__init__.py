"""Markov jump processes: exact simulation and inference, and a recognition network."""

from trajinfer.jumps.rates import (
    entropy_production,
    mean_first_passage_times,
    oscillating,
    recurrent_classes,
    relaxation_times,
    stationary_distribution,
    stationary_laws,
    total_entropy_production,
)
from trajinfer.jumps.simulate import simulate

__all__ = [
    "entropy_production",
    "mean_first_passage_times",
    "oscillating",
    "recurrent_classes",
    "relaxation_times",
    "simulate",
    "stationary_distribution",
    "stationary_laws",
    "total_entropy_production",
]
