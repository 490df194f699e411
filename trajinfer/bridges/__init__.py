"""Schroedinger bridges: trajectories and dynamics from population snapshots."""

from trajinfer.bridges.experiments import fit_together
from trajinfer.bridges.schrodinger_bridge import SchrodingerBridge

__all__ = ["SchrodingerBridge", "fit_together"]
