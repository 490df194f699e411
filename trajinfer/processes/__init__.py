"""Processes with known equations: each simulates data and serves as a bridge's reference."""

from trajinfer.processes.affine_transition import affine_transition
from trajinfer.processes.base import Process, Values, Volatility
from trajinfer.processes.double_well import DoubleWell
from trajinfer.processes.fitzhugh_nagumo import FitzHughNagumo
from trajinfer.processes.fractional_brownian import FractionalBrownian
from trajinfer.processes.geometric_brownian import GeometricBrownian
from trajinfer.processes.gradient_field import GradientField
from trajinfer.processes.lamb_oseen import LambOseen
from trajinfer.processes.linear import AffineDrift, Brownian, OrnsteinUhlenbeck
from trajinfer.processes.lotka_volterra import LotkaVolterra
from trajinfer.processes.neural_drift import NeuralDrift
from trajinfer.processes.opinion_dynamics import OpinionDynamics
from trajinfer.processes.polynomial import PolynomialDrift
from trajinfer.processes.repressilator import Repressilator
from trajinfer.processes.repressilator_with_proteins import RepressilatorWithProteins
from trajinfer.processes.simulate import make_snapshots, simulate
from trajinfer.processes.vortex import Vortex

__all__ = [
    "AffineDrift",
    "Brownian",
    "DoubleWell",
    "FitzHughNagumo",
    "FractionalBrownian",
    "GeometricBrownian",
    "GradientField",
    "LambOseen",
    "LotkaVolterra",
    "NeuralDrift",
    "OpinionDynamics",
    "OrnsteinUhlenbeck",
    "PolynomialDrift",
    "Process",
    "Repressilator",
    "RepressilatorWithProteins",
    "Values",
    "Volatility",
    "Vortex",
    "affine_transition",
    "make_snapshots",
    "simulate",
]
