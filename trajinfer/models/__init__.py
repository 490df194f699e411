"""Neural models of series: their dynamics, and the estimators built on them."""

from trajinfer.models.directed_chain import DirectedChainSDE, Systems, Units
from trajinfer.models.directed_chain_generator import DirectedChainGenerator
from trajinfer.models.generation.critic import CDECritic
from trajinfer.models.generation.memory_settings import Calendar, Memory
from trajinfer.models.generation.meter_readings import MeterReadings
from trajinfer.models.generation.path_losses import ExpectedSignature, PathMMD, SigKernelMMD
from trajinfer.models.generation.price_bars import PriceBars
from trajinfer.models.generation.transition_likelihood import TransitionLikelihood

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
