"""Training steps of stable neural SDEs beside the same networks called step by step in torchsde.

256 series of 14 channels, 32 latent channels, 50 Euler steps, float32, one thread, forward and
backward, with the spline through the data given. The other side evaluates the control path, its
input map and sigma(t) at every step, as published code does; none of these depends on the state, so
that here all steps are evaluated at once.
"""

from __future__ import annotations

import torch
import torchcde
import torchsde

from tests.benchmarks.harness import Row, times
from trajinfer.paths import natural_cubic_path
from trajinfer.sde import solve
from trajinfer.series import make_dynamics

BATCH, HIDDEN, CHANNELS, STEPS = 256, 32, 14, 50
STABLE = ("langevin", "linear_noise", "geometric")


class StepByStep(torch.nn.Module):
    """The dynamics as torchsde takes them: everything anew at every time."""

    sde_type, noise_type = "ito", "diagonal"

    def __init__(self, dynamics, spline):
        super().__init__()
        self.dynamics, self.spline = dynamics, spline

    def _drive(self, t):
        clock = t.to(torch.float32).expand(BATCH, 1, 1)
        drive = self.dynamics.drive(clock, self.spline.evaluate(t)[:, None])
        return type(drive)(*(v[:, 0] if v.ndim == 3 else v for v in drive))

    def f(self, t, z):
        return self.dynamics.drift(z, self._drive(t))

    def g(self, t, z):
        return self.dynamics.diffusion(z, self._drive(t))


def rows(rounds: int) -> list[Row]:
    generator = torch.Generator().manual_seed(0)
    ts = torch.linspace(0, 1, STEPS + 1)
    knots = ts.double().expand(BATCH, -1)
    values = torch.randn(BATCH, STEPS + 1, CHANNELS, generator=generator)
    start = 0.1 * torch.randn(BATCH, HIDDEN, generator=generator)
    path = natural_cubic_path(knots, values)
    spline = torchcde.CubicSpline(torchcde.natural_cubic_coeffs(values, ts), ts)
    found = []
    for name in STABLE:
        dynamics = make_dynamics(name, HIDDEN, CHANNELS, random_state=0)

        def ours(dynamics=dynamics):
            context = dynamics.prepare(path, knots)
            solved = solve(dynamics, start, knots, method="euler", context=context, random_state=0)
            solved.ys.square().mean().backward()

        def theirs(dynamics=dynamics):
            model = StepByStep(dynamics, spline)
            ys = torchsde.sdeint(model, start, ts, dt=1 / STEPS, method="euler")
            ys.square().mean().backward()

        seconds = times({"ours": ours, "theirs": theirs}, rounds)
        ratio = seconds["ours"] / seconds["theirs"]
        found += [
            Row(f"{name}, training step", "time / step by step in torchsde", ratio, "<= 0.77"),
            Row(f"{name}, training step", "CPU milliseconds", 1e3 * seconds["ours"], "<= 35"),
        ]
    return found
