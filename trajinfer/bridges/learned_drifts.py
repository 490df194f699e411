"""Which bridge between points is followed by a drift that is learned."""

from __future__ import annotations

from trajinfer.bridges.backends import BackendChoice
from trajinfer.bridges.coupling_rules import AnyBridge
from trajinfer.bridges.ipf_bridge import IpfBridge
from trajinfer.bridges.matching_bridge import MatchingBridge
from trajinfer.bridges.multi_marginal import MultiMarginalBridge


def with_learned_drift(choice: BackendChoice, bridge: AnyBridge, seed: int) -> AnyBridge:
    """The bridge with the drift that its backend learns; itself where it learns none."""
    if not choice.learns_drift:
        return bridge
    if not isinstance(bridge, MultiMarginalBridge):
        raise TypeError("a bridge between points was expected")
    if choice.name == "ipf":
        return IpfBridge.of(bridge, seed)
    return MatchingBridge.of(bridge, seed)
