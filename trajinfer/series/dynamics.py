"""What all latent dynamics of an irregular series share: a start, a drive, and a way to be read."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trajinfer.paths import Path
from trajinfer.sde import SDE, PerStep


class Drive(NamedTuple):
    """All that a drift and a diffusion need besides the state, at one time.

    Attributes:
        drift: what the drift is told, (B, W) or a shape that broadcasts to it.
        volatility: sigma(t) where it depends on time alone, (1, H) or (B, H).
        damping: rates (1, H) of the linear part of the drift, where there is one.
    """

    drift: Tensor
    volatility: Tensor
    damping: Tensor | None = None


class LatentDynamics(SDE):
    r"""Latent state z driven by a path X through the data, $dz = f(t, z, X)\,dt + g(t, z)\,dW$.

    The path enters the drift only. What does not depend on z is gathered in a `Drive`, a function
    of t and X(t). `f` and `g` take a `Path` as context, which suits any solver, or a `Drive`;
    `prepare` evaluates the drives of all steps of an Euler solve in one batched call.

    Args:
        dim: H, number of latent channels.
        n_controls: C, channels of the path; 0 for dynamics that do not look at it.
        stochastic: False makes the dynamics an ODE.

    Attributes:
        wants_slope: whether the drive is made of X'(t) in the place of X(t).
    """

    wants_slope = False
    commutes: bool | None = True

    def __init__(self, dim: int, n_controls: int, *, stochastic: bool = True) -> None:
        super().__init__()
        self.dim = self.noise_dim = dim
        self.n_controls = n_controls
        self.noise_type = "diagonal" if stochastic else "none"

    @abstractmethod
    def drive(self, t: Tensor, x: Tensor | None) -> Drive:
        """The drive at times (..., 1) and controls (..., C), where there are any."""

    @abstractmethod
    def drift(self, z: Tensor, drive: Drive) -> Tensor:
        """f, (B, H)."""

    @abstractmethod
    def diffusion(self, z: Tensor, drive: Drive) -> Tensor:
        """g, (B, H)."""

    def from_start(self, start: Tensor) -> Tensor:
        """The state that a point of R^H, such as an affine map of X(t_1), stands for."""
        return start

    def readable(self, z: Tensor) -> Tensor:
        """The state as the networks that read it are given it."""
        return z

    def f(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """The drift under a `Path` or a `Drive`."""
        return self.drift(y, self.drive_at(t, y, context))

    def g(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """The diffusion under a `Path` or a `Drive`."""
        return self.diffusion(y, self.drive_at(t, y, context))

    def f_and_g(self, t: Tensor, y: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        """Drift and diffusion under one drive."""
        drive = self.drive_at(t, y, context)
        return self.drift(y, drive), self.diffusion(y, drive)

    def drive_at(self, t: Tensor, y: Tensor, context: Any) -> Drive:
        """The drive at one time: the context itself, or what the path gives."""
        if isinstance(context, Drive):
            return context
        times = t.reshape(-1, 1).expand(len(y), 1)
        drive = self.drive(self._column(times), self._controls(context, times))
        drift, volatility = (p[:, 0] if p.ndim == 3 else p for p in drive[:2])
        return Drive(drift, volatility, drive.damping)

    def prepare(self, path: Path | None, times: Tensor) -> PerStep:
        """The drives at the left ends of all steps between times (B, N + 1)."""
        left = times[:, :-1]
        drive = self.drive(self._column(left), self._controls(path, left))
        n_steps = left.shape[1]
        parts = (p.unbind(1) if p.ndim == 3 else (p,) * n_steps for p in drive[:2])
        pairs = zip(*parts, strict=True)
        return PerStep([Drive(told, volatility, drive.damping) for told, volatility in pairs])

    def _column(self, times: Tensor) -> Tensor:
        """Times (B, Q) as inputs of networks, (B, Q, 1)."""
        return times[:, :, None].to(next(self.parameters()).dtype)

    def _controls(self, path: Path | None, times: Tensor) -> Tensor | None:
        """X or X' at times (B, Q), in the dtype of the parameters."""
        if not self.n_controls or path is None:
            return None
        values = path.derivative(times) if self.wants_slope else path.evaluate(times)
        return values.to(next(self.parameters()).dtype)


class TimeVolatility(nn.Module):
    r"""$\sigma(t) = \sigma_{min} + (\sigma_{max} - \sigma_{min})\,\mathrm{sigmoid}(N(t))$.

    The floor keeps every channel noisy: with dissipative drifts, laws then contract even where the
    drift does not (Eberle, PTRF 166, 2016). It starts at 0.07 and depends on time slowly.

    Args:
        dim: H, one volatility per channel.
        floor: $\sigma_{min}$.
        ceiling: $\sigma_{max}$.
    """

    def __init__(self, dim: int, *, floor: float = 1e-3, ceiling: float = 1.0) -> None:
        super().__init__()
        self.floor, self.ceiling = floor, ceiling
        self.hidden, self.out = nn.Linear(3, 16), nn.Linear(16, dim)
        share = torch.tensor((0.07 - floor) / (ceiling - floor))
        nn.init.constant_(self.out.bias, float(torch.logit(share)))

    def forward(self, t: Tensor) -> Tensor:
        """Volatilities (..., H) at times (..., 1)."""
        angle = 2 * torch.pi * t
        features = torch.cat([t, angle.sin(), angle.cos()], dim=-1)
        level = torch.sigmoid(self.out(torch.tanh(self.hidden(features))))
        return self.floor + (self.ceiling - self.floor) * level


class Damping(nn.Module):
    r"""Rates $\kappa_i$ in (`slowest`, `fastest`), learned, spread over both at the start.

    The bound keeps explicit steps stable: $h \kappa < 2$ for steps of 1/50 and less.

    Args:
        dim: H, one rate per channel.
    """

    def __init__(self, dim: int, *, slowest: float = 0.05, fastest: float = 40.0) -> None:
        super().__init__()
        self.slowest, self.fastest = slowest, fastest
        start = torch.logspace(-0.7, 1.2, dim)
        share = (start - slowest) / (fastest - slowest)
        self.level = nn.Parameter(torch.logit(share))

    def forward(self) -> Tensor:
        """The rates, (1, H)."""
        return self.slowest + (self.fastest - self.slowest) * torch.sigmoid(self.level)[None]


def damped(f: Tensor, z: Tensor, drive: Drive) -> Tensor:
    """F - kappa z, without a copy of the product."""
    return f if drive.damping is None else torch.addcmul(f, drive.damping, z, value=-1.0)


def no_volatility(t: Tensor) -> Tensor:
    """The drive of a diffusion that is not there, zeros (..., 1)."""
    return torch.zeros_like(t[..., :1])
