"""Figures: one function each, `(data, *, ax=None) -> Axes`; nothing is shown, saved or restyled."""

from trajinfer.plot.anomalies import anomalies
from trajinfer.plot.calibration import calibration
from trajinfer.plot.cell_sets import fate_map, flow
from trajinfer.plot.classes import classes
from trajinfer.plot.fields import velocity
from trajinfer.plot.fractional import variogram
from trajinfer.plot.functionals import fates, passage, value
from trajinfer.plot.generation import generation
from trajinfer.plot.jumps import (
    goodness_of_fit,
    occupation,
    prevalence,
    rates,
    state_posterior,
    transition_graph,
)
from trajinfer.plot.observations import series
from trajinfer.plot.populations import held_out, snapshots, trajectories
from trajinfer.plot.progress import forecast, history
from trajinfer.plot.scores import scores

__all__ = [
    "anomalies",
    "calibration",
    "classes",
    "fate_map",
    "fates",
    "flow",
    "forecast",
    "generation",
    "goodness_of_fit",
    "held_out",
    "history",
    "occupation",
    "passage",
    "prevalence",
    "rates",
    "scores",
    "series",
    "snapshots",
    "state_posterior",
    "trajectories",
    "transition_graph",
    "value",
    "variogram",
    "velocity",
]
