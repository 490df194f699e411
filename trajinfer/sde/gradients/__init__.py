"""Gradients of a solve other than plain backpropagation."""

from trajinfer.sde.gradients.adjoint import integrate_adjoint
from trajinfer.sde.gradients.checkpoint import Checkpoint, run_checkpointed
from trajinfer.sde.gradients.reversible import integrate_reversible

__all__ = ["Checkpoint", "integrate_adjoint", "integrate_reversible", "run_checkpointed"]
