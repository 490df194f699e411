"""The function that is maximised: log-likelihood and prior, its gradient, and the M-step of EM."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.minimise import minimise
from trajinfer.jumps.rate_map import LogLinear, RateMap
from trajinfer.markov.likelihood import Expectation, JumpData
from trajinfer.markov.parameters import GammaPrior, Parameters


@dataclass(frozen=True, eq=False)
class Problem:
    """Data, rate map and prior.

    Attributes:
        data: observations.
        rate_map: rates as a function of the parameters that are searched.
        prior: of free rates; None for maximum likelihood.
    """

    data: JumpData
    rate_map: RateMap
    prior: GammaPrior | None = None

    def quick(self) -> Problem:
        """The problem of `data.quick()`; itself where that saves nothing."""
        data = self.data.quick()
        return self if data is self.data else replace(self, data=data)

    def n_parameters(self, parameters: Parameters) -> int:
        """Number of parameters of the rates and of the observation model that are estimated."""
        rate_map = self.rate_map
        held = int(rate_map.held.sum()) if rate_map.separable else 0
        size = len(rate_map.start(parameters.stack[0]))
        return size - held + parameters.emission.n_parameters

    def objective(self, expected: Expectation, rates: Array) -> float:
        """Log-likelihood plus log prior."""
        value = expected.log_likelihood
        if self.prior is not None:
            value += self.prior.log_density(rates, self.rate_map.links)
        return value

    def slope(self, expected: Expectation, rates: Array) -> Array:
        """Derivative of the objective by the rates, (R, S, S)."""
        if self.prior is None:
            return expected.score
        return expected.score + self.prior.slope(rates, self.rate_map.links)

    def gradient(self, expected: Expectation, p: Array, rates: Array) -> Array:
        """Derivative of the objective by the parameters of the rate map."""
        return self.rate_map.vjp(p, self.slope(expected, rates))

    def m_step(self, now: Parameters, p: Array, expected: Expectation) -> tuple[Parameters, Array]:
        """The next parameters of EM."""
        jumps = expected.jumps
        dwell = np.repeat(expected.dwell[:, :, None], jumps.shape[1], axis=2)
        if self.prior is not None:
            jumps, dwell = jumps + self.prior.shape - 1, dwell + self.prior.rate
        if isinstance(self.rate_map, LogLinear) and self.rate_map.free:
            p = self._free_m_step(self.rate_map, now.rates, jumps[0], dwell[0])
        else:
            p = self._maximise_complete(p, jumps, dwell)
        initial = expected.first / expected.first.sum()
        emission = now.emission
        if expected.labels is not None:
            emission = emission.updated(expected.labels, expected.moments)
        return Parameters(self.rate_map.rates(p), initial, emission), p

    @staticmethod
    def _free_m_step(rate_map: LogLinear, rates: Array, jumps: Array, dwell: Array) -> Array:
        """Log-rates: expected jumps over expected time."""
        watched = np.maximum(dwell, 1e-300)
        quotient = np.where(dwell > 0, np.maximum(jumps, 1e-300) / watched, rates)
        return np.clip(np.log(quotient[rate_map.links]), rate_map.low, rate_map.high)

    def _maximise_complete(self, p: Array, jumps: Array, dwell: Array) -> Array:
        """The M-step of constrained rates, by a quasi-Newton search."""
        links = self.rate_map.links
        scale = max(float(jumps[:, links].sum()), 1.0)

        def cost(q: Array) -> tuple[float, Array]:
            rates = np.maximum(self.rate_map.rates(q).reshape(jumps.shape), 0.0)
            safe = np.where(links, np.maximum(rates, 1e-300), 1.0)
            value = np.where(links, jumps * np.log(safe) - dwell * rates, 0.0).sum()
            slope = np.where(links, jumps / safe - dwell, 0.0)
            return -float(value) / scale, -self.rate_map.vjp(q, slope) / scale

        options = {"maxiter": 50, "ftol": 1e-14, "gtol": 1e-7, "maxcor": 30}
        return minimise(cost, p, bounds=self.rate_map.bounds(p), options=options).x
