"""Markov jump processes: exact simulation and inference, and a recognition network."""

from trajinfer._core.errors import IdentifiabilityWarning
from trajinfer.jumps.estimator import MarkovJumpProcess
from trajinfer.jumps.model import JumpModel
from trajinfer.jumps.piecewise import PiecewiseConstantJumpProcess
from trajinfer.jumps.signals import fit_mixture, states_from_signal
from trajinfer.markov.emission import GaussianEmission, LabelNoise
from trajinfer.markov.rates import (
    entropy_production,
    mean_first_passage_times,
    oscillating,
    recurrent_classes,
    relaxation_times,
    stationary_distribution,
    stationary_laws,
    total_entropy_production,
)
from trajinfer.markov.simulate import simulate
from trajinfer.recognition import RecognitionNetwork, pretrained

__all__ = [
    "GaussianEmission",
    "IdentifiabilityWarning",
    "JumpModel",
    "LabelNoise",
    "MarkovJumpProcess",
    "PiecewiseConstantJumpProcess",
    "RecognitionNetwork",
    "entropy_production",
    "fit_mixture",
    "mean_first_passage_times",
    "oscillating",
    "pretrained",
    "recurrent_classes",
    "relaxation_times",
    "simulate",
    "states_from_signal",
    "stationary_distribution",
    "stationary_laws",
    "total_entropy_production",
]
