"""The stages of training by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from trajinfer._core.errors import InputError, nearest
from trajinfer.generation.critic import CDECritic
from trajinfer.generation.path_losses import (
    ExpectedSignature,
    PathLoss,
    PathMMD,
    SigKernelMMD,
)
from trajinfer.generation.transition_likelihood import TransitionLikelihood
from trajinfer.training import Report

LossName = Literal["likelihood", "path_mmd", "signature_mmd", "signature_w1", "critic"]
Stage = TransitionLikelihood | PathLoss | CDECritic

STAGES: Mapping[str, type[Stage]] = MappingProxyType(
    {
        "likelihood": TransitionLikelihood,
        "path_mmd": PathMMD,
        "signature_mmd": SigKernelMMD,
        "signature_w1": ExpectedSignature,
        "critic": CDECritic,
    }
)

# by which the loss of a batch may rise by chance
_NOISE = 0.1
# whose losses tell a trend from chance
_FEWEST_EPOCHS = 6


def resolve_stages(loss: LossName | Stage | Sequence[LossName | Stage]) -> tuple[Stage, ...]:
    """The stages a setting means: a name, a stage, or several in their order.

    Raises:
        InputError: for an unknown name or an empty sequence.
    """
    parts = loss if isinstance(loss, (list, tuple)) else (loss,)
    if not parts:
        raise InputError("loss names no stage; try loss='likelihood'")
    return tuple(_resolve(part) for part in parts)


def _resolve(part: Any) -> Stage:
    if isinstance(part, (TransitionLikelihood, PathLoss, CDECritic)):
        return part
    if part not in STAGES:
        raise InputError(f"unknown loss {part!r}; {nearest(str(part), STAGES)}")
    return STAGES[part]()


def has_settled(report: Report) -> bool:
    """Whether a training ended with a finite loss that is not clearly above its first one."""
    losses = [row["loss"] for row in report.history if "loss" in row]
    if not losses:  # two sides play against each other
        return True
    if len(losses) < _FEWEST_EPOCHS:
        return math.isfinite(losses[-1])
    third = len(losses) // 3
    first, last = (sum(part) / third for part in (losses[:third], losses[-third:]))
    return math.isfinite(last) and last <= first + _NOISE * max(1.0, abs(first))
