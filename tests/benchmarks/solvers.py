"""Solvers against the bare network calls (the floor), plain loops, and torchsde.

Workload A: batch 128, dim 16, f 16-64-64-16, g 16-64-16, 100 steps. Workload B: batch 1024, dim 2,
f and g 2-32-2, 200 steps. Dense tanh networks, diagonal noise, float32, h = 2^-7 (exact in float32,
so torchsde takes no sliver step), one thread. "fwd": no gradient; "f+b": forward, and gradients of
all parameters.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torchsde
from torch import nn

from tests.benchmarks.harness import Row, times
from trajinfer import sde

H = 2.0**-7


class Workload(NamedTuple):
    name: str
    batch: int
    dim: int
    drift: tuple[int, ...]
    diffusion: tuple[int, ...]
    n_steps: int


A = Workload("A", 128, 16, (16, 64, 64, 16), (16, 64, 16), 100)
B = Workload("B", 1024, 2, (2, 32, 2), (2, 32, 2), 200)


def dense(sizes: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for k, (a, b) in enumerate(pairwise(sizes)):
        layers += [nn.Linear(a, b)] + ([nn.Tanh()] if k < len(sizes) - 2 else [])
    return nn.Sequential(*layers)


class Model(nn.Module):
    """Networks as torchsde wants them; they mix, so high orders are asked for knowingly."""

    noise_type = "diagonal"

    def __init__(self, load: Workload, sde_type: str = "ito") -> None:
        super().__init__()
        self.sde_type = sde_type
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.drift, self.diffusion = dense(load.drift), dense(load.diffusion)

    def f(self, t, y):
        return self.drift(y)

    def g(self, t, y):
        return self.diffusion(y)


class Setting:
    """A workload with its start, times and noise."""

    def __init__(self, load: Workload, backward: bool) -> None:
        self.load, self.backward = load, backward
        self.ito, self.strat = Model(load), Model(load, "stratonovich")
        gen = torch.Generator().manual_seed(0)
        self.y0 = 0.3 * torch.randn(load.batch, load.dim, generator=gen)
        self.end = load.n_steps * H
        self.ts = torch.tensor([0.0, self.end])

    def timed(self, model: nn.Module, forward: Callable[[], torch.Tensor]) -> Callable[[], object]:
        """One solve, with its backward pass or without any gradient."""

        def call() -> None:
            if not self.backward:
                with torch.no_grad():
                    forward()
                return
            forward().square().sum().backward(inputs=list(model.parameters()))

        return call

    def ours(
        self, method: str, *, model: nn.Module | None = None, **options
    ) -> Callable[[], object]:
        model = model or (self.strat if "heun" in method else self.ito)
        options = {"step": H, "ts": self.ts, "random_state": 0} | options
        ts = options.pop("ts")

        def forward() -> torch.Tensor:
            return sde.solve(
                model, self.y0, ts, method=method, allow_order_loss=True, **options
            ).ys[:, -1]

        return self.timed(model, forward)

    def theirs(self, method: str, *, adjoint: bool = False, **options) -> Callable[[], object]:
        model = self.strat if "heun" in method else self.ito
        solver = torchsde.sdeint_adjoint if adjoint else torchsde.sdeint
        levy = "space-time" if method == "srk" else "none"

        def forward() -> torch.Tensor:
            # a Brownian motion without dt and cache_size would be many times slower
            bm = torchsde.BrownianInterval(
                0.0,
                self.end,
                size=tuple(self.y0.shape),
                entropy=0,
                dt=H,
                cache_size=None,
                levy_area_approximation=levy,
            )
            return solver(model, self.y0, self.ts, bm=bm, dt=H, method=method, **options)[-1]

        return self.timed(model, forward)

    def draw(self, n: int = 1) -> torch.Tensor:
        gen = torch.Generator().manual_seed(0)
        size = (self.load.n_steps, n, self.load.batch, self.load.dim)
        return torch.randn(size, generator=gen)

    def plain(self, name: str) -> Callable[[], object]:
        """What a user would write by hand."""
        model = self.strat if name == "reversible_heun" else self.ito
        return self.timed(model, lambda: PLAIN[name](self, model))


def bare(s: Setting, model: Model) -> torch.Tensor:
    """The floor: one drift and one diffusion evaluation per step and nothing else.

    Its backward pass reaches the state, as that of any solver must.
    """
    outputs, y = [], s.y0.clone().requires_grad_(s.backward)
    for _ in range(s.load.n_steps):
        f, g = model.f(None, y), model.g(None, y)
        if s.backward:
            outputs += [f, g]
    return torch.stack(outputs) if outputs else s.y0


def euler(s: Setting, model: Model) -> torch.Tensor:
    w, y, t = s.draw()[:, 0] * math.sqrt(H), s.y0, torch.zeros(())
    for k in range(s.load.n_steps):
        y = y + H * model.f(t, y) + model.g(t, y) * w[k]
    return y


def reversible_heun(s: Setting, model: Model) -> torch.Tensor:
    w, y, z, t = s.draw()[:, 0] * math.sqrt(H), s.y0, s.y0, torch.zeros(())
    f, g = model.f(t, z), model.g(t, z)
    for k in range(s.load.n_steps):
        z = 2 * y - z + H * f + g * w[k]
        f1, g1 = model.f(t, z), model.g(t, z)
        y = y + 0.5 * H * (f + f1) + 0.5 * (g + g1) * w[k]
        f, g = f1, g1
    return y


def sriw1(s: Setting, model: Model) -> torch.Tensor:
    z = s.draw(2)
    w, chi = z[:, 0] * math.sqrt(H), math.sqrt(H) * (z[:, 0] / 2 + z[:, 1] / math.sqrt(12))
    i11 = math.sqrt(H) * (z[:, 0] ** 2 - 1) / 2
    i111 = math.sqrt(H) * (z[:, 0] ** 3 - 3 * z[:, 0]) / 6
    c1 = -w - i11 + 2 * chi - 2 * i111
    c2 = 4 / 3 * (w + i11 - chi) + 5 / 3 * i111
    c3 = 2 / 3 * (w - chi - i111) - i11 / 3
    y, root, t = s.y0, math.sqrt(H), torch.zeros(())
    for k in range(s.load.n_steps):
        f1, g1 = model.f(t, y), model.g(t, y)
        g2 = model.g(t, y + H / 4 * f1 + root / 2 * g1)
        g3 = model.g(t, y + H * f1 - root * g1)
        f2 = model.f(t, y + 0.75 * H * f1 + 1.5 * chi[k] * g1)
        g4 = model.g(t, y + H / 4 * f1 + root * (-5 * g1 + 3 * g2 + 0.5 * g3))
        y = y + H * (f1 / 3 + 2 / 3 * f2) + c1[k] * g1 + c2[k] * g2 + c3[k] * g3 + i111[k] * g4
    return y


PLAIN = {"floor": bare, "euler": euler, "reversible_heun": reversible_heun, "sriw1": sriw1}


def rows(rounds: int) -> list[Row]:
    found: list[Row] = []
    for load in (A, B):
        for backward in (False, True):
            found += workload(load, backward, rounds)
    for backward in (False, True):
        found += compiled(A, backward, rounds)
    found += adaptive(rounds)
    found += memory()
    return found


def workload(load: Workload, backward: bool, rounds: int) -> list[Row]:
    s = Setting(load, backward)
    job = f"{load.name} {'f+b' if backward else 'fwd'}"
    own = np.tile(np.array([0.0, s.end]), (load.batch, 1))
    versions = {
        "floor": s.plain("floor"),
        "plain euler": s.plain("euler"),
        "euler": s.ours("euler"),
        "euler, times per series": s.ours("euler", ts=own),
        "torchsde euler": s.theirs("euler"),
        "heun": s.ours("heun"),
        "torchsde heun": s.theirs("heun"),
        "plain reversible_heun": s.plain("reversible_heun"),
        "reversible_heun": s.ours("reversible_heun"),
        "plain sriw1": s.plain("sriw1"),
        "sriw1": s.ours("sriw1"),
        "torchsde srk": s.theirs("srk"),
        "milstein": s.ours("milstein"),
        "torchsde milstein": s.theirs("milstein"),
    }
    if backward:
        versions |= {
            "reversible_heun, reversible": s.ours("reversible_heun", gradient="reversible"),
            "torchsde reversible adjoint": s.theirs(
                "reversible_heun", adjoint=True, adjoint_method="adjoint_reversible_heun"
            ),
            "euler, checkpoint": s.ours("euler", gradient="checkpoint"),
            "heun, adjoint": s.ours("heun", gradient="adjoint"),
        }
    t = times(versions, rounds)
    bars = [
        ("euler", "plain euler", "<= 1.10"),
        ("euler, times per series", "euler", "<= 1.20"),
        ("torchsde euler", "plain euler", ""),
        ("reversible_heun", "plain reversible_heun", "<= 1.10"),
        ("sriw1", "plain sriw1", "<= 1.10"),
        ("torchsde srk", "sriw1", ">= 3.2"),
        ("heun", "floor", "<= 2.4"),
        ("torchsde heun", "floor", ""),
        ("milstein", "floor", ""),
        ("torchsde milstein", "floor", ""),
    ]
    if backward:
        bars += [
            ("reversible_heun, reversible", "floor", "<= 2.2"),
            ("torchsde reversible adjoint", "floor", ""),
            ("euler, checkpoint", "floor", ""),
            ("heun, adjoint", "floor", ""),
        ]
    found = [Row(job, "floor (us per step)", t["floor"] / load.n_steps * 1e6)]
    return found + [Row(job, f"{a} / {b}", t[a] / t[b], bar) for a, b, bar in bars]


def compiled(load: Workload, backward: bool, rounds: int) -> list[Row]:
    """Whole chunks of steps; compiling itself (a minute or so) is not in the figure."""
    s = Setting(load._replace(n_steps=96), backward)
    t = times({"plain": s.plain("euler"), "compiled": s.ours("euler", compile="chunk")}, rounds)
    job = f"{load.name} {'f+b' if backward else 'fwd'}"
    return [Row(job, "euler, compiled / plain euler", t["compiled"] / t["plain"], "<= 0.85")]


def adaptive(rounds: int) -> list[Row]:
    """Controlled steps against as many steps of the same solver on a fixed grid."""
    found = []
    for load in (A, B):
        s = Setting(load, False)
        control = sde.Adaptive(1e-2, 1e-2, norm="rms", reject="halve")
        ts = [0.0, 1.0]
        with torch.no_grad():
            stats = sde.solve(s.strat, s.y0, ts, step=control, method="spark", random_state=0).stats
        taken = stats.n_steps + stats.n_rejected
        versions = {
            "adaptive": s.ours("spark", model=s.strat, step=control, ts=ts),
            "fixed": s.ours("spark", model=s.strat, step=1.0 / taken, ts=ts),
        }
        t = times(versions, rounds)
        found.append(
            Row(
                f"{load.name} fwd",
                f"spark adaptive, {taken} steps / as many fixed",
                t["adaptive"] / t["fixed"],
                "<= 1.50",
            )
        )
    return found


MEMORY = {
    "plain euler": ("euler", "backprop"),
    "euler, backprop": ("euler", "backprop"),
    "euler, checkpoint": ("euler", "checkpoint"),
    "reversible_heun, reversible": ("reversible_heun", "reversible"),
    "heun, adjoint": ("heun", "adjoint"),
}


def growth(version: str) -> float:
    """Growth of peak memory (MiB) over 1024 steps and their backward pass; in its own process."""
    torch.set_num_threads(1)
    load = A._replace(n_steps=1024)
    method, gradient = MEMORY[version]
    small = Setting(load._replace(n_steps=4), True)
    small.ours(method, gradient=gradient)()
    before = peak()
    s = Setting(load, True)
    (s.plain("euler") if version.startswith("plain") else s.ours(method, gradient=gradient))()
    return (peak() - before) / 1024


def peak() -> int:
    """Peak memory of this process in KiB (Linux); ru_maxrss would include the parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1))


def memory() -> list[Row]:
    found = []
    for version in MEMORY:
        code = f"from tests.benchmarks.solvers import growth; print(growth({version!r}))"
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        bar = "<= 5" if version.endswith("reversible") else ""
        found.append(
            Row("A f+b, 1024 steps", f"memory growth (MiB), {version}", float(result.stdout), bar)
        )
    return found
