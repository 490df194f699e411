"""The solvers, one file per family; `SOLVERS` is where a new one is entered."""

from trajinfer.sde.solvers.base import Solver, Stage, Step, StepNoise
from trajinfer.sde.solvers.error_sum import ErrorSum
from trajinfer.sde.solvers.euler import EulerMaruyama
from trajinfer.sde.solvers.exact import Exact
from trajinfer.sde.solvers.exponential import ExponentialEuler
from trajinfer.sde.solvers.foster import SEA, GeneralShARK, ShARK, SlowRK, SPaRK
from trajinfer.sde.solvers.heun import Heun, ReversibleHeun
from trajinfer.sde.solvers.midpoint import Midpoint
from trajinfer.sde.solvers.milstein import Milstein, MilsteinDerivativeFree
from trajinfer.sde.solvers.runge_kutta import BogackiShampine, HeunODE, Tsit5
from trajinfer.sde.solvers.sra import SOSRA, SOSRA2, SRA1, SRA3
from trajinfer.sde.solvers.sri import SOSRI, SOSRI2, SRIW1, SRIW2
from trajinfer.sde.solvers.tamed import TamedEuler

SOLVERS: dict[str, Solver] = {
    solver.name: solver
    for solver in (
        EulerMaruyama(),
        TamedEuler(),
        Milstein(),
        MilsteinDerivativeFree(),
        Heun(),
        ReversibleHeun(),
        Midpoint(),
        SRA1(),
        SRA3(),
        SOSRA(),
        SOSRA2(),
        ShARK(),
        SEA(),
        SRIW1(),
        SRIW2(),
        SOSRI(),
        SOSRI2(),
        SPaRK(),
        GeneralShARK(),
        SlowRK(),
        Exact(),
        ExponentialEuler(),
        Tsit5(),
        BogackiShampine(),
        HeunODE(),
    )
}

__all__ = ["SOLVERS", "ErrorSum", "Solver", "Stage", "Step", "StepNoise"]
