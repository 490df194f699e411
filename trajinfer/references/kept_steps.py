"""Steps of a search over the numbers of a reference, as a checkpoint keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from trajinfer._core.checkpoint_folder import once
from trajinfer.references.parameter_vector import ParameterVector

Found = TypeVar("Found")


def kept_step(
    make: Callable[[], Found],
    parameters: ParameterVector,
    history: list[dict[str, Any]],
    state_of: Callable[[Found], Any],
    found_in: Callable[[Any], Found],
) -> Found:
    """What `make` gives, or gave before the search was broken off.

    Args:
        make: moves the numbers, and adds records to the history.
        parameters: stand after the call where `make` leaves them.
        history: its new records are there after the call.
        state_of: what is kept of a result, as plain values and tensors.
        found_in: the result of which that was kept, under the present numbers.
    """
    made: list[Found] = []
    n_before = len(history)

    def state() -> dict[str, Any]:
        made.append(make())
        return {
            "numbers": [number.detach().clone() for number in parameters.tensors],
            "records": history[n_before:],
            "found": state_of(made[0]),
        }

    kept = once("round", state)
    if made:
        return made[0]
    with torch.no_grad():
        for number, value in zip(parameters.tensors, kept["numbers"], strict=True):
            number.copy_(value)
    history += kept["records"]
    return found_in(kept["found"])
