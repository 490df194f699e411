"""One row or more per process: how it is made, and a place where it may stand.

A process exported by `trajinfer.processes` without a row fails tests/conformance/test_sdes.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from trajinfer import processes


def _growing_noise(y):
    return 0.2 + 0.1 * y.square()


class Case(NamedTuple):
    name: str
    make: Callable[..., Any]
    center: tuple[float, ...]
    noiseless: tuple[int, ...] = ()

    @property
    def neutral(self) -> bool:
        """Whether no parameter of the drift is given a value, which would have units of its own."""
        coefficients = self.make().coefficients
        return set(coefficients) <= {"volatility", *coefficients.neutral}


CASES = (
    Case("Brownian", lambda **v: processes.Brownian(dim=2, **v), (0.3, -0.5)),
    Case("OrnsteinUhlenbeck", lambda **v: processes.OrnsteinUhlenbeck(dim=2, **v), (0.3, -0.5)),
    Case(
        "OrnsteinUhlenbeck",
        lambda **v: processes.OrnsteinUhlenbeck([1.0, 2.0], [0.5, 0.0], **v),
        (0.3, -0.5),
    ),
    Case("AffineDrift", lambda **v: processes.AffineDrift(2, **v), (0.3, -0.5)),
    Case(
        "AffineDrift",
        lambda **v: processes.AffineDrift(2, [[-0.5, 2.0], [-2.0, -0.5]], [1.0, 0.0], **v),
        (0.3, -0.5),
    ),
    Case(
        "GeometricBrownian", lambda **v: processes.GeometricBrownian([0.1, -0.2], **v), (1.0, 2.0)
    ),
    Case("LotkaVolterra", lambda **v: processes.LotkaVolterra(1.0, 0.4, 0.1, 0.4, **v), (5.0, 4.0)),
    Case("LotkaVolterra", processes.LotkaVolterra, (5.0, 4.0)),
    Case("Repressilator", lambda **v: processes.Repressilator(10, 3, 1, 1, **v), (1.0, 1.5, 2.0)),
    Case("Repressilator", processes.Repressilator, (1.0, 1.5, 2.0)),
    Case(
        "RepressilatorWithProteins",
        lambda **v: processes.RepressilatorWithProteins(0.1, 10, 3, 1, 1, 2, 0.5, **v),
        (1.0, 1.5, 2.0, 0.5, 1.5, 1.0),
    ),
    Case(
        "RepressilatorWithProteins",
        processes.RepressilatorWithProteins,
        (1.0, 1.5, 2.0, 0.5, 1.5, 1.0),
    ),
    Case("Vortex", lambda **v: processes.Vortex(0.5, [0.2, 0.0], -0.3, **v), (0.3, -0.5)),
    Case("Vortex", processes.Vortex, (0.3, -0.5)),
    Case("LambOseen", lambda **v: processes.LambOseen(0.5, [0.2, 0.0], 0.7, **v), (0.3, -0.5)),
    Case("LambOseen", processes.LambOseen, (0.3, -0.5)),
    Case("DoubleWell", lambda **v: processes.DoubleWell(1.0, 0.5, dim=2, **v), (0.3, -0.5)),
    Case("DoubleWell", lambda **v: processes.DoubleWell(dim=2, **v), (0.3, -0.5)),
    Case(
        "FitzHughNagumo",
        lambda **v: processes.FitzHughNagumo(2, a=0.7, **v),
        (0.1, 0.5, 0.3, -0.4, 0.6, 0.4),
        noiseless=(1, 4),
    ),
    Case(
        "OpinionDynamics",
        lambda **v: processes.OpinionDynamics(3, reach=0.3, **v),
        (0.1, 0.6, -0.5),
    ),
    Case(
        "NeuralDrift", lambda **v: processes.NeuralDrift(2, (8,), random_state=0, **v), (0.3, -0.5)
    ),
    Case(
        "GradientField",
        lambda **v: processes.GradientField(2, (8, 4), activation="tanh", random_state=0, **v),
        (0.3, -0.5),
    ),
    Case("PolynomialDrift", lambda **v: processes.PolynomialDrift(2, 3, **v), (0.3, -0.5)),
    Case("PolynomialDrift", lambda **v: processes.PolynomialDrift(3, 1, **v), (0.3, -0.5, 0.1)),
    Case("PolynomialDrift", lambda **v: processes.PolynomialDrift(2, 0, **v), (0.3, -0.5)),
)

VOLATILITIES = {
    "one": lambda dim: 0.3,
    "per dimension": lambda dim: [0.1 * (d + 1) for d in range(dim)],
    "callable": lambda dim: _growing_noise,
}


def states(case: Case, n: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """n states around the place named, the same ones always."""
    generator = torch.Generator().manual_seed(n)
    center = torch.tensor(case.center, dtype=torch.float64)
    noise = torch.randn(n, len(center), generator=generator, dtype=torch.float64)
    return (center + 0.1 * noise).to(dtype)


def shaken(process: Any) -> Any:
    """The process with its learnable parameters moved away from their starts."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in process.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.2 * noise)
    return process
