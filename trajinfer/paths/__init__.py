"""Paths through time: Brownian motion, and what an SDE can be driven by."""

from trajinfer.paths.brownian import BrownianPath, Increments
from trajinfer.paths.brownian_grid import BrownianGrid
from trajinfer.paths.brownian_stack import BrownianStack
from trajinfer.paths.brownian_table import BrownianTable
from trajinfer.paths.brownian_tree import BrownianTree

__all__ = [
    "BrownianGrid",
    "BrownianPath",
    "BrownianStack",
    "BrownianTable",
    "BrownianTree",
    "Increments",
]
