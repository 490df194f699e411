"""Paths through time: Brownian motion, and what an SDE can be driven by."""

from trajinfer.paths.brownian import BrownianPath, Increments
from trajinfer.paths.brownian_grid import BrownianGrid
from trajinfer.paths.brownian_stack import BrownianStack
from trajinfer.paths.brownian_table import BrownianTable
from trajinfer.paths.brownian_tree import BrownianTree
from trajinfer.paths.control import Interpolation, control_path
from trajinfer.paths.hermite import hermite_path
from trajinfer.paths.linear import linear_path
from trajinfer.paths.natural_cubic import natural_cubic_path
from trajinfer.paths.observations import carried, filled, intensity
from trajinfer.paths.path import Path, PiecewisePolynomial
from trajinfer.paths.rectilinear import elapsed, rectilinear_path

__all__ = [
    "BrownianGrid",
    "BrownianPath",
    "BrownianStack",
    "BrownianTable",
    "BrownianTree",
    "Increments",
    "Interpolation",
    "Path",
    "PiecewisePolynomial",
    "carried",
    "control_path",
    "elapsed",
    "filled",
    "hermite_path",
    "intensity",
    "linear_path",
    "natural_cubic_path",
    "rectilinear_path",
]
