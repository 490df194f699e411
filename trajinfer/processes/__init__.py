"""Processes with known equations: each simulates data and serves as a bridge's reference."""

from trajinfer.processes.base import Process
from trajinfer.processes.geometric_brownian import GeometricBrownian
from trajinfer.processes.linear import AffineDrift, Brownian, OrnsteinUhlenbeck
from trajinfer.processes.lotka_volterra import LotkaVolterra
from trajinfer.processes.polynomial import PolynomialDrift
from trajinfer.processes.repressilator import Repressilator
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
    "Vortex",
]
