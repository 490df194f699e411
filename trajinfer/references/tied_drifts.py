r"""Drifts of paths of a reference, tied to where the same path stands a little later or before.

Of a law whose paths between two times are those of the reference, the drift at time t is

$E[b + \Sigma \nabla_z \log q(X_{t + h} \mid z) \mid X_t = z]$ forwards,
$E[-b + \Sigma \nabla_z \log q(z \mid X_{t - h}) \mid X_t = z]$ backwards,

whatever h. It is taken so short that the linear-noise equations give q, and as long as that allows,
since what is averaged varies as 1/h.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer.references.linalg import apply, cholesky
from trajinfer.references.transitions import Transition, Transitions


def forward_controls(transitions: Transitions, times: Tensor, paths: Tensor, reach: int) -> Tensor:
    """What is added to the drift of the reference, at all times but the first and the last.

    Args:
        transitions: of a reference whose noise is the same everywhere.
        times: (L + 2,).
        paths: (L + 2, N, D) at the times.
        reach: number of times between a position and that to which it is tied.

    Returns:
        (L, N, D).
    """
    here = torch.arange(1, len(times) - 1)
    ahead = (here + reach).clamp_max(len(times) - 1)
    law = _law(transitions, times, paths, here, ahead)
    score = apply(law.flow.mT, _over(law.covariance, paths[ahead] - law.mean))
    return apply(_rate(transitions, times, paths), score)


def backward_drifts(transitions: Transitions, times: Tensor, paths: Tensor, reach: int) -> Tensor:
    """Drift towards earlier times, at all times but the first and the last; see above."""
    here = torch.arange(1, len(times) - 1)
    before = (here - reach).clamp_min(0)
    law = _law(transitions, times, paths, before, here)
    score = _over(law.covariance, law.mean - paths[here])
    rows = times[here].repeat_interleave(paths.shape[1]).unsqueeze(1)
    drift = transitions.dynamics.drift(rows, paths[here].flatten(0, 1)).reshape(score.shape)
    return apply(_rate(transitions, times, paths), score) - drift


def _law(
    transitions: Transitions, times: Tensor, paths: Tensor, first: Tensor, second: Tensor
) -> Transition:
    durations = times[second] - times[first]
    short = transitions.within(float(durations.max() / (times[-1] - times[0])))
    return short(times[first], paths[first], durations, with_flow=True)


def _over(covariance: Tensor, x: Tensor) -> Tensor:
    solved: Tensor = torch.cholesky_solve(x.unsqueeze(3), cholesky(covariance)[0]).squeeze(3)
    return solved


def _rate(transitions: Transitions, times: Tensor, paths: Tensor) -> Tensor:
    dim = paths.shape[2]
    return transitions.dynamics.covariance_rate(times[:1, None], paths[0, :1]).reshape(dim, dim)
