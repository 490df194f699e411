"""Coupled FitzHugh-Nagumo neurons: a mean-field model of spikes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trajinfer._core.checks import require_integer
from trajinfer.nn import Parameter
from trajinfer.processes.base import Process, Values, Volatility


class FitzHughNagumo(Process):
    r"""N neurons with voltage V, recovery w and share y of open channels, coupled by the mean of y.

    $$dV = \left(V - \tfrac{V^3}{3} - w + I - J (V - V_r) \bar y\right) dt
          + \sigma_e\,dW_1 - \sigma_J (V - V_r) \bar y\,dW_3$$
    $$dw = c (V + a - b w)\,dt, \qquad
      dy = (a_r S(V) (1 - y) - a_d y)\,dt + \chi(y) \sqrt{a_r S(V) (1 - y) + a_d y}\,dW_2$$
    $$S(V) = \frac{T}{1 + e^{-\lambda (V - V_T)}}, \quad
      \chi(y) = \Gamma \exp\left(-\frac{\Lambda}{1 - (2 y - 1)^2}\right) \text{ for } 0 < y < 1$$

    The state is (V, w, y) of the first neuron, then of the next: D = 3 N, so that one row is one
    population. $dW_1$ and $dW_3$ are independent and enter as one noise of the same law. The noise
    does not commute. The equations are free of units: neutral starts are the usual values, those
    in brackets.

    Args:
        n_neurons: N.
        a: shift of the recovery (0.7).
        b: damping of the recovery (0.8).
        c: speed of the recovery (0.08).
        current: I, input (0.5).
        coupling: J (1).
        reversal: $V_r$ (1).
        opening: $a_r$, rate (1).
        closing: $a_d$, rate (1).
        steepness: $\lambda$ (0.2).
        threshold: $V_T$ (2).
        peak: T (1).
        external_noise: $\sigma_e$ (0.5).
        coupling_noise: $\sigma_J$ (0.2).
        channel_noise: $\Gamma$ (0.1).
        channel_edge: $\Lambda$ (0.5).
        volatility: factor on the noise of every coordinate; 1 is the model as it stands.

    References:
        Baladron, Fasoli, Faugeras and Touboul, J. Math. Neuroscience 2:10, 2012, section 2.
    """

    settings = ("n_neurons",)
    commutes = False

    def __init__(  # noqa: PLR0913 (the parameters of the model)
        self,
        n_neurons: int = 1,
        *,
        a: Any = None,
        b: Any = None,
        c: Any = None,
        current: Any = None,
        coupling: Any = None,
        reversal: Any = None,
        opening: Any = None,
        closing: Any = None,
        steepness: Any = None,
        threshold: Any = None,
        peak: Any = None,
        external_noise: Any = None,
        coupling_noise: Any = None,
        channel_noise: Any = None,
        channel_edge: Any = None,
        volatility: Volatility = None,
    ) -> None:
        declared = {
            "a": Parameter(a, 0.7),
            "b": Parameter(b, 0.8),
            "c": Parameter(c, 0.08, positive=True),
            "current": Parameter(current, 0.5),
            "coupling": Parameter(coupling, 1.0),
            "reversal": Parameter(reversal, 1.0),
            "opening": Parameter(opening, 1.0, positive=True),
            "closing": Parameter(closing, 1.0, positive=True),
            "steepness": Parameter(steepness, 0.2),
            "threshold": Parameter(threshold, 2.0),
            "peak": Parameter(peak, 1.0, positive=True),
            "external_noise": Parameter(external_noise, 0.5),
            "coupling_noise": Parameter(coupling_noise, 0.2),
            "channel_noise": Parameter(channel_noise, 0.1),
            "channel_edge": Parameter(channel_edge, 0.5, positive=True),
        }
        self.n_neurons = require_integer(n_neurons, "n_neurons", least=1)
        super().__init__(3 * self.n_neurons, volatility, declared)

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Voltage, recovery and channels of every neuron."""
        v, w, share = self._parts(y)
        pull = p["coupling"] * (v - p["reversal"]) * share.mean(1, keepdim=True)
        voltage = v - v**3 / 3 - w + p["current"] - pull
        recovery = p["c"] * (v + p["a"] - p["b"] * w)
        channels = self._opening(v, p) * (1 - share) - p["closing"] * share
        return torch.stack((voltage, recovery, channels), dim=-1).flatten(1)

    def noise_scale(self, t: Tensor, y: Tensor) -> Tensor | None:
        """The noise of the model: none on the recovery, none on channels outside (0, 1)."""
        p = self.values(y.dtype)
        v, w, share = self._parts(y)
        coupled = p["coupling_noise"] * (v - p["reversal"]) * share.mean(1, keepdim=True)
        voltage = torch.hypot(p["external_noise"].expand_as(v), coupled)
        inside = (share > 0) & (share < 1)
        safe = torch.where(inside, share, 0.5)
        edge = torch.exp(-p["channel_edge"] / (1 - (2 * safe - 1) ** 2))
        rate = self._opening(v, p) * (1 - safe) + p["closing"] * safe
        channels = torch.where(inside, p["channel_noise"] * edge * rate.sqrt(), 0.0)
        return torch.stack((voltage, torch.zeros_like(w), channels), dim=-1).flatten(1)

    def _parts(self, y: Tensor) -> tuple[Tensor, ...]:
        """Voltages, recoveries and open shares, (B, N) each."""
        return y.reshape(y.shape[0], self.n_neurons, 3).unbind(-1)

    @staticmethod
    def _opening(v: Tensor, p: Values) -> Tensor:
        return p["opening"] * p["peak"] * torch.sigmoid(p["steepness"] * (v - p["threshold"]))
