"""Questions to a process: regions of states, and functionals of a path until it enters them.

`trajinfer.functionals` gives all these names, and answers.
"""

from trajinfer.questions.functional import (
    Functional,
    committor,
    discounted,
    exceedance,
    expected,
    hitting_probability,
    hitting_time,
    occupation,
)
from trajinfer.questions.region import Region
from trajinfer.questions.shapes import above, ball, below, box, outside, states, where

__all__ = [
    "Functional",
    "Region",
    "above",
    "ball",
    "below",
    "box",
    "committor",
    "discounted",
    "exceedance",
    "expected",
    "hitting_probability",
    "hitting_time",
    "occupation",
    "outside",
    "states",
    "where",
]
