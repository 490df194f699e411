"""Stochastic differential equations: the protocol and its one verb, `solve`."""

from trajinfer.paths import BrownianGrid, BrownianPath, BrownianTable
from trajinfer.sde.base import SDE, LinearDrift, SDELike
from trajinfer.sde.choice import methods
from trajinfer.sde.gradients import Checkpoint
from trajinfer.sde.solution import Solution
from trajinfer.sde.solve import solve
from trajinfer.sde.solvers import Solver, Stage, Step

__all__ = [
    "SDE",
    "BrownianGrid",
    "BrownianPath",
    "BrownianTable",
    "Checkpoint",
    "LinearDrift",
    "SDELike",
    "Solution",
    "Solver",
    "Stage",
    "Step",
    "methods",
    "solve",
]
