"""Which parameters of a reference the snapshots of some of its coordinates leave open.

What nobody measures has no units of its own: a reference that may stretch a hidden coordinate, and
shrink what depends on it, fits equally well at every size. Information about such a direction is
zero, and the parameters in it have no value of their own.
"""

from __future__ import annotations

import numpy as np

from trajinfer.hidden.forward_pass import Along, ForwardPass
from trajinfer.hidden.partial_reference import PartialReference
from trajinfer.references.parameter_vector import ParameterVector
from trajinfer.references.problem import Problem

_PRIOR, _OPEN = 10.0, 1.0


def open_parameters(model: PartialReference, problem: Problem, at: ForwardPass) -> list[str]:
    """Names of parameters whose error exceeds a natural unit (a factor e where positive)."""
    vector = ParameterVector(model)
    information = model.n * Along.of(model, problem, at).information(vector)
    variance = np.diag(np.linalg.inv(information + np.eye(len(information)) / _PRIOR**2))
    names = [
        name.rpartition(".")[2]
        for name, p in model.named_parameters()
        if p.requires_grad
        for _ in range(p.numel())
    ]
    own = {"center", "slopes", "log_spread"}
    found = [n for n, v in zip(names, variance) if v > _OPEN**2 and n not in own]
    return list(dict.fromkeys(found))
