r"""Noise along the lead: an Ornstein-Uhlenbeck process per channel in a clock of its own.

For the lead h since the last value of a channel, the clock is $u(h) = \gamma \log h + \theta h$ and

$$dZ = -Z\,du + \sqrt{2\,du}\;dB, \qquad
\mathrm{corr}(Z_h, Z_{h'}) = (h / h')^{\gamma}\, e^{-\theta (h' - h)} \quad (h \le h').$$

With $\theta = 0$, $\gamma = 1/2$ and a spread proportional to $\sqrt h$, this is Brownian motion;
$\theta > 0$ lets errors forget, as those of forecasts of a mean-reverting series do. The
transitions are exact: more query times change nothing in law.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.pair_likelihood import PairLikelihood

_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(12)
_SMALLEST = 1e-12
_SMALLEST_FLOOR = 1e-6
_FEWEST_PAIRS = 10
_MOST_PAIRS = 8000


@packable
@dataclass(frozen=True)
class LeadProcess:
    """C correlated channels.

    Attributes:
        gamma: (C,) exponents.
        theta: (C,) rates, per unit of time.
        drive: (C, C) correlation of the Brownian motions.
    """

    gamma: Array
    theta: Array
    drive: Array

    def clock(self, lead: Array) -> Array:
        """U at leads (..., C) > 0."""
        return np.asarray(self.gamma * np.log(lead) + self.theta * lead)

    def correlation(self, first: Array, later: Array) -> Array:
        """Correlation of each channel with itself at two leads (..., C), first <= later."""
        return np.asarray(np.exp(self.clock(first) - self.clock(later)))

    def sample(self, times: Array, ages: Array, noise: Array) -> Array:
        """Paths at ascending times after the cut.

        Args:
            times: (B, Q) > 0 since the cut, in units of the horizon; equal times give equal values.
            ages: (B, C) >= 0 of the last values at the cut.
            noise: (n, B, Q, C) standard normal.

        Returns:
            (n, B, Q, C), standard normal at every time.
        """
        z = np.empty_like(noise)
        start = np.zeros(len(times))
        for k in range(times.shape[1]):
            root, kept = self._transition(start, times[:, k], ages, first=k == 0)
            step = np.einsum("bcd,nbd->nbc", root, noise[:, :, k])
            z[:, :, k] = step if k == 0 else kept * z[:, :, k - 1] + step
            start = times[:, k]
        return z

    def _transition(
        self, start: Array, end: Array, ages: Array, *, first: bool
    ) -> tuple[Array, Array]:
        """Cholesky root (B, C, C) of the new noise of a step, and the factor (B, C) of the old."""
        lead = end[:, None] + ages
        begin = -ages.min(axis=1) if first else start
        lead_then = np.maximum(begin[:, None] + ages, 0.0)
        kept = np.where(
            lead_then > 0, self.correlation(np.maximum(lead_then, _SMALLEST), lead), 0.0
        )
        size = np.sqrt(np.maximum(1 - kept**2, 0.0))
        covariance = self._shape(begin, end, ages) * size[:, :, None] * size[:, None, :]
        place = np.arange(len(self.gamma))
        # what entered a channel before another was last observed is independent of that other
        covariance[:, place, place] += kept**2 if first else 0.0
        covariance[:, place, place] += 1e-12
        return np.linalg.cholesky(covariance), kept

    def _shape(self, start: Array, end: Array, ages: Array) -> Array:
        r"""Correlation (B, C, C) of the noise that enters the channels between two times.

        $\int \sqrt{2 u_c' 2 u_d'} D_{cd} e^{-(u_c(t) - u_c(v)) - (u_d(t) - u_d(v))} dv$ by
        Gauss-Legendre nodes in a logarithm of v, divided by its diagonal. Sums over nodes of
        positive weights are positive semi-definite.
        """
        if len(self.gamma) == 1:
            return np.ones((len(end), 1, 1))
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
        fade = np.exp(self.clock(lead) - self.clock(last)[:, None])
        weight = np.sqrt(_NODE_WEIGHTS * share)[None, :, None]
        part = weight * np.sqrt(rate) * fade
        total = np.einsum("bkc,bkd->bcd", part, part)
        size = np.sqrt(np.einsum("bcc->bc", total))
        size = np.where(size > 0, size, 1.0)
        shape = self.drive * total / (size[:, :, None] * size[:, None, :])
        place = np.arange(len(self.gamma))
        shape[:, place, place] = 1.0
        return np.asarray(shape)


@dataclass(frozen=True)
class MemoryFit:
    """Memory of one channel.

    Attributes:
        gamma, theta: as in `LeadProcess`.
        white: share in [0, 1] of the largest white variance that the spread allows.
    """

    gamma: float
    theta: float
    white: float


def fit_memory(
    z: Array, later_z: Array, lead: Array, later_lead: Array, floor: Array, later_floor: Array
) -> MemoryFit:
    r"""Maximum likelihood of pairs of standard normal errors of one cut at two leads.

    Args:
        z, later_z: (P,) errors.
        lead, later_lead: (P,) leads > 0, the first not larger.
        floor, later_floor: (P,) shares of the variance that do not vanish with the lead; the white
            share at a lead is `white` times this.
    """
    if len(z) < _FEWEST_PAIRS:
        return MemoryFit(0.5, 0.0, 0.0)
    keep = slice(None, None, -(-len(z) // _MOST_PAIRS))
    z, later_z, floor, later_floor = z[keep], later_z[keep], floor[keep], later_floor[keep]
    log_ratio, gap = np.log(later_lead[keep] / lead[keep]), later_lead[keep] - lead[keep]
    noisy = bool((floor > _SMALLEST_FLOOR).any())
    loss = PairLikelihood(z, later_z, log_ratio, gap, floor, later_floor, noisy)
    starts = sorted(
        map(np.array, itertools.product((-2.0, -0.7), (-4.0, 0.7), (-2.0, 2.0))),
        key=lambda raw: loss(raw)[0],
    )
    fits = [
        minimize(loss, start, jac=True, method="L-BFGS-B", bounds=((-5, 3), (-7, 4), (-6, 6)))
        for start in starts[:3]
    ]
    return MemoryFit(*loss.parameters(min(fits, key=lambda fit: float(fit.fun)).x))


def drive_correlation(observed: Array, gamma: Array) -> Array:
    r"""Correlation of the Brownian motions that gives channels of equal ages the one observed.

    $D_{cd} = S_{cd} (\gamma_c + \gamma_d) / (2 \sqrt{\gamma_c \gamma_d})$, moved to the nearest
    correlation matrix by its positive eigenvalues.
    """
    mean = 0.5 * (gamma[:, None] + gamma[None, :])
    wanted = observed * mean / np.sqrt(gamma[:, None] * gamma[None, :])
    wanted = np.clip(0.5 * (wanted + wanted.T), -0.999, 0.999)
    np.fill_diagonal(wanted, 1.0)
    values, vectors = np.linalg.eigh(wanted)
    positive = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    size = np.sqrt(np.diag(positive))
    return np.asarray(positive / (size[:, None] * size[None, :]))
