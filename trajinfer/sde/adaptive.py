"""Step control: settings, and the next step as a pure function of the error ratios."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer.paths.step_grid import Array

Norm = Literal["max", "rms"]
Reject = Literal["shrink", "halve"]
ErrorKind = Literal["embedded", "natural", "doubling"]
Control = Literal["batch", "sample"]


@dataclass(frozen=True)
class Adaptive:
    r"""Steps controlled by an estimate e of the local error.

    The error ratio of a path is $r = \mathrm{RMS}_d\, e/(atol + rtol \max(|y_0|, |y_1|))$; a
    step is accepted if $r \le 1$, and the next one has the length
    $$h\, \mathrm{clip}(s\, r^{-(k_P + k_I + k_D)/q}\, r_1^{(k_P + 2 k_D)/q}\, r_2^{-k_D/q})$$
    with the ratios $r_1, r_2$ of the last two accepted steps and the local order q of the estimate.
    No gradient flows through the choice of steps.

    Args:
        rtol: relative tolerance.
        atol: absolute tolerance.
        control: "batch" shares the steps between all paths; "sample" gives each its own, which pays
            where few paths are much harder than the others at a time. The latter finds the steps
            first and, where gradients or penalties are wanted, takes them again.
        norm: of a shared step over the batch: "max" (no path is worse than asked) or "rms" (as
            torchsde: looser for larger batches).
        reject: "shrink", or "halve", under which Heun and SPaRK converge even if the noise does not
            commute.
        error: "embedded", "natural" (as in the Julia solvers) or "doubling" (two half steps, for
            any solver); None takes the embedded estimate where there is one.
        kP: proportional gain; None is 0.1 (SDE) or 0 (ODE).
        kI: integral gain; None is 0.3 (SDE) or 1 (ODE).
        kD: derivative gain.
        safety: s.
        shrink: smallest factor between steps.
        grow: largest factor; None is 5 (SDE) or 10 (ODE).
        first_step: None is 1 % of the time span (SDE) or Hairer's rule (ODE).
        min_step: below it `StepSizeUnderflow` is raised; None is rounding. Steps that end on an
            output time may be shorter.
        unsafe_adaptive: allow solvers that may converge to a wrong limit under rejection.

    Raises:
        InputError: for tolerances, gains and factors that make no sense.
    """

    rtol: float = 1e-3
    atol: float = 1e-4
    norm: Norm = "max"
    reject: Reject = "shrink"
    error: ErrorKind | None = None
    kP: float | None = None
    kI: float | None = None
    kD: float = 0.0
    safety: float = 0.9
    shrink: float = 0.2
    grow: float | None = None
    first_step: float | None = None
    min_step: float | None = None
    unsafe_adaptive: bool = False
    control: Control = "batch"

    def __post_init__(self) -> None:
        self._check_numbers()
        words = {"norm": Norm, "reject": Reject, "control": Control, "error": ErrorKind}
        for name, literal in words.items():
            value, known = getattr(self, name), get_args(literal)
            if value not in known and not (name == "error" and value is None):
                raise InputError(f"{name} is {' or '.join(map(repr, known))}, got {value!r}")

    def _check_numbers(self) -> None:
        for name in ("rtol", "atol"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and 0 <= value < math.inf):
                raise InputError(f"{name} must be a non-negative number, got {value!r}")
        if self.rtol == 0 and self.atol == 0:
            raise InputError("rtol and atol must not both be 0")
        for name in ("kP", "kI", "kD"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"{name} must be finite, got {value!r}")
        if not 0 < self.safety <= 1 or not 0 < self.shrink < 1:
            raise InputError("safety must lie in (0, 1] and shrink in (0, 1)")
        if self.grow is not None and not self.grow > 1:
            raise InputError(f"grow must be larger than 1, got {self.grow}")
        for name in ("first_step", "min_step"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name} must be positive, got {value}")


def shortest_step(control: Adaptive, ts: Array) -> float:
    """The user's smallest step, or a few units of rounding of the output times."""
    rounding = 16 * float(np.spacing(np.max(np.abs(ts))))
    return max(rounding, control.min_step or 0.0)


class History(NamedTuple):
    """Memory of the controller: of the batch, or of every path, (B,).

    Attributes:
        r1: ratio of the last accepted step.
        r2: of the one before.
        rejected: whether the current step was rejected at least once.
    """

    r1: float | Array = 1.0
    r2: float | Array = 1.0
    rejected: bool | Array = False


_LEAST = 1e-10


def after_accept(
    control: Adaptive, r: float | Array, history: History, *, order: float, ode: bool
) -> tuple[Array, History]:
    """Factor for the next step after an accepted one, and the new memory."""
    k_p = control.kP if control.kP is not None else (0.0 if ode else 0.1)
    k_i = control.kI if control.kI is not None else (1.0 if ode else 0.3)
    k_d, ratio = control.kD, np.maximum(r, _LEAST)
    factor = control.safety * ratio ** (-(k_p + k_i + k_d) / order)
    factor *= history.r1 ** ((k_p + 2 * k_d) / order) * history.r2 ** (-k_d / order)
    largest = control.grow if control.grow is not None else (10.0 if ode else 5.0)
    limit = np.where(history.rejected, 1.0, largest)
    return np.minimum(np.maximum(factor, control.shrink), limit), History(ratio, history.r1)


def after_reject(
    control: Adaptive, r: float | Array, history: History, *, order: float
) -> tuple[Array, History]:
    """Factor for trying again; a ratio that is not finite never enters the memory."""
    finite = np.isfinite(r)
    r1, r2 = (np.where(finite, ratio, 1.0) for ratio in (history.r1, history.r2))
    memory = History(r1, r2, np.ones_like(finite))
    if control.reject == "halve":
        return np.full_like(r1, 0.5), memory
    known = np.maximum(np.where(finite, r, 1.0), _LEAST)
    factor = control.safety * known ** (-1.0 / order)
    factor = np.minimum(np.maximum(factor, control.shrink), control.safety)
    return np.where(finite, factor, 0.25), memory


@torch.no_grad()
def error_ratios(control: Adaptive, error: Tensor, y0: Tensor, y1: Tensor) -> Tensor:
    """Scaled error of every path, (B,); NaN where the new state, or the error, is NaN."""
    scale = torch.maximum(y0.abs(), y1.abs()).mul_(control.rtol).add_(control.atol)
    # without an absolute tolerance a coordinate that stays at 0 has no scale, and no error
    numbers, n_channels = torch.finfo(scale.dtype), y1.shape[1]
    largest = 0.9 * math.sqrt(numbers.max / n_channels)
    scaled = (error / scale.clamp_min_(numbers.tiny)).clamp_(-largest, largest)
    ratio: Tensor = torch.linalg.vector_norm(scaled, dim=1) * n_channels**-0.5
    # an infinite state makes an infinite scale and a ratio of 0: 0 * inf brings the NaN back
    return ratio.add_(0.0 * scale.amax(1))


@torch.no_grad()
def batch_ratio(control: Adaptive, ratios: Tensor, active: Tensor | None) -> float:
    """The ratio of the batch, over the paths that are still active: the one host sync of a step."""
    if active is not None:
        ratios = torch.where(active, ratios, 0.0)
    # amax drops NaN on no device: it propagates, and so does the mean
    if control.norm == "max":
        return float(ratios.amax())
    norm = float(torch.linalg.vector_norm(ratios))
    return norm / math.sqrt(len(ratios))
