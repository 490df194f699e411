"""Synthetic series: directed chains, their losses, transforms and sampling."""

from trajinfer.generation.critic import CDECritic
from trajinfer.generation.directed_chain import DirectedChainSDE, Systems, Units
from trajinfer.generation.directed_chain_generator import DirectedChainGenerator
from trajinfer.generation.memory_settings import Calendar, Memory
from trajinfer.generation.meter_readings import MeterReadings
from trajinfer.generation.path_losses import ExpectedSignature, PathMMD, SigKernelMMD
from trajinfer.generation.price_bars import PriceBars
from trajinfer.generation.transition_likelihood import TransitionLikelihood

__all__ = [
    "CDECritic",
    "Calendar",
    "DirectedChainGenerator",
    "DirectedChainSDE",
    "ExpectedSignature",
    "Memory",
    "MeterReadings",
    "PathMMD",
    "PriceBars",
    "SigKernelMMD",
    "Systems",
    "TransitionLikelihood",
    "Units",
]
