"""Gradients of a solve other than plain backpropagation."""

from trajinfer.sde.gradients.checkpoint import Checkpoint, run_checkpointed

__all__ = ["Checkpoint", "run_checkpointed"]
