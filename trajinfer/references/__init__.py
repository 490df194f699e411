"""The reference of a bridge: what it needs of a process, its transition laws, and their costs."""

from trajinfer.references.bridge_law import bridge_law
from trajinfer.references.dynamics import dynamics_of
from trajinfer.references.reference import prepare_reference
from trajinfer.references.transitions import Transitions

__all__ = ["Transitions", "bridge_law", "dynamics_of", "prepare_reference"]
