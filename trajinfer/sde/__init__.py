"""Stochastic differential equations: the protocol and its one verb, `solve`."""

from trajinfer.paths import (
    BrownianGrid,
    BrownianPath,
    BrownianStack,
    BrownianTable,
    BrownianTree,
)
from trajinfer.sde.adaptive import Adaptive
from trajinfer.sde.base import SDE, LinearDrift, SDELike
from trajinfer.sde.choice import methods
from trajinfer.sde.gradients import Checkpoint
from trajinfer.sde.heuristics import Anneal, SolverRegularization
from trajinfer.sde.per_step import PerStep
from trajinfer.sde.solution import Solution
from trajinfer.sde.solve import solve
from trajinfer.sde.solvers import ErrorSum, Solver, Stage, Step

__all__ = [
    "SDE",
    "Adaptive",
    "Anneal",
    "BrownianGrid",
    "BrownianPath",
    "BrownianStack",
    "BrownianTable",
    "BrownianTree",
    "Checkpoint",
    "ErrorSum",
    "LinearDrift",
    "PerStep",
    "SDELike",
    "Solution",
    "Solver",
    "SolverRegularization",
    "Stage",
    "Step",
    "methods",
    "solve",
]
