"""Does the noise commute? A numerical probe for SDEs that do not say."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from trajinfer._core.seeding import torch_generator
from trajinfer.sde.problem import Problem

_VERDICTS: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def noise_commutes(problem: Problem, t: Tensor, y: Tensor) -> bool:
    """Whether the noise commutes: declared, known from its type, or probed once per model.

    A verdict of "yes" that rests on derivatives that are all zero, as with a zero-initialised last
    layer, is not remembered.
    """
    declared = problem.commutes
    if declared is not None:
        return declared
    remembers = isinstance(problem.sde, nn.Module)
    if remembers and problem.sde in _VERDICTS:
        problem.probed = _VERDICTS[problem.sde]
        return problem.probed
    counts = problem.nfe_f, problem.nfe_g
    verdict, informative = _probe(problem, t, y)
    problem.probed = verdict
    problem.nfe_f, problem.nfe_g = counts
    if remembers and informative:
        _VERDICTS[problem.sde] = verdict
    return verdict


def _probe(problem: Problem, t: Tensor, y: Tensor) -> tuple[bool, bool]:
    """Verdict, and whether any derivative was non-zero."""
    test = _diagonal if problem.noise_type == "diagonal" else _general
    with torch.no_grad():
        verdict, informative = test(problem, t, _spread(y))
        if verdict is None:
            verdict, informative = test(problem, t, y)
    return bool(verdict), informative


def _spread(y: Tensor) -> Tensor:
    """Points near y that differ from each other, in case all paths start at one place."""
    z = torch.randn(y.shape, generator=torch_generator(0), dtype=torch.float64).to(y)
    return y + 0.05 * z * (y.abs() + 0.2)


def _diagonal(problem: Problem, t: Tensor, y: Tensor) -> tuple[bool | None, bool]:
    r"""The Jacobian J of g is diagonal iff $v \odot J v$ is the same for all sign vectors v.

    One vector per binary digit of the channel number gives any two channels opposite signs in one
    of them, so that no single mixing entry can hide.
    """

    def product(v: Tensor) -> Tensor:
        bent: Tensor = torch.func.jvp(lambda x: problem.g(t, x), (y,), (v,))[1]
        return v * bent

    channel = torch.arange(y.shape[1], device=y.device)
    base = product(torch.ones_like(y))
    worst, size = 0.0, float(base.abs().max())
    for digit in range(max(1, (y.shape[1] - 1).bit_length())):
        sign = (1 - 2 * ((channel >> digit) & 1)).to(y.dtype).expand_as(y)
        signed = product(sign)
        worst = max(worst, float((signed - base).abs().max()))
        size = max(size, float(signed.abs().max()))
    return _verdict(worst, size, y.dtype)


def _general(problem: Problem, t: Tensor, y: Tensor) -> tuple[bool | None, bool]:
    r"""$(\partial_y g_k) g_l = (\partial_y g_l) g_k$ for all pairs of columns."""
    columns = problem.g(t, y).unbind(2)
    bent = [torch.func.jvp(lambda x: problem.g(t, x), (y,), (c.contiguous(),))[1] for c in columns]
    table = torch.stack(bent, dim=3)
    worst = float((table - table.transpose(2, 3)).abs().max())
    return _verdict(worst, float(table.abs().max()), y.dtype)


def _verdict(worst: float, size: float, dtype: torch.dtype) -> tuple[bool | None, bool]:
    if worst != worst or size != size:
        return None, False
    tolerance = 1e-8 if dtype == torch.float64 else 1e-4
    return worst <= tolerance * size, size > 0.0
