"""Settings of the generator that do not go together are refused before any work."""

from __future__ import annotations

from typing import Any

from trajinfer._core.checks import require_integer
from trajinfer._core.devices import device_of, require_cpu
from trajinfer._core.errors import InputError, nearest
from trajinfer.generation.directed_chain import NEIGHBOURS
from trajinfer.generation.row_transform import RowTransform
from trajinfer.generation.stages import Stage, resolve_stages
from trajinfer.generation.transition_likelihood import TransitionLikelihood

TRANSFORMS = ("auto", "standard", "rows", "relative", "daily")


def checked_stages(
    loss: Any,
    transform: Any,
    *,
    neighbour: Any,
    start: Any,
    chain_steps: Any,
    memory: Any,
    regularization: Any,
    device: Any,
) -> tuple[Stage, ...]:
    """The stages of training that a loss names, where all settings go together.

    Args:
        loss, transform, neighbour, start, chain_steps, memory, regularization, device: of
            `DirectedChainGenerator`.

    Raises:
        InputError: naming the settings that do not go together, or the nearest known word.
    """
    stages = resolve_stages(loss)
    if neighbour not in NEIGHBOURS:
        raise InputError(f"unknown neighbour {neighbour!r}; {nearest(str(neighbour), NEIGHBOURS)}")
    require_integer(chain_steps, "chain_steps", least=1)
    device_of(device)
    if transform == "rows":
        require_cpu(device, "transform='rows' has no network")
    if isinstance(transform, RowTransform) or transform in TRANSFORMS[2:]:
        if neighbour != "none" or start is not None:
            raise InputError("neighbour= and start= belong to transform='standard'")
        if loss != "likelihood":
            raise InputError(
                f"transform={transform!r} is learned by loss='likelihood', got "
                f"{loss!r}; its training settings are those of memory=Memory(...)"
            )
    elif transform not in ("auto", "standard"):
        name = str(transform)
        raise InputError(f"unknown transform {name!r}; {nearest(name, TRANSFORMS)}")
    elif memory is not None:
        raise InputError("memory= belongs to transform='relative' or 'daily'")
    if regularization is not None and all(
        isinstance(stage, TransitionLikelihood) for stage in stages
    ):
        raise InputError(
            "regularization= penalises the steps of simulated paths, and loss='likelihood' "
            "simulates none; add a loss of whole paths, or leave it out"
        )
    return stages
