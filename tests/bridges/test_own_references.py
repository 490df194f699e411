"""Every question can be asked of a bridge whose reference knows no Jacobian."""

import numpy as np
import pytest
import torch

from trajinfer import SchrodingerBridge, Snapshots


class Bent(torch.nn.Module):
    """A drift that bends, and whose slopes therefore depend on the place."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self):
        super().__init__()
        self.rate = torch.nn.Parameter(torch.tensor(0.1, dtype=torch.float64))

    def f(self, t, y):
        return self.rate * torch.sin(y)

    def g(self, t, y):
        return torch.full_like(y, 0.5)


QUESTIONS = {
    "sample": lambda bridge: bridge.sample(3, [0, 0.5, 1]).values,
    "marginal": lambda bridge: bridge.marginal(0.5, 3),
    "measurements": lambda bridge: bridge.measurements(0.5, 3),
    "predict": lambda bridge: bridge.predict(np.zeros((2, 2)), 0, [0.5, 1]),
    "velocity": lambda bridge: bridge.velocity(np.zeros((2, 2)), 0.5),
    "forecast": lambda bridge: bridge.forecast([2], 3).values,
    "fates": lambda bridge: bridge.fates({"right": lambda x: x[:, 0] > 0}, t0=0, t1=1),
    "coupling": lambda bridge: bridge.coupling(0),
}


@pytest.fixture(scope="module", params=["linear_noise", "mixture"])
def bridge(request):
    rng = np.random.default_rng(0)
    data = Snapshots([0, 1], [rng.normal(0, 1, (30, 2)), rng.normal(0, 1, (30, 2))])
    return SchrodingerBridge(
        Bent(), n_refinements=1, backend=request.param, random_state=0, tol=10.0
    ).fit(data)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_it_answers(bridge, question):
    assert np.isfinite(np.asarray(QUESTIONS[question](bridge), dtype=float)).all()
