"""Figures: one function each, `(data, *, ax=None) -> Axes`; nothing is shown, saved or restyled."""

from trajinfer.plot.fields import velocity
from trajinfer.plot.populations import held_out, snapshots, trajectories
from trajinfer.plot.progress import forecast, history

__all__ = ["forecast", "held_out", "history", "snapshots", "trajectories", "velocity"]
