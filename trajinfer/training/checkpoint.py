"""Checkpoints: a run that was broken off goes on where it was, to the last bit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trajinfer._core.checkpoint_folder import read_content, write_content
from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer.training.callback import Callback
from trajinfer.training.run import Run

_WORK_PER_SAVE = 20  # seconds of training for each second of saving: 5 % at most


class Checkpoint(Callback):
    """Save the whole run now and then, and take it up again when the file is there at the start.

    Weights, buffers, optimizers, the history and the other callbacks are kept (safetensors with
    JSON in its header, replaced in one move). What it finds must come from a run of the same
    length, batches and modules. Estimators with a setting `checkpoint` need none of their own.

    Args:
        path: the file.
        every: epochs between two saves; None saves within epochs too, as often as that takes 5 % of
            the time at most, and at the end.

    Raises:
        InputError: at the start, if the file holds the checkpoint of another run or is damaged.
        StorageError: if the file cannot be written; the one before is kept.
    """

    def __init__(self, path: str | Path, *, every: int | None = None) -> None:
        self.path = Path(path).expanduser()
        self.every = None if every is None else require_integer(every, "every", least=1)
        self._free_at = 0.0

    def on_fit_start(self, run: Run) -> None:
        """Take up the run that the file holds."""
        if self.path.is_dir():
            raise InputError(
                f"{self.path} is a folder, as earlier versions wrote; give the name of a file"
            )
        found = read_content(self.path)
        if found is not None:
            _restore(run, *found, self.path)

    def on_step(self, run: Run) -> None:
        """Save within an epoch, where that is due."""
        if self.every is None and not run.at_end_of_epoch and time.monotonic() > self._free_at:
            self._save(run)

    def on_epoch(self, run: Run) -> None:
        """Save after an epoch, where that is due, and at the end."""
        due = time.monotonic() > self._free_at if self.every is None else not run.epoch % self.every
        if due or run.step == run.n_steps or run.stopped:
            self._save(run)

    def _save(self, run: Run) -> None:
        if not run.processes.first:
            return
        began = time.monotonic()
        write_content(self.path, *_snapshot(run))
        ended = time.monotonic()
        self._free_at = ended + _WORK_PER_SAVE * (ended - began)


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
        "identity": _identity(run),
        "step": run.step,
        "history": run.history,
        "n_skipped": run.n_skipped,
        "stopped": run.stopped,
        "seconds": run.seconds,
        "callbacks": [],
    }
    tensors: dict[str, Tensor] = _prefixed("open epoch", run.open_epoch())
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
    run.reopen_epoch(_under("open epoch", tensors))
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
