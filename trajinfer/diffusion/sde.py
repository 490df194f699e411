"""Generation as SDEs of the library: `solve` and its gradients take them."""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from trajinfer._core.checks import require_positive
from trajinfer._core.errors import InputError
from trajinfer.diffusion.base_law import levels_of, matched_law
from trajinfer.diffusion.denoiser import as_denoiser, width_of
from trajinfer.diffusion.noise import NoiseLaw, White
from trajinfer.sde import SDE
from trajinfer.sde.base import LinearDrift

Direction = Literal["generate", "noise"]

_WHITE = White()


class DiffusionSDE(SDE):
    r"""$dy = (1 + \tau^2)(D - y)\,d\lambda + \sqrt2\,\tau e^{-\lambda} L\,dW$.

    Time is $\lambda = -\log\rho$.

    With `direction="noise"` time is $\log\rho$ and the same laws are passed through backwards:
    $dy = (1 - \tau^2)(y - D)\,dt + \sqrt2\,\tau e^{t} L\,dW$.

    `sample` has the exact variance of every step; `solve` is for checks, gradients and solvers of
    one's own. The contraction makes reversible Heun and the continuous adjoint unstable; the
    adjoint is refused.

    Args:
        denoiser: with `denoise(y, rho)`, or a function (y, rho) -> D.
        churn: tau >= 0; 0 is the probability flow.
        direction: "generate" or "noise".
        noise: law of the noise.
        dim: D, needed if the denoiser does not know it.

    Raises:
        InputError: for a churn below 0, an unknown direction or width.
    """

    unstable_backwards = (
        "its contraction -y grows backwards in time; use gradient='checkpoint', or "
        "trajinfer.scores.sample(..., method='bdia')"
    )

    def __init__(
        self,
        denoiser: Any,
        *,
        churn: float = 0.0,
        direction: Direction = "generate",
        noise: NoiseLaw = _WHITE,
        dim: int | None = None,
    ) -> None:
        super().__init__()
        require_positive(churn, "churn", or_zero=True)
        if direction not in ("generate", "noise"):
            raise InputError(f"direction must be 'generate' or 'noise', got {direction!r}")
        self.denoiser = as_denoiser(denoiser)
        if isinstance(denoiser, nn.Module):  # its weights are those of this module
            self.network = denoiser
        width = dim or width_of(self.denoiser)
        if width is None:
            raise InputError("give dim=, the width of the state: the denoiser does not know it")
        self.churn, self.direction, self.noise = float(churn), direction, noise
        self.dim, self.sde_type, self.commutes = width, "ito", True
        self.noise_type = "additive" if churn else "none"
        self.noise_dim = width if churn else 0
        if direction == "generate":
            rate = -(1 + self.churn**2)
            self.drift_linear = LinearDrift(torch.full((width,), rate, dtype=torch.float64))

    def f(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Drift at lam = t (or log rho = t)."""
        sign = 1.0 if self.direction == "generate" else -1.0
        off = self.denoiser.denoise(y, torch.exp(-sign * t)) - y
        return (1 + self.churn**2) * off if sign > 0 else -(1 - self.churn**2) * off

    def g(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Diffusion (B, D, D)."""
        eye = torch.eye(self.dim, dtype=y.dtype, device=y.device)
        factor = self.noise.colour(eye).T.expand(y.shape[0], -1, -1)
        return self._amplitude(t)[..., None] * factor if t.ndim else self._amplitude(t) * factor

    def g_prod(self, t: Tensor, y: Tensor, v: Tensor, context: Any = None) -> Tensor:
        """The product g v, without the matrix."""
        return self._amplitude(t) * self.noise.colour(v)

    def _amplitude(self, t: Tensor) -> Tensor:
        sign = 1.0 if self.direction == "generate" else -1.0
        return math.sqrt(2) * self.churn * torch.exp(-sign * t)

    def times(self, n_steps: int, levels: tuple[float, float] | None = None) -> Tensor:
        """Times of even steps between noise levels, (n_steps + 1,), rising.

        Args:
            n_steps: number of steps.
            levels: (rho_max, rho_min), from the moments of the denoiser by default.
        """
        high, low = levels_of(self.denoiser, matched_law(self.denoiser, self.noise), levels)
        ends = (-math.log(high), -math.log(low))
        if self.direction == "noise":
            ends = (math.log(low), math.log(high))
        return torch.linspace(*ends, n_steps + 1, dtype=torch.float64)


class InterpolantLaw(Protocol):
    """A law between two snapshots with its velocity and score."""

    @property
    def dim(self) -> int:
        """D."""

    def velocity(self, x: Tensor, u: Tensor | float) -> Tensor:
        """b(x, u), (B, D)."""
        ...

    def score(self, x: Tensor, u: Tensor | float) -> Tensor:
        """Score of the law at u, (B, D)."""
        ...


@runtime_checkable
class JointLaw(Protocol):
    """A law that gives velocity and score at the cost of one."""

    def velocity_and_score(self, x: Tensor, u: Tensor | float) -> tuple[Tensor, Tensor]:
        """b(x, u) and the score, (B, D) each."""
        ...


class InterpolantSDE(SDE):
    r"""$dx = (b + e s)\,du + \sqrt{2e}\,dW$ from snapshot 0 to snapshot 1, the same laws for all e.

    With `direction="backward"` time is $1 - u$ and the same laws are passed through from snapshot
    1 to snapshot 0: $dx = (e s - b)\,dt + \sqrt{2e}\,dW$.

    Args:
        law: with `velocity(x, u)`, `score(x, u)` and `dim`; where it has `velocity_and_score(x, u)`
            that is asked once instead of both.
        churn: e >= 0, a number or (D,); c/2 is the best at few steps, 0 the ODE.
        direction: "forward" or "backward".

    Raises:
        InputError: for a churn below 0 or an unknown direction.
    """

    def __init__(
        self,
        law: InterpolantLaw,
        *,
        churn: float | Tensor = 0.0,
        direction: Literal["forward", "backward"] = "forward",
    ) -> None:
        super().__init__()
        self.churn = _churn_of(churn, law.dim)
        if direction not in ("forward", "backward"):
            raise InputError(f"direction must be 'forward' or 'backward', got {direction!r}")
        self.law, self.direction, self.dim = law, direction, law.dim
        self.sde_type, self.commutes = "ito", True
        self.is_noisy = bool((self.churn > 0).any())
        self.noise_type = "additive" if self.is_noisy else "none"
        self.noise_dim = law.dim if self.is_noisy else 0

    def f(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """B + e s, or e s - b backwards."""
        sign, u = (1.0, t) if self.direction == "forward" else (-1.0, 1 - t)
        if not self.is_noisy:
            return sign * self.law.velocity(y, u)
        if isinstance(self.law, JointLaw):
            velocity, score = self.law.velocity_and_score(y, u)
        else:
            velocity, score = self.law.velocity(y, u), self.law.score(y, u)
        return sign * velocity + self.churn.to(y) * score

    def g(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """sqrt(2e) I, (B, D, D)."""
        eye = torch.eye(self.dim, dtype=y.dtype, device=y.device)
        return ((2 * self.churn).sqrt().to(y) * eye).expand(y.shape[0], -1, -1)

    def g_prod(self, t: Tensor, y: Tensor, v: Tensor, context: Any = None) -> Tensor:
        """sqrt(2e) v."""
        return (2 * self.churn).sqrt().to(v) * v


def _churn_of(churn: Any, dim: int) -> Tensor:
    """The churn of an interpolant, () or (D,).

    Raises:
        InputError: for anything but numbers from 0 on.
    """
    try:
        numbers = torch.as_tensor(churn, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"churn must be 0 or positive and finite, got {churn!r}") from error
    fits = numbers.shape in ((), (dim,)) and bool(torch.isfinite(numbers).all())
    if not fits or bool((numbers < 0).any()):
        raise InputError(
            f"churn must be 0 or positive and finite, or ({dim},) of such numbers, got {churn!r}"
        )
    return numbers
