r"""Whether a path is rather a stationary series that returns to a mean than a fractional one.

The alternative is an autoregression $x_i = c + \phi x_{i-1} + e_i$, whose increments have the
spectral density

$$f(l) \propto \frac{|1 - e^{il}|^2}{|1 - \phi e^{il}|^2}, \qquad 0 \le \phi < 1.$$

Both are judged by Whittle's likelihood of the increments, in which scales are profiled out.
"""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.fractional.whittle import fgn_log_spectrum, periodogram, whittle_loss

_COEFFICIENTS = np.concatenate([np.linspace(0, 0.9, 19), 1 - np.geomspace(0.09, 0.005, 20)])


def gain_of_return(noise: Array, hurst: float) -> tuple[float, float]:
    """What an autoregression of the path gains over fractional Brownian motion.

    Args:
        noise: (n,) increments of the path.
        hurst: the most likely index of the path.

    Returns:
        The gain in log-likelihood, and the coefficient of the autoregression.
    """
    frequencies, power = periodogram(noise)
    cosine = np.cos(frequencies)
    moved = np.log(2 - 2 * cosine)
    losses = [
        whittle_loss(power, moved - np.log(1 + phi**2 - 2 * phi * cosine)) for phi in _COEFFICIENTS
    ]
    best = int(np.argmin(losses))
    lost = whittle_loss(power, fgn_log_spectrum(hurst, frequencies)) - losses[best]
    return len(frequencies) * lost, float(_COEFFICIENTS[best])
