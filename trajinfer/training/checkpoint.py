"""Checkpoints: a run that was broken off goes on where it was, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trajinfer._core.archive import read_archive, save_archive
from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer.training.callback import Callback
from trajinfer.training.run import Run


class Checkpoint(Callback):
    """Save the whole run after epochs, and take it up again when the folder is there at the start.

    Weights, buffers, optimizers, the history and the other callbacks are kept (safetensors and
    JSON, replaced in one move). What it finds must come from a run of the same length, batches
    and modules.

    Args:
        path: the folder.
        every: epochs between two saves.

    Raises:
        InputError: at the start, if the folder holds the checkpoint of another run.
    """

    def __init__(self, path: str | Path, *, every: int = 1) -> None:
        self.path = Path(path)
        self.every = require_integer(every, "every", least=1)

    def on_fit_start(self, run: Run) -> None:
        """Take up the run that the folder holds."""
        if self.path.exists():
            _restore(run, *read_archive(self.path), self.path)

    def on_epoch(self, run: Run) -> None:
        """Save, where it is the turn of this epoch."""
        if run.epoch % self.every == 0 or run.step == run.n_steps or run.stopped:
            save_archive(self.path, *_snapshot(run))


def _identity(run: Run) -> dict[str, Any]:
    shapes = {p.name: [list(w.shape) for w in p.module.parameters()] for p in run.optimizations}
    return {
        "n_steps": run.n_steps,
        "seed": run.batches.seed,
        "per_epoch": run.batches.per_epoch,
        "shapes": shapes,
    }


def _snapshot(run: Run) -> tuple[dict[str, Any], dict[str, Tensor]]:
    config: dict[str, Any] = {
        "estimator": "checkpoint",
        "identity": _identity(run),
        "step": run.step,
        "history": run.history,
        "n_skipped": run.n_skipped,
        "stopped": run.stopped,
        "seconds": run.seconds,
        "callbacks": [],
    }
    tensors: dict[str, Tensor] = {}
    for optimization in run.optimizations:
        tensors |= _prefixed(f"{optimization.name}/module", optimization.module.state_dict())
        tensors |= _prefixed(f"{optimization.name}/optimizer", _moments(optimization.optimizer))
    for k, callback in enumerate(run.callbacks):
        values, kept = callback.state()
        config["callbacks"].append({"kind": type(callback).__name__, "values": values})
        tensors |= _prefixed(f"callback {k}", kept)
    return config, tensors


def _restore(
    run: Run, config: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path
) -> None:
    kinds = [type(callback).__name__ for callback in run.callbacks]
    found = [entry["kind"] for entry in config.get("callbacks", ())]
    if config.get("identity") != _identity(run) or found != kinds:
        raise InputError(
            f"{path} is the checkpoint of another run (other data, settings or callbacks); "
            "remove it or choose another folder"
        )
    run.step, run.history = config["step"], list(config["history"])
    run.n_skipped, run.stopped = config["n_skipped"], config["stopped"]
    run.seconds_before = config["seconds"]
    for optimization in run.optimizations:
        optimization.module.load_state_dict(_under(f"{optimization.name}/module", tensors))
        _set_moments(optimization.optimizer, _under(f"{optimization.name}/optimizer", tensors))
    for k, (callback, entry) in enumerate(zip(run.callbacks, config["callbacks"])):
        callback.restore(entry["values"], _under(f"callback {k}", tensors))


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer as named tensors; settings come from the caller at resumption."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}/{name}": torch.as_tensor(value)
        for index, entries in state.items()
        for name, value in entries.items()
        if value is not None
    }


def _set_moments(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split("/", maxsplit=1)
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = len(prefix) + 1
    return {k[start:]: v for k, v in tensors.items() if k.startswith(f"{prefix}/")}
