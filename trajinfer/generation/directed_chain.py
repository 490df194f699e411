"""The directed-chain SDE: drift and diffusion see where a neighbour is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor
from torch.nn.functional import softplus

from trajinfer._core.errors import InputError, nearest
from trajinfer._core.packing import packable
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer.nn import MLP
from trajinfer.sde import SDE
from trajinfer.sde.base import Calculus

NeighbourKind = Literal["none", "one", "pool"]
NoiseKind = Literal["diagonal", "triangular"]
NEIGHBOURS = ("none", "one", "pool")

_HARMONICS = 3
_POOL_FEATURES = 8
_START_SCALE = 0.1
# softplus(0.54) = 1: the diffusion starts at one rms increment
_UNIT_SD = 0.54


@packable
@dataclass(frozen=True)
class Units:
    """What a network of a chain measures states and times in.

    Attributes:
        mean: (D,) of the states.
        std: (D,) of the states.
        increment: (D,) root mean square of the increments over one `step`.
        step: the base time step.
        start: first time.
        horizon: length of the series.
    """

    mean: Tensor
    std: Tensor
    increment: Tensor
    step: float
    start: float
    horizon: float


@dataclass(frozen=True)
class Systems:
    """Context of a chain with `neighbour="pool"`: which rows of the state interact.

    Attributes:
        members: (B, P) for every row the rows of its own system, itself included.
        present: (B, P) bool, False where a smaller system leaves `members` unused.
    """

    members: Tensor
    present: Tensor

    @classmethod
    def of(cls, ids: Tensor) -> Systems:
        """Rows with the same number in `ids` (B,) form one system."""
        _, codes, counts = ids.unique(return_inverse=True, return_counts=True)
        largest = int(counts.max())
        table = torch.zeros(len(counts), largest, dtype=torch.int64, device=ids.device)
        present = torch.arange(largest, device=ids.device) < counts[:, None]
        table[present] = codes.argsort(stable=True)
        return cls(table[codes], present[codes])


@packable
class DirectedChainSDE(SDE):
    r"""An Ito SDE whose coefficients see a neighbour path $\tilde X$ of the same law,

    $$dX_s = \frac{c}{\delta}\,a_\theta(s, X_s, \tilde X_s)\,ds
             + \frac{c}{\sqrt\delta}\,\Sigma_\theta(s, X_s, \tilde X_s)\,dB_s ,$$

    with B independent of $\tilde X$ and of the start. c is the rms increment over the base step
    $\delta$, so that a and $\Sigma$ are of order one. The law of X is a fixed point of the map from
    the law of $\tilde X$ to that of X; a chain of links, each the neighbour of the next, forgets
    its seed.

    The neighbour is the context: for `neighbour="one"` a path with `evaluate(t) -> (B, D)`; for
    "pool" a `Systems`, and the rows of one system see the average of learned features
    $\psi(X, \tilde X)$ over all of them; for "none" there is none, and the SDE is an ordinary one.

    Args:
        units: scales of state and time.
        neighbour: "none", "one" or "pool".
        noise: "diagonal"; "triangular", where $\Sigma$ is lower triangular with a positive
            diagonal, for noises of the channels that are correlated; or a number m of Brownian
            channels with an unconstrained (D, m) matrix.
        hidden: widths of the network.
        floor: smallest entry of the diagonal of $\Sigma$, in units of c; ignored where `noise` is a
            number.
        sde_type: "ito", or "stratonovich" for solvers of that calculus.
        random_state: seed of the initial weights.

    References:
        Detering, Fouque and Ichiba, arXiv 1805.01962; Min, Hu and Ichiba, ICML 2023, eq. 1.
    """

    mean: Tensor
    std: Tensor
    increment: Tensor
    clock: Tensor
    noisy: Tensor

    def __init__(
        self,
        units: Units,
        *,
        neighbour: NeighbourKind = "none",
        noise: NoiseKind | int = "diagonal",
        hidden: Sequence[int] = (64, 64, 64),
        floor: float = 0.03,
        sde_type: Calculus = "ito",
        random_state: RandomState = None,
    ) -> None:
        super().__init__()
        if neighbour not in NEIGHBOURS:
            raise InputError(f"unknown neighbour {neighbour!r}; {nearest(neighbour, NEIGHBOURS)}")
        self.neighbour, self.noise, self.floor = neighbour, noise, floor
        self.hidden = tuple(hidden)
        self.dim = len(units.mean)
        self.noise_dim = noise if isinstance(noise, int) else self.dim
        self.sde_type = sde_type
        self.noise_type = "diagonal" if noise == "diagonal" else "general"
        self._keep_units(units)
        self._build(hidden, spawn(seed_from(random_state), 3))

    def _keep_units(self, units: Units) -> None:
        self.register_buffer("mean", units.mean.float())
        self.register_buffer("std", units.std.float())
        self.register_buffer("increment", units.increment.float())
        clock = [units.start, units.horizon, units.step]
        self.register_buffer("clock", torch.tensor(clock, dtype=torch.float32))
        self.register_buffer("noisy", torch.ones(self.dim))

    def _build(self, hidden: Sequence[int], seeds: Sequence[int]) -> None:
        d = self.dim
        extra = {"none": 0, "one": d, "pool": _POOL_FEATURES}[self.neighbour]
        n_in = 1 + 2 * _HARMONICS + d + extra
        n_noise = {"diagonal": d, "triangular": d * (d + 1) // 2}.get(
            str(self.noise), d * self.noise_dim
        )
        self.net = MLP(n_in, d + n_noise, hidden, activation="lipswish", random_state=seeds[0])
        self.linear = MLP(n_in, d, (), last_bias=False, random_state=seeds[1])
        with torch.no_grad():
            for parameter in (*self.net.layers[-1].parameters(), *self.linear.parameters()):
                parameter.mul_(_START_SCALE)
        if self.neighbour == "pool":
            self.psi = MLP(
                2 * d, _POOL_FEATURES, (32, 32), activation="lipswish", random_state=seeds[2]
            )

    def to_state(self) -> dict[str, Any]:
        """Settings and weights, for `trajinfer._core.packing`."""
        return {
            "neighbour": self.neighbour,
            "noise": self.noise,
            "hidden": self.hidden,
            "floor": self.floor,
            "sde_type": self.sde_type,
            "weights": dict(self.state_dict()),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The SDE that `to_state` described."""
        weights = state["weights"]
        start, horizon, step = (float(value) for value in weights["clock"])
        units = Units(weights["mean"], weights["std"], weights["increment"], step, start, horizon)
        settings = {name: value for name, value in state.items() if name != "weights"}
        sde = cls(units, **settings, random_state=0)
        sde.load_state_dict(weights)
        return sde

    @property
    def step(self) -> float:
        """The base step, delta."""
        return float(self.clock[2])

    def coefficients(self, t: Tensor, x: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        r"""Drift a (B, D) and $\Sigma$, (B, D) or (B, D, M), in units of the increment.

        Args:
            t: 0-d or (B, 1).
            x: (B, D).
            seen: what is seen of the neighbours: None, (B, D) of one, or (B, F) `pooled` features.
        """
        features = self.features(t, x, seen)
        out = self.net(features)
        drift = out[:, : self.dim] + self.linear(features)
        return drift, self._diffusion(out[:, self.dim :])

    def f(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Drift, (B, D)."""
        return self.f_and_g(t, y, context)[0]

    def g(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Diffusion, (B, D) if diagonal, else (B, D, M)."""
        return self.f_and_g(t, y, context)[1]

    def f_and_g(self, t: Tensor, y: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        """Both from one pass through the network."""
        drift, sigma = self.coefficients(t, y, self.seen(t, y, context))
        unit = self.increment
        scale = unit / math.sqrt(self.step)
        return drift * (unit / self.step), sigma * (scale if sigma.ndim == 2 else scale[:, None])

    def seen(self, t: Tensor, y: Tensor, context: Any) -> Tensor | None:
        """What the network sees of the neighbours at time t.

        Raises:
            InputError: if the context does not fit `neighbour`.
        """
        if self.neighbour == "none":
            return None
        if self.neighbour == "pool":
            if not isinstance(context, Systems):
                raise InputError(
                    "neighbour='pool' needs context=Systems(...), the interacting rows"
                )
            return self.pooled(y, y[context.members], context.present)
        if context is None:
            raise InputError("neighbour='one' needs the neighbour path: solve(..., context=path)")
        there: Tensor = context.evaluate(t)
        return (there[:, 0] if there.ndim == 3 else there).to(y.dtype)

    def pooled(self, x: Tensor, others: Tensor, present: Tensor) -> Tensor:
        """Mean over others (B, P, D) that are present (B, P) of psi(x, other), (B, F)."""
        z = (x - self.mean) / self.std
        pairs = torch.cat([z[:, None].expand_as(others), (others - self.mean) / self.std], -1)
        share = present.to(x.dtype) / present.sum(1, keepdim=True)
        return torch.einsum("bp,bpf->bf", share, self.psi(pairs))

    def features(self, t: Tensor, x: Tensor, seen: Tensor | None) -> Tensor:
        """What the networks are given: time, its waves, the state and what is seen, (B, F)."""
        start, horizon, _ = self.clock
        s = ((t - start) / horizon).reshape(-1, 1).expand(len(x), 1)
        waves = math.pi * s * torch.arange(1, _HARMONICS + 1, dtype=x.dtype, device=x.device)
        parts = [2 * s - 1, waves.sin(), waves.cos(), (x - self.mean) / self.std]
        if seen is not None:
            parts.append((seen - self.mean) / self.std if self.neighbour == "one" else seen)
        return torch.cat(parts, dim=1)

    def _diffusion(self, raw: Tensor) -> Tensor:
        if isinstance(self.noise, int):
            return raw.reshape(len(raw), self.dim, self.noise_dim)
        diagonal = (softplus(raw[:, : self.dim] + _UNIT_SD) + self.floor) * self.noisy
        if self.noise == "diagonal":
            return diagonal
        rows, columns = torch.tril_indices(self.dim, self.dim, -1)
        sigma = torch.diag_embed(diagonal)
        sigma[:, rows, columns] = raw[:, self.dim :]
        return sigma
