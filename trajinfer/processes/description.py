"""Processes as plain data, for saving: a name, settings and tensors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from trajinfer import processes
from trajinfer._core.errors import InputError
from trajinfer.processes.base import Process


def describe(process: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What rebuilds a process: what JSON can hold, and tensors.

    Raises:
        InputError: if it is not one of the package's processes or its volatility is a callable.
    """
    name = type(process).__name__
    if getattr(processes, name, None) is not type(process) or not isinstance(process, Process):
        raise InputError(
            f"{name} is not a process of trajinfer, so its code cannot be saved; save its "
            "state_dict() and fit again with the class at hand"
        )
    if callable(process.volatility):
        raise InputError("a callable volatility cannot be saved; give numbers instead")
    config = {
        "name": name,
        "settings": process.config(),
        "learnable": process.learnable,
        "neutral": sorted(process.coefficients.neutral),
        "volatility_known": process.volatility is not None,
    }
    return config, {k: v.detach().clone() for k, v in process.state_dict().items()}


def rebuild(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Process:
    """The process that `describe` described.

    Raises:
        InputError: if this version of the package has no such process.
    """
    process_class = getattr(processes, config["name"], None)
    if (
        not isinstance(process_class, type)
        or not issubclass(process_class, Process)
        or inspect.isabstract(process_class)
    ):
        raise InputError(f"this version of trajinfer has no process '{config['name']}'; update it")
    process: Process = process_class(**config["settings"])
    learnable = set(config["learnable"])
    process.coefficients.fix(*(name for name in process.learnable if name not in learnable))
    process.learn(*learnable)
    process.coefficients.neutral &= set(config["neutral"])
    if config["volatility_known"]:
        process.set_volatility(1.0)
    process.load_state_dict(dict(tensors))
    return process
