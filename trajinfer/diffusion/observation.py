"""What is known of a draw: linear observations with noise, and rewards."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer.diffusion.denoiser import as_double

_LOG_TWO_PI = math.log(2 * math.pi)


class LinearObservation:
    r"""$y = Hx + e$ with $e \sim N(0, R)$.

    Args:
        H: (m, D), or (D,) for one observation.
        y: (m,), or a number.
        R: covariance of the error, (m, m); (m,) or a number for variances.

    Raises:
        InputError: if shapes differ, values are not finite, or R is not positive definite.

    Example:
        >>> LinearObservation([[1.0, 0.0]], [2.0], 0.09).n
        1
    """

    def __init__(self, H: Any, y: Any, R: Any) -> None:
        self.H = torch.atleast_2d(as_double(H))
        self.y = as_double(y).reshape(-1)
        self.n = self.y.shape[0]
        error = as_double(R)
        self.R = torch.diag(error.expand(self.n)) if error.ndim < 2 else error
        if self.H.shape[0] != self.n or self.R.shape != (self.n, self.n):
            raise InputError(
                f"expected H (m, D), y (m,) and R (m, m), got {tuple(self.H.shape)}, "
                f"{tuple(self.y.shape)} and {tuple(self.R.shape)}"
            )
        if not all(bool(torch.isfinite(part).all()) for part in (self.H, self.y, self.R)):
            raise InputError("H, y and R must be finite; leave out observations that are missing")
        least = float(torch.linalg.eigvalsh((self.R + self.R.T) / 2)[0])
        if least <= 0:
            raise InputError(
                f"R must be positive definite, its smallest eigenvalue is {least:.3g}; give exact "
                "observations a small variance"
            )

    def require_width(self, dim: int) -> None:
        """Refuse a model of another width.

        Raises:
            InputError: naming both widths.
        """
        if self.H.shape[1] != dim:
            raise InputError(
                f"H observes {self.H.shape[1]} coordinates, the model has {dim}; a row of H has "
                "one number per coordinate"
            )

    def log_likelihood(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        """Log N(y; Hx, R + extra), (B,); extra (m, m) widens the error."""
        covariance = self.R.to(x) if extra is None else self.R.to(x) + extra
        factor = torch.linalg.cholesky(covariance)
        off = (self.y.to(x) - x @ self.H.to(x).T).T
        z = torch.linalg.solve_triangular(factor, off, upper=False)
        log_det = factor.diagonal().log().sum()
        result: Tensor = -0.5 * z.square().sum(0) - log_det - 0.5 * self.n * _LOG_TWO_PI
        return result


class Reward:
    """A reward r(x): draws are tilted by exp(strength * r).

    Args:
        function: x (B, D) -> (B,), differentiable by torch.
        strength: factor of the reward.

    Raises:
        InputError: if it is no function.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], strength: float = 1.0) -> None:
        if not callable(function):
            raise InputError(f"a Reward needs a function x -> (B,), got {type(function).__name__}")
        self.function, self.strength = function, float(strength)

    def log_likelihood(self, x: Tensor) -> Tensor:
        """Strength * r(x), (B,).

        Raises:
            InputError: for another shape, NaN, or a value that has no gradient although x has.
        """
        value = self.function(x)
        if not isinstance(value, Tensor) or value.shape != x.shape[:1]:
            raise InputError(
                f"the reward of x {tuple(x.shape)} must be a tensor ({x.shape[0]},), got "
                f"{tuple(getattr(value, 'shape', ())) or type(value).__name__}"
            )
        if bool(torch.isnan(value).any()):
            raise InputError("the reward is NaN at some draws; make it finite everywhere")
        if x.requires_grad and not value.requires_grad:
            raise InputError(
                "the reward has no gradient; compute it with torch from x, without detach or numpy"
            )
        return self.strength * value
