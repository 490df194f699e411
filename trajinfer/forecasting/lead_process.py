r"""Noise along the lead: a particle on a spring per channel, in a clock of its own.

For the lead h since the last value of a channel, the clock is $u(h) = \gamma \log h + \theta h$ and

$$m Z'' + Z' + Z = \sqrt 2\, \dot B$$

along it. Without mass Z is an Ornstein-Uhlenbeck process and
$\mathrm{corr}(Z_h, Z_{h'}) = (h / h')^{\gamma} e^{-\theta (h' - h)}$ for $h \le h'$. With
$\theta = 0$, $\gamma = 1/2$ and a spread proportional to $\sqrt h$, this is Brownian motion;
$\theta > 0$ lets errors forget, as those of forecasts of a mean-reverting series do. With mass the
errors have momentum, as those of series whose changes go on do: $m = 3/16$, $\gamma = 3/8$ and a
spread proportional to $h^{3/2}$ make integrated Brownian motion. The transitions are exact: more
query times change nothing in law.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.inertia import correlation, response, transition

_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(12)
_SMALLEST = 1e-12
_FORGOTTEN = 700.0
_JITTER = 1e-12


@packable
@dataclass(frozen=True)
class LeadProcess:
    """C correlated channels.

    Attributes:
        gamma: (C,) exponents.
        theta: (C,) rates, per unit of time.
        drive: (C, C) correlation of the Brownian motions.
        mass: (C,) m >= 0, or 0 for all.
    """

    gamma: Array
    theta: Array
    drive: Array
    mass: Array | float = 0.0

    @property
    def orders(self) -> int:
        """Numbers of the state of a channel: 2 where any has mass, else 1."""
        return 2 if np.any(np.asarray(self.mass) > 0) else 1

    @property
    def _masses(self) -> Array:
        return np.broadcast_to(np.asarray(self.mass, dtype=float), self.gamma.shape)

    def clock(self, lead: Array) -> Array:
        """U at leads (..., C) > 0."""
        return np.asarray(self.gamma * np.log(lead) + self.theta * lead)

    def correlation(self, first: Array, later: Array) -> Array:
        """Correlation of each channel with itself at two leads (..., C), first <= later."""
        gap = self.clock(later) - self.clock(first)
        each = [correlation(gap[..., c], float(m)) for c, m in enumerate(self._masses)]
        return np.stack(each, axis=-1)

    def sample(self, times: Array, ages: Array, noise: Array) -> Array:
        """Paths at ascending times after the cut.

        Args:
            times: (B, Q) > 0 since the cut, in units of the horizon; equal times give equal values.
            ages: (B, C) >= 0 of the last values at the cut.
            noise: (orders, n, B, Q, C) standard normal.

        Returns:
            (n, B, Q, C), standard normal at every time.
        """
        orders, n, n_series, n_times, n_channels = noise.shape
        flat = np.moveaxis(noise, 0, -1).reshape(n, n_series, n_times, n_channels * orders)
        z = np.empty(noise.shape[1:])
        start, state = np.zeros(n_series), np.zeros((n, n_series, n_channels, orders))
        for k in range(n_times):
            root, kept = self._transition(start, times[:, k], ages, first=k == 0)
            step = np.einsum("bcd,nbd->nbc", root, flat[:, :, k]).reshape(state.shape)
            state = step if k == 0 else np.einsum("bcij,nbcj->nbci", kept, state) + step
            z[:, :, k] = state[..., 0]
            start = times[:, k]
        return z

    def _transition(
        self, start: Array, end: Array, ages: Array, *, first: bool
    ) -> tuple[Array, Array]:
        """Cholesky root (B, Ck, Ck) of the new noise of a step, and what it keeps (B, C, k, k)."""
        lead = end[:, None] + ages
        begin = -ages.min(axis=1) if first else start
        lead_then = np.maximum(begin[:, None] + ages, 0.0)
        gap = self.clock(lead) - self.clock(np.maximum(lead_then, _SMALLEST))
        gap = np.where(lead_then > 0, np.clip(gap, 0.0, _FORGOTTEN), _FORGOTTEN)
        kept = transition(gap, self._masses, self.orders)
        old = kept @ kept.swapaxes(-1, -2)
        new = np.eye(self.orders) - old
        covariance = self._across(begin, end, ages, new)
        place = np.arange(len(self.gamma))
        # what entered a channel before another was last observed is independent of that other
        covariance[:, place, :, place] = np.moveaxis(new + old if first else new, 1, 0)
        size = len(self.gamma) * self.orders
        covariance = covariance.reshape(len(end), size, size) + _JITTER * np.eye(size)
        return np.linalg.cholesky(covariance), kept

    def _across(self, start: Array, end: Array, ages: Array, new: Array) -> Array:
        r"""Covariance (B, C, k, C, k) of the noise that enters the channels between two times.

        $\int D_{cd}\, R_c(u_c(t) - u_c(v)) R_d(u_d(t) - u_d(v))^T \sqrt{u_c' u_d'}\, dv$ with the
        responses R, by Gauss-Legendre nodes in a logarithm of v. Those of one channel are exact,
        `new`, and the others are scaled as they are. Sums over nodes of positive weights are
        positive semi-definite.
        """
        n_channels, orders = len(self.gamma), self.orders
        if n_channels == 1:
            return new[:, :, :, None, :].copy()
        base = ages.min(axis=1)
        low, high = start + base, end + base
        # the noise of the far past has been forgotten: e^{-2 gamma x} is below 1e-14 there
        reach = np.exp(-16 / np.maximum(self.gamma.min(), 0.05))
        low = np.log(np.maximum(low, np.maximum(high, _SMALLEST) * reach))
        high = np.log(np.maximum(high, _SMALLEST))
        share = 0.5 * (1 + _NODES)
        # nodes crowd towards the end of the step, where nothing has been forgotten yet
        x = high[:, None] - (high - low)[:, None] * share**2
        w = np.exp(x)
        lead = np.maximum(w[:, :, None] + (ages - base[:, None])[:, None, :], _SMALLEST)
        last = np.maximum(np.exp(high)[:, None] + ages - base[:, None], _SMALLEST)
        rate = (self.gamma / lead + self.theta) * w[:, :, None]
        gap = np.clip(self.clock(last)[:, None] - self.clock(lead), 0.0, _FORGOTTEN)
        weight = np.sqrt(_NODE_WEIGHTS * share)[None, :, None]
        part = (weight * np.sqrt(rate))[..., None] * response(gap, self._masses, orders)
        found = np.einsum("bkci,bkdj->bcidj", part, part)
        place = np.arange(n_channels)
        own = np.moveaxis(found[:, place, :, place], 0, 1)
        fit = _same_size(new) @ np.linalg.inv(_same_size(own))
        found = np.einsum("bcip,bcpdq,bdjq->bcidj", fit, found, fit, optimize=True)
        return np.asarray(found * self.drive[:, None, :, None])


def _same_size(covariance: Array) -> Array:
    """Cholesky roots of covariances (..., k, k), which may vanish."""
    size = covariance.shape[-1]
    scale = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), _SMALLEST**2))
    shape = covariance / (scale[..., :, None] * scale[..., None, :])
    return np.asarray(scale[..., None] * np.linalg.cholesky(shape + _JITTER * np.eye(size)))
