"""What a fitted process is asked: fates, passage times, densities, values.

A question is a `Functional`; `estimate` answers it at given starts, `ValueFunction` everywhere.
"""

from trajinfer.excursions import ExcursionLaw, excursion_law, persistence_exponent
from trajinfer.functionals.asked import as_dynamics
from trajinfer.functionals.density import DensityPath, GridChain, density, on_grid, stationary
from trajinfer.functionals.dynamics import Chain, Diffusion, PathSource
from trajinfer.functionals.fates import FateTable, fate_probabilities
from trajinfer.functionals.fit_uncertainty import FitInterval, fit_interval
from trajinfer.functionals.monte_carlo import Estimate, estimate
from trajinfer.functionals.passage import PassageLaw, passage
from trajinfer.functionals.value_function import ValueFunction
from trajinfer.questions import (
    Functional,
    Region,
    above,
    ball,
    below,
    box,
    committor,
    discounted,
    exceedance,
    expected,
    hitting_probability,
    hitting_time,
    occupation,
    outside,
    states,
    where,
)

__all__ = [
    "Chain",
    "DensityPath",
    "Diffusion",
    "Estimate",
    "ExcursionLaw",
    "FateTable",
    "FitInterval",
    "Functional",
    "GridChain",
    "PassageLaw",
    "PathSource",
    "Region",
    "ValueFunction",
    "above",
    "as_dynamics",
    "ball",
    "below",
    "box",
    "committor",
    "density",
    "discounted",
    "estimate",
    "exceedance",
    "excursion_law",
    "expected",
    "fate_probabilities",
    "fit_interval",
    "hitting_probability",
    "hitting_time",
    "occupation",
    "on_grid",
    "outside",
    "passage",
    "persistence_exponent",
    "states",
    "stationary",
    "where",
]
