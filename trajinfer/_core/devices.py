"""Devices of torch: one meaning of `device=`, wherever it is taken."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any, TypeVar

import torch

from trajinfer._core.errors import InputError

Device = str | torch.device | None
Anything = TypeVar("Anything")


def device_of(device: Device) -> torch.device:
    """The device that a setting asks for, which is there and can compute.

    Args:
        device: None or "cpu"; "auto" takes cuda where there is one, then mps, then the CPU; else a
            name such as "cuda", "cuda:0" and "mps", or a `torch.device`.

    Raises:
        InputError: for a device that is unknown or absent.

    Example:
        >>> device_of(None)
        device(type='cpu')
    """
    if isinstance(device, str) and device == "auto":
        return _best()
    return _found(device)


def require_cpu(device: Device, reason: str) -> None:
    """Refuse another device than the CPU, where nothing would run there.

    Args:
        device: None, "cpu" or "auto".
        reason: what runs on the CPU alone, as a sentence such as "a bridge is algebra in numpy".

    Raises:
        InputError: for any other device.
    """
    if device not in (None, "auto", "cpu", torch.device("cpu")):
        raise InputError(f"device must be None, 'cpu' or 'auto', got {device!r}: {reason}")


def home_of(module: Any) -> torch.device:
    """The device of the weights of a module; the CPU for what has none, or is no module."""
    if not isinstance(module, torch.nn.Module):
        return torch.device("cpu")
    weights = chain(module.parameters(), module.buffers())
    return next((weight.device for weight in weights), torch.device("cpu"))


def on_cpu(given: Anything) -> Anything:
    """What stands on the CPU as it is; of a module that stands elsewhere, a copy there."""
    if home_of(given).type == "cpu":
        return given
    copied: Any = copy.deepcopy(given)
    return copied.cpu()  # type: ignore[no-any-return]


def _found(device: Device) -> torch.device:
    """A device by its name, after it has computed something."""
    try:
        found = torch.device("cpu" if device is None else device)
        float(torch.ones((), device=found))  # a device without storage fails here
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InputError(
            "device must be None, 'cpu', 'auto' or a device of torch that is here, got "
            f"{device!r} ({str(error).splitlines()[0]}); 'auto' takes the best that is here"
        ) from error
    return found


def _best() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
