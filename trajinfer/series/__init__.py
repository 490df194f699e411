"""Irregular series: latent dynamics, and the estimators that forecast, fill in and classify."""

from trajinfer.series.baseline_dynamics import FreeSDE, LatentSDE, NeuralCDE, NeuralODE
from trajinfer.series.by_name import make_dynamics
from trajinfer.series.classifier import NeuralSDEClassifier
from trajinfer.series.clipped import (
    ClippedGeometricSDE,
    ClippedLangevinSDE,
    ClippedLinearNoiseSDE,
)
from trajinfer.series.forecaster import NeuralSDEForecaster
from trajinfer.series.geometric import GeometricSDE
from trajinfer.series.interpolator import NeuralSDEInterpolator
from trajinfer.series.langevin import LangevinSDE
from trajinfer.series.linear_noise import LinearNoiseSDE
from trajinfer.series.regressor import NeuralSDERegressor

__all__ = [
    "ClippedGeometricSDE",
    "ClippedLangevinSDE",
    "ClippedLinearNoiseSDE",
    "FreeSDE",
    "GeometricSDE",
    "LangevinSDE",
    "LatentSDE",
    "LinearNoiseSDE",
    "NeuralCDE",
    "NeuralODE",
    "NeuralSDEClassifier",
    "NeuralSDEForecaster",
    "NeuralSDEInterpolator",
    "NeuralSDERegressor",
    "make_dynamics",
]
