"""Generators that version 0.1 saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer.data import TimeAxis
from trajinfer.generation.chain import Chain, Dependence
from trajinfer.generation.chain_engine import ChainEngine
from trajinfer.generation.constraints import LinearConstraints
from trajinfer.generation.directed_chain import DirectedChainSDE
from trajinfer.generation.engine import Engine
from trajinfer.generation.generator_model import GeneratorModel, training_scale
from trajinfer.generation.memory_engine import MemoryEngine
from trajinfer.generation.memory_model import MemoryModel, Scales
from trajinfer.generation.memory_residuals import Residuals
from trajinfer.generation.memory_settings import Calendar, Memory
from trajinfer.generation.observed import ObservedPaths
from trajinfer.generation.offset import Offset
from trajinfer.generation.quantised_rows import QuantisedRows
from trajinfer.generation.relative_rows import RelativeRows
from trajinfer.generation.row_transform import RowTransform, TransformedRows
from trajinfer.generation.seasonal_profile import SeasonalProfile
from trajinfer.generation.stages import STAGES

_FLOOR = 0.03


def read_settings(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of an estimator."""
    settings = dict(config["settings"])
    settings["loss"] = _stage(settings["loss"])
    settings["hidden"] = tuple(settings["hidden"])
    if settings["memory"] is not None:
        settings["memory"] = _memory(settings["memory"])
    if isinstance(settings["transform"], dict):
        described = dict(settings["transform"])
        settings["transform"] = _transform(described.pop("name"), described)
    return settings


def read_model(config: dict[str, Any], tensors: dict[str, Tensor]) -> GeneratorModel:
    """The fitted law."""
    described = dict(config["engine"])
    parts = _group(tensors, "engine")
    kind = described.pop("kind")
    if kind not in _ENGINES:
        raise InputError(f"a generator of kind '{kind}' is unknown; update trajinfer")
    engine, n_series = _ENGINES[kind](described, parts)
    constraints = LinearConstraints(tuple(config["kept"]), tensors["coefficients"].numpy())
    drawn = constraints.rebuild(engine.sample(128, engine.grid(), None, config["seed"]))
    return GeneratorModel(
        engine,
        constraints,
        tuple(config["channels"]),
        TimeAxis.from_config(config["axis"]),
        n_series,
        # version 0.1 did not keep the scale of the training series
        training_scale(engine.comparable(drawn)),
        config["seed"],
    )


def _chain(config: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[Engine, int]:
    sde = DirectedChainSDE.from_state(
        {
            "neighbour": config["neighbour"],
            "noise": config["noise"],
            "hidden": tuple(config["hidden"]),
            "floor": _FLOOR,
            "sde_type": "ito",
            "weights": _group(tensors, "sde"),
        }
    )
    paths = ObservedPaths(
        tensors["times"], tensors["values"], tensors["complete"], tensors.get("systems")
    )
    measured = config["dependence"]
    dependence = (
        None if measured is None else Dependence(tuple(measured["links"]), measured["null"])
    )
    offset = Offset(config["zero"], tensors["shift"].numpy())
    chain = Chain(sde, paths, config["step"])
    return ChainEngine(chain, config["n_links"], dependence, offset), len(paths)


def _rows(config: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[Engine, int]:
    memory, parts = _memory(config["memory"]), {g: _arrays(tensors, g) for g in _GROUPS}
    profile = parts["profile"]
    residuals = dict(parts["residuals"])
    residuals["std"] = residuals.pop("spread")
    laws = _group(tensors, "laws")
    model = MemoryModel.from_state(
        {
            "memory": memory,
            "scales": Scales(**parts["scales"]),
            "profile": SeasonalProfile(profile["level"], profile["place"], profile["spread"]),
            "laws": [_group(laws, str(k)) for k in range(memory.ensemble)],
            "residuals": Residuals(**residuals),
        }
    )
    latents = TransformedRows(**parts["latents"])
    number = parts["records"]["number"]
    state = dict(parts["state"])
    transform = _transform(config["transform"], config["transform_settings"])
    engine = MemoryEngine(
        transform,
        state,
        model,
        latents,
        number,
        config["step"],
        config["window"],
        config["origin"],
    )
    n_rows = int(np.isfinite(latents.rows).all(axis=-1).sum())
    return engine, max(1, n_rows // config["window"])


_GROUPS = ("state", "latents", "scales", "profile", "residuals", "records")
_ENGINES = {"chain": _chain, "memory": _rows}


def _transform(name: str, settings: Mapping[str, Any]) -> RowTransform:
    if name == "PriceBars":
        return RelativeRows(settings["volume_half_life"])
    return QuantisedRows(**settings)


def _memory(settings: Mapping[str, Any]) -> Memory:
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    calendar = plain.pop("calendar")
    return Memory(**plain, calendar=None if calendar is None else Calendar(**calendar))


def _stage(described: Any) -> Any:
    if isinstance(described, list):
        return tuple(_stage(part) for part in described)
    if isinstance(described, dict):
        settings = {key: value for key, value in described.items() if key != "name"}
        return STAGES[described["name"]](**settings)
    return described


def _group(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    start = f"{name}."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def _arrays(tensors: Mapping[str, Tensor], name: str) -> dict[str, Any]:
    return {k: v.numpy() for k, v in _group(tensors, name).items()}
