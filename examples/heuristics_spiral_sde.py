"""A neural SDE learns the means and variances of a noisy spiral, with fewer evaluations.

Unlike as published the noise commutes, the embedded estimate controls the steps (--natural: the
published one) and short steps count like long ones. --rising: the weight grows tenfold.
"""

import sys

import torch
from _heuristics_table import Experiment, main, timed, ways

from trajinfer import sde
from trajinfer.nn import MLP

TIMES, START = torch.linspace(0, 1, 11, dtype=torch.float64), torch.tensor([2.0, 0.0])
ESTIMATE, TOLERANCE = ("natural", 0.3) if "--natural" in sys.argv else ("embedded", 0.01)
SOLVER = {"step": sde.Adaptive(TOLERANCE, TOLERANCE, norm="rms", error=ESTIMATE), "method": "sosri"}


class Spiral(sde.SDE):
    """du = A u^3 dt + 0.2 u dW."""

    dim, noise_dim, commutes = 2, 2, True

    def f(self, t, y, context=None):
        return y**3 @ torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])

    def g(self, t, y, context=None):
        return 0.2 * y


class Network(Spiral):
    def __init__(self, seed):
        super().__init__()
        self.drift = MLP(2, 2, (50,), activation="tanh", random_state=seed)
        self.slope = torch.nn.Parameter(torch.full((2,), 0.1))
        self.level = torch.nn.Parameter(torch.full((2,), 0.1))

    def f(self, t, y, context=None):
        return self.drift(y**3)

    def g(self, t, y, context=None):
        return self.slope * y + self.level


class SpiralSDE(Experiment):
    title, metric, steps = "Spiral neural SDE", "loss", 250

    def __init__(self):
        options = {"step": 0.01, "method": "sriw1", "random_state": 99}
        paths = sde.solve(Spiral(), START.expand(20_000, 2), TIMES, **options).ys
        self.mean, self.variance = paths.mean(0), paths.var(0)

    model = staticmethod(Network)

    def miss(self, ys):
        mean, variance = ys.mean(0) - self.mean, ys.var(0) - self.variance
        return (mean.square() + variance.square()).mean()

    def loss(self, model, way, generator):
        options = {"random_state": generator, "regularization": way.regularization, **SOLVER}
        found = sde.solve(model, START.expand(100, 2), TIMES, **options)
        return self.miss(found.ys), found.penalty

    def evaluate(self, model, seed):
        y0, seeds = START.expand(100, 2), range(10_000, 10_010)

        solutions, seconds = timed(
            lambda: [sde.solve(model, y0, TIMES, random_state=k, **SOLVER) for k in seeds]
        )
        return float(self.miss(torch.cat([s.ys for s in solutions]))), solutions, seconds


FIRST, LAST = (0.03, 10.0) if "--rising" in sys.argv else (0.1, 1.0)
WEIGHTS = {"error": FIRST, "local error": FIRST, "stiffness": 0.003, "local stiffness": 0.003}
SETTINGS = {"estimate": ESTIMATE, "reduce": "steps", "last": LAST}

if __name__ == "__main__":
    main(SpiralSDE(), lambda steps: ways(WEIGHTS, steps, ode=False, **SETTINGS))
