"""Stochastic dynamics from observations that are scattered in time.

Estimators, containers, errors, `solve`, `simulate`, `make_snapshots`, `load`, and the rooms `sde`,
`processes`, `fractional`, `functionals`, `jumps`, `metrics`, `evaluation`, `adapters`, `datasets`,
`plot`, `scores`. Names are imported when they are first used, so that `import trajinfer` alone
costs next to nothing.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trajinfer import (
        adapters,
        datasets,
        evaluation,
        fractional,
        functionals,
        jumps,
        metrics,
        plot,
        processes,
        scores,
        sde,
    )
    from trajinfer._core.errors import (
        ExtrapolationWarning,
        InputError,
        NotConverged,
        SolverError,
        TrajinferError,
    )
    from trajinfer.bridges import SchrodingerBridge
    from trajinfer.data import Forecast, IrregularSeries, JumpSeries, Snapshots, Trajectories
    from trajinfer.functionals import (
        Functional,
        ValueFunction,
        estimate,
        fate_probabilities,
    )
    from trajinfer.functionals.passage import passage
    from trajinfer.generation import DirectedChainGenerator
    from trajinfer.jumps import MarkovJumpProcess
    from trajinfer.long_memory import FractionalSDE
    from trajinfer.persistence import load
    from trajinfer.processes.simulate import make_snapshots, simulate
    from trajinfer.scores import ScoreDensity, ScoreSeries, StochasticInterpolant
    from trajinfer.sde import solve
    from trajinfer.series import (
        NeuralSDEClassifier,
        NeuralSDEForecaster,
        NeuralSDEInterpolator,
        NeuralSDERegressor,
    )

__version__ = _version("trajinfer")

__all__ = [
    "DirectedChainGenerator",
    "ExtrapolationWarning",
    "Forecast",
    "FractionalSDE",
    "Functional",
    "InputError",
    "IrregularSeries",
    "JumpSeries",
    "MarkovJumpProcess",
    "NeuralSDEClassifier",
    "NeuralSDEForecaster",
    "NeuralSDEInterpolator",
    "NeuralSDERegressor",
    "NotConverged",
    "SchrodingerBridge",
    "ScoreDensity",
    "ScoreSeries",
    "Snapshots",
    "SolverError",
    "StochasticInterpolant",
    "Trajectories",
    "TrajinferError",
    "ValueFunction",
    "__version__",
    "adapters",
    "datasets",
    "estimate",
    "evaluation",
    "fate_probabilities",
    "fractional",
    "functionals",
    "jumps",
    "load",
    "make_snapshots",
    "metrics",
    "passage",
    "plot",
    "processes",
    "scores",
    "sde",
    "simulate",
    "solve",
]

_HOME = {
    "ExtrapolationWarning": "trajinfer._core.errors",
    "InputError": "trajinfer._core.errors",
    "NotConverged": "trajinfer._core.errors",
    "SolverError": "trajinfer._core.errors",
    "TrajinferError": "trajinfer._core.errors",
    "Forecast": "trajinfer.data",
    "IrregularSeries": "trajinfer.data",
    "JumpSeries": "trajinfer.data",
    "Functional": "trajinfer.functionals",
    "MarkovJumpProcess": "trajinfer.jumps",
    "ValueFunction": "trajinfer.functionals",
    "estimate": "trajinfer.functionals",
    "fate_probabilities": "trajinfer.functionals",
    "passage": "trajinfer.functionals",
    "SchrodingerBridge": "trajinfer.bridges",
    "FractionalSDE": "trajinfer.long_memory",
    "NeuralSDEClassifier": "trajinfer.series",
    "NeuralSDEForecaster": "trajinfer.series",
    "ScoreDensity": "trajinfer.scores",
    "ScoreSeries": "trajinfer.scores",
    "StochasticInterpolant": "trajinfer.scores",
    "Snapshots": "trajinfer.data",
    "Trajectories": "trajinfer.data",
    "DirectedChainGenerator": "trajinfer.generation",
    "NeuralSDEInterpolator": "trajinfer.series",
    "NeuralSDERegressor": "trajinfer.series",
    "load": "trajinfer.persistence",
    "make_snapshots": "trajinfer.processes",
    "simulate": "trajinfer.processes",
    "solve": "trajinfer.sde",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in __all__:
        value = importlib.import_module(f"trajinfer.{name}")
    else:
        raise AttributeError(f"module 'trajinfer' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
