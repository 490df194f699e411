"""Penalties on the cost of a solve, from the errors and stiffness of its steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError, nearest

Kind = Literal["error", "stiffness", "error+stiffness"]
Reduce = Literal["sum", "mean", "max", "steps"]

_CHOICES = {
    "kind": ("error", "stiffness", "error+stiffness"),
    "mode": ("global", "local"),
    "sampling": ("unbiased", "biased"),
    "estimate": ("embedded", "natural", "doubling"),
    "power": (1, 2),
    "reduce": (None, "sum", "mean", "max", "steps"),
}


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
            value $E(t_1)\,h$ of the one step. "steps" is $\tfrac1N \sum_j E_j$ without the lengths,
            so that short steps count like long ones: as a controller keeps $E_j$ near one value,
            its slope is that of the logarithm of the number of steps, times their order.
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
            raise InputError("one extra step has no maximum; use reduce='sum', 'mean' or 'steps'")
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
