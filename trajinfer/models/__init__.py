"""Neural models of series: their dynamics, and the estimators built on them."""

from trajinfer.models.baseline_dynamics import FreeSDE, LatentSDE, NeuralCDE, NeuralODE
from trajinfer.models.by_name import make_dynamics
from trajinfer.models.classifier import NeuralSDEClassifier
from trajinfer.models.clipped import (
    ClippedGeometricSDE,
    ClippedLangevinSDE,
    ClippedLinearNoiseSDE,
)
from trajinfer.models.directed_chain import DirectedChainSDE, Systems, Units
from trajinfer.models.directed_chain_generator import DirectedChainGenerator
from trajinfer.models.forecaster import NeuralSDEForecaster
from trajinfer.models.fractional_sde import FractionalSDE
from trajinfer.models.generation.critic import CDECritic
from trajinfer.models.generation.memory_settings import Calendar, Memory
from trajinfer.models.generation.meter_readings import MeterReadings
from trajinfer.models.generation.path_losses import ExpectedSignature, PathMMD, SigKernelMMD
from trajinfer.models.generation.price_bars import PriceBars
from trajinfer.models.generation.transition_likelihood import TransitionLikelihood
from trajinfer.models.geometric import GeometricSDE
from trajinfer.models.interpolator import NeuralSDEInterpolator
from trajinfer.models.langevin import LangevinSDE
from trajinfer.models.linear_noise import LinearNoiseSDE
from trajinfer.models.regressor import NeuralSDERegressor

__all__ = [
    "CDECritic",
    "Calendar",
    "ClippedGeometricSDE",
    "ClippedLangevinSDE",
    "ClippedLinearNoiseSDE",
    "DirectedChainGenerator",
    "DirectedChainSDE",
    "ExpectedSignature",
    "FractionalSDE",
    "FreeSDE",
    "GeometricSDE",
    "LangevinSDE",
    "LatentSDE",
    "LinearNoiseSDE",
    "Memory",
    "MeterReadings",
    "NeuralCDE",
    "NeuralODE",
    "NeuralSDEClassifier",
    "NeuralSDEForecaster",
    "NeuralSDEInterpolator",
    "NeuralSDERegressor",
    "PathMMD",
    "PriceBars",
    "SigKernelMMD",
    "Systems",
    "TransitionLikelihood",
    "Units",
    "make_dynamics",
]
