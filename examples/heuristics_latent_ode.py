"""A latent ODE reads damped oscillators at irregular times, half of the values missing."""

from functools import partial

import torch
from _heuristics_table import ODE, Experiment, main, solve_trained, timed, ways
from torch import nn

from trajinfer import sde
from trajinfer.nn import MLP

LATENT, SIGMA = 6, 0.05
SOLVER = {"method": "tsit5", "step": sde.Adaptive(1e-5, 1e-5, norm="rms")}


def oscillators(n, seed):
    """Times (T,), values (n, T, 2) of x and dx/dt, and a mask of what is seen."""
    generator = torch.Generator().manual_seed(seed)
    times = torch.rand(24, generator=torch.Generator().manual_seed(1)).mul(3).sort().values
    amplitude, phase, rate, speed = torch.rand(4, n, 1, generator=generator)
    decay = (0.5 + amplitude) * torch.exp(-(0.2 + 0.5 * rate) * times)
    angle = (2 + 2 * speed) * times + 6.28 * phase
    truth = torch.stack([decay * angle.cos(), decay * angle.sin()], dim=2)
    values = truth + SIGMA * torch.randn(truth.shape, generator=generator)
    return times, values, torch.rand(values.shape, generator=generator) < 0.5


class Dynamics(ODE):
    dim = LATENT

    def __init__(self, seed):
        super().__init__()
        self.network = MLP(LATENT, LATENT, (40,), activation="tanh", random_state=seed)

    def f(self, t, y, context=None):
        return self.network(y)


class LatentODE(nn.Module):
    def __init__(self, seed):
        super().__init__()
        self.reader = MLP(24 * 4, 2 * LATENT, (64,), random_state=seed + 1000)
        self.dynamics = Dynamics(seed)
        self.decoder = MLP(LATENT, 2, (), random_state=seed + 2000)


class Oscillators(Experiment):
    title, metric, steps = "Latent ODE, tsit5 at 1e-5", "MSE", 300

    def __init__(self):
        self.train, self.validation, self.test = (oscillators(300, seed) for seed in range(3))

    model = staticmethod(LatentODE)

    def loss(self, model, way, generator):
        times, values, seen = self.train
        chosen = torch.randperm(len(values), generator=generator)[:100]
        x, mask = values[chosen], seen[chosen]
        mean, log_sd = model.reader(torch.cat([x * mask, mask], dim=2).flatten(1)).chunk(2, dim=1)
        z0 = mean + log_sd.exp() * torch.randn(mean.shape, generator=generator)
        zs, cost = solve_trained(model.dynamics, z0, way.jittered(times, generator), way, **SOLVER)
        miss = (model.decoder(zs) - x).square()[mask].mean() / SIGMA**2
        kl = 0.5 * (mean.square() + (2 * log_sd).exp() - 2 * log_sd - 1).sum(1).mean()
        return miss + kl / (24 * 2), cost

    def evaluate(self, model, seed):
        times, values, seen = self.held_out
        z0 = model.reader(torch.cat([values * seen, seen], dim=2).flatten(1))[:, :LATENT]
        solve = partial(sde.solve, model.dynamics, ts=times, **SOLVER)
        solutions, seconds = timed(lambda: [solve(z) for z in z0.split(20)])
        found = model.decoder(torch.cat([s.ys for s in solutions]))
        return float((found - values).square()[~seen].mean()), solutions, seconds


WEIGHTS = dict.fromkeys(("error", "local error"), 1000.0) | {"steer": 0.5, "taynode": 0.01}
WEIGHTS |= dict.fromkeys(("stiffness", "local stiffness"), 1.0)

if __name__ == "__main__":
    main(Oscillators(), lambda steps: ways(WEIGHTS, steps, ode=True))
