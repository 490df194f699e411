"""Data with noise taken away: paths, noises, denoisers in closed form, samplers, conditioning.

A denoiser is asked through `denoise(y, rho)` alone. `trajinfer.scores` gives all these names, and
learns denoisers from data.
"""

from trajinfer.diffusion.blocks import BlockPath, symmetric_noise
from trajinfer.diffusion.coloured import ColouredMixture
from trajinfer.diffusion.condition import Conditioned, condition
from trajinfer.diffusion.conversions import convert
from trajinfer.diffusion.correct import langevin
from trajinfer.diffusion.denoiser import Denoiser, score
from trajinfer.diffusion.denoising_mcmc import Chains, denoising_mcmc
from trajinfer.diffusion.gaussian import WienerDenoiser
from trajinfer.diffusion.interpolant_mixture import MixtureInterpolant
from trajinfer.diffusion.interpolant_path import InterpolantPath
from trajinfer.diffusion.inversion import InversionState, invert
from trajinfer.diffusion.kinetic import KineticOptimalPath, kinetic_optimal
from trajinfer.diffusion.likelihood import log_likelihood
from trajinfer.diffusion.mixture import GaussianMixture
from trajinfer.diffusion.noise import GPNoise, NoiseProcess, OUNoise, White
from trajinfer.diffusion.observation import LinearObservation, Reward
from trajinfer.diffusion.paths import (
    CosinePath,
    GaussianPath,
    MeanReverting,
    StraightPath,
    SubVariancePreserving,
    VarianceExploding,
    VariancePreserving,
)
from trajinfer.diffusion.plan_search import search_plan
from trajinfer.diffusion.plans import SolverPlan
from trajinfer.diffusion.residual import score_fpe_residual
from trajinfer.diffusion.samplers import sample
from trajinfer.diffusion.sde import DiffusionSDE, InterpolantSDE
from trajinfer.diffusion.steps import step_weights

__all__ = [
    "BlockPath",
    "Chains",
    "ColouredMixture",
    "Conditioned",
    "CosinePath",
    "Denoiser",
    "DiffusionSDE",
    "GPNoise",
    "GaussianMixture",
    "GaussianPath",
    "InterpolantPath",
    "InterpolantSDE",
    "InversionState",
    "KineticOptimalPath",
    "LinearObservation",
    "MeanReverting",
    "MixtureInterpolant",
    "NoiseProcess",
    "OUNoise",
    "Reward",
    "SolverPlan",
    "StraightPath",
    "SubVariancePreserving",
    "VarianceExploding",
    "VariancePreserving",
    "White",
    "WienerDenoiser",
    "condition",
    "convert",
    "denoising_mcmc",
    "invert",
    "kinetic_optimal",
    "langevin",
    "log_likelihood",
    "sample",
    "score",
    "score_fpe_residual",
    "search_plan",
    "step_weights",
    "symmetric_noise",
]
