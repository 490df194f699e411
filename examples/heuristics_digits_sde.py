"""A neural SDE classifies handwritten digits; predictions average ten paths.

The diffusion mixes coordinates, as published: there sosri has strong order 1/2.
"""

import torch
from _heuristics_table import Experiment, digits, main, timed, ways
from torch import nn

from trajinfer import sde
from trajinfer.nn import MLP

DIM, PATHS = 16, 10
SOLVER = {
    "method": "sosri",
    "step": sde.Adaptive(0.14, 0.14, norm="rms", error="natural", unsafe_adaptive=True),
    "allow_order_loss": True,
}


class Dynamics(sde.SDE):
    dim = noise_dim = DIM

    def __init__(self, seed):
        super().__init__()
        self.drift = MLP(DIM, DIM, (64,), activation="tanh", random_state=seed)
        self.diffusion = MLP(DIM, DIM, (), random_state=seed + 3000)

    def f(self, t, y, context=None):
        return torch.tanh(self.drift(y))

    def g(self, t, y, context=None):
        return self.diffusion(y)


class Classifier(nn.Module):
    def __init__(self, seed):
        super().__init__()
        self.encoder = MLP(64, DIM, (), random_state=seed + 1000)
        self.dynamics = Dynamics(seed)
        self.decoder = MLP(DIM, 10, (), random_state=seed + 2000)


class DigitsSDE(Experiment):
    title, metric, steps = "Digits neural SDE, sosri at 0.14", "accuracy", 150

    def __init__(self):
        self.train, self.validation, self.test = digits()

    def model(self, seed):
        return Classifier(seed)

    def loss(self, model, way, generator):
        x, label = self.train
        chosen = torch.randperm(len(x), generator=generator)[:256]
        options = {"random_state": generator, "regularization": way.regularization, **SOLVER}
        found = sde.solve(model.dynamics, model.encoder(x[chosen]), [0.0, 1.0], **options)
        scores = model.decoder(found.ys[:, -1])
        return nn.functional.cross_entropy(scores, label[chosen]), found.penalty

    def evaluate(self, model, seed):
        x, label = self.held_out
        starts = model.encoder(x).repeat(PATHS, 1).split(500)

        def predict():
            options = {"random_state": 10_000, **SOLVER}
            return [sde.solve(model.dynamics, y0, [0.0, 1.0], **options) for y0 in starts]

        solutions, seconds = timed(predict)
        scores = model.decoder(torch.cat([solution.ys[:, -1] for solution in solutions]))
        mean = scores.softmax(1).reshape(PATHS, len(x), 10).mean(0)
        return float((mean.argmax(1) == label).float().mean()), solutions, seconds


WEIGHTS = {"error": 10.0, "local error": 10.0, "stiffness": 0.1, "local stiffness": 0.1}

if __name__ == "__main__":
    main(DigitsSDE(), lambda steps: ways(WEIGHTS, steps, ode=False, estimate="natural"))
