"""What the steps of a solve say about its cost, as penalties a model can be trained against."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError, nearest
from trajinfer.sde.problem import Problem
from trajinfer.sde.tally import Taken

Kind = Literal["error", "stiffness", "error+stiffness"]
Reduce = Literal["sum", "mean", "max"]

STIFF_STAGES = {"tsit5": (5, 6, 3.5068), "sosri2": (2, 3, 10.6), "sosra2": (1, 2, 5.3)}
"""Two drift stages at the same time, and the size of the stability region, by solver."""

_CHOICES = {
    "kind": ("error", "stiffness", "error+stiffness"),
    "mode": ("global", "local"),
    "sampling": ("unbiased", "biased"),
    "estimate": ("embedded", "natural", "doubling"),
    "power": (1, 2),
    "reduce": (None, "sum", "mean", "max"),
}
_SHARE_OF_STIFFNESS = 0.1
_ROUNDINGS = 16


@dataclass(frozen=True)
class Anneal:
    r"""A weight that falls (or rises) from `start` to `end` within `steps`, then stays.

    $$w(k) = w_0 \exp(-k \ln(w_0 / w_1) / K), \quad 0 \le k \le K$$

    Args:
        start: $w_0$, positive.
        end: $w_1$, positive.
        steps: K, in whatever the training counts: optimiser steps or epochs.

    Example:
        >>> Anneal.exponential(100.0, 1.0, 10)(5)
        10.0
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        if not (0 < self.start < math.inf and 0 < self.end < math.inf):
            raise InputError(
                f"an annealed weight must stay positive and finite, got {self.start} to {self.end}"
            )
        require_integer(self.steps, "steps", least=1)

    @classmethod
    def exponential(cls, start: float, end: float, steps: int) -> Anneal:
        """The weight falls by the same factor at every step."""
        return cls(start, end, steps)

    def __call__(self, step: int) -> float:
        """The weight at a training step."""
        share = min(max(step / self.steps, 0.0), 1.0)
        return float(self.start * (self.end / self.start) ** share)


@dataclass(frozen=True)
class Constant:
    """A weight that stays.

    Args:
        value: not negative.
    """

    value: float

    def __post_init__(self) -> None:
        if not 0 <= self.value < math.inf:
            raise InputError(f"weight must be a non-negative number, got {self.value!r}")

    def __call__(self, step: int) -> float:
        """The weight, whatever the step."""
        return float(self.value)


@dataclass(frozen=True, init=False)
class SolverRegularization:
    r"""Penalty on what a solver needs: $R_E = \sum_j E_j h_j$ and $R_S = \sum_j S_j$.

    $E_j$ is the scaled estimate of the error of step j and $S_j$ of its stiffness,
    $$E_j = \mathrm{RMS}\,\frac{e_j}{atol + rtol \max(|y_j|, |y_{j+1}|)}, \quad
      S_j = \frac{\|f_b - f_a\|}{\|y_b - y_a\|}$$
    with two drift stages a and b at the same time (tsit5, sosri2, sosra2), or the Jacobian of the
    drift along the step where a solver has none (one more evaluation). Both are differentiated by
    the parameters and the state, never by the length of the step. "error+stiffness" is
    $R_E + 0.1 R_S$ / (size of the stability region, where known).

    The penalty of a solve is `solution.penalty`, 0 while the SDE is in evaluation mode; a training
    loss adds `reg.weight(step) * solution.penalty`.

    Args:
        kind: "error", "stiffness" or "error+stiffness".
        mode: "global" sums over all accepted steps and needs gradient="backprop" or "checkpoint";
            "local" takes one extra step from a random place on the path and works with every
            gradient. The main solve is the same with and without it.
        sampling: of the place, for "local": "unbiased" is uniform in time, "biased" uniform over
            the accepted steps, so more often where they are short.
        estimate: "embedded"; "natural", the one of the published SDE experiments, which is
            dominated by the size of the drift; or "doubling". For "global" with adaptive steps it
            must be the estimate that controls the steps.
        power: 1, or 2 for $E_j^2$ and $S_j^2$.
        reduce: "sum", "mean" or "max" over the steps; None is "sum" for the error and "mean" for
            the stiffness. "local" gives an estimate of the sum, or, for "mean", the published
            value $E(t_1)\,h$ of the one step.
        n_times: places visited per solve, for "local".
        h: length of the extra step: "controller" (the step of the solve there), "auto" (the first
            step an adaptive solve from there would try) or a number. It never leaves the time span.
        state_grad: differentiate the extra step by its starting state too (gradient="backprop").
        weight: a number, or a function of the training step such as `Anneal.exponential`.
        rtol: relative tolerance in $E_j$; None takes that of the solve, or, with fixed steps, that
            of `Adaptive()`.
        atol: absolute tolerance, likewise.

    Raises:
        InputError: for words and numbers that make no sense, or max with "local".

    References:
        Pal, Ma, Shah, Rackauckas, arXiv 2105.03918 (global). Pal, Edelman, Rackauckas,
        arXiv 2303.02262 (local).

    Example:
        >>> reg = SolverRegularization(weight=Anneal.exponential(1.0, 0.1, 100))
        >>> round(reg.weight(50), 3)
        0.316
    """

    kind: Kind
    mode: Literal["global", "local"]
    sampling: Literal["unbiased", "biased"]
    estimate: Literal["embedded", "natural", "doubling"]
    power: Literal[1, 2]
    reduce: Reduce | None
    n_times: int
    h: Literal["controller", "auto"] | float
    state_grad: bool
    weight: Callable[[int], float]
    rtol: float | None
    atol: float | None

    def __init__(  # noqa: PLR0913 (the contract of the front door)
        self,
        kind: Kind = "error",
        *,
        mode: Literal["global", "local"] = "global",
        sampling: Literal["unbiased", "biased"] = "unbiased",
        estimate: Literal["embedded", "natural", "doubling"] = "embedded",
        power: Literal[1, 2] = 1,
        reduce: Reduce | None = None,
        n_times: int = 1,
        h: Literal["controller", "auto"] | float = "controller",
        state_grad: bool = False,
        weight: float | Callable[[int], float] = 1.0,
        rtol: float | None = None,
        atol: float | None = None,
    ) -> None:
        given: dict[str, Any] = {
            "kind": kind,
            "mode": mode,
            "sampling": sampling,
            "estimate": estimate,
            "power": power,
            "reduce": reduce,
            "n_times": require_integer(n_times, "n_times", least=1),
            "h": h,
            "state_grad": bool(state_grad),
            "weight": weight if callable(weight) else Constant(weight),
            "rtol": rtol,
            "atol": atol,
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        for name, known in _CHOICES.items():
            value = getattr(self, name)
            if value not in known:
                hint = nearest(str(value), [str(word) for word in known])
                raise InputError(f"{name}={value!r} is unknown; {hint}")
        if self.mode == "local" and self.reduce == "max":
            raise InputError("one extra step has no maximum; use reduce='sum' or 'mean'")
        named = self.h in ("controller", "auto")
        if not named and not (isinstance(self.h, (int, float)) and 0 < self.h < math.inf):
            raise InputError(f"h must be 'controller', 'auto' or a positive number, got {self.h!r}")
        for name in ("rtol", "atol"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"{name} must be None or non-negative, got {value!r}")
        if self.rtol == 0 and self.atol == 0:
            raise InputError("rtol and atol must not both be 0")

    @property
    def wants_error(self) -> bool:
        """Whether errors are penalised."""
        return "error" in self.kind

    @property
    def wants_stiffness(self) -> bool:
        """Whether stiffness is penalised."""
        return "stiffness" in self.kind


def error_norms(steps: Sequence[Taken], *, rtol: float, atol: float, shared: bool) -> Tensor:
    r"""Norms of $e / (|y| + atol / rtol)$, (N, 1) over the batch, or (N, B) by series.

    All steps at once, because a few large operations cost less than many small ones;
    `Measure.powers` makes E of it.
    """
    error = torch.stack([taken.step.error for taken in steps])  # type: ignore[misc]
    size = torch.stack([steps[0].y, *(taken.step.y for taken in steps)]).abs()
    offset = atol / rtol + float(torch.finfo(size.dtype).tiny)
    return _norms(error / (torch.maximum(size[:-1], size[1:]) + offset), shared=shared)


def stiffness_ratios(
    problem: Problem, name: str, steps: Sequence[Taken], *, shared: bool
) -> Tensor:
    r"""S of consecutive steps, (N, 1) over the batch, or (N, B) where steps are not shared."""
    pairs = [_slope(problem, name, taken) for taken in steps]
    top, bottom = (_norms(torch.stack(parts), shared=shared) for parts in zip(*pairs))
    usable = (bottom > 0) & torch.isfinite(bottom) & torch.isfinite(top)
    return torch.where(usable, top, 0.0) / torch.where(usable, bottom, 1.0)


def _slope(problem: Problem, name: str, taken: Taken) -> tuple[Tensor, Tensor]:
    """A change of the drift, and the move in state that brings it about."""
    if name in STIFF_STAGES:
        a, b = (taken.step.stages[k] for k in STIFF_STAGES[name][:2])
        return b.f - a.f, b.y - a.y
    counts = problem.nfe_f, problem.nfe_g
    # expanded tensors carry no tangents: make them whole
    y, move = taken.y.contiguous(), (taken.step.y - taken.y).contiguous()
    change = torch.func.jvp(lambda x: problem.f(taken.t, x), (y,), (move,))[1]
    problem.nfe_f, problem.nfe_g = counts
    return change, move


def _norms(x: Tensor, *, shared: bool) -> Tensor:
    """Norms of (N, B, D) over the batch, (N, 1), or of every series, (N, B)."""
    norms: Tensor = torch.linalg.vector_norm(x, dim=(1, 2) if shared else 2)
    return norms[:, None] if shared else norms


@dataclass(frozen=True)
class Measure:
    """How one step is judged.

    Attributes:
        settings: what is asked for.
        solver: name of the solver that took the step.
        rtol: relative tolerance.
        atol: absolute tolerance.
        shared: whether the batch shares its steps.
    """

    settings: SolverRegularization
    solver: str
    rtol: float
    atol: float
    shared: bool

    def raw(self, problem: Problem, steps: Sequence[Taken]) -> Tensor:
        """Norm of the error, |h| and S of N steps: (N, 1, 3), or (N, B, 3) if not shared."""
        y, settings = steps[0].y, self.settings
        length = _lengths(steps, y, rows=1 if self.shared else y.shape[0])
        error = stiffness = torch.zeros_like(length)
        if settings.wants_error and steps[0].step.error is not None:
            rtol = self._relative(y)
            error = error_norms(steps, rtol=rtol, atol=self.atol, shared=self.shared)
        if settings.wants_stiffness:
            stiffness = stiffness_ratios(problem, self.solver, steps, shared=self.shared)
        return torch.stack([error, length, stiffness], dim=2)

    def powers(self, raw: Tensor, y: Tensor) -> Tensor:
        """E^p, |h| and S^p of what `raw` says of steps, (..., 3), on states like y."""
        norm, length, stiffness = raw.unbind(-1)
        count = y.numel() if self.shared else y.shape[1]
        square = norm.square() / (count * self._relative(y) ** 2)
        error = square if self.settings.power == 2 else (square + 1e-12).sqrt()
        if self.settings.power == 2:
            stiffness = stiffness.square()
        return torch.stack([error, length.abs(), stiffness], dim=-1)

    def _relative(self, y: Tensor) -> float:
        """The relative tolerance, never below 16 units of rounding, where e is rounding noise."""
        return max(self.rtol, _ROUNDINGS * torch.finfo(y.dtype).eps)

    @property
    def probes(self) -> bool:
        """Whether the stiffness costs one more evaluation per step."""
        return self.settings.wants_stiffness and self.solver not in STIFF_STAGES

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The penalty made of its terms."""
        if self.settings.kind != "error+stiffness":
            return next(iter(terms.values()))
        size = STIFF_STAGES[self.solver][2] if self.solver in STIFF_STAGES else 1.0
        return terms["error"] + _SHARE_OF_STIFFNESS / size * terms["stiffness"]


@dataclass(frozen=True)
class StepPenalty:
    """Collects what all accepted steps say: the tally of the global penalty.

    Attributes:
        measure: how a step is judged.
    """

    measure: Measure

    def start(self, y: Tensor) -> Tensor:
        """No steps yet, (0, R, 3)."""
        return y.new_zeros(0, 1 if self.measure.shared else y.shape[0], 3)

    def update(self, total: Tensor, problem: Problem, steps: Sequence[Taken]) -> Tensor:
        """Some steps more."""
        return torch.cat([total, self.measure.raw(problem, steps)])

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        """The steps of two neighbouring intervals."""
        return torch.cat([first, second])

    def finish(self, totals: Sequence[Tensor], y: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The terms of the penalty, and E^p, h and S^p of all steps (n_steps, R, 3)."""
        steps = self.measure.powers(torch.cat(list(totals)), y)
        return aggregate(self.measure.settings, steps), steps


def _lengths(steps: Sequence[Taken], y: Tensor, rows: int) -> Tensor:
    """(N, rows) lengths of the steps."""
    sizes = [taken.h for taken in steps]
    if isinstance(sizes[0], float):
        return y.new_tensor(sizes)[:, None].expand(-1, rows)
    return torch.stack([h[:, 0] for h in sizes if isinstance(h, Tensor)]).to(y)


def aggregate(settings: SolverRegularization, steps: Tensor) -> dict[str, Tensor]:
    r"""The terms of the penalty from $E_j^p$, $h_j$ and $S_j^p$; steps of no length do not count.

    Args:
        settings: how to reduce over the steps.
        steps: (n_steps, R, 3); the result is the mean over the R rows.
    """
    error, length, stiffness = steps.unbind(2)
    taken = length > 0
    terms = {}
    if settings.wants_error:
        terms["error"] = _reduced(error * length, taken, settings.reduce or "sum")
    if settings.wants_stiffness:
        terms["stiffness"] = _reduced(stiffness, taken, settings.reduce or "mean")
    return terms


def _reduced(values: Tensor, taken: Tensor, reduce: Reduce) -> Tensor:
    values = torch.where(taken, values, 0.0)
    if reduce == "max":
        return values.amax(0).mean()
    total = values.sum(0)
    return (total if reduce == "sum" else total / taken.sum(0).clamp_min(1)).mean()
