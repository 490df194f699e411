"""What penalties on the steps cost: one forward and backward pass against the same solve without.

An ODE of 16 coordinates (tsit5 at 1e-6, 128 paths) and a spiral SDE of two (sosri, 100 paths),
and the workloads A, also with wide networks, and B of `solvers` (spark), with adaptive steps and
with 32 fixed ones; float32, one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tests.benchmarks.harness import Row, times
from tests.benchmarks.solvers import A, B, Setting
from trajinfer import sde
from trajinfer.nn import MLP

WIDE = A._replace(name="A, width 512", drift=(16, 512, 512, 16), diffusion=(16, 512, 16))
PENALTIES = {
    "no penalty": None,
    "global error": sde.SolverRegularization("error"),
    "global stiffness": sde.SolverRegularization("stiffness"),
    "local unbiased": sde.SolverRegularization("error", mode="local"),
    "local biased": sde.SolverRegularization("error", mode="local", sampling="biased"),
}


class Flow(sde.SDE):
    dim, noise_dim, noise_type = 16, 0, "none"

    def __init__(self) -> None:
        super().__init__()
        self.network = MLP(16, 16, (64,), activation="tanh", random_state=0)

    def f(self, t, y, context=None):
        return self.network(y)

    def g(self, t, y, context=None):
        raise TypeError("an ODE has no diffusion")


class Spiral(sde.SDE):
    dim = noise_dim = 2
    commutes = True

    def __init__(self) -> None:
        super().__init__()
        self.network = MLP(2, 2, (50,), activation="tanh", random_state=0)
        self.slope = torch.nn.Parameter(torch.full((2,), 0.2))

    def f(self, t, y, context=None):
        return self.network(y**3)

    def g(self, t, y, context=None):
        return self.slope * y


def rows(rounds: int) -> list[Row]:
    flow, spiral = Flow(), Spiral()
    many = 2 * torch.randn(128, 16, generator=torch.Generator().manual_seed(0))
    one = torch.tensor([2.0, 0.0]).expand(100, 2)
    sosri = {"method": "sosri", "random_state": 0}
    fine, coarse = sde.Adaptive(1e-6, 1e-6), sde.Adaptive(0.01, 0.01, norm="rms")
    found = against_plain("tsit5, adaptive", flow, many, rounds, method="tsit5", step=fine)
    found += against_plain("sosri, adaptive", spiral, one, rounds, step=coarse, **sosri)
    found += against_plain("sosri, 32 steps", spiral, one, rounds, step=1 / 32, **sosri)
    for load in (A, WIDE, B):
        s, spark = Setting(load, True), {"method": "spark", "random_state": 0}
        halving = sde.Adaptive(0.01, 0.01, norm="rms", reject="halve")
        name = f"{load.name}, spark"
        found += against_plain(f"{name}, adaptive", s.strat, s.y0, rounds, step=halving, **spark)
        found += against_plain(f"{name}, 32 steps", s.strat, s.y0, rounds, step=1 / 32, **spark)
    return found


def against_plain(
    job: str, model: sde.SDE, y0: torch.Tensor, rounds: int, **options: Any
) -> list[Row]:
    """One row per penalty."""

    def version(penalty: sde.SolverRegularization | None) -> Callable[[], object]:
        def call() -> None:
            found = sde.solve(model, y0, [0.0, 1.0], regularization=penalty, **options)
            loss = found.ys[:, -1].square().mean() + found.penalty
            loss.backward(inputs=list(model.parameters()))

        return call

    t = times({name: version(penalty) for name, penalty in PENALTIES.items()}, rounds)
    plain = t.pop("no penalty")
    bars = {"global error": "<= 1.05"}
    return [Row(job, f"{name} / plain", t[name] / plain, bars.get(name, "")) for name in t]
