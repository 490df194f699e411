"""Gradients of a solve other than plain backpropagation."""

from trajinfer.sde.gradients.adjoint import march_adjoint
from trajinfer.sde.gradients.checkpoint import Checkpoint, run_checkpointed
from trajinfer.sde.gradients.reversible import march_reversible

__all__ = ["Checkpoint", "march_adjoint", "march_reversible", "run_checkpointed"]
