"""A neural ODE classifies handwritten digits (64 pixels -> 16 coordinates -> 10 classes)."""

import torch
from _heuristics_table import ODE, Experiment, digits, main, solve_trained, timed, ways
from torch import nn

from trajinfer import sde
from trajinfer.nn import MLP

DIM, SOLVER = 16, {"method": "tsit5", "step": sde.Adaptive(1e-6, 1e-6, norm="rms")}


class Dynamics(ODE):
    """A network of the state and the time, tanh inside and outside."""

    dim = DIM

    def __init__(self, seed):
        super().__init__()
        self.network = MLP(DIM + 1, DIM, (64,), activation="tanh", random_state=seed)

    def f(self, t, y, context=None):
        return torch.tanh(self.network(torch.cat([y, t.expand(y.shape[0], 1)], dim=1)))


class Classifier(nn.Module):
    def __init__(self, seed):
        super().__init__()
        self.encoder = MLP(64, DIM, (), random_state=seed + 1000)
        self.dynamics = Dynamics(seed)
        self.decoder = MLP(DIM, 10, (), random_state=seed + 2000)


class DigitsODE(Experiment):
    title, metric, steps = "Digits neural ODE, tsit5 at 1e-6", "accuracy", 300

    def __init__(self):
        self.train, self.validation, self.test = digits()

    def model(self, seed):
        return Classifier(seed)

    def loss(self, model, way, generator):
        x, label = self.train
        chosen = torch.randperm(len(x), generator=generator)[:256]
        ts = [0.0, way.end(0.0, 1.0, generator)]
        start = model.encoder(x[chosen])
        ys, penalty = solve_trained(model.dynamics, start, ts, way, **SOLVER)
        return nn.functional.cross_entropy(model.decoder(ys[:, -1]), label[chosen]), penalty

    def evaluate(self, model, seed):
        x, label = self.held_out
        starts = model.encoder(x).split(50)

        def predict():
            return [sde.solve(model.dynamics, y0, [0.0, 1.0], **SOLVER) for y0 in starts]

        solutions, seconds = timed(predict)
        scores = model.decoder(torch.cat([solution.ys[:, -1] for solution in solutions]))
        return float((scores.argmax(1) == label).float().mean()), solutions, seconds


WEIGHTS = {"error": 10.0, "local error": 10.0, "stiffness": 0.1, "local stiffness": 0.1}
WEIGHTS |= {"steer": 0.5, "taynode": 0.01}

if __name__ == "__main__":
    main(DigitsODE(), lambda steps: ways(WEIGHTS, steps, ode=True))
