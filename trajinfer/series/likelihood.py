"""Laws of values that are observed in part: likelihood, calibration and draws, written once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal

_COVERED = 0.9
_QUANTILE = 1.645
_LEAST_FACTOR, _LARGEST_FACTOR = 0.1, 10.0


def mean_nll(law: Normal, values: Tensor) -> Tensor:
    """Mean negative log-likelihood of the known values; 0 where none is known.

    Args:
        law: of values of the same shape.
        values: NaN = not known; they stay out of the gradient.
    """
    terms = known_losses(law, values)
    mean: Tensor = terms.mean() if len(terms) else terms.sum()
    return mean


def known_losses(law: Normal, values: Tensor) -> Tensor:
    """Negative log-likelihoods (P,) of the P values that are known."""
    known = ~values.isnan()
    part = Normal(law.mean[known], law.stddev[known], validate_args=False)
    losses: Tensor = -part.log_prob(values[known])
    return losses


def coverage_factors(law: Normal, values: Tensor) -> Tensor:
    """Factors (C,) on standard deviations after which 90 % intervals hold 90 % of the values.

    Args:
        law: of values (..., C).
        values: (..., C), NaN = not known.
    """
    size = ((values - law.mean) / law.stddev).abs().flatten(0, -2)
    factors = torch.nanquantile(size, _COVERED, dim=0) / _QUANTILE
    return torch.nan_to_num(factors, nan=1.0).clamp(_LEAST_FACTOR, _LARGEST_FACTOR)


def draws(law: Normal, n: int, generator: torch.Generator) -> Tensor:
    """N independent draws of a law over the same shape, (n, ...)."""
    mean = law.mean
    noise = torch.randn((n, *mean.shape), generator=generator, dtype=mean.dtype)
    return mean + law.stddev * noise
