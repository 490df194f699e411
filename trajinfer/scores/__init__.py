"""Score models: one noise, one sampler, for densities, series and snapshots.

A denoiser is anything with `denoise(y, rho)`; `sample` draws from it, `log_likelihood` gives its
densities, `condition` answers given observations.
"""

from trajinfer.scores.blocks import BlockPath, symmetric_noise
from trajinfer.scores.coloured import ColouredMixture
from trajinfer.scores.condition import Conditioned, condition
from trajinfer.scores.conversions import convert
from trajinfer.scores.correct import langevin
from trajinfer.scores.denoiser import Denoiser, score
from trajinfer.scores.denoising_mcmc import Chains, denoising_mcmc
from trajinfer.scores.gaussian import WienerDenoiser
from trajinfer.scores.inversion import InversionState, invert
from trajinfer.scores.kinetic import KineticOptimalPath, kinetic_optimal
from trajinfer.scores.likelihood import log_likelihood
from trajinfer.scores.mixture import GaussianMixture
from trajinfer.scores.noise import GPNoise, NoiseProcess, OUNoise, White
from trajinfer.scores.observation import LinearObservation, Reward
from trajinfer.scores.paths import (
    CosinePath,
    GaussianPath,
    MeanReverting,
    StraightPath,
    SubVariancePreserving,
    VarianceExploding,
    VariancePreserving,
)
from trajinfer.scores.plan_search import search_plan
from trajinfer.scores.plans import SolverPlan
from trajinfer.scores.residual import score_fpe_residual
from trajinfer.scores.samplers import sample
from trajinfer.scores.score_density import ScoreDensity
from trajinfer.scores.score_series import ScoreSeries
from trajinfer.scores.sde import DiffusionSDE, InterpolantSDE
from trajinfer.scores.steps import step_weights
from trajinfer.scores.transform import LogTransform, multiplicative_score

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
    "InterpolantSDE",
    "InversionState",
    "KineticOptimalPath",
    "LinearObservation",
    "LogTransform",
    "MeanReverting",
    "NoiseProcess",
    "OUNoise",
    "Reward",
    "ScoreDensity",
    "ScoreSeries",
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
    "multiplicative_score",
    "sample",
    "score",
    "score_fpe_residual",
    "search_plan",
    "step_weights",
    "symmetric_noise",
]
