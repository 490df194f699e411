"""Schroedinger bridges: trajectories and dynamics from population snapshots."""

from trajinfer.bridges.schrodinger_bridge import SchrodingerBridge

__all__ = ["SchrodingerBridge"]
