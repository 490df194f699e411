"""Bridges between snapshots that show some coordinates of their reference: the others inferred."""

from trajinfer.hidden.coordinates import Coordinates
from trajinfer.hidden.hidden_bridge import HiddenBridge
from trajinfer.hidden.hidden_fit import HiddenFit, fit_hidden

__all__ = ["Coordinates", "HiddenBridge", "HiddenFit", "fit_hidden"]
