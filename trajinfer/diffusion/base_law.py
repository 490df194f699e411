"""Where sampling starts: the Gaussian that matches the data's moments, and levels that suit it."""

from __future__ import annotations

import warnings
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer.diffusion.denoiser import Denoiser, require_state
from trajinfer.diffusion.gaussian import WienerDenoiser
from trajinfer.diffusion.noise import NoiseLaw, White
from trajinfer.diffusion.paths import require_levels

_WIDEST, _FINEST = 10.0, 0.25


@runtime_checkable
class HasMoments(Protocol):
    """A denoiser that knows mean and covariance of its data."""

    mean: Tensor
    covariance: Tensor


def matched_law(denoiser: Denoiser, noise: NoiseLaw) -> WienerDenoiser | None:
    """The Gaussian with the denoiser's moments, or None where it knows none."""
    if isinstance(denoiser, WienerDenoiser) and isinstance(noise, White):
        return denoiser
    own = getattr(denoiser, "linear", None)
    if isinstance(own, WienerDenoiser) and isinstance(noise, White):
        return own
    if not isinstance(denoiser, HasMoments):
        return None
    return WienerDenoiser(denoiser.mean, denoiser.covariance, noise)


def levels_of(denoiser: Denoiser, law: WienerDenoiser | None, levels: Any) -> tuple[float, float]:
    """(rho_max, rho_min) as given, or 10 times the largest and a quarter of the smallest sd.

    Raises:
        InputError: unless rho_max > rho_min > 0, or if they are needed and missing.

    Warns:
        UserWarning: for a given rho_min above the smallest spread that the denoiser knows.
    """
    if levels is None:
        own = getattr(denoiser, "levels", None)
        if own is not None:
            return float(own[0]), float(own[1])
        if law is None:
            raise InputError("give levels=(rho_max, rho_min): the denoiser knows no moments")
        smallest = getattr(denoiser, "smallest_sd", float(law.spectrum[0]) ** 0.5)
        return _WIDEST * law.top_sd, max(_FINEST * smallest, 1e-4 * law.top_sd)
    try:
        high, low = (float(level) for level in levels)
    except (TypeError, ValueError) as error:
        raise InputError(f"levels must be (rho_max, rho_min), got {levels!r}") from error
    require_levels(high, low)
    _warn_of_blur(denoiser, low)
    return high, low


def _warn_of_blur(denoiser: Denoiser, rho_min: float) -> None:
    """Say so where noise is left that is wider than the narrowest direction a denoiser knows.

    Warns:
        UserWarning: with both numbers.
    """
    smallest = getattr(denoiser, "smallest_sd", None)
    if smallest is not None and rho_min > smallest:
        warnings.warn(
            f"rho_min = {rho_min:.3g} is above the smallest standard deviation of the data, "
            f"{smallest:.3g}: what is narrower is blurred; take at most {_FINEST * smallest:.3g}",
            UserWarning,
            stacklevel=4,
        )


def first_state(
    start: Any,
    n: int | None,
    law: WienerDenoiser | None,
    levels: tuple[float, float],
    generator: torch.Generator,
) -> Tensor:
    """The state (B, D) where steps begin: rows as given, the centre of the law, or draws from it.

    Rows belong to the first of the two levels, and go to the second by the flow of the law. A draw
    at the first level would be taken there to what is the draw at the second.

    Raises:
        InputError: if neither rows nor their number is given, or the width is not known.
    """
    width = None if law is None else law.mean.shape[0]
    rho_max, begin = levels
    if start is not None and not isinstance(start, str):
        state = require_state(start, width)
        if n is not None and n != state.shape[0]:
            raise InputError(f"start has {state.shape[0]} rows, got n={n}; leave n out")
        return state if law is None or begin >= rho_max else law.flow(state, rho_max, begin)
    if law is None:
        raise InputError("give start=(B, D): the denoiser knows no moments to draw a start from")
    if start is not None and start != "center":
        raise InputError(f"start must be rows (B, D) or 'center', got {start!r}")
    if start == "center":
        return law.mean.expand(1 if n is None else n, -1).clone()
    if n is None:
        raise InputError("give n, the number of draws, or start, the rows to go on from")
    return law.draw(require_integer(n, "n", least=1), min(levels), generator)
