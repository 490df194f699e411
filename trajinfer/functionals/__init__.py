"""What a fitted process is asked: fates, passage times, densities, values.

A question is a `Functional`; `estimate` answers it at given starts, `ValueFunction` everywhere.
"""

from trajinfer.functionals.asked import as_dynamics
from trajinfer.functionals.dynamics import Chain, Diffusion, PathSource
from trajinfer.functionals.fates import FateTable, fate_probabilities
from trajinfer.functionals.fit_uncertainty import FitInterval, fit_interval
from trajinfer.functionals.functional import (
    Functional,
    committor,
    discounted,
    exceedance,
    expected,
    hitting_probability,
    hitting_time,
    occupation,
)
from trajinfer.functionals.monte_carlo import Estimate, estimate
from trajinfer.functionals.passage import PassageLaw, passage
from trajinfer.functionals.region import (
    Region,
    above,
    ball,
    below,
    box,
    outside,
    states,
    where,
)
from trajinfer.functionals.value_function import ValueFunction

__all__ = [
    "Chain",
    "Diffusion",
    "Estimate",
    "FateTable",
    "FitInterval",
    "Functional",
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
    "discounted",
    "estimate",
    "exceedance",
    "expected",
    "fate_probabilities",
    "fit_interval",
    "hitting_probability",
    "hitting_time",
    "occupation",
    "outside",
    "passage",
    "states",
    "where",
]
