r"""Paths of a reference between two given points, whose drift need not be linear.

Where a drift b bends within the noise of a segment, the linear-noise bridge is another law. With b
linearised along the straight line $\ell$ from x to y,

$\tilde b(s, z) = b(s, \ell_s) + J(s, \ell_s) (z - \ell_s)$,

bridges are Gaussian and draw no more than a guess: a step of them, and $h (b - \tilde b)$ added to
it. A guess reaches y, and its weight is the density of these steps under the reference over that
with which they were drawn. With M the miss of y that the linear law expects after a step, R its
covariance and $\Psi$ the flow to the end, a step multiplies it by

$\exp\left[\delta^T R^{-1} M + \tfrac12 \delta^T R^{-1} \delta\right]$,
$\delta = h \Psi (b - \tilde b)$.

Of several guesses between the same points one is drawn by its weight.

References:
    Schauer, van der Meulen, van Zanten, "Guided proposals for simulating multi-dimensional
    diffusion bridges", Bernoulli 23 (2017).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.references.between import joined
from trajinfer.references.bridge_law import BridgeLaw, bridge_law
from trajinfer.references.dynamics import Dynamics
from trajinfer.references.linalg import apply, cholesky
from trajinfer.references.transitions import Transitions

logger = logging.getLogger(__name__)

_GUESSES, _STEPS, _FEW = 32, 32, 0.2


@dataclass(frozen=True)
class _AlongLines:
    """A reference of even noise, linearised where lines from x to y (N, D) stand at a time."""

    dynamics: Dynamics
    span: tuple[float, float]
    start: Tensor
    end: Tensor

    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Line (N, D), drift (N, D) and Jacobian (N, D, D) on it, at times (N, 1)."""
        line = self.start + (t - self.span[0]) / (self.span[1] - self.span[0]) * (
            self.end - self.start
        )
        return line, self.dynamics.drift(t, line), self.dynamics.jacobian(t, line)

    def drift(self, t: Tensor, z: Tensor) -> Tensor:
        """Linear drift at positions z (N, D)."""
        line, drift, jacobian = self.at(t)
        return drift + apply(jacobian, z - line)

    def jacobian(self, t: Tensor, z: Tensor) -> Tensor:
        """Of the linear drift, (N, D, D), wherever z is."""
        return self.at(t)[2]

    def beyond(self, t: float, x: Tensor) -> Tensor:
        """What the drift has beyond the linear one at x (G, N, D)."""
        times = x.new_full((x.shape[1], 1), t)
        line, drift, jacobian = self.at(times)
        true = self.dynamics.drift(times.repeat(len(x), 1), x.flatten(0, 1))
        return true.reshape(x.shape) - drift - apply(jacobian, x - line)

    def law(self, n_steps: int, shares: Tensor) -> BridgeLaw:
        """Gaussian bridges, read at shares of the time between."""
        linear = Dynamics(self.drift, self.jacobian, self.dynamics.covariance_rate, None)
        t0, duration = (self.start.new_full((1,), t) for t in (self.span[0], self._duration))
        start = self.start.unsqueeze(0)
        return bridge_law(Transitions(linear, n_steps), t0, start, duration, shares)

    @property
    def _duration(self) -> float:
        return self.span[1] - self.span[0]


def pinned_paths(
    transitions: Transitions,
    span: tuple[float, float],
    ends: tuple[Tensor, Tensor],
    shares: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, float]:
    """One path of the reference between every pair of ends.

    Args:
        transitions: of a reference whose noise is the same everywhere.
        span: times of the ends.
        ends: positions x and y (N, D).
        shares: (L,) of the time between, increasing, at which paths are read; every one is a step.
        generator: of the noise.

    Returns:
        Positions (L, N, D), and the effective share of the guesses of a pair, on average.
    """
    lines = _AlongLines(transitions.dynamics, span, *ends)
    guesses, log_weights = _guesses(
        lines, lines.law(transitions.n_steps, shares), shares, generator
    )
    weights = log_weights.softmax(0)
    chosen = torch.multinomial(weights.mT, 1, generator=generator).squeeze(1)
    effective = float((1 / weights.square().sum(0)).mean()) / _GUESSES
    if effective < _FEW:
        logger.warning(
            "paths of the reference between two points rest on %.0f %% of their guesses; shorter "
            "segments are surer",
            100 * effective,
        )
    return guesses[:, chosen, torch.arange(len(chosen))], effective


def draw_pinned(
    transitions: Transitions,
    span: tuple[float, float],
    ends: tuple[Tensor, Tensor],
    ts: Array,
    generator: torch.Generator,
    *,
    with_end: bool,
) -> Tensor:
    """Positions (n, T_k, D) at those of the times that lie in a segment, as `draw_between`."""
    t0, t1 = span

    def drawn(inside: Array) -> Tensor:
        wanted = torch.as_tensor((inside - t0) / (t1 - t0))
        even = (torch.arange(_STEPS, dtype=ends[0].dtype) + 0.5) / _STEPS
        steps, places = torch.cat([wanted, even]).unique(return_inverse=True)
        paths, _ = pinned_paths(transitions, span, ends, steps, generator)
        return paths[places[: len(wanted)]]

    return joined(span, ends, ts, drawn, with_end=with_end)


def noise_is_even(dynamics: Dynamics, t: float, x: Tensor) -> bool:
    """Whether the noise is the same at all positions x (N, D)."""
    rate = dynamics.covariance_rate(x.new_full((len(x), 1), t), x)
    return rate.ndim == 2 or torch.allclose(rate, rate[:1].expand_as(rate), rtol=1e-9, atol=0.0)


def _guesses(
    lines: _AlongLines, law: BridgeLaw, shares: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Guesses (L, G, N, D), and the logarithms (G, N) of their weights."""
    t0, t1 = lines.span
    legs = torch.cat([shares.new_zeros(1), shares, shares.new_ones(1)]).diff() * (t1 - t0)
    x = lines.start.expand(_GUESSES, -1, -1)
    offset, log_weights, t = torch.zeros_like(x), x.new_zeros(x.shape[:2]), t0
    miss = (lines.end - law.means[-1][0]).expand_as(x)
    seen, left = [], law.covariances[-1][0]
    for node, h in enumerate(legs[:-1].tolist()):
        added = h * lines.beyond(t, x)
        noise, onward = law.noises[node][0], law.to_end[node][0]
        gain = torch.cholesky_solve(onward @ noise, cholesky(left)[0]).mT
        factor, _ = cholesky(noise - gain @ onward @ noise)
        normal = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        drawn = apply(law.flows[node][0], offset) + apply(gain, miss) + apply(factor, normal)
        offset, left, t = drawn + added, law.remaining[node][0], t + h
        x = law.means[node][0] + offset
        miss = lines.end - law.means[-1][0] - apply(onward, offset)
        log_weights = log_weights + _log_ratio(left, miss, apply(onward, added))
        seen.append(x)
    last = legs[-1] * lines.beyond(t, x)
    return torch.stack(seen), log_weights + _log_ratio(left, miss - last, last)


def _log_ratio(covariance: Tensor, miss: Tensor, added: Tensor) -> Tensor:
    """Logarithm of the normal density of a miss over that of the miss with what was added."""
    factor, _ = cholesky(covariance)
    solved = torch.cholesky_solve(
        (miss + added / 2).unsqueeze(3), factor.expand(*miss.shape, -1)
    ).squeeze(3)
    return (added * solved).sum(2)
