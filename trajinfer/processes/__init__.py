"""Processes with known equations: each simulates data and serves as a bridge's reference."""

from trajinfer.processes.affine_transition import affine_transition
from trajinfer.processes.base import Process, Values, Volatility
from trajinfer.processes.geometric_brownian import GeometricBrownian
from trajinfer.processes.linear import AffineDrift, Brownian, OrnsteinUhlenbeck
from trajinfer.processes.lotka_volterra import LotkaVolterra
from trajinfer.processes.polynomial import PolynomialDrift
from trajinfer.processes.repressilator import Repressilator
from trajinfer.processes.simulate import make_snapshots, simulate
from trajinfer.processes.vortex import Vortex

__all__ = [
    "AffineDrift",
    "Brownian",
    "GeometricBrownian",
    "LotkaVolterra",
    "OrnsteinUhlenbeck",
    "PolynomialDrift",
    "Process",
    "Repressilator",
    "Values",
    "Volatility",
    "Vortex",
    "affine_transition",
    "make_snapshots",
    "simulate",
]
