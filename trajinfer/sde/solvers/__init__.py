"""The solvers, one file per family; `SOLVERS` is where a new one is entered."""

from trajinfer.sde.solvers.base import Solver, Stage, Step, StepNoise
from trajinfer.sde.solvers.euler import EulerMaruyama
from trajinfer.sde.solvers.exact import Exact
from trajinfer.sde.solvers.milstein import Milstein
from trajinfer.sde.solvers.sra import SOSRA, SOSRA2, SRA1, SRA3

SOLVERS: dict[str, Solver] = {
    solver.name: solver
    for solver in (EulerMaruyama(), Milstein(), SRA1(), SRA3(), SOSRA(), SOSRA2(), Exact())
}

__all__ = ["SOLVERS", "Solver", "Stage", "Step", "StepNoise"]
