"""Does the noise commute? A numerical probe for SDEs that do not say."""

from __future__ import annotations

from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn

from trajinfer._core.errors import IncompatibleSolver
from trajinfer._core.seeding import torch_generator
from trajinfer.sde.problem import Problem
from trajinfer.sde.transforms import inside_transform

_VERDICTS: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
_CONSTANT: WeakSet[nn.Module] = WeakSet()


def noise_commutes(problem: Problem, t: Tensor, y: Tensor) -> bool:
    """Whether the noise commutes: declared, known from its type, or probed once per model.

    A verdict of "yes" that rests on derivatives that are all zero, as with a zero-initialised last
    layer, is not remembered.
    """
    declared = problem.commutes
    if declared is not None or not y.numel():
        return declared is not False
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


@torch.no_grad()
def require_additive(problem: Problem, t: Tensor, y: Tensor) -> None:
    """Compare the diffusion at two states, once per model, where it is said to be additive.

    An SDE that declares whether its noise commutes is not asked, and inside `torch.func.vmap`
    numbers cannot be compared.

    Raises:
        IncompatibleSolver: if it depends on the state: solvers would be of a lower order than they
            promise, and the two calculi would not agree.
    """
    sde, remembers = problem.sde, isinstance(problem.sde, nn.Module)
    known = getattr(sde, "commutes", None) is not None or (remembers and sde in _CONSTANT)
    if known or not y.numel() or inside_transform():
        return
    v = _normal(y.shape[0], problem.noise_dim(t, y), like=y)
    here, there = problem.g_prod(t, y, v), problem.g_prod(t, _spread(y), v)
    # a diffusion that is not finite is found, and named, by the solve
    if bool(((there - here).abs() > _tolerance(y.dtype) * here.abs().amax()).any()):
        raise IncompatibleSolver(
            f"{type(sde).__name__} has noise_type 'additive' but its diffusion depends on the "
            "state; use noise_type 'diagonal' (g of shape (B, D)) or 'general'"
        )
    if remembers and bool(here.any()):
        _CONSTANT.add(sde)


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
    return y + 0.05 * _normal(*y.shape, like=y) * (y.abs() + 0.2)


def _normal(*size: int, like: Tensor) -> Tensor:
    """Normal numbers, always the same."""
    return torch.randn(size, generator=torch_generator(0), dtype=torch.float64).to(like)


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
    return worst <= _tolerance(dtype) * size, size > 0.0


def _tolerance(dtype: torch.dtype) -> float:
    """Relative differences below it are rounding."""
    return 1e-8 if dtype == torch.float64 else 1e-4
