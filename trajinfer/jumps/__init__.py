"""Markov jump processes: exact simulation and inference, and a recognition network."""

from trajinfer.jumps.emission import GaussianEmission, LabelNoise
from trajinfer.jumps.estimator import MarkovJumpProcess
from trajinfer.jumps.network import RecognitionNetwork, pretrained
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
from trajinfer.jumps.uncertainty import IdentifiabilityWarning

__all__ = [
    "GaussianEmission",
    "IdentifiabilityWarning",
    "LabelNoise",
    "MarkovJumpProcess",
    "RecognitionNetwork",
    "entropy_production",
    "mean_first_passage_times",
    "oscillating",
    "pretrained",
    "recurrent_classes",
    "relaxation_times",
    "simulate",
    "stationary_distribution",
    "stationary_laws",
    "total_entropy_production",
]
