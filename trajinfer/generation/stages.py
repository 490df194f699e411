"""The stages of training by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
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


def describe_stage(stage: Any) -> Any:
    """A stage, or its name, as JSON holds it."""
    if isinstance(stage, str):
        return stage
    if isinstance(stage, (list, tuple)):
        return [describe_stage(part) for part in stage]
    name = next(name for name, kind in STAGES.items() if type(stage) is kind)
    return {"name": name, **asdict(stage)}


def rebuild_stage(described: Any) -> Any:
    """The inverse of `describe_stage`."""
    if isinstance(described, list):
        return tuple(rebuild_stage(part) for part in described)
    if isinstance(described, dict):
        settings = {key: value for key, value in described.items() if key != "name"}
        return STAGES[described["name"]](**settings)
    return described
