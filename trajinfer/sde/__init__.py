"""Stochastic differential equations: the protocol and its one verb, `solve`."""

from trajinfer.sde.base import SDE, SDELike

__all__ = ["SDE", "SDELike"]
