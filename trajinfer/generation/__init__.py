"""Synthetic series: directed chains, their losses, transforms and sampling."""

import warnings
from typing import Any

from trajinfer.generation.critic import CDECritic
from trajinfer.generation.directed_chain import DirectedChainSDE, Systems, Units
from trajinfer.generation.directed_chain_generator import DirectedChainGenerator
from trajinfer.generation.memory_settings import Calendar, Memory
from trajinfer.generation.path_losses import ExpectedSignature, PathMMD, SigKernelMMD
from trajinfer.generation.quantised_rows import QuantisedRows
from trajinfer.generation.relative_rows import RelativeRows
from trajinfer.generation.transition_likelihood import TransitionLikelihood

__all__ = [
    "CDECritic",
    "Calendar",
    "DirectedChainGenerator",
    "DirectedChainSDE",
    "ExpectedSignature",
    "Memory",
    "PathMMD",
    "QuantisedRows",
    "RelativeRows",
    "SigKernelMMD",
    "Systems",
    "TransitionLikelihood",
    "Units",
]

_FORMER_NAMES: dict[str, Any] = {"PriceBars": RelativeRows, "MeterReadings": QuantisedRows}


def __getattr__(name: str) -> Any:
    if name not in _FORMER_NAMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    now = _FORMER_NAMES[name]
    warnings.warn(
        f"{name} is now called {now.__name__}; the old name will go in version 0.4",
        FutureWarning,
        stacklevel=2,
    )
    return now
