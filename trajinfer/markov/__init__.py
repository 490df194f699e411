"""Markov chains in continuous time with given rates: laws, exact likelihoods, simulation."""

from trajinfer.markov.decoding import most_probable_states
from trajinfer.markov.emission import EmissionModel, GaussianEmission, LabelNoise
from trajinfer.markov.hidden import HiddenData
from trajinfer.markov.likelihood import CountData
from trajinfer.markov.parameters import Parameters
from trajinfer.markov.posterior import state_probabilities
from trajinfer.markov.regime_counts import RegimeCountData
from trajinfer.markov.simulate import simulate
from trajinfer.markov.transitions import transition_matrices

__all__ = [
    "CountData",
    "EmissionModel",
    "GaussianEmission",
    "HiddenData",
    "LabelNoise",
    "Parameters",
    "RegimeCountData",
    "most_probable_states",
    "simulate",
    "state_probabilities",
    "transition_matrices",
]
