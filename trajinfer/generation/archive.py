"""A fitted generator as plain data, for saving."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer.data import TimeAxis
from trajinfer.generation.chain_engine import ChainEngine
from trajinfer.generation.constraints import LinearConstraints
from trajinfer.generation.memory_engine import (
    MemoryEngine,
    rebuild_memory,
    rebuild_transform,
)
from trajinfer.generation.row_transform import RowTransform
from trajinfer.generation.stages import describe_stage, rebuild_stage

if TYPE_CHECKING:
    from trajinfer.generation.directed_chain_generator import DirectedChainGenerator

_ENGINES: dict[str, type[ChainEngine] | type[MemoryEngine]] = {
    "chain": ChainEngine,
    "memory": MemoryEngine,
}
_PLAIN = ("neighbour", "chain_steps", "noise", "verbose")


def pack(estimator: DirectedChainGenerator) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors of a fitted generator.

    Raises:
        InputError: if `start` is a function.
    """
    if estimator.start is not None:
        raise InputError("a function as start= cannot be saved; fit with start=None")
    engine_config, tensors = estimator._engine.pack()
    seed = estimator.random_state
    transform = estimator.transform
    settings = {name: getattr(estimator, name) for name in _PLAIN} | {
        "hidden": list(estimator.hidden),
        "loss": describe_stage(estimator.loss),
        "random_state": seed if isinstance(seed, int) else None,
        "memory": None if estimator.memory is None else asdict(estimator.memory),
        "transform": transform
        if isinstance(transform, str)
        else {"name": type(transform).__name__, **transform.settings()},
    }
    config = {
        "estimator": type(estimator).__name__,
        "settings": settings,
        "engine": {"kind": estimator._engine.kind, **engine_config},
        "channels": list(estimator.channels_),
        "axis": estimator.axis_.to_config(),
        "history": estimator.history_,
        "seconds": estimator.seconds_,
        "seed": estimator._seed,
        "kept": list(estimator._constraints.kept),
    }
    packed = {f"engine.{name}": value for name, value in tensors.items()}
    packed["coefficients"] = torch.as_tensor(estimator._constraints.coefficients)
    return config, packed


def unpack(
    kind: type[DirectedChainGenerator], config: dict[str, Any], tensors: dict[str, Tensor]
) -> DirectedChainGenerator:
    """The generator that `pack` described."""
    settings = dict(config["settings"])
    settings["loss"] = rebuild_stage(settings["loss"])
    settings["hidden"] = tuple(settings["hidden"])
    if settings["memory"] is not None:
        settings["memory"] = rebuild_memory(settings["memory"])
    if isinstance(settings["transform"], dict):
        settings["transform"] = _transform(settings["transform"])
    estimator = kind(**settings)
    engine = dict(config["engine"])
    parts = {k.removeprefix("engine."): v for k, v in tensors.items() if k.startswith("engine.")}
    estimator._engine = _ENGINES[engine.pop("kind")].unpack(engine, parts)
    estimator._constraints = LinearConstraints(
        tuple(config["kept"]), tensors["coefficients"].numpy()
    )
    estimator.channels_ = tuple(config["channels"])
    estimator.n_features_in_ = len(estimator.channels_)
    estimator.axis_ = TimeAxis.from_config(config["axis"])
    estimator.history_, estimator.seconds_ = config["history"], config["seconds"]
    estimator._seed = config["seed"]
    return estimator


def _transform(described: dict[str, Any]) -> RowTransform:
    settings = {name: value for name, value in described.items() if name != "name"}
    return rebuild_transform(described["name"], settings)
