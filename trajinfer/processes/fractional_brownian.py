"""Any drift and diffusion of the core, driven by Markov-approximate fractional Brownian motion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array, as_array, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, spawn, torch_generator
from trajinfer.data import TimeAxis, Trajectories
from trajinfer.fractional.kalman import covariance_root
from trajinfer.fractional.nodes import as_nodes, default_nodes
from trajinfer.fractional.normalization import FbmType, as_horizon, as_hurst, check_type
from trajinfer.fractional.ou_transition import ou_transition, stationary_covariance
from trajinfer.fractional.weights import weights
from trajinfer.processes.base import Process
from trajinfer.sde import SDE, solve


class FractionalBrownian(SDE):
    r"""$dX = b(X)\,dt + \sigma(X) \circ d\hat B_H$ with one fractional motion per coordinate.

    $\hat B = \sum_k \omega_k (Y_k - Y_k(0))$, $dY_k = -\gamma_k Y_k\,dt + dW$; the state is
    (X, Y), D (1 + J) numbers. Noise that depends on the state is read in the sense of Stratonovich
    (Wong and Zakai): the Ito reading has no limit as nodes are added where H < 1/2.

    `method="exact"`, the default of `solve`, moves Y by its exact law over steps of any length and
    X by Heun's rule with the increment of $\hat B$: exact for a drift of zero. The other solvers of
    the core run too, but need steps well below the inverse of the largest rate, which `nodes` can
    lower.

    Args:
        hurst: H in (0, 1), a number or (D,); a tensor keeps its graph.
        process: whose drift and diffusion are used, such as `OrnsteinUhlenbeck(theta=1.0,
            volatility=0.5)`; None for fractional Brownian motion itself.
        volatility: of the motion where no process is given.
        dim: D where no process is given.
        horizon: T, the longest duration of interest.
        n_ou: number of nodes.
        fbm_type: 1 for stationary increments, 2 for Riemann-Liouville.
        nodes: (J,) rates instead of the default ones.

    Raises:
        InputError: for H outside (0, 1), a process without volatility, or unusable nodes.

    References:
        Daems, Opper, Crevecoeur, Birdal, ICLR 2024, arXiv 2310.12975.

    Example:
        >>> motion = FractionalBrownian(0.8, horizon=2.0)
        >>> motion.simulate([0.0], [0.0, 1.0, 2.0], n=5, random_state=0)
        Trajectories(5 paths, 3 times, dim 1)
    """

    sde_type = "stratonovich"
    noise_type = "general"
    commutes = True
    exact_noise = "Z"

    def __init__(
        self,
        hurst: Any = 0.5,
        process: Process | None = None,
        *,
        volatility: float = 1.0,
        dim: int = 1,
        horizon: float = 1.0,
        n_ou: int = 12,
        fbm_type: FbmType = 1,
        nodes: Any = None,
    ) -> None:
        super().__init__()
        check_type(fbm_type)
        if process is not None and process.volatility is None:
            raise InputError("the process has no volatility; give volatility= to it")
        if not volatility > 0:
            raise InputError(f"volatility must be positive, got {volatility!r}")
        self.process, self.volatility = process, float(volatility)
        self.observed_dim = require_integer(dim, "dim", least=1) if process is None else process.dim
        self.fbm_type, self.horizon = fbm_type, as_horizon(horizon)
        given = default_nodes(n_ou, self.horizon, fbm_type) if nodes is None else nodes
        rates = as_nodes(given)
        self.register_buffer("nodes", rates)
        index = as_hurst(hurst)
        if index.ndim > 1 or (index.ndim == 1 and len(index) not in (1, self.observed_dim)):
            raise InputError(f"hurst must be a number or ({self.observed_dim},), got {index.shape}")
        omega = weights(index, rates, self.horizon, fbm_type, normalization="unit")
        self.omega = omega.expand(self.observed_dim, -1)
        self.n_nodes = len(rates)
        self.dim = self.observed_dim * (1 + self.n_nodes)
        self.noise_dim = self.observed_dim

    def split(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """X (B, D) and Y (B, D, J) of a state (B, D (1 + J))."""
        x, nodes = y[:, : self.observed_dim], y[:, self.observed_dim :]
        return x, nodes.reshape(-1, self.observed_dim, self.n_nodes)

    def start(self, x0: Tensor, random_state: RandomState = None) -> Tensor:
        """The state (B, D (1 + J)) at the start: Y in its stationary law (type I), or 0 (type II).

        Args:
            x0: (B, D).
            random_state: seed of the draw of Y.
        """
        n = len(x0)
        shape = (n, self.observed_dim, self.n_nodes)
        if self.fbm_type == 2:
            return torch.cat([x0, x0.new_zeros(shape).flatten(1)], dim=1)
        root = covariance_root(stationary_covariance(self._rates(torch.float64)))
        generator = torch_generator(seed_from(random_state))
        normal = torch.randn(shape, generator=generator, dtype=torch.float64)
        return torch.cat([x0, (normal @ root.mT).to(x0).flatten(1)], dim=1)

    def drift_of_x(self, t: Tensor, x: Tensor) -> Tensor | None:
        """b(x), (B, D), or None where it is 0."""
        return None if self.process is None else self.process.f(t, x)

    def diffusion_of_x(self, t: Tensor, x: Tensor) -> Tensor | float:
        """sigma(x), (B, D), (D,) or a number."""
        if self.process is None:
            return self.volatility
        return self.process.diffusion(t, x, self.process.values(x.dtype))

    def f(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Drift of (X, Y)."""
        x, nodes = self.split(y)
        pulled = -self._rates(y.dtype) * nodes
        move = self.diffusion_of_x(t, x) * (self.omega.to(y) * pulled).sum(-1)
        drift = self.drift_of_x(t, x)
        return torch.cat([move if drift is None else move + drift, pulled.flatten(1)], dim=1)

    def g(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Diffusion of (X, Y), (B, D (1 + J), D), dense; `g_prod` does without."""
        units = torch.eye(self.observed_dim, dtype=y.dtype, device=y.device)
        columns = [self.g_prod(t, y, unit.expand(len(y), -1)) for unit in units]
        return torch.stack(columns, dim=-1)

    def g_prod(self, t: Tensor, y: Tensor, v: Tensor, context: Any = None) -> Tensor:
        """The product g v: every channel drives its X and all of its nodes."""
        x, _ = self.split(y)
        top = self.diffusion_of_x(t, x) * self.omega.to(y).sum(-1) * v
        below = v.unsqueeze(-1).expand(-1, -1, self.n_nodes)
        return torch.cat([top, below.flatten(1)], dim=1)

    def exact_step(
        self,
        t: Tensor,
        h: Tensor,
        y: Tensor,
        W: Tensor | None,
        H: Tensor | None,
        Z: Tensor,
        *,
        law: tuple[Tensor, ...] | None = None,
    ) -> Tensor:
        """Y by its exact law, X by Heun's rule with the increment of the fractional motion."""
        x, nodes = self.split(y)
        if law is None:
            law = self.exact_law(y)(h.detach().reshape(-1).cpu().numpy())
        decay, change, factor = law
        normal = self.split(Z)[1][..., : factor.shape[-1]]
        kick = normal @ (factor[0] if len(factor) == 1 else factor).mT
        increment = (self.omega.to(y) * (change * nodes + kick)).sum(-1)
        moved = self._moved(t, h, x, increment)
        return torch.cat([moved, (decay * nodes + kick).flatten(1)], dim=1)

    def exact_law(self, y: Tensor) -> Callable[[Array], tuple[Tensor, ...]]:
        """From lengths of steps (S,) to decay, change (S, 1, J) and factor (S, J, R) of each."""
        nodes = self._rates(torch.float64).cpu()

        def law(lengths: Array) -> tuple[Tensor, ...]:
            move = ou_transition(nodes, torch.as_tensor(lengths))
            parts = move.decay.unsqueeze(1), move.change.unsqueeze(1), move.factor
            return tuple(part.to(y) for part in parts)

        return law

    def _moved(self, t: Tensor, h: Tensor, x: Tensor, increment: Tensor) -> Tensor:
        drift, sigma = self.drift_of_x(t, x), self.diffusion_of_x(t, x)
        if drift is None:
            return x + sigma * increment
        ahead = x + h * drift + sigma * increment
        later = self.drift_of_x(t + h, ahead)
        mean = drift if later is None else 0.5 * (drift + later)
        if self.process is not None and self.process.noise_type != "additive":
            sigma = 0.5 * (sigma + self.diffusion_of_x(t + h, ahead))
        return x + h * mean + sigma * increment

    def _rates(self, dtype: torch.dtype) -> Tensor:
        nodes = self.get_buffer("nodes")
        return nodes.to(dtype)

    def simulate(
        self,
        x0: Any,
        ts: Any,
        n: int,
        random_state: RandomState = None,
        *,
        step: float | None = None,
    ) -> Trajectories:
        """Draw n paths of X.

        Args:
            x0: (D,) or (n, D) starts at ts[0].
            ts: (T,) increasing times.
            n: number of paths.
            random_state: seed or generator.
            step: largest step; None takes one per interval, exact where there is no process.

        Raises:
            InputError: for starts or times that cannot be used.
        """
        axis = TimeAxis.of(np.ravel(ts))
        times = axis.encode(np.ravel(ts))
        n = require_integer(n, "n", least=1)
        start = np.broadcast_to(as_array(x0, "x0"), (n, self.observed_dim)).copy()
        memory, noise = spawn(seed_from(random_state), 2)
        with torch.no_grad():
            y0 = self.start(torch.as_tensor(start), memory)
            found = solve(
                self, y0, torch.as_tensor(times), method="exact", step=step, random_state=noise
            )
        return Trajectories(times, found.ys[..., : self.observed_dim].numpy(), axis=axis)
