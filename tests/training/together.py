"""A training that is run by one process or by several, for the tests and under `torchrun`.

torchrun --standalone --nproc_per_node=2 -m tests.training.together FOLDER
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path

import torch

from trajinfer._core.checkpoint_folder import checkpointed
from trajinfer._core.seeding import seeded
from trajinfer.training import CSVLogger, Loss, Recipe
from trajinfer.training.processes import Processes

N_ROWS, N_STEPS = 60, 20


def trained(
    folder: Path, *, dies_at: int | None = None, seed: int = 0, kept: Path | None = None
) -> None:
    """Fit a line by 20 steps of 16 rows; what a process saw goes to a file of its own."""
    rank = int(os.environ.get("RANK", "0"))
    with seeded(rank):  # the first weights differ: those of the first process count
        module = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    x = torch.linspace(-1, 1, 3 * N_ROWS).view(N_ROWS, 3).sin()
    seen: list[list[int]] = []

    def objective(rows: torch.Tensor, step: int) -> Loss:
        if step == dies_at and rank == 1:
            os._exit(3)
        seen.append(rows.tolist())
        return Loss((module(x[rows]) - x[rows].prod(1, keepdim=True)).square().mean())

    recipe = Recipe(
        seed=seed + rank * (seed > 0),
        steps=N_STEPS,
        batch_size=16,
        lr=0.05,
        patience=4,
        callbacks=[CSVLogger(folder / "course.csv"), _Losses()],
    )
    figures = itertools.count(0, -rank)  # of the second ever better: those of the first decide
    with checkpointed(kept, "training", lambda: {"seed": seed}):
        report = recipe.fit(module, objective, N_ROWS, lambda: float(next(figures)))
    losses = recipe.callbacks[1].losses  # type: ignore[attr-defined]
    told = {"losses": losses, "rows": seen, "stopped": report.stopped, "steps": report.n_steps}
    told["weights"] = [p.flatten().tolist() for p in module.parameters()]
    (folder / f"{rank}.json").write_text(json.dumps(told))


class _Losses:
    """Keeps the loss of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_fit_start(self, run) -> None:
        assert run.processes == Processes.here()

    def on_step(self, run) -> None:
        self.losses.append(float(run.open_epoch()["loss"][-1]))

    def on_epoch(self, run) -> None:
        """Nothing."""

    def on_fit_end(self, report) -> None:
        """Nothing."""

    def state(self):
        return {}, {}

    def restore(self, values, tensors) -> None:
        """Nothing."""


if __name__ == "__main__":
    given = sys.argv[2:]
    trained(Path(sys.argv[1]), dies_at=int(given[0]) if given else None)
